"""Members that are held and shown as AWS does: what was written reads back, also after a restart and in a version."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operations.conftest import CODE, OTHER_CODE, Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane

VPC = {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
QUEUE = "arn:aws:sqs:us-east-1:000000000000:dead"
TOPIC = "arn:aws:sns:us-east-1:000000000000:dead"
KEY = "arn:aws:kms:us-east-1:000000000000:key/11111111-1111-1111-1111-111111111111"
ACCESS_POINT = "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0"
S3_ACCESS_POINT = (
    "arn:aws:s3files:us-east-1:000000000000:file-system/fs-0123456789abcdef0/access-point/fsap-0123456789abcdef0"
)
RUNTIME_CONFIG = {
    "RuntimeArn": "arn:aws:lambda:us-east-1:000000000000:runtime/some-runtime",
    "RuntimeAlias": "prod",
}

GIVEN: dict[str, dict[str, Any]] = {
    "DeadLetterConfig": {"DeadLetterConfig": {"TargetArn": QUEUE}},
    "DeadLetterConfig of a topic": {"DeadLetterConfig": {"TargetArn": TOPIC}},
    "KMSKeyArn": {"KMSKeyArn": KEY, "Environment": {"Variables": {"NAME": "value"}}},
    "EFS": {"VpcConfig": VPC, "FileSystemConfigs": [{"Arn": ACCESS_POINT, "LocalMountPath": "/mnt/efs"}]},
    "S3 Files": {
        "VpcConfig": VPC,
        "FileSystemConfigs": [
            {"Arn": S3_ACCESS_POINT, "LocalMountPath": "/mnt/s3", "S3FilesConfig": {"DirectS3Read": "ENABLED"}}
        ],
    },
    "SnapStart": {"SnapStart": {"ApplyOn": "PublishedVersions"}},
    "TenancyConfig": {"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}},
    "RuntimeConfig": {"Runtime": "custom", "RuntimeConfig": RUNTIME_CONFIG},
    "DurableConfig": {
        "Timeout": 3,
        "LoggingConfig": {"LogFormat": "Text"},
        "DurableConfig": {"ExecutionTimeout": 60, "RetentionPeriodInDays": 7, "KMSKeyArn": KEY},
    },
    "everything at once": {
        "VpcConfig": {**VPC, "Ipv6AllowedForDualStack": True},
        "DeadLetterConfig": {"TargetArn": TOPIC},
        "KMSKeyArn": KEY,
        "SnapStart": {"ApplyOn": "PublishedVersions"},
    },
}


def shown(member: str, value: Any) -> Any:
    if member == "SnapStart":
        return {**value, "OptimizationStatus": "Off"}
    if member == "VpcConfig":
        return {"Ipv6AllowedForDualStack": False, **value, "VpcId": VPC_ID}
    if member == "LoggingConfig":
        return {**value, "LogGroup": "/aws/lambda/f"}
    return value


VPC_ID = "vpc-0" + "0" * 16


def masked(configuration: dict[str, Any]) -> dict[str, Any]:
    if "VpcConfig" in configuration:
        configuration["VpcConfig"]["VpcId"] = VPC_ID
    return configuration


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_what_is_given_is_shown(held_plane: Plane, given: dict[str, Any]) -> None:
    client = held_plane.client()
    params = {**function_params("f", **given), "Publish": True}
    created = masked(client.create_function(**params))
    expected = {member: shown(member, value) for member, value in given.items()}
    assert {member: created[member] for member in given} == expected
    held_plane.restart()
    listed = client.list_functions()["Functions"][0]
    for configuration in (client.get_function_configuration(FunctionName="f"), listed):
        configuration = masked(configuration)
        assert {member: configuration[member] for member in given} == expected
    version = masked(client.get_function(FunctionName="f", Qualifier="1")["Configuration"])
    if "SnapStart" in expected:
        expected["SnapStart"] = {**expected["SnapStart"], "OptimizationStatus": "On"}
    assert {member: version[member] for member in given} == expected


def test_the_vpc_is_the_same_for_all_functions_of_a_region(create: Create, client: Any, unique_name: str) -> None:
    first = create(VpcConfig=VPC)["VpcConfig"]["VpcId"]
    other = client.create_function(
        **function_params(f"{unique_name}-2", VpcConfig={"SubnetIds": ["subnet-9"], "SecurityGroupIds": ["sg-2"]})
    )
    assert first == other["VpcConfig"]["VpcId"] and first.startswith("vpc-0")


OFF = {"ApplyOn": "None", "OptimizationStatus": "Off"}
NOTHING: dict[str, Any] = {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": False}

#: member -> (what was, what the update gives, what is shown then; None: nothing)
EMPTIED: list[tuple[str, Any, Any, Any]] = [
    ("DeadLetterConfig", {"TargetArn": QUEUE}, {"TargetArn": ""}, None),
    ("DeadLetterConfig", {"TargetArn": QUEUE}, {}, None),
    ("DeadLetterConfig", {"TargetArn": QUEUE}, {"TargetArn": TOPIC}, {"TargetArn": TOPIC}),
    ("KMSKeyArn", KEY, "", None),
    ("VpcConfig", VPC, {"SubnetIds": [], "SecurityGroupIds": []}, NOTHING),
    ("VpcConfig", VPC, {}, NOTHING),
    (
        "SnapStart",
        {"ApplyOn": "PublishedVersions"},
        {"ApplyOn": "None"},
        {"ApplyOn": "None", "OptimizationStatus": "Off"},
    ),
    ("SnapStart", {"ApplyOn": "PublishedVersions"}, {}, {"ApplyOn": "None", "OptimizationStatus": "Off"}),
    ("TracingConfig", {"Mode": "Active"}, {}, {"Mode": "Active"}),
    ("TracingConfig", {"Mode": "Active"}, {"Mode": "PassThrough"}, {"Mode": "PassThrough"}),
]


@pytest.mark.parametrize(("member", "before", "given", "after"), EMPTIED)
def test_an_update_replaces_or_empties(
    create: Create, client: Any, unique_name: str, member: str, before: Any, given: Any, after: Any
) -> None:
    create(**{"Environment": {"Variables": {"NAME": "value"}}, member: before})
    client.update_function_configuration(FunctionName=unique_name, Description="others stay")
    assert member in client.get_function_configuration(FunctionName=unique_name)
    answer = client.update_function_configuration(FunctionName=unique_name, **{member: given})
    got = client.get_function_configuration(FunctionName=unique_name)
    assert answer.get(member) == got.get(member) == after


def test_a_file_system_goes_before_its_vpc(create: Create, client: Any, unique_name: str) -> None:
    create(**GIVEN["EFS"])
    with refused(
        "InvalidParameterValueException",
        f"Function must be configured to execute in a VPC to reference access point {ACCESS_POINT}. "
        "Please update the function configuration to include VPC subnets and security groups.",
    ):
        client.update_function_configuration(FunctionName=unique_name, VpcConfig={})
    answer = client.update_function_configuration(FunctionName=unique_name, VpcConfig={}, FileSystemConfigs=[])
    assert answer["VpcConfig"] == NOTHING and "FileSystemConfigs" not in answer


def test_a_runtime_snapstart_cannot_go_with(create: Create, client: Any, unique_name: str) -> None:
    create(SnapStart={"ApplyOn": "PublishedVersions"})
    with refused("InvalidParameterValueException", "python3.11 is not supported for SnapStart enabled functions."):
        client.update_function_configuration(FunctionName=unique_name, Runtime="python3.11")
    client.update_function_configuration(FunctionName=unique_name, Runtime="python3.11", SnapStart={"ApplyOn": "None"})


@pytest.mark.parametrize("runtime", ["java11", "java17", "java21", "java25", "java17.al2023", "dotnet8", "dotnet10"])
def test_other_runtimes_snapstart_goes_with(create: Create, runtime: str) -> None:
    create(Runtime=runtime, SnapStart={"ApplyOn": "PublishedVersions"})


def test_a_version_with_snapstart_is_pending_first(held_plane: Plane) -> None:
    client = held_plane.client()
    client.create_function(**function_params("f", SnapStart={"ApplyOn": "PublishedVersions"}))
    held_plane.restart()
    answer = client.publish_version(FunctionName="f")
    assert (answer["State"], answer["StateReasonCode"], answer["SnapStart"]) == (
        "Pending",
        "Creating",
        {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"},
    )
    held_plane.restart()
    settled = client.get_function_configuration(FunctionName="f:1")
    assert settled["State"] == "Active"
    on = {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    assert settled["SnapStart"] == on
    latest, version = client.list_versions_by_function(FunctionName="f")["Versions"]
    assert (latest["SnapStart"], version["SnapStart"]) == ({**on, "OptimizationStatus": "Off"}, on)


def test_leaving_a_custom_runtime(create: Create, client: Any, unique_name: str) -> None:
    created = create(**GIVEN["RuntimeConfig"])
    assert "RuntimeVersionConfig" not in created
    answer = client.update_function_configuration(FunctionName=unique_name, Runtime="python3.12")
    assert answer["Runtime"] == "python3.12" and "RuntimeConfig" not in answer
    answer = client.update_function_configuration(FunctionName=unique_name, RuntimeConfig=RUNTIME_CONFIG)
    assert (answer["Runtime"], answer["RuntimeConfig"]) == ("custom", RUNTIME_CONFIG)


def test_a_customer_managed_runtime_needs_no_other_name(create: Create) -> None:
    created = create(Runtime=None, RuntimeConfig=RUNTIME_CONFIG)
    assert (created["Runtime"], created["RuntimeConfig"]) == ("custom", RUNTIME_CONFIG)


# -- durable functions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("execution_timeout", "timeout"), [(3600, 900), (60, 60)])
def test_a_durable_function_has_defaults_of_its_own(create: Create, execution_timeout: int, timeout: int) -> None:
    created = create(DurableConfig={"ExecutionTimeout": execution_timeout})
    assert created["DurableConfig"] == {"ExecutionTimeout": execution_timeout, "RetentionPeriodInDays": 14}
    assert created["Timeout"] == timeout
    assert {member: value for member, value in created["LoggingConfig"].items() if member != "LogGroup"} == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": "INFO",
        "SystemLogLevel": "INFO",
    }


def test_a_durable_configuration_is_merged(create: Create, client: Any, unique_name: str) -> None:
    create(DurableConfig={"ExecutionTimeout": 3600, "RetentionPeriodInDays": 7}, Publish=True)
    for given, expected in (
        ({"ExecutionTimeout": 7200}, {"ExecutionTimeout": 7200, "RetentionPeriodInDays": 7}),
        (
            {"RetentionPeriodInDays": 3, "KMSKeyArn": KEY},
            {"ExecutionTimeout": 7200, "RetentionPeriodInDays": 3, "KMSKeyArn": KEY},
        ),
        ({}, {"ExecutionTimeout": 7200, "RetentionPeriodInDays": 3, "KMSKeyArn": KEY}),
        ({"KMSKeyArn": ""}, {"ExecutionTimeout": 7200, "RetentionPeriodInDays": 3}),
    ):
        answer = client.update_function_configuration(FunctionName=unique_name, DurableConfig=given)
        assert answer["DurableConfig"] == expected
    version = client.get_function_configuration(FunctionName=unique_name, Qualifier="1")
    assert version["DurableConfig"] == {"ExecutionTimeout": 3600, "RetentionPeriodInDays": 7}


def test_a_function_does_not_become_durable(create: Create, client: Any, unique_name: str) -> None:
    create()
    message = (
        "You cannot add a durable configuration to a function that was originally created with no durable configuration"
    )
    with refused("InvalidParameterValueException", message):
        client.update_function_configuration(FunctionName=unique_name, DurableConfig={"ExecutionTimeout": 60})


def test_an_update_leaves_tenancy_alone(create: Create, client: Any, unique_name: str) -> None:
    create(**GIVEN["TenancyConfig"])
    answer = client.update_function_configuration(FunctionName=unique_name, Description="d")
    assert answer["TenancyConfig"] == GIVEN["TenancyConfig"]["TenancyConfig"]


# -- code that its owner keeps ----------------------------------------------------------------------------------------


def test_code_that_is_referred_to(held_plane: Plane) -> None:
    held_plane.buckets.objects["code", "f.zip", "v1"] = CODE
    held_plane.buckets.objects["code", "f.zip", None] = OTHER_CODE
    client = held_plane.client()
    code = {"S3Bucket": "code", "S3Key": "f.zip", "S3ObjectVersion": "v1", "S3ObjectStorageMode": "REFERENCE"}
    created = client.create_function(**function_params("f", Code={**code, "SourceKMSKeyArn": KEY}))
    assert created["CodeSize"] == len(CODE)
    held_plane.restart()
    got = client.get_function(FunctionName="f")["Code"]
    assert got.pop("Location")
    assert got == {
        "RepositoryType": "S3",
        "ResolvedS3Object": {"S3Bucket": "code", "S3Key": "f.zip", "S3ObjectVersion": "v1"},
        "SourceKMSKeyArn": KEY,
    }
    assert client.get_account_settings()["AccountUsage"]["TotalCodeSize"] == 0, "it is not Lambda that keeps it"
    client.update_function_code(FunctionName="f", S3Bucket="code", S3Key="f.zip")
    got = client.get_function(FunctionName="f")["Code"]
    assert got.keys() == {"RepositoryType", "Location"}, "neither is inherited by the next package"
    assert client.get_account_settings()["AccountUsage"]["TotalCodeSize"] > 0


# -- code signing -----------------------------------------------------------------------------------------------------

PROFILE = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/test"


@pytest.mark.parametrize("policy", ["Warn", "Enforce"])
def test_a_code_signing_configuration(create: Create, client: Any, unique_name: str, policy: str) -> None:
    arn = client.create_code_signing_config(
        AllowedPublishers={"SigningProfileVersionArns": [PROFILE]},
        CodeSigningPolicies={"UntrustedArtifactOnDeployment": policy},
    )["CodeSigningConfig"]["CodeSigningConfigArn"]
    if policy == "Warn":
        create(CodeSigningConfigArn=arn)
        got = client.get_function_code_signing_config(FunctionName=unique_name)
        assert got["CodeSigningConfigArn"] == arn
        client.update_function_code(FunctionName=unique_name, ZipFile=OTHER_CODE)
    else:
        with pytest.raises(client.exceptions.CodeVerificationFailedException):
            create(CodeSigningConfigArn=arn)
        create()
        client.put_function_code_signing_config(FunctionName=unique_name, CodeSigningConfigArn=arn)
        with pytest.raises(client.exceptions.CodeVerificationFailedException):
            client.update_function_code(FunctionName=unique_name, ZipFile=OTHER_CODE)


def test_a_code_signing_configuration_that_is_not_there(create: Create, client: Any) -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0"
    with pytest.raises(client.exceptions.CodeSigningConfigNotFoundException):
        create(CodeSigningConfigArn=arn)
