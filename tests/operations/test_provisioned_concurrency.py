"""Provisioned concurrency: the rules, the texts and the lists. That environments are kept is tested end to end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotlight.environments.provisioned import Allocation
from tests.operations.conftest import OTHER_CODE, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
UNPUBLISHED = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
NOT_LATEST = "The function resource provided must be an alias or a published version."
NO_CONFIG = "No Provisioned Concurrency Config found for this function"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Plane]:
    """A plane of the test's own: function a with versions 1 and 2, `live` to 1, `edge` to $LATEST; function b."""
    with Plane(tmp_path) as plane:
        client = plane.client()
        client.create_function(**function_params("a", Publish=True))
        client.update_function_code(FunctionName="a", ZipFile=OTHER_CODE, Publish=True)
        client.create_alias(FunctionName="a", Name="live", FunctionVersion="1")
        client.create_alias(FunctionName="a", Name="edge", FunctionVersion="$LATEST")
        client.create_function(**function_params("b"))
        yield plane


def _put(client: Any, qualifier: str, count: int, name: str = "a") -> dict[str, Any]:
    return client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=count
    )


def _get(client: Any, qualifier: str) -> dict[str, Any]:
    answer = client.get_provisioned_concurrency_config(FunctionName="a", Qualifier=qualifier)
    return {member: value for member, value in answer.items() if member not in ("ResponseMetadata", "LastModified")}


def test_life(own: Plane) -> None:
    client = own.client()
    put = _put(client, "live", 3)
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000", put["LastModified"])
    fresh = {
        "RequestedProvisionedConcurrentExecutions": 3,
        "AllocatedProvisionedConcurrentExecutions": 0,
        "AvailableProvisionedConcurrentExecutions": 0,
        "Status": "IN_PROGRESS",
    }
    assert {member: put[member] for member in fresh} == fresh == _get(client, "live")
    assert "StatusReason" not in put
    key = ("000000000000", "us-east-1", "a", "live")
    own.provisioned.known[key] = Allocation(1, "FAILED", "FUNCTION_ERROR_INIT_FAILURE")
    assert _get(client, "live") == {
        **fresh,
        "AllocatedProvisionedConcurrentExecutions": 1,
        "AvailableProvisionedConcurrentExecutions": 1,
        "Status": "FAILED",
        "StatusReason": "FUNCTION_ERROR_INIT_FAILURE",
    }
    own.provisioned.known[key] = Allocation(3, "READY")
    own.restart()
    assert _get(client, "live")["Status"] == "READY"
    assert _put(client, "live", 4)["RequestedProvisionedConcurrentExecutions"] == 4
    for _ in range(2):
        gone = client.delete_provisioned_concurrency_config(FunctionName="a", Qualifier="live")
        assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("ProvisionedConcurrencyConfigNotFoundException", NO_CONFIG, 404):
        _get(client, "live")


def test_only_what_is_published(own: Plane) -> None:
    client = own.client()
    for qualifier in ("$LATEST", "edge"):
        with refused("InvalidParameterValueException", UNPUBLISHED):
            _put(client, qualifier, 1)
    for call in (client.get_provisioned_concurrency_config, client.delete_provisioned_concurrency_config):
        with refused("InvalidParameterValueException", NOT_LATEST):
            call(FunctionName="a", Qualifier="$LATEST")


@pytest.mark.parametrize("operation", ["put", "get", "delete"])
@pytest.mark.parametrize(
    ("name", "qualifier", "message"),
    [
        ("a", "nobody", f"Cannot find alias arn: {ARN}a:nobody"),
        ("a", "9", f"Function not found: {ARN}a:9"),
        ("nobody", "live", f"Cannot find alias arn: {ARN}nobody:live"),
        ("nobody", "1", f"Function not found: {ARN}nobody:1"),
    ],
)
def test_what_is_not_there(own: Plane, operation: str, name: str, qualifier: str, message: str) -> None:
    members = {"ProvisionedConcurrentExecutions": 1} if operation == "put" else {}
    call = getattr(own.client(), f"{operation}_provisioned_concurrency_config")
    with refused("ResourceNotFoundException", message, 404):
        call(FunctionName=name, Qualifier=qualifier, **members)


