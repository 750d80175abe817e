"""UpdateFunctionCode and UpdateFunctionConfiguration: what changes, what stays, who loses a race."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.operations.conftest import CODE, OTHER_CODE, Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import arn, without_metadata

STALE = (
    "The Revision Id provided does not match the latest Revision Id. "
    "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
)


def sha256(code: bytes) -> str:
    return base64.b64encode(hashlib.sha256(code).digest()).decode()


def changing(configuration: dict[str, Any]) -> dict[str, Any]:
    """Without what every update changes."""
    always = {"RevisionId", "LastModified", "LastUpdateStatus", "LastUpdateStatusReason", "LastUpdateStatusReasonCode"}
    return {k: v for k, v in without_metadata(configuration).items() if k not in always}


def test_code(create: Create, client: Any, unique_name: str) -> None:
    create(Description="stays")
    before = changing(client.get_function_configuration(FunctionName=unique_name))
    answer = client.update_function_code(FunctionName=unique_name, ZipFile=OTHER_CODE)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    changed = {"CodeSha256": sha256(OTHER_CODE), "CodeSize": len(OTHER_CODE)}
    assert changing(answer) == {**before, **changed}
    assert changing(client.get_function_configuration(FunctionName=unique_name)) == {**before, **changed}


CHANGES: dict[str, Any] = {
    "Role": "arn:aws:iam::000000000000:role/service-role/other",
    "Handler": "other.handler",
    "Description": "new",
    "Timeout": 10,
    "MemorySize": 256,
    "Environment": {"Variables": {"NEW": "1"}},
    "Runtime": "python3.11",
    "TracingConfig": {"Mode": "Active"},
    "EphemeralStorage": {"Size": 1024},
}


@pytest.mark.parametrize("member", CHANGES)
def test_each_member_of_the_configuration_alone(create: Create, client: Any, unique_name: str, member: str) -> None:
    create(Environment={"Variables": {"OLD": "1"}})
    before = changing(client.get_function_configuration(FunctionName=unique_name))
    answer = changing(client.update_function_configuration(FunctionName=unique_name, **{member: CHANGES[member]}))
    if member == "Runtime":
        assert before.pop("RuntimeVersionConfig") != answer.pop("RuntimeVersionConfig")
    assert answer == {**before, member: CHANGES[member]}


def test_logging_is_merged_member_by_member(create: Create, client: Any, unique_name: str) -> None:
    create()
    group = f"/aws/lambda/{unique_name}"
    steps: list[tuple[dict[str, str], dict[str, str]]] = [
        (
            {"LogFormat": "JSON"},
            {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogGroup": group},
        ),
        (
            {"ApplicationLogLevel": "DEBUG", "LogGroup": "mine"},
            {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG", "SystemLogLevel": "INFO", "LogGroup": "mine"},
        ),
        ({"LogFormat": "Text"}, {"LogFormat": "Text", "LogGroup": "mine"}),
        ({"LogGroup": group}, {"LogFormat": "Text", "LogGroup": group}),
    ]
    for given, expected in steps:
        answer = client.update_function_configuration(FunctionName=unique_name, LoggingConfig=given)
        assert answer["LoggingConfig"] == expected


def test_variables_are_replaced_whole_and_can_be_emptied(create: Create, client: Any, unique_name: str) -> None:
    create(Environment={"Variables": {"OLD": "1"}})
    kept = client.update_function_configuration(FunctionName=unique_name, Environment={})
    assert kept["Environment"] == {"Variables": {"OLD": "1"}}
    client.update_function_configuration(FunctionName=unique_name, Environment={"Variables": {}})
    assert "Environment" not in client.get_function_configuration(FunctionName=unique_name)


def test_a_key_is_shown_while_there_are_variables_to_encrypt(create: Create, client: Any, unique_name: str) -> None:
    key = "arn:aws:kms:us-east-1:000000000000:key/0a1b2c3d-0000-4000-8000-000000000000"
    assert "KMSKeyArn" not in create(KMSKeyArn=key)
    request = {"FunctionName": unique_name}
    shown = client.update_function_configuration(**request, Environment={"Variables": {"SECRET": "1"}})
    assert shown["KMSKeyArn"] == key
    assert "KMSKeyArn" not in client.update_function_configuration(**request, Environment={"Variables": {}})


def test_the_revision_must_be_the_latest(create: Create, client: Any, unique_name: str) -> None:
    stale = create()["RevisionId"]
    for update in (
        lambda revision: client.update_function_code(FunctionName=unique_name, ZipFile=CODE, RevisionId=revision),
        lambda revision: client.update_function_configuration(FunctionName=unique_name, RevisionId=revision),
    ):
        current = client.get_function_configuration(FunctionName=unique_name)["RevisionId"]
        with refused("PreconditionFailedException", STALE, 412):
            update(stale)
        assert update(current)["RevisionId"] != current
        with refused("PreconditionFailedException", STALE, 412):
            update(current)


def test_of_updates_that_race_on_one_revision_one_wins(create: Create, client: Any, unique_name: str) -> None:
    create()
    revision = client.get_function_configuration(FunctionName=unique_name)["RevisionId"]

    def attempt(timeout: int) -> int | str:
        try:
            return client.update_function_configuration(FunctionName=unique_name, Timeout=timeout, RevisionId=revision)[
                "Timeout"
            ]
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(attempt, range(10, 18)))
    winners = [answer for answer in answers if isinstance(answer, int)]
    assert len(winners) == 1
    assert answers.count("PreconditionFailedException") == 7
    assert client.get_function_configuration(FunctionName=unique_name)["Timeout"] == winners[0]


@pytest.mark.parametrize("runtime", ["python3.13", "python3.12"])
def test_code_is_checked_for_the_function_it_is_given_to(tmp_path: Path, runtime: str) -> None:
    """While it is fetched, the function becomes one of another runtime; or changes in what code does not depend on."""
    with Plane(tmp_path) as plane:
        client = plane.client()
        client.create_function(**function_params("f"))
        plane.buckets.objects["code", "f.zip", None] = OTHER_CODE
        change = {"FunctionName": "f", "Runtime": runtime, "Timeout": 7}
        plane.buckets.meanwhile = lambda: client.update_function_configuration(**change)

        def update() -> None:
            plane.client().update_function_code(FunctionName="f", S3Bucket="code", S3Key="f.zip")

        if runtime == "python3.12":
            update()
        else:
            with refused(
                "ResourceConflictException",
                "The operation cannot be performed at this time. "
                "An update is in progress for resource: arn:aws:lambda:us-east-1:000000000000:function:f",
                409,
            ):
                update()
        now = client.get_function_configuration(FunctionName="f")
        assert (now["Runtime"], now["Timeout"]) == (runtime, 7)
        assert now["CodeSha256"] == sha256(OTHER_CODE if runtime == "python3.12" else CODE)


def test_a_dry_run_says_what_would_be_and_changes_nothing(create: Create, client: Any, unique_name: str) -> None:
    create()
    before = client.get_function_configuration(FunctionName=unique_name)
    answer = client.update_function_code(FunctionName=unique_name, ZipFile=OTHER_CODE, DryRun=True, Publish=True)
    assert answer["CodeSha256"] == sha256(OTHER_CODE)
    after = client.get_function_configuration(FunctionName=unique_name)
    assert without_metadata(before) == without_metadata(after)
    with refused(
        "InvalidParameterValueException",
        "Could not unzip uploaded file. Please check your file, then try to upload again.",
    ):
        client.update_function_code(FunctionName=unique_name, ZipFile=b"no zip", DryRun=True)


def test_no_function(client: Any, unique_name: str) -> None:
    for call in (
        lambda: client.update_function_code(FunctionName=unique_name, ZipFile=CODE),
        lambda: client.update_function_configuration(FunctionName=unique_name, Timeout=5),
    ):
        with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name)}", 404):
            call()


def test_a_version_does_not_change(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    message = (
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
        "Please specify either a function name or an unqualified function ARN."
    )
    with refused("InvalidParameterValueException", message):
        client.update_function_configuration(FunctionName=f"{unique_name}:1", Timeout=5)
    assert client.update_function_configuration(FunctionName=f"{unique_name}:$LATEST", Timeout=5)["Timeout"] == 5


def test_an_image_for_a_zip_function(create: Create, client: Any, unique_name: str) -> None:
    create()
    message = "Please don't provide ImageUri when updating a function with packageType Zip."
    with refused("InvalidParameterValueException", message):
        client.update_function_code(FunctionName=unique_name, ImageUri="a/b:c")
