"""Event source mappings: what each one is set to, and the states it goes through."""

from __future__ import annotations

from typing import Any

import msgspec

EVENT_SOURCE_MAPPING = "lambda.event-source-mapping"


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
    state: str = "Creating"
    state_transition_reason: str = "USER_INITIATED"
    last_modified_ms: int = 0
    last_processing_result: str = "No records processed"
    settles_at_ms: int = 0
    """When Creating, Updating, Enabling, Disabling or Deleting ends; 0 when settled."""
    tags: dict[str, str] = {}


def settled(mapping: EventSourceMapping) -> EventSourceMapping | None:
    raise NotImplementedError
