"""Reserved concurrency and GetAccountSettings: rules, texts and numbers. Its effect is tested end to end."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pilotlight.operations.found import FUNCTIONS_ONLY
from tests.operations.conftest import function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Plane]:
    """A plane of the test's own, with functions a and b (a has version 1 and an alias): sums are over an account."""
    with Plane(tmp_path) as plane:
        client = plane.client()
        client.create_function(**function_params("a", Publish=True))
        client.create_alias(FunctionName="a", Name="live", FunctionVersion="1")
        client.create_function(**function_params("b"))
        yield plane


def _limits(client: Any) -> tuple[int, int]:
    limit = client.get_account_settings()["AccountLimit"]
    return limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]


def _below_minimum(member: str = "ReservedConcurrentExecutions") -> str:
    return (
        f"Specified {member} for function decreases account's UnreservedConcurrentExecution below its minimum value "
        "of [100]."
    )


def test_put_get_delete(own: Plane) -> None:
    client = own.client()
    empty = client.get_function_concurrency(FunctionName="a")
    assert "ReservedConcurrentExecutions" not in empty
    for amount in (0, 1, 900):
        answer = client.put_function_concurrency(FunctionName="a", ReservedConcurrentExecutions=amount)
        assert answer["ReservedConcurrentExecutions"] == amount
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
        own.restart()
        assert client.get_function_concurrency(FunctionName="a")["ReservedConcurrentExecutions"] == amount
        assert _limits(client) == (1000, 1000 - amount)
    for _ in range(2):
        gone = client.delete_function_concurrency(FunctionName="a")
        assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    own.restart()
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName="a")
    assert _limits(client) == (1000, 1000)


def test_get_function_shows_it(own: Plane) -> None:
    client = own.client()
    assert "Concurrency" not in client.get_function(FunctionName="a")
    client.put_function_concurrency(FunctionName="a", ReservedConcurrentExecutions=0)
    assert client.get_function(FunctionName="a")["Concurrency"] == {"ReservedConcurrentExecutions": 0}


def test_a_hundred_stay_unreserved(own: Plane) -> None:
    client = own.client()
    with refused("InvalidParameterValueException", _below_minimum(), typed=False):
        client.put_function_concurrency(FunctionName="a", ReservedConcurrentExecutions=901)
    client.put_function_concurrency(FunctionName="a", ReservedConcurrentExecutions=600)
    with refused("InvalidParameterValueException", _below_minimum(), typed=False):
        client.put_function_concurrency(FunctionName="b", ReservedConcurrentExecutions=301)
    client.put_function_concurrency(FunctionName="b", ReservedConcurrentExecutions=300)
    client.put_function_concurrency(FunctionName="a", ReservedConcurrentExecutions=500)
    client.put_function_concurrency(FunctionName="a", ReservedConcurrentExecutions=600)
    assert _limits(client) == (1000, 100)
    assert _limits(own.client(region="eu-west-1")) == (1000, 1000), "each region has its own"
    assert _limits(own.client(account="111122223333")) == (1000, 1000), "and each account"
    client.delete_function(FunctionName="a")
    assert _limits(client) == (1000, 700)


def test_the_minimum_is_a_setting(tmp_path: Path) -> None:
    with Plane(tmp_path, concurrency=10, min_unreserved_concurrency=4) as plane:
        client = plane.client()
        client.create_function(**function_params("a"))
        client.put_function_concurrency(FunctionName="a", ReservedConcurrentExecutions=6)
        with refused("InvalidParameterValueException", _below_minimum().replace("100", "4"), typed=False):
            client.put_function_concurrency(FunctionName="a", ReservedConcurrentExecutions=7)


def test_two_at_once_do_not_both_take_the_last(own: Plane) -> None:
    def put(name: str) -> bool:
        try:
            own.client().put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=500)
        except ClientError:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(put, ("a", "b"))) == [False, True]
    assert _limits(own.client()) == (1000, 500)


def test_not_below_what_is_provisioned(own: Plane) -> None:
    client = own.client()
    client.put_provisioned_concurrency_config(FunctionName="a", Qualifier="1", ProvisionedConcurrentExecutions=5)
    with refused(
        "InvalidParameterValueException",
        " ReservedConcurrentExecutions  4 should not be lower than function's total provisioned concurrency [5].",
        typed=False,
    ):
        client.put_function_concurrency(FunctionName="a", ReservedConcurrentExecutions=4)
    client.put_function_concurrency(FunctionName="a", ReservedConcurrentExecutions=5)


@pytest.mark.parametrize("operation", ["put", "get", "delete"])
def test_of_functions_only(own: Plane, operation: str) -> None:
    members = {"ReservedConcurrentExecutions": 1} if operation == "put" else {}
    call = getattr(own.client(), f"{operation}_function_concurrency")
    for name in ("a:1", "a:live", f"{ARN}a:$LATEST"):
        with refused("InvalidParameterValueException", FUNCTIONS_ONLY):
            call(FunctionName=name, **members)
    shown = f"Function not found: {ARN}nobody" + ("" if operation == "get" else ":$LATEST")
    with refused("ResourceNotFoundException", shown, 404):
        call(FunctionName="nobody", **members)


def test_account_settings_are_true(own: Plane) -> None:
    client = own.client()
    before = client.get_account_settings()["AccountUsage"]
    assert before["FunctionCount"] == 2
    sizes = before["TotalCodeSize"]
    assert sizes > 0
    client.delete_function(FunctionName="b")
    after = client.get_account_settings()["AccountUsage"]
    assert after["FunctionCount"] == 1
    assert after["TotalCodeSize"] == sizes // 3 * 2, "three equal packages before: a, its version, b"
    assert own.client(region="eu-west-1").get_account_settings()["AccountUsage"] == {
        "TotalCodeSize": 0,
        "FunctionCount": 0,
    }
