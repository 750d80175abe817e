"""The states of a mapping: every edge and every forbidden one, by a clock that stands still."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pilotlight.catalog.event_sources import NEXT, EventSourceMapping, State, begun, settled
from pilotlight.catalog.lifecycle import IllegalTransition
from tests.operations.conftest import function_params
from tests.operations.errors import refused
from tests.operations.mapping_requests import GONE, queue_arn, request, shown
from tests.operations.plane import Plane
from tests.support import eventually

BUSY = {
    "update_event_source_mapping": "Cannot update the event source mapping because it is in use.",
    "delete_event_source_mapping": "Cannot delete the event source mapping because it is in use.",
}

MAPPING = EventSourceMapping(account="000000000000", region="us-east-1", uuid="u", function_arn="f", settles_at_ms=7)


@pytest.mark.parametrize("after", [State.UPDATING, State.ENABLING, State.DISABLING, State.DELETING])
@pytest.mark.parametrize("before", State)
def test_what_a_change_begins(before: State, after: State) -> None:
    mapping = msgspec.structs.replace(MAPPING, state=before)
    if after in NEXT[before]:
        changed = begun(mapping, after, 1000, 100)
        assert (changed.state, changed.last_modified_ms, changed.settles_at_ms) == (after, 1000, 1100)
    else:
        with pytest.raises(IllegalTransition, match=f"{before} does not lead to {after}"):
            begun(mapping, after, 1000, 100)


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("before", State)
def test_what_the_clock_ends(before: State, enabled: bool) -> None:
    mapping = msgspec.structs.replace(MAPPING, state=before, enabled=enabled)
    after = State.ENABLED if enabled else State.DISABLED
    if before is State.DELETING:
        assert settled(mapping) is None
    elif after in NEXT[before]:
        ended = settled(mapping)
        assert ended is not None
        assert (ended.state, ended.last_modified_ms, ended.settles_at_ms) == (after, 7, 0)
    else:
        with pytest.raises(IllegalTransition, match=f"{before} does not lead to {after}"):
            settled(mapping)


def create(plane: Plane, source: str = "kinesis", **params: Any) -> tuple[Any, dict[str, Any]]:
    client = plane.client()
    client.create_function(**function_params("fn"))
    return client, client.create_event_source_mapping(**request(source, "fn", **params))


def wait_for(plane: Plane, client: Any, uuid: str, state: str) -> dict[str, Any]:
    """Let the clock run out; the mapping once it has settled."""
    plane.advance(100)

    def look() -> dict[str, Any] | None:
        found = client.get_event_source_mapping(UUID=uuid)
        return found if found["State"] == state else None

    return eventually(look)  # type: ignore[return-value]


def assert_busy(client: Any, uuid: str) -> None:
    for operation, message in BUSY.items():
        with refused("ResourceInUseException", message):
            getattr(client, operation)(UUID=uuid)


def test_each_state_and_what_is_refused_in_it(held_plane: Plane) -> None:
    client, created = create(held_plane)
    uuid = created["UUID"]
    assert created["State"] == "Creating"
    assert shown(client.get_event_source_mapping(UUID=uuid)) == shown(created)
    assert_busy(client, uuid)
    held_plane.advance(99)
    assert client.get_event_source_mapping(UUID=uuid)["State"] == "Creating"
    enabled = wait_for(held_plane, client, uuid, "Enabled")
    assert (enabled["LastModified"] - created["LastModified"]).total_seconds() == 0.1
    for change, during, after in (
        ({"BatchSize": 7}, "Updating", "Enabled"),
        ({"Enabled": True}, "Updating", "Enabled"),
        ({"Enabled": False}, "Disabling", "Disabled"),
        ({"BatchSize": 8}, "Updating", "Disabled"),
        ({"Enabled": True, "BatchSize": 9}, "Enabling", "Enabled"),
    ):
        answer = client.update_event_source_mapping(UUID=uuid, **change)
        assert answer["State"] == during
        assert_busy(client, uuid)
        ended = wait_for(held_plane, client, uuid, after)
        assert shown(ended) == {**shown(answer), "State": after}
        assert ended["StateTransitionReason"] == "User action"
    assert ended["BatchSize"] == 9
    deleting = client.delete_event_source_mapping(UUID=uuid)
    assert shown(deleting) == {**shown(ended), "State": "Deleting"}
    assert client.get_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    assert len(client.list_event_source_mappings()["EventSourceMappings"]) == 1
    assert_busy(client, uuid)
    held_plane.advance(100)
    eventually(lambda: not client.list_event_source_mappings()["EventSourceMappings"])
    for operation in ("get", "update", "delete"):
        with refused("ResourceNotFoundException", GONE, 404):
            getattr(client, f"{operation}_event_source_mapping")(UUID=uuid)


def test_created_disabled(held_plane: Plane) -> None:
    client, created = create(held_plane, Enabled=False)
    assert created["State"] == "Creating"
    wait_for(held_plane, client, created["UUID"], "Disabled")


def test_a_disabled_queue_changes_at_once(held_plane: Plane) -> None:
    client, created = create(held_plane, "sqs", Enabled=False)
    assert created["State"] == "Disabled"
    held_plane.advance(1000)
    changed = client.update_event_source_mapping(UUID=created["UUID"], BatchSize=3)
    assert (changed["State"], changed["BatchSize"]) == ("Disabled", 3)
    assert (changed["LastModified"] - created["LastModified"]).total_seconds() == 1
    assert client.update_event_source_mapping(UUID=created["UUID"], Enabled=True)["State"] == "Enabling"
    wait_for(held_plane, client, created["UUID"], "Enabled")


def test_it_exists_until_it_is_gone(held_plane: Plane) -> None:
    client, created = create(held_plane, "sqs")
    uuid = created["UUID"]
    wait_for(held_plane, client, uuid, "Enabled")
    client.delete_event_source_mapping(UUID=uuid)
    message = (
        f'An event source mapping with SQS arn (" {queue_arn("fn")} ") and function (" fn ") already exists. '
        f"Please update or delete the existing mapping with UUID {uuid}"
    )
    with refused("ResourceConflictException", message, 409):
        client.create_event_source_mapping(**request("sqs", "fn"))
    held_plane.advance(100)
    eventually(lambda: not client.list_event_source_mappings()["EventSourceMappings"])
    client.create_event_source_mapping(**request("sqs", "fn"))


@pytest.mark.parametrize(
    ("change", "after"), [({"BatchSize": 7}, "Enabled"), ({"Enabled": False}, "Disabled"), ({}, "Enabled")]
)
def test_a_node_that_starts_settles_what_it_finds(held_plane: Plane, change: dict[str, Any], after: str) -> None:
    client, created = create(held_plane)
    uuid = created["UUID"]
    if change:
        wait_for(held_plane, client, uuid, "Enabled")
        client.update_event_source_mapping(UUID=uuid, **change)
    held_plane.restart()
    found = held_plane.client().get_event_source_mapping(UUID=uuid)
    assert shown(found) == {**shown(created), **{k: v for k, v in change.items() if k != "Enabled"}, "State": after}


def test_a_node_that_starts_ends_a_deletion(held_plane: Plane) -> None:
    client, created = create(held_plane)
    wait_for(held_plane, client, created["UUID"], "Enabled")
    client.delete_event_source_mapping(UUID=created["UUID"])
    held_plane.restart()
    assert held_plane.client().list_event_source_mappings()["EventSourceMappings"] == []
