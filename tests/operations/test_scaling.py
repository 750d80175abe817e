"""How many environments a version on a capacity provider gets: held, and refused for all other functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from pilotlight.catalog.views import FunctionChange, FunctionView
from tests.operations.conftest import Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import arn, without_metadata

PROVIDER = {
    "LambdaManagedInstancesCapacityProviderConfig": {
        "CapacityProviderArn": "arn:aws:lambda:us-east-1:000000000000:capacity-provider:fleet"
    }
}


def put_on_provider(plane: Plane, name: str) -> None:
    """As if the function had been created on a capacity provider: what that takes is another file's to test."""

    def hold(view: FunctionView | None) -> tuple[FunctionChange, None]:
        assert view is not None
        held = {"CapacityProviderConfig": PROVIDER}
        return FunctionChange(
            versions=tuple(msgspec.structs.replace(version, held=held) for version in view.versions.values())
        ), None

    plane.run(plane.catalog.change("000000000000", "us-east-1", name, hold))


@pytest.fixture
def managed(plane: Plane, create: Create, unique_name: str) -> str:
    """The name of a function on a capacity provider, with a version 1."""
    create(Publish=True)
    put_on_provider(plane, unique_name)
    return unique_name


def test_put_and_get(client: Any, managed: str) -> None:
    configs: list[dict[str, int]] = [
        {"MinExecutionEnvironments": 3, "MaxExecutionEnvironments": 15_000},
        {"MinExecutionEnvironments": 0, "MaxExecutionEnvironments": 0},
        {"MaxExecutionEnvironments": 7},
        {},
    ]
    for config in configs:
        answer = client.put_function_scaling_config(FunctionName=managed, Qualifier="1", FunctionScalingConfig=config)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
        assert without_metadata(answer) == {"FunctionState": "Active"}
        got = client.get_function_scaling_config(FunctionName=arn(managed), Qualifier="1")
        assert without_metadata(got) == {
            "FunctionArn": arn(managed, "1"),
            "AppliedFunctionScalingConfig": config,
            "RequestedFunctionScalingConfig": config,
        }


def test_without_a_configuration_it_is_emptied(client: Any, managed: str) -> None:
    client.put_function_scaling_config(
        FunctionName=managed, Qualifier="1", FunctionScalingConfig={"MinExecutionEnvironments": 3}
    )
    client.put_function_scaling_config(FunctionName=managed, Qualifier="1")
    got = client.get_function_scaling_config(FunctionName=managed, Qualifier="1")
    assert got["RequestedFunctionScalingConfig"] == {}


def test_more_at_least_than_at_most(client: Any, managed: str) -> None:
    with refused(
        "InvalidParameterValueException",
        "MinExecutionEnvironments must be less than or equal to MaxExecutionEnvironments.",
    ):
        client.put_function_scaling_config(
            FunctionName=managed,
            Qualifier="1",
            FunctionScalingConfig={"MinExecutionEnvironments": 4, "MaxExecutionEnvironments": 3},
        )


def test_a_function_without_a_capacity_provider(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    message = "FunctionScalingConfig is only supported for functions that are configured with a capacity provider."
    for operation in (client.put_function_scaling_config, client.get_function_scaling_config):
        with refused("InvalidParameterValueException", message):
            operation(FunctionName=unique_name, Qualifier="1")


def test_what_is_not_there(client: Any, managed: str) -> None:
    for operation in (client.put_function_scaling_config, client.get_function_scaling_config):
        for name, qualifier in ((f"{managed}-none", "1"), (managed, "9"), (managed, "$LATEST.PUBLISHED")):
            with refused("ResourceNotFoundException", f"Function not found: {arn(name, qualifier)}", 404):
                operation(FunctionName=name, Qualifier=qualifier)


def test_only_published_versions_have_it(lenient: Any, managed: str) -> None:
    for operation in (lenient.put_function_scaling_config, lenient.get_function_scaling_config):
        for qualifier in ("$LATEST", "prod"):
            message = (
                f"1 validation error detected: Value '{qualifier}' at 'qualifier' failed to satisfy constraint: "
                r"Member must satisfy regular expression pattern: (\$LATEST\.PUBLISHED|[0-9]+)"
            )
            with refused("ValidationException", message):
                operation(FunctionName=managed, Qualifier=qualifier)
        message = (
            "1 validation error detected: Value null at 'qualifier' failed to satisfy constraint: "
            "Member must not be null"
        )
        with refused("ValidationException", message):
            operation(FunctionName=managed)
        with pytest.raises(ClientError) as caught:
            operation(FunctionName=f"{managed}:1", Qualifier="1")
        assert "at 'functionName' failed to satisfy constraint" in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("value", "wrong"), [(-1, "greater than or equal to 0"), (15_001, "less than or equal to 15000")]
)
def test_out_of_bounds(lenient: Any, managed: str, value: int, wrong: str) -> None:
    message = (
        f"1 validation error detected: Value '{value}' at 'functionScalingConfig.maxExecutionEnvironments' failed to "
        f"satisfy constraint: Member must have value {wrong}"
    )
    with refused("ValidationException", message):
        lenient.put_function_scaling_config(
            FunctionName=managed, Qualifier="1", FunctionScalingConfig={"MaxExecutionEnvironments": value}
        )


def test_what_was_written_is_read_after_a_restart(tmp_path: Path) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        client.create_function(**function_params("f", Publish=True))
        put_on_provider(plane, "f")
        config = {"MinExecutionEnvironments": 1, "MaxExecutionEnvironments": 2}
        client.put_function_scaling_config(FunctionName="f", Qualifier="1", FunctionScalingConfig=config)
        plane.restart()
        got = client.get_function_scaling_config(FunctionName="f", Qualifier="1")
        assert got["AppliedFunctionScalingConfig"] == config
