"""Functions on a capacity provider: what they may have, how their states move, where they publish to."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from pilotlight.catalog.capacity import CapacityProvider
from tests.operations.conftest import OTHER_CODE, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane

INSTANCES = "LambdaManagedInstancesCapacityProviderConfig"


@pytest.fixture
def account() -> str:
    return f"{uuid.uuid4().int % 10**12:012}"


def provide(plane: Plane, account: str, name: str = "provider") -> str:
    """A capacity provider of that account."""
    provider = CapacityProvider(account=account, region="us-east-1", name=name, state="Active")
    plane.run(
        plane.catalog.capacity_providers.change(account, "us-east-1", name, lambda before: (before or provider, None))
    )
    return f"arn:aws:lambda:us-east-1:{account}:capacity-provider:{name}"


def on(provider: str, **more: Any) -> dict[str, Any]:
    return {"Runtime": "python3.13", "CapacityProviderConfig": {INSTANCES: {"CapacityProviderArn": provider, **more}}}


@pytest.fixture
def provider(plane: Plane, account: str) -> str:
    return provide(plane, account)


@pytest.fixture
def client(plane: Plane, account: str) -> Any:
    return plane.client(account=account)


def test_defaults(client: Any, provider: str) -> None:
    created = client.create_function(**function_params("f", **on(provider)))
    assert created["CapacityProviderConfig"] == {
        INSTANCES: {
            "CapacityProviderArn": provider,
            "ExecutionEnvironmentMemoryGiBPerVCpu": 2.0,
            "PerExecutionEnvironmentMaxConcurrency": 16,
        }
    }
    assert created["MemorySize"] == 2048
    assert created["LoggingConfig"] == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": "INFO",
        "SystemLogLevel": "INFO",
        "LogGroup": "/aws/lambda/f",
    }
    assert "SnapStart" not in created


def test_what_only_such_functions_may_have(client: Any, provider: str) -> None:
    given = {
        "MemorySize": 32768,
        "Timeout": 5400,
        "EphemeralStorage": {"Size": 32768},
        "AcceleratorConfig": {"AcceleratorMemorySize": 16},
    }
    client.create_function(**function_params("f", **on(provider, PerExecutionEnvironmentMaxConcurrency=4), **given))
    got = client.get_function_configuration(FunctionName="f")
    assert {member: got[member] for member in given} == given
    assert got["CapacityProviderConfig"][INSTANCES]["PerExecutionEnvironmentMaxConcurrency"] == 4


def test_latest_rests_and_versions_are_active(held_plane: Plane) -> None:
    provider = provide(held_plane, "000000000000")
    client = held_plane.client()
    created = client.create_function(**function_params("f", **on(provider)))
    assert created["State"] == "Pending"
    held_plane.restart()
    got = client.get_function_configuration(FunctionName="f")
    assert (got["State"], got["LastUpdateStatus"]) == ("ActiveNonInvocable", "Successful")
    updated = client.update_function_configuration(FunctionName="f", Description="d")
    assert (updated["State"], updated["LastUpdateStatus"]) == ("ActiveNonInvocable", "InProgress")
    with pytest.raises(client.exceptions.ResourceConflictException):
        client.publish_version(FunctionName="f")
    held_plane.restart()
    version = client.publish_version(FunctionName="f")
    assert (version["Version"], version["State"]) == ("1", "Pending")
    held_plane.restart()
    assert client.get_function_configuration(FunctionName="f:1")["State"] == "Active"
    assert client.get_function_configuration(FunctionName="f")["State"] == "ActiveNonInvocable"


def test_latest_published_is_replaced_again_and_again(client: Any, plane: Plane, provider: str) -> None:
    client.create_function(**function_params("f", **on(provider), Publish=True, PublishTo="LATEST_PUBLISHED"))
    got = client.get_function_configuration(FunctionName="f", Qualifier="$LATEST.PUBLISHED")
    assert got["FunctionArn"].endswith(":function:f:$LATEST.PUBLISHED")
    assert (got["Version"], got["State"]) == ("$LATEST.PUBLISHED", "Active")
    again = client.publish_version(FunctionName="f", PublishTo="LATEST_PUBLISHED")
    assert again["RevisionId"] == got["RevisionId"], "nothing has changed"
    changed = client.update_function_code(
        FunctionName="f", ZipFile=OTHER_CODE, Publish=True, PublishTo="LATEST_PUBLISHED"
    )
    assert changed["CodeSha256"] != got["CodeSha256"] and changed["Version"] == "$LATEST.PUBLISHED"
    assert client.publish_version(FunctionName="f")["Version"] == "1", "numbers are counted apart"
    expected = ["$LATEST", "$LATEST.PUBLISHED", "1"]
    assert [v["Version"] for v in client.list_versions_by_function(FunctionName="f")["Versions"]] == expected
    pages = client.get_paginator("list_versions_by_function").paginate(
        FunctionName="f", PaginationConfig={"PageSize": 1}
    )
    assert [version["Version"] for page in pages for version in page["Versions"]] == expected
    assert [f["Version"] for f in client.list_functions(FunctionVersion="ALL")["Functions"]] == expected
    client.delete_function(FunctionName="f", Qualifier="$LATEST.PUBLISHED")
    assert [v["Version"] for v in client.list_versions_by_function(FunctionName="f")["Versions"]] == ["$LATEST", "1"]


def test_it_stays_what_it_is(client: Any, plane: Plane, account: str, provider: str) -> None:
    client.create_function(**function_params("f", **on(provider)))
    other = provide(plane, account, "other")
    answer = client.update_function_configuration(
        FunctionName="f", CapacityProviderConfig=on(other)["CapacityProviderConfig"]
    )
    assert answer["CapacityProviderConfig"][INSTANCES]["CapacityProviderArn"] == other
    client.create_function(**function_params("g"))
    message = "CapacityProviderConfig isn't supported for Lambda Default functions."
    with refused("InvalidParameterValueException", message):
        client.update_function_configuration(
            FunctionName="g", CapacityProviderConfig=on(provider)["CapacityProviderConfig"]
        )
    message = "PublishTo isn't supported for Lambda Default functions."
    for publish in (
        lambda: client.publish_version(FunctionName="g", PublishTo="LATEST_PUBLISHED"),
        lambda: client.update_function_code(FunctionName="g", ZipFile=OTHER_CODE, PublishTo="LATEST_PUBLISHED"),
    ):
        with refused("InvalidParameterValueException", message):
            publish()


LOG_LEVEL = (
    'LogLevel is not supported when LogFormat is set to "Text". '
    'Remove LogLevel from your request or change the LogFormat to "JSON" and try again.'
)
VPC = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (
        {"MemorySize": 2047},
        "ValidationException",
        "Lambda Managed Instance functions must have memory size greater than or equal to 2048",
    ),
    (
        {"Runtime": "python3.12"},
        "InvalidParameterValueException",
        "Runtime Enum python3.12 does not support specified feature: Lambda Managed Instances",
    ),
    ({"LoggingConfig": {"LogFormat": "Text"}}, "InvalidParameterValueException", LOG_LEVEL),
    (
        {"VpcConfig": VPC},
        "InvalidParameterValueException",
        "VpcConfig isn't supported for Lambda Managed Instance functions.",
    ),
    (
        {"SnapStart": {"ApplyOn": "PublishedVersions"}},
        "InvalidParameterValueException",
        "Lambda Managed Instances is not supported for SnapStart enabled functions.",
    ),
]


@pytest.mark.parametrize(("changes", "code", "message"), REFUSED)
def test_what_such_functions_may_not_have(
    client: Any, provider: str, changes: dict[str, Any], code: str, message: str
) -> None:
    with refused(code, message):
        client.create_function(**function_params("f", **{**on(provider), **changes}))
    client.create_function(**function_params("f", **on(provider)))
    with refused(code, message):
        client.update_function_configuration(FunctionName="f", **changes)


def test_versions_of_a_provider_have_a_quota(tmp_path: Path) -> None:
    with Plane(tmp_path, max_versions_per_capacity_provider=2) as plane:
        provider = provide(plane, "000000000000")
        client = plane.client()
        client.create_function(**function_params("f", **on(provider), Publish=True))
        client.create_function(**function_params("g", **on(provider), Publish=True))
        client.update_function_configuration(FunctionName="f", Description="changed")
        message = (
            "The maximum number of function versions that can be associated with a single capacity provider has been "
            "exceeded."
        )
        code = "FunctionVersionsPerCapacityProviderLimitExceededException"
        for publish in (
            lambda: client.publish_version(FunctionName="f"),
            lambda: client.create_function(**function_params("h", **on(provider), Publish=True)),
        ):
            with refused(code, message):
                publish()
        client.create_function(**function_params("other"))
        assert client.publish_version(FunctionName="other")["Version"] == "1"


def test_a_provider_that_is_not_there(client: Any, account: str) -> None:
    arn = f"arn:aws:lambda:us-east-1:{account}:capacity-provider:none"
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.create_function(**function_params("f", **on(arn)))
