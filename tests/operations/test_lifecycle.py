"""Every edge of a version's life, and every edge that is none."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from pilotlight.catalog import lifecycle
from pilotlight.catalog.lifecycle import TRANSITIONS, IllegalTransition, Phase
from pilotlight.catalog.records import FunctionVersion

NEW = FunctionVersion(
    account="123456789012",
    region="eu-west-1",
    name="thumb",
    runtime="python3.12",
    handler="app.handler",
    role="arn:aws:iam::123456789012:role/r",
    code_blob="00",
    code_sha256="AA==",
    code_size=1,
)
MANAGED = msgspec.structs.replace(NEW, held={"CapacityProviderConfig": {"a": "b"}})


def update(version: FunctionVersion) -> FunctionVersion:
    return lifecycle.updated(version, 1000, 100)


def updating(before: Phase) -> Phase:
    return Phase.RESTING_UPDATING if before.value[0] == "ActiveNonInvocable" else Phase.UPDATING


MOVES: dict[str, tuple[FunctionVersion, Callable[[FunctionVersion], FunctionVersion], Callable[[Phase], Phase]]] = {
    "settled": (NEW, lifecycle.settled, lambda before: Phase.ACTIVE),
    "settled, on a capacity provider": (MANAGED, lifecycle.settled, lambda before: Phase.RESTING),
    "updated": (NEW, update, updating),
    "deleting": (NEW, lifecycle.deleting, lambda before: Phase.DELETING),
}


@pytest.mark.parametrize("before", Phase)
@pytest.mark.parametrize("how", MOVES)
def test_edges(before: Phase, how: str) -> None:
    version, move, leads_to = MOVES[how]
    version = msgspec.structs.replace(version, state=before.value[0], last_update_status=before.value[1])
    after = leads_to(before)
    if after in TRANSITIONS[before]:
        assert lifecycle.phase(move(version)) is after
    else:
        with pytest.raises(IllegalTransition, match=f"{before.name} does not lead to {after.name}"):
            move(version)


def test_every_edge_is_walked() -> None:
    walked = {(before, leads_to(before)) for before in Phase for _, _, leads_to in MOVES.values()}
    assert {(before, after) for before, afters in TRANSITIONS.items() for after in afters} <= walked


def test_a_published_version_of_a_function_on_a_capacity_provider_is_active() -> None:
    published = lifecycle.created(msgspec.structs.replace(MANAGED, version="1"), 5000, 100)
    assert lifecycle.settled(published).state == "Active"
    assert lifecycle.settled(lifecycle.created(MANAGED, 5000, 100)).state == "ActiveNonInvocable"


def test_created_is_pending_and_settles_to_active() -> None:
    pending = lifecycle.created(NEW, 5000, 100)
    assert (pending.state, pending.state_reason, pending.state_reason_code, pending.settles_at_ms) == (
        "Pending",
        "The function is being created.",
        "Creating",
        5100,
    )
    active = lifecycle.settled(pending)
    assert (active.state, active.state_reason, active.state_reason_code, active.settles_at_ms) == ("Active", "", "", 0)
    assert len({NEW.revision_id, pending.revision_id, active.revision_id}) == 3


def test_updated_is_in_progress_in_a_newer_generation() -> None:
    active = msgspec.structs.replace(NEW, generation=7)
    updating = lifecycle.updated(active, 5000, 100)
    assert (updating.state, updating.last_update_status, updating.settles_at_ms) == ("Active", "InProgress", 5100)
    assert updating.generation > active.generation
    assert lifecycle.settled(updating).generation == updating.generation


def test_generations_grow_though_the_clock_steps_back() -> None:
    assert lifecycle.next_generation(9000, 5000) == 9001


def test_fingerprints_know_code_and_configuration_from_states_and_dates() -> None:
    settled = lifecycle.settled(lifecycle.created(NEW, 5000, 100))
    assert settled.fingerprint == NEW.fingerprint
    for change in ({"code_sha256": "BB=="}, {"description": "d"}, {"memory_mib": 129}, {"environment": {"A1": "b"}}):
        assert msgspec.structs.replace(NEW, **change).fingerprint != NEW.fingerprint
