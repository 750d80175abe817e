"""When versions take up newer builds of their runtime: held per version, with one build of each to name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.operations.conftest import Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import arn, without_metadata

UNKNOWN = "arn:aws:lambda:us-east-1::runtime:" + "0" * 64


@pytest.fixture
def published(create: Create, client: Any, unique_name: str) -> str:
    """The name of a function with a version 1 and an alias `prod` to it."""
    create(Publish=True)
    client.create_alias(FunctionName=unique_name, Name="prod", FunctionVersion="1")
    return unique_name


def runtime_version(client: Any, name: str) -> str:
    return client.get_function_configuration(FunctionName=name)["RuntimeVersionConfig"]["RuntimeVersionArn"]


def test_auto_unless_said(client: Any, published: str) -> None:
    for qualifier, shown in (({}, ()), ({"Qualifier": "$LATEST"}, ()), ({"Qualifier": "1"}, ("1",))):
        got = client.get_runtime_management_config(FunctionName=published, **qualifier)
        assert without_metadata(got) == {"UpdateRuntimeOn": "Auto", "FunctionArn": arn(published, *shown)}


def test_put_and_get(client: Any, published: str) -> None:
    modes: list[dict[str, str]] = [
        {"UpdateRuntimeOn": "FunctionUpdate"},
        {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": runtime_version(client, published)},
        {"UpdateRuntimeOn": "Auto"},
    ]
    for mode in modes:
        for qualifier in ({}, {"Qualifier": "1"}):
            answer = client.put_runtime_management_config(FunctionName=published, **mode, **qualifier)
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
            assert without_metadata(answer) == {**mode, "FunctionArn": arn(published, *qualifier.values())}
            got = client.get_runtime_management_config(FunctionName=published, **qualifier)
            assert without_metadata(got) == without_metadata(answer)


def test_each_version_has_its_own(client: Any, published: str) -> None:
    client.put_runtime_management_config(FunctionName=f"{published}:1", UpdateRuntimeOn="FunctionUpdate")
    assert client.get_runtime_management_config(FunctionName=published)["UpdateRuntimeOn"] == "Auto"
    assert client.get_runtime_management_config(FunctionName=f"{published}:1")["UpdateRuntimeOn"] == "FunctionUpdate"


def test_an_alias_has_none(client: Any, published: str) -> None:
    message = f"The provided function name {arn(published, 'prod')} is invalid. Aliases are not allowed."
    with refused("InvalidParameterValueException", message):
        client.put_runtime_management_config(FunctionName=published, Qualifier="prod", UpdateRuntimeOn="Auto")
    with refused("InvalidParameterValueException", message):
        client.get_runtime_management_config(FunctionName=f"{published}:prod")


def test_manual_names_a_version_and_the_others_do_not(client: Any, published: str) -> None:
    with refused("InvalidParameterValueException", "RuntimeVersionArn is required when UpdateRuntimeOn is Manual."):
        client.put_runtime_management_config(FunctionName=published, UpdateRuntimeOn="Manual")
    for mode in ("Auto", "FunctionUpdate"):
        with refused(
            "InvalidParameterValueException", "RuntimeVersionArn is only supported when UpdateRuntimeOn is Manual."
        ):
            client.put_runtime_management_config(
                FunctionName=published, UpdateRuntimeOn=mode, RuntimeVersionArn=runtime_version(client, published)
            )


def test_a_runtime_version_that_is_not_the_functions(client: Any, published: str) -> None:
    message = f"The runtime version {UNKNOWN} is not one of the function's runtime."
    with refused("InvalidParameterValueException", message):
        client.put_runtime_management_config(
            FunctionName=published, UpdateRuntimeOn="Manual", RuntimeVersionArn=UNKNOWN
        )
    assert client.get_runtime_management_config(FunctionName=published)["UpdateRuntimeOn"] == "Auto"


def test_what_is_not_there(client: Any, published: str) -> None:
    for given, missing in (
        ({"FunctionName": f"{published}-none"}, arn(f"{published}-none")),
        ({"FunctionName": published, "Qualifier": "9"}, arn(published, "9")),
    ):
        with refused("ResourceNotFoundException", f"Function not found: {missing}", 404):
            client.get_runtime_management_config(**given)
        with refused("ResourceNotFoundException", f"Function not found: {missing}", 404):
            client.put_runtime_management_config(UpdateRuntimeOn="Auto", **given)


def test_bad_input(lenient: Any, published: str) -> None:
    message = (
        "1 validation error detected: Value 'Never' at 'updateRuntimeOn' failed to satisfy constraint: "
        "Member must satisfy enum value set: [Auto, Manual, FunctionUpdate]"
    )
    with refused("ValidationException", message):
        lenient.put_runtime_management_config(FunctionName=published, UpdateRuntimeOn="Never")


def test_what_was_written_is_read_after_a_restart(tmp_path: Path) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        client.create_function(**function_params("f"))
        manual = {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": runtime_version(client, "f")}
        client.put_runtime_management_config(FunctionName="f", **manual)
        plane.restart()
        got = without_metadata(client.get_runtime_management_config(FunctionName="f"))
        assert got == {**manual, "FunctionArn": arn("f")}
