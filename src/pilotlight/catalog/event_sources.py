"""Event source mappings: what each one is set to, and the states it goes through.

Every change begins a state that the clock ends (`settles_at_ms`): then the mapping is Enabled or Disabled, as `enabled`
says, or gone. Source: API reference, EventSourceMappingConfiguration, and answers recorded by LocalStack's snapshot
tests.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from pilotlight.catalog.lifecycle import IllegalTransition
from pilotlight.catalog.names import event_source_mapping_arn

EVENT_SOURCE_MAPPING = "lambda.event-source-mapping"


class State(StrEnum):
    CREATING = "Creating"
    ENABLING = "Enabling"
    ENABLED = "Enabled"
    DISABLING = "Disabling"
    DISABLED = "Disabled"
    UPDATING = "Updating"
    DELETING = "Deleting"


#: What follows what. Deleting is followed by nothing: the record goes.
NEXT: dict[State, frozenset[State]] = {
    State.CREATING: frozenset({State.ENABLED, State.DISABLED}),
    State.ENABLING: frozenset({State.ENABLED}),
    State.ENABLED: frozenset({State.UPDATING, State.DISABLING, State.DELETING}),
    State.DISABLING: frozenset({State.DISABLED}),
    State.DISABLED: frozenset({State.UPDATING, State.ENABLING, State.DELETING}),
    State.UPDATING: frozenset({State.ENABLED, State.DISABLED}),
    State.DELETING: frozenset(),
}


class EventSourceMapping(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    account: str
    region: str
    uuid: str
    function_arn: str
    """As the API shows it: qualified when the client named a version or an alias."""
    event_source_arn: str = ""
    """"" for self-managed Kafka."""
    settings: dict[str, Any] = {}
    """Further members of EventSourceMappingConfiguration, as the API shows them."""
    enabled: bool = True
    """What it is, or will be once it has settled."""
    state: State = State.CREATING
    state_transition_reason: str = "USER_INITIATED"
    last_modified_ms: int = 0
    last_processing_result: str = ""
    """"" for sources that show none."""
    settles_at_ms: int = 0
    """When Creating, Updating, Enabling, Disabling or Deleting ends; 0 when settled."""
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        return event_source_mapping_arn(self.account, self.region, self.uuid)

    @property
    def is_busy(self) -> bool:
        return self.state not in (State.ENABLED, State.DISABLED)


def begun(mapping: EventSourceMapping, state: State, now_ms: int, delay_ms: int) -> EventSourceMapping:
    """It as a change leaves it: in `state`, which ends `delay_ms` from now."""
    return msgspec.structs.replace(
        _stepped(mapping, state), last_modified_ms=now_ms, settles_at_ms=now_ms + max(delay_ms, 0)
    )


def settled(mapping: EventSourceMapping) -> EventSourceMapping | None:
    """It once `settles_at_ms` has come; None: gone."""
    if mapping.state is State.DELETING:
        return None
    after = _stepped(mapping, State.ENABLED if mapping.enabled else State.DISABLED)
    return msgspec.structs.replace(after, last_modified_ms=mapping.settles_at_ms, settles_at_ms=0)


def _stepped(mapping: EventSourceMapping, state: State) -> EventSourceMapping:
    if state not in NEXT[mapping.state]:
        raise IllegalTransition(f"{mapping.uuid}: {mapping.state} does not lead to {state}")
    return msgspec.structs.replace(mapping, state=state)
