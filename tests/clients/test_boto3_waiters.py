"""boto3 waits for every state of Lambda's API that has a waiter, on a node whose states take their time.

Each waiter must find the state not yet there, and then there: a node that answered the last state at once would pass
a test that only waits. `AWAITED` is held against the model, so a waiter that AWS adds fails here until it is driven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.exceptions import WaiterError

from tests.support import NodeProcess, make_zip, node_process

ROLE = "arn:aws:iam::000000000000:role/lambda-role"
CODE = make_zip("def handler(event, context):\n    return event\n")
SETTLES_AFTER_MS = 400


def model() -> dict[str, dict[str, Any]]:
    session = boto3.session.Session()._session
    return session.get_component("data_loader").load_service_model("lambda", "waiters-2")["waiters"]


WAITERS = model()


@pytest.fixture(scope="module")
def slow_node() -> Iterator[NodeProcess]:
    with node_process(state_delay_ms=SETTLES_AFTER_MS) as node:
        yield node


@pytest.fixture
def client(slow_node: NodeProcess) -> Any:
    return slow_node.client("lambda")


def create(client: Any, name: str, **members: Any) -> dict[str, Any]:
    client.create_function(
        FunctionName=name, Runtime="python3.11", Role=ROLE, Handler="app.handler", Code={"ZipFile": CODE}, **members
    )
    return {"FunctionName": name}


def create_settled(client: Any, name: str) -> dict[str, Any]:
    request = create(client, name)
    wait(client, "FunctionActiveV2", request)
    return request


def update(client: Any, name: str) -> dict[str, Any]:
    request = create_settled(client, name)
    client.update_function_configuration(**request, Timeout=9)
    return request


def publish(client: Any, name: str) -> dict[str, Any]:
    return {**create(client, name, Publish=True), "Qualifier": "1"}


def wait(client: Any, waiter: str, request: dict[str, Any], *, attempts: int = 100) -> None:
    config = {"Delay": 0.02, "MaxAttempts": attempts}
    client.get_waiter(xform_name(waiter)).wait(**request, WaiterConfig=config)


# Each waiter: what brings its function about to be in the state, and the member and value it waits for.
AWAITED: dict[str, tuple[Callable[[Any, str], dict[str, Any]], str, str]] = {
    "FunctionActive": (create, "State", "Active"),
    "FunctionActiveV2": (create, "State", "Active"),
    "FunctionUpdated": (update, "LastUpdateStatus", "Successful"),
    "FunctionUpdatedV2": (update, "LastUpdateStatus", "Successful"),
    "PublishedVersionActive": (publish, "State", "Active"),
}


def test_every_waiter_of_the_model_is_driven() -> None:
    assert {*AWAITED, "FunctionExists"} == set(WAITERS)


@pytest.mark.parametrize("waiter", sorted(AWAITED))
def test_waits_for_a_state(client: Any, unique_name: str, waiter: str) -> None:
    bring_about, member, value = AWAITED[waiter]
    request = bring_about(client, unique_name)
    with pytest.raises(WaiterError, match="Max attempts exceeded"):
        wait(client, waiter, request, attempts=1)
    wait(client, waiter, request)
    assert client.get_function_configuration(**request)[member] == value


def test_waits_for_a_function_to_exist(client: Any, unique_name: str) -> None:
    request = {"FunctionName": unique_name}
    with pytest.raises(WaiterError, match="Max attempts exceeded"):
        wait(client, "FunctionExists", request, attempts=1)
    create(client, unique_name)
    wait(client, "FunctionExists", request, attempts=1)


def test_a_waiter_of_states_ends_at_once_for_what_is_not_there(client: Any, unique_name: str) -> None:
    with pytest.raises(WaiterError, match="ResourceNotFoundException"):
        wait(client, "FunctionActiveV2", {"FunctionName": unique_name})
