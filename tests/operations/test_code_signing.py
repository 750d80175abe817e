"""Code signing configurations, the functions that have one, and the packages they keep out."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.operations.conftest import OTHER_CODE, Create
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import UNVALIDATED, arn

PROFILE = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/test"
OTHER_PROFILE = f"{PROFILE}/v2"
NO_CONFIG = "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-00000000000000000"
FUNCTIONS_ONLY = (
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
    "Please specify either a function name or an unqualified function ARN."
)


def config(client: Any, policy: str | None = None, **members: Any) -> dict[str, Any]:
    """A new one, as CreateCodeSigningConfig answers it."""
    if policy:
        members["CodeSigningPolicies"] = {"UntrustedArtifactOnDeployment": policy}
    members.setdefault("AllowedPublishers", {"SigningProfileVersionArns": [PROFILE]})
    return client.create_code_signing_config(**members)["CodeSigningConfig"]


def not_found(config_arn: str) -> str:
    return f"The Lambda code signing configuration {config_arn} can not be found."


def deleted(config_arn: str) -> str:
    return (
        "The code signing configuration cannot be found. "
        f"Check that the provided configuration is not deleted: {config_arn}."
    )


def unsigned(name: str) -> str:
    return (
        "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client is "
        f"not configured to accept. Check the provided signature for {arn(name)}."
    )


def test_creating_one(client: Any) -> None:
    answer = client.create_code_signing_config(
        AllowedPublishers={"SigningProfileVersionArns": [PROFILE, OTHER_PROFILE]},
        CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Enforce"},
        Description="ours",
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    made = answer["CodeSigningConfig"]
    assert re.fullmatch(r"csc-[a-z0-9]{17}", made["CodeSigningConfigId"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", made["LastModified"])
    assert made == {
        "CodeSigningConfigId": made["CodeSigningConfigId"],
        "CodeSigningConfigArn": (
            f"arn:aws:lambda:us-east-1:000000000000:code-signing-config:{made['CodeSigningConfigId']}"
        ),
        "Description": "ours",
        "AllowedPublishers": {"SigningProfileVersionArns": [PROFILE, OTHER_PROFILE]},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Enforce"},
        "LastModified": made["LastModified"],
    }
    assert (
        client.get_code_signing_config(CodeSigningConfigArn=made["CodeSigningConfigArn"])["CodeSigningConfig"] == made
    )


def test_it_warns_unless_told_otherwise(client: Any) -> None:
    assert config(client)["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Warn"}
    assert config(client, CodeSigningPolicies={})["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Warn"}


@pytest.mark.parametrize(
    ("publishers", "constraint"),
    [
        ([], "Member must have length greater than or equal to 1"),
        ([PROFILE] * 21, "Member must have length less than or equal to 20"),
    ],
)
def test_one_to_twenty_publishers(plane: Plane, publishers: list[str], constraint: str) -> None:
    client = plane.client(config=UNVALIDATED)
    shown = f"[{', '.join(publishers)}]"
    with refused(
        "ValidationException",
        f"1 validation error detected: Value '{shown}' at 'allowedPublishers.signingProfileVersionArns' failed to "
        f"satisfy constraint: {constraint}",
    ):
        client.create_code_signing_config(AllowedPublishers={"SigningProfileVersionArns": publishers})


def test_updating_replaces_what_is_given(client: Any) -> None:
    made = config(client, "Enforce", Description="ours")
    config_arn = made["CodeSigningConfigArn"]
    same = client.update_code_signing_config(CodeSigningConfigArn=config_arn)["CodeSigningConfig"]
    assert {**same, "LastModified": ""} == {**made, "LastModified": ""}
    changed = client.update_code_signing_config(
        CodeSigningConfigArn=config_arn,
        Description="",
        AllowedPublishers={"SigningProfileVersionArns": [OTHER_PROFILE]},
        CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Warn"},
    )["CodeSigningConfig"]
    assert changed["Description"] == ""
    assert changed["AllowedPublishers"] == {"SigningProfileVersionArns": [OTHER_PROFILE]}
    assert changed["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Warn"}


def test_an_update_has_its_time(held_plane: Plane) -> None:
    client = held_plane.client()
    made = config(client)
    held_plane.advance(5_000)
    changed = client.update_code_signing_config(CodeSigningConfigArn=made["CodeSigningConfigArn"])["CodeSigningConfig"]
    assert changed["LastModified"] > made["LastModified"]


@pytest.mark.parametrize(
    "operation",
    [
        "get_code_signing_config",
        "update_code_signing_config",
        "delete_code_signing_config",
        "list_functions_by_code_signing_config",
    ],
)
def test_not_found(plane: Plane, client: Any, operation: str) -> None:
    with refused("ResourceNotFoundException", not_found(NO_CONFIG), 404, typed=False):
        getattr(client, operation)(CodeSigningConfigArn=NO_CONFIG)
    elsewhere = config(plane.client(region="eu-west-1"))["CodeSigningConfigArn"]
    with refused("ResourceNotFoundException", not_found(elsewhere), 404, typed=False):
        getattr(client, operation)(CodeSigningConfigArn=elsewhere)


def test_deleting_one(create: Create, client: Any, unique_name: str) -> None:
    config_arn = config(client)["CodeSigningConfigArn"]
    create(CodeSigningConfigArn=config_arn)
    with refused(
        "ResourceConflictException",
        "Cannot delete CodeSigningConfig because it is being used by one or more functions. "
        "Remove it from those functions and try again.",
        409,
    ):
        client.delete_code_signing_config(CodeSigningConfigArn=config_arn)
    client.delete_function_code_signing_config(FunctionName=unique_name)
    answer = client.delete_code_signing_config(CodeSigningConfigArn=config_arn)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("ResourceNotFoundException", not_found(config_arn), 404, typed=False):
        client.get_code_signing_config(CodeSigningConfigArn=config_arn)


def test_listing(plane: Plane) -> None:
    client = plane.client(account="111111111111")
    assert client.list_code_signing_configs()["CodeSigningConfigs"] == []
    made = sorted((config(client) for _ in range(5)), key=lambda one: one["CodeSigningConfigId"])
    assert client.list_code_signing_configs()["CodeSigningConfigs"] == made
    first = client.list_code_signing_configs(MaxItems=2)
    assert first["CodeSigningConfigs"] == made[:2]
    assert client.list_code_signing_configs(Marker=first["NextMarker"])["CodeSigningConfigs"] == made[2:]
    pages = client.get_paginator("list_code_signing_configs").paginate(PaginationConfig={"PageSize": 2})
    assert [one for page in pages for one in page["CodeSigningConfigs"]] == made


def test_the_functions_that_have_one(client: Any, create: Create, unique_name: str) -> None:
    config_arn = config(client)["CodeSigningConfigArn"]
    assert client.list_functions_by_code_signing_config(CodeSigningConfigArn=config_arn)["FunctionArns"] == []
    names = [f"{unique_name}-{letter}" for letter in "abc"]
    for name in names:
        create(FunctionName=name, CodeSigningConfigArn=config_arn)
    first = client.list_functions_by_code_signing_config(CodeSigningConfigArn=config_arn, MaxItems=2)
    assert first["FunctionArns"] == [arn(name) for name in names[:2]]
    rest = client.list_functions_by_code_signing_config(CodeSigningConfigArn=config_arn, Marker=first["NextMarker"])
    assert rest["FunctionArns"] == [arn(names[2])]
    assert "NextMarker" not in rest


def test_a_function_gets_one_and_loses_it(create: Create, client: Any, unique_name: str) -> None:
    create()
    config_arn = config(client)["CodeSigningConfigArn"]
    answer = client.get_function_code_signing_config(FunctionName=unique_name)
    assert answer.keys() == {"ResponseMetadata"}
    put = client.put_function_code_signing_config(FunctionName=arn(unique_name), CodeSigningConfigArn=config_arn)
    for answer in (put, client.get_function_code_signing_config(FunctionName=unique_name)):
        assert (answer["CodeSigningConfigArn"], answer["FunctionName"]) == (config_arn, unique_name)
    for _ in range(2):
        gone = client.delete_function_code_signing_config(FunctionName=unique_name)
        assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert "CodeSigningConfigArn" not in client.get_function_code_signing_config(FunctionName=unique_name)


def test_functions_and_configurations_that_are_not_there(client: Any, create: Create, unique_name: str) -> None:
    create()
    no_function = f"{unique_name}-none"
    config_arn = config(client)["CodeSigningConfigArn"]
    for operation in ("get_function_code_signing_config", "delete_function_code_signing_config"):
        with refused("ResourceNotFoundException", f"Function not found: {arn(no_function)}", 404):
            getattr(client, operation)(FunctionName=no_function)
    with refused("ResourceNotFoundException", f"Function not found: {arn(no_function)}", 404):
        client.put_function_code_signing_config(FunctionName=no_function, CodeSigningConfigArn=config_arn)
    for name in (unique_name, no_function):
        with refused("CodeSigningConfigNotFoundException", deleted(NO_CONFIG), 404):
            client.put_function_code_signing_config(FunctionName=name, CodeSigningConfigArn=NO_CONFIG)
    with refused("CodeSigningConfigNotFoundException", deleted(NO_CONFIG), 404):
        create(FunctionName=no_function, CodeSigningConfigArn=NO_CONFIG)


def test_functions_only(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    config_arn = config(client)["CodeSigningConfigArn"]
    for reference in (f"{unique_name}:1", f"{unique_name}:$LATEST"):
        with refused("InvalidParameterValueException", FUNCTIONS_ONLY):
            client.put_function_code_signing_config(FunctionName=reference, CodeSigningConfigArn=config_arn)
        with refused("InvalidParameterValueException", FUNCTIONS_ONLY):
            client.get_function_code_signing_config(FunctionName=reference)


def test_container_images_cannot_have_one(client: Any, create: Create, unique_name: str) -> None:
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/repository:latest"
    create(PackageType="Image", Code={"ImageUri": image}, Runtime=None, Handler=None)
    with refused(
        "InvalidParameterValueException", "Code signing is not supported for functions created with container images."
    ):
        client.put_function_code_signing_config(
            FunctionName=unique_name, CodeSigningConfigArn=config(client)["CodeSigningConfigArn"]
        )


def test_enforcing_keeps_unsigned_packages_out(create: Create, client: Any, unique_name: str) -> None:
    enforcing = config(client, "Enforce")["CodeSigningConfigArn"]
    with refused("CodeVerificationFailedException", unsigned(unique_name)):
        create(CodeSigningConfigArn=enforcing)
    before = create()["CodeSha256"]
    client.put_function_code_signing_config(FunctionName=unique_name, CodeSigningConfigArn=enforcing)
    with refused("CodeVerificationFailedException", unsigned(unique_name)):
        client.update_function_code(FunctionName=unique_name, ZipFile=OTHER_CODE)
    assert client.get_function_configuration(FunctionName=unique_name)["CodeSha256"] == before


def test_warning_lets_them_pass_until_it_enforces(create: Create, client: Any, unique_name: str) -> None:
    config_arn = config(client, "Warn")["CodeSigningConfigArn"]
    create(CodeSigningConfigArn=config_arn)
    client.update_function_code(FunctionName=unique_name, ZipFile=OTHER_CODE)
    client.update_code_signing_config(
        CodeSigningConfigArn=config_arn, CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Enforce"}
    )
    with refused("CodeVerificationFailedException", unsigned(unique_name)):
        client.update_function_code(FunctionName=unique_name, ZipFile=OTHER_CODE)
    client.delete_function_code_signing_config(FunctionName=unique_name)
    client.update_function_code(FunctionName=unique_name, ZipFile=OTHER_CODE)


def test_it_outlives_a_restart(held_plane: Plane) -> None:
    client = held_plane.client()
    made = config(client, "Enforce", Description="ours", Tags={"team": "a"})
    held_plane.restart()
    config_arn = made["CodeSigningConfigArn"]
    assert client.get_code_signing_config(CodeSigningConfigArn=config_arn)["CodeSigningConfig"] == made
    assert client.list_tags(Resource=config_arn)["Tags"] == {"team": "a"}
