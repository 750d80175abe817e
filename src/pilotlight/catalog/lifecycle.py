"""The life of a function version as the API shows it: State and LastUpdateStatus, and when they settle.

AWS creates functions as Pending and updates them as InProgress, then settles both; clients wait for it with boto3's
waiters, so both are real states here, stored, with the moment they end (`settles_at_ms`, by the node's clock).
One table says what may follow what; anything else is a defect and raises. Every change gives a new RevisionId,
settling included, as AWS does. $LATEST of a function on a capacity provider is never invoked, only published from: it
rests as ActiveNonInvocable.
"""

from __future__ import annotations

import uuid
from enum import Enum
from typing import Any

import msgspec

from pilotlight.catalog.records import LATEST, FunctionVersion

BEING_CREATED = "The function is being created."
CREATING = "Creating"


class Phase(Enum):
    """State and LastUpdateStatus together: the combinations that exist."""

    PENDING = ("Pending", "Successful")
    ACTIVE = ("Active", "Successful")
    UPDATING = ("Active", "InProgress")
    RESTING = ("ActiveNonInvocable", "Successful")
    RESTING_UPDATING = ("ActiveNonInvocable", "InProgress")
    DELETING = ("Deleting", "Successful")


TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.PENDING: frozenset({Phase.ACTIVE, Phase.RESTING, Phase.DELETING}),
    Phase.ACTIVE: frozenset({Phase.UPDATING, Phase.DELETING}),
    Phase.UPDATING: frozenset({Phase.ACTIVE, Phase.DELETING}),
    Phase.RESTING: frozenset({Phase.RESTING_UPDATING, Phase.DELETING}),
    Phase.RESTING_UPDATING: frozenset({Phase.RESTING, Phase.DELETING}),
    Phase.DELETING: frozenset(),
}


class IllegalTransition(Exception):
    """A version was asked to go where its phase does not lead: a defect in the caller."""


#: phases in which a version may be changed or published from
SETTLED = frozenset({Phase.ACTIVE, Phase.RESTING})


#: of a version that nothing is being done to
_AT_REST: dict[str, Any] = {
    "state_reason": "",
    "state_reason_code": "",
    "last_update_status": "Successful",
    "last_update_status_reason": "",
    "last_update_status_reason_code": "",
    "settles_at_ms": 0,
}


def phase(version: FunctionVersion) -> Phase:
    return Phase((version.state, version.last_update_status))


def created(version: FunctionVersion, now_ms: int, delay_ms: int) -> FunctionVersion:
    """A new version's first value: Pending until `now_ms + delay_ms`."""
    return msgspec.structs.replace(
        version,
        state="Pending",
        state_reason=BEING_CREATED,
        state_reason_code=CREATING,
        last_modified_ms=now_ms,
        settles_at_ms=now_ms + delay_ms,
        revision_id=new_revision_id(),
    )


def published(version: FunctionVersion, now_ms: int) -> FunctionVersion:
    """$LATEST's copy under another number: Active at once, with nothing of its own to prepare."""
    return msgspec.structs.replace(
        version, state="Active", **_AT_REST, last_modified_ms=now_ms, revision_id=new_revision_id()
    )


def updated(version: FunctionVersion, now_ms: int, delay_ms: int) -> FunctionVersion:
    """`version` holds new code or configuration: InProgress until `now_ms + delay_ms`, in a generation of its own."""
    _check(version, Phase.RESTING_UPDATING if version.state == Phase.RESTING.value[0] else Phase.UPDATING)
    return msgspec.structs.replace(
        version,
        # AWS words an update's reason like a creation's (recorded by LocalStack's snapshot tests).
        last_update_status="InProgress",
        last_update_status_reason=BEING_CREATED,
        last_update_status_reason_code=CREATING,
        last_modified_ms=now_ms,
        settles_at_ms=now_ms + delay_ms,
        revision_id=new_revision_id(),
        generation=next_generation(version.generation, now_ms),
    )


def settled(version: FunctionVersion) -> FunctionVersion:
    """Active (or ActiveNonInvocable) and Successful."""
    to = Phase.RESTING if version.version == LATEST and "CapacityProviderConfig" in version.held else Phase.ACTIVE
    _check(version, to)
    return msgspec.structs.replace(version, state=to.value[0], **_AT_REST, revision_id=new_revision_id())


def deleting(version: FunctionVersion) -> FunctionVersion:
    """The last value the data plane sees of a version; never stored."""
    _check(version, Phase.DELETING)
    return msgspec.structs.replace(version, state="Deleting", last_update_status="Successful", settles_at_ms=0)


def revised(version: FunctionVersion) -> FunctionVersion:
    """The same with a new RevisionId: what a change of tags or permissions does to a version on AWS."""
    return msgspec.structs.replace(version, revision_id=new_revision_id())


def next_generation(previous: int, now_ms: int) -> int:
    """Grows always, also over a function deleted and made again, since it never runs behind the clock."""
    return max(previous + 1, now_ms)


def new_revision_id() -> str:
    return str(uuid.uuid4())


def _check(version: FunctionVersion, to: Phase) -> None:
    at = phase(version)
    if to not in TRANSITIONS[at]:
        raise IllegalTransition(f"{version.qualified_arn}: {at.name} does not lead to {to.name}")
