"""States a client can watch: Pending and InProgress while the clock stands, boto3's waiters once it moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.operations.conftest import CODE, OTHER_CODE, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import arn
from tests.support import eventually

IN_PROGRESS = ("InProgress", "The function is being created.", "Creating")
Update = Callable[[Any], dict[str, Any]]

UPDATES: list[Update] = [
    lambda client: client.update_function_code(FunctionName="f", ZipFile=OTHER_CODE),
    lambda client: client.update_function_configuration(FunctionName="f", Timeout=5),
    # An update that changes nothing is an update all the same.
    lambda client: client.update_function_configuration(FunctionName="f"),
    lambda client: client.update_function_code(FunctionName="f", ZipFile=CODE),
]


def update_status(configuration: dict[str, Any]) -> tuple[Any, Any, Any]:
    return (
        configuration.get("LastUpdateStatus"),
        configuration.get("LastUpdateStatusReason"),
        configuration.get("LastUpdateStatusReasonCode"),
    )


def settled(plane: Plane, client: Any) -> dict[str, Any]:
    """Let the clock run out; $LATEST once it has settled."""
    plane.advance(100)

    def look() -> dict[str, Any] | None:
        found = client.get_function_configuration(FunctionName="f")
        return found if update_status(found) == ("Successful", None, None) else None

    return eventually(look)  # type: ignore[return-value]


def test_a_client_that_reads_at_once_sees_it_pending(held_plane: Plane) -> None:
    client = held_plane.client()
    created = client.create_function(**function_params("f"))
    for got in (
        client.get_function_configuration(FunctionName="f"),
        client.get_function(FunctionName="f")["Configuration"],
    ):
        assert (got["State"], got["StateReason"], got["StateReasonCode"]) == (
            "Pending",
            "The function is being created.",
            "Creating",
        )
        assert update_status(got) == (None, None, None)
        assert got["RevisionId"] == created["RevisionId"]
    got = settled(held_plane, client)
    assert got["State"] == "Active"
    assert got.keys().isdisjoint({"StateReason", "StateReasonCode"})
    assert got["RevisionId"] != created["RevisionId"]
    assert got["LastModified"] == created["LastModified"]


@pytest.mark.parametrize("update", UPDATES)
def test_a_client_that_reads_at_once_sees_it_in_progress(held_plane: Plane, update: Update) -> None:
    client = held_plane.client()
    client.create_function(**function_params("f"))
    before = settled(held_plane, client)
    answer = update(client)
    got = client.get_function_configuration(FunctionName="f")
    assert update_status(answer) == update_status(got) == IN_PROGRESS
    assert answer["State"] == got["State"] == "Active"
    after = settled(held_plane, client)
    assert len({before["RevisionId"], got["RevisionId"], after["RevisionId"]}) == 3
    assert answer["RevisionId"] == got["RevisionId"]
    assert after["LastModified"] == answer["LastModified"] > before["LastModified"]


@pytest.mark.parametrize("update", [*UPDATES, lambda client: client.publish_version(FunctionName="f")])
def test_one_change_at_a_time(held_plane: Plane, update: Update) -> None:
    client = held_plane.client()
    client.create_function(**function_params("f"))
    message = (
        "The operation cannot be performed at this time. The function is currently in the following state: Pending"
    )
    with refused("ResourceConflictException", message, 409):
        update(client)
    settled(held_plane, client)
    client.update_function_configuration(FunctionName="f", Timeout=9)
    message = f"The operation cannot be performed at this time. An update is in progress for resource: {arn('f')}"
    with refused("ResourceConflictException", message, 409):
        update(client)
    settled(held_plane, client)
    update(client)


def test_what_does_not_touch_the_code_needs_no_settled_function(held_plane: Plane) -> None:
    client = held_plane.client()
    client.create_function(**function_params("f"))
    client.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    )
    client.tag_resource(Resource=arn("f"), Tags={"a": "b"})
    assert client.get_function_configuration(FunctionName="f")["State"] == "Pending"
    assert settled(held_plane, client)["State"] == "Active"
    client.update_function_configuration(FunctionName="f", Timeout=9)
    client.remove_permission(FunctionName="f", StatementId="s")
    client.delete_function(FunctionName="f")


def test_a_version_made_with_the_function_settles_with_it(held_plane: Plane) -> None:
    client = held_plane.client()
    answer = client.create_function(**function_params("f", Publish=True))
    assert (answer["Version"], answer["FunctionArn"], answer["State"]) == ("1", arn("f"), "Pending")
    got = client.get_function(FunctionName="f", Qualifier="1")["Configuration"]
    assert (got["FunctionArn"], got["State"], update_status(got)) == (arn("f", "1"), "Pending", (None, None, None))
    settled(held_plane, client)
    got = eventually(
        lambda: (found := client.get_function_configuration(FunctionName="f:1"))["State"] == "Active" and found
    )
    assert update_status(got) == ("Successful", None, None)
    assert got["RevisionId"] != answer["RevisionId"]


def test_a_version_made_with_an_update(held_plane: Plane) -> None:
    client = held_plane.client()
    client.create_function(**function_params("f"))
    settled(held_plane, client)
    answer = client.update_function_code(FunctionName="f", ZipFile=OTHER_CODE, Publish=True)
    assert (answer["Version"], answer["FunctionArn"], answer["State"]) == ("1", arn("f", "1"), "Pending")
    assert update_status(answer) == (None, None, None)
    latest = client.get_function(FunctionName="f", Qualifier="$LATEST")["Configuration"]
    assert (latest["State"], update_status(latest)) == ("Active", IN_PROGRESS)
    assert latest["CodeSha256"] == answer["CodeSha256"]


def test_an_update_in_progress_is_settled_by_a_restart(held_plane: Plane) -> None:
    client = held_plane.client()
    client.create_function(**function_params("f"))
    settled(held_plane, client)
    client.update_function_configuration(FunctionName="f", Timeout=9)
    client.create_function(**function_params("g"))
    held_plane.restart()
    got = client.get_function_configuration(FunctionName="f")
    assert (update_status(got), got["Timeout"]) == (("Successful", None, None), 9)
    assert client.get_function_configuration(FunctionName="g")["State"] == "Active"


@pytest.mark.parametrize("waiter", ["function_exists", "function_active", "function_active_v2"])
def test_waiters_for_a_new_function(tmp_path: Path, waiter: str) -> None:
    with Plane(tmp_path, state_delay_ms=60) as plane:
        client = plane.client()
        client.create_function(**function_params("f"))
        client.get_waiter(waiter).wait(FunctionName="f", WaiterConfig={"Delay": 0.02, "MaxAttempts": 200})
        if waiter != "function_exists":
            assert client.get_function_configuration(FunctionName="f")["State"] == "Active"


@pytest.mark.parametrize("waiter", ["function_updated", "function_updated_v2"])
def test_waiters_for_an_update(tmp_path: Path, waiter: str) -> None:
    with Plane(tmp_path, state_delay_ms=60) as plane:
        client = plane.client()
        client.create_function(**function_params("f"))
        patience = {"Delay": 0.02, "MaxAttempts": 200}
        client.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig=patience)
        assert client.update_function_configuration(FunctionName="f", Timeout=9)["LastUpdateStatus"] == "InProgress"
        client.get_waiter(waiter).wait(FunctionName="f", WaiterConfig=patience)
        assert client.get_function_configuration(FunctionName="f")["LastUpdateStatus"] == "Successful"


def test_the_waiter_for_a_version(tmp_path: Path) -> None:
    with Plane(tmp_path, state_delay_ms=60) as plane:
        client = plane.client()
        client.create_function(**function_params("f", Publish=True))
        patience = {"Delay": 0.02, "MaxAttempts": 200}
        client.get_waiter("published_version_active").wait(FunctionName="f", Qualifier="1", WaiterConfig=patience)
        assert client.get_function_configuration(FunctionName="f:1")["State"] == "Active"
