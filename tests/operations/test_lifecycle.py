"""Every edge of a version's life, and every edge that is none."""

from __future__ import annotations

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
MOVES = {
    Phase.ACTIVE: lifecycle.settled,
    Phase.UPDATING: lambda version: lifecycle.updated(version, 1000, 100),
    Phase.DELETING: lifecycle.deleting,
}


def in_phase(phase: Phase) -> FunctionVersion:
    return msgspec.structs.replace(NEW, state=phase.value[0], last_update_status=phase.value[1])


@pytest.mark.parametrize("before", Phase)
@pytest.mark.parametrize("after", MOVES)
def test_edges(before: Phase, after: Phase) -> None:
    if after in TRANSITIONS[before]:
        assert lifecycle.phase(MOVES[after](in_phase(before))) is after
    else:
        with pytest.raises(IllegalTransition, match=f"{before.name} does not lead to {after.name}"):
            MOVES[after](in_phase(before))


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
