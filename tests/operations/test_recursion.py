"""What is done about a function that ends up invoking itself: a setting, Terminate unless said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.operations.conftest import Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import arn, without_metadata


def test_put_and_get(create: Create, client: Any, unique_name: str) -> None:
    create()
    got = client.get_function_recursion_config(FunctionName=unique_name)
    assert without_metadata(got) == {"RecursiveLoop": "Terminate"}
    for loop in ("Allow", "Terminate"):
        answer = client.put_function_recursion_config(FunctionName=arn(unique_name), RecursiveLoop=loop)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert without_metadata(answer) == {"RecursiveLoop": loop}
        assert client.get_function_recursion_config(FunctionName=unique_name)["RecursiveLoop"] == loop


def test_no_function(client: Any, unique_name: str) -> None:
    with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name)}", 404):
        client.get_function_recursion_config(FunctionName=unique_name)
    with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name)}", 404):
        client.put_function_recursion_config(FunctionName=unique_name, RecursiveLoop="Allow")


def test_neither_a_version_nor_an_alias_has_it(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    for qualifier in ("1", "$LATEST", "prod"):
        with pytest.raises(ClientError) as caught:
            client.put_function_recursion_config(FunctionName=f"{unique_name}:{qualifier}", RecursiveLoop="Allow")
        error = caught.value.response["Error"]
        assert error["Code"] == "ValidationException"
        assert f"Value '{unique_name}:{qualifier}' at 'functionName' failed to satisfy" in error["Message"]


def test_bad_input(lenient: Any, create: Create, unique_name: str) -> None:
    create()
    message = (
        "1 validation error detected: Value 'Sometimes' at 'recursiveLoop' failed to satisfy constraint: "
        "Member must satisfy enum value set: [Allow, Terminate]"
    )
    with refused("ValidationException", message):
        lenient.put_function_recursion_config(FunctionName=unique_name, RecursiveLoop="Sometimes")
    message = (
        "1 validation error detected: Value null at 'recursiveLoop' failed to satisfy constraint: "
        "Member must not be null"
    )
    with refused("ValidationException", message):
        lenient.put_function_recursion_config(FunctionName=unique_name)


def test_what_was_written_is_read_after_a_restart(tmp_path: Path) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        client.create_function(**function_params("f"))
        client.put_function_recursion_config(FunctionName="f", RecursiveLoop="Allow")
        plane.restart()
        assert client.get_function_recursion_config(FunctionName="f")["RecursiveLoop"] == "Allow"