def test_amounts(own: Plane) -> None:
    client = own.client()
    with refused(
        "ValidationException",
        "1 validation error detected: Value '0' at 'provisionedConcurrentExecutions' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1",
    ):
        _put(own.client(config=_unchecked()), "1", 0)
    with refused(
        "InvalidParameterValueException",
        "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000].",
        typed=False,
    ):
        _put(client, "1", 1001)
    below = (
        "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
        "minimum value of [100]."
    )
    with refused("InvalidParameterValueException", below, typed=False):
        _put(client, "1", 901)
    _put(client, "1", 500)
    with refused("InvalidParameterValueException", below, typed=False):
        _put(client, "2", 401)
    _put(client, "2", 400)
    _put(client, "2", 300)
    client.put_function_concurrency(FunctionName="b", ReservedConcurrentExecutions=100)
    with refused("InvalidParameterValueException", below.replace("Specified C", "Specified ReservedC"), typed=False):
        client.put_function_concurrency(FunctionName="b", ReservedConcurrentExecutions=101)
    with refused("InvalidParameterValueException", below, typed=False):
        _put(client, "2", 301)


def _unchecked() -> Any:
    from botocore.config import Config

    return Config(parameter_validation=False)


def test_within_what_is_reserved(own: Plane) -> None:
    client = own.client()
    client.put_function_concurrency(FunctionName="a", ReservedConcurrentExecutions=5)
    _put(client, "1", 3)
    message = (
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
    )
    with refused("InvalidParameterValueException", message):
        _put(client, "2", 3)
    _put(client, "2", 2)
    assert client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 995


def test_not_on_an_alias_and_its_version(own: Plane) -> None:
    client = own.client()
    _put(client, "1", 1)
    with refused(
        "ResourceConflictException",
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
        409,
    ):
        _put(client, "live", 1)
    client.delete_provisioned_concurrency_config(FunctionName="a", Qualifier="1")
    _put(client, "live", 1)
    with refused("ResourceConflictException", "Version is pointed by a Provisioned Concurrency alias", 409):
        _put(client, "1", 1)
    _put(client, "2", 1)


def test_not_on_an_alias_with_weights(own: Plane) -> None:
    client = own.client()
    client.update_alias(FunctionName="a", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}})
    with refused("InvalidParameterValueException", "Alias with weights can not be used with Provisioned Concurrency"):
        _put(client, "live", 1)


def test_list(own: Plane) -> None:
    client = own.client()
    assert client.list_provisioned_concurrency_configs(FunctionName="a")["ProvisionedConcurrencyConfigs"] == []
    with refused("ResourceNotFoundException", f"Function not found: {ARN}nobody", 404):
        client.list_provisioned_concurrency_configs(FunctionName="nobody")
    client.create_alias(FunctionName="a", Name="before", FunctionVersion="1")
    for qualifier in ("live", "2", "before"):
        _put(client, qualifier, 2)
    own.restart()
    listed = client.list_provisioned_concurrency_configs(FunctionName="a")
    assert "NextMarker" not in listed
    configs = listed["ProvisionedConcurrencyConfigs"]
    assert [config["FunctionArn"] for config in configs] == [f"{ARN}a:{q}" for q in ("2", "before", "live")]
    assert {config["RequestedProvisionedConcurrentExecutions"] for config in configs} == {2}
    pages = client.get_paginator("list_provisioned_concurrency_configs").paginate(
        FunctionName="a", PaginationConfig={"PageSize": 2}
    )
    sizes = [page["ProvisionedConcurrencyConfigs"] for page in pages]
    assert sizes == [configs[:2], configs[2:]]


def test_goes_with_its_alias(own: Plane) -> None:
    client = own.client()
    _put(client, "live", 1)
    client.delete_alias(FunctionName="a", Name="live")
    client.create_alias(FunctionName="a", Name="live", FunctionVersion="2")
    with refused("ProvisionedConcurrencyConfigNotFoundException", NO_CONFIG, 404):
        _get(client, "live")
    _put(client, "2", 1)
    client.delete_alias(FunctionName="a", Name="live")
    client.delete_function(FunctionName="a", Qualifier="2")
    assert client.list_provisioned_concurrency_configs(FunctionName="a")["ProvisionedConcurrencyConfigs"] == []
