"""What AWS refuses in a function's configuration, in AWS's words; and what this version cannot do yet, in ours."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from pilotlight.operations import unsupported
from pilotlight.operations.function_rules import RESERVED_KEYS
from tests.operations.conftest import CODE, Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane

RESERVED = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided "
    "contains reserved keys that are currently not supported for modification. Reserved keys used in this request: "
)
MANDATORY = "Runtime and Handler are mandatory parameters for functions created with deployment packages."
LOG_LEVEL = (
    'LogLevel is not supported when LogFormat is set to "Text". '
    'Remove LogLevel from your request or change the LogFormat to "JSON" and try again.'
)


def above(value: int, member: str, limit: int) -> str:
    return (
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
        f"Member must have value less than or equal to {limit}"
    )


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"Timeout": 901}, "ValidationException", above(901, "timeout", 900)),
    (
        {"MemorySize": 10241},
        "ValidationException",
        "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 10240",
    ),
    ({"EphemeralStorage": {"Size": 10241}}, "ValidationException", above(10241, "ephemeralStorage.size", 10240)),
    (
        {"Environment": {"Variables": {"AWS_REGION": "x"}}},
        "InvalidParameterValueException",
        f"{RESERVED}AWS_REGION",
    ),
    (
        {"Environment": {"Variables": {"A1": "b", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}}},
        "InvalidParameterValueException",
        f"{RESERVED}AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY",
    ),
    (
        {"Environment": {"Variables": {"LARGE_VAR": "x" * 4081}}},
        "InvalidParameterValueException",
        "Lambda was unable to configure your environment variables because the environment variables you have "
        'provided exceeded the 4KB limit. String measured: {"LARGE_VAR":"' + "x" * 4081 + '"}',
    ),
    ({"LoggingConfig": {"ApplicationLogLevel": "INFO"}}, "InvalidParameterValueException", LOG_LEVEL),
    ({"LoggingConfig": {"LogFormat": "Text", "SystemLogLevel": "WARN"}}, "InvalidParameterValueException", LOG_LEVEL),
    (
        {"Layers": [f"arn:aws:lambda:us-east-1:000000000000:layer:l{n}:1" for n in range(6)]},
        "InvalidParameterValueException",
        "Cannot reference more than 5 layers.",
    ),
    (
        {"Role": "r1"},
        "ValidationException",
        "1 validation error detected: Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular "
        r"expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
    ),
]
CREATE_ONLY: list[tuple[dict[str, Any], str, str]] = [
    ({"Handler": None}, "InvalidParameterValueException", MANDATORY),
    ({"Runtime": None}, "InvalidParameterValueException", MANDATORY),
    ({"Runtime": None, "Handler": None, "PackageType": "Zip"}, "InvalidParameterValueException", MANDATORY),
    (
        {"PackageType": "Image"},
        "InvalidParameterValueException",
        "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.",
    ),
    (
        {"Tags": {f"k{n}": "v" for n in range(51)}},
        "InvalidParameterValueException",
        "Number of tags exceeds resource tag limit.",
    ),
    (
        {"Architectures": ["x86_64", "arm64"]},
        "ValidationException",
        "1 validation error detected: Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: "
        "Member must have length less than or equal to 1",
    ),
]


@pytest.fixture
def unvalidated(plane: Plane) -> Any:
    return plane.client(config=Config(parameter_validation=False))


@pytest.mark.parametrize(("changes", "code", "message"), [*REFUSED, *CREATE_ONLY])
def test_create_refuses(unvalidated: Any, unique_name: str, changes: dict[str, Any], code: str, message: str) -> None:
    with refused(code, message):
        unvalidated.create_function(**function_params(unique_name, **changes))
    with pytest.raises(ClientError, match="Function not found"):
        unvalidated.get_function(FunctionName=unique_name)


@pytest.mark.parametrize(("changes", "code", "message"), REFUSED)
def test_update_refuses(
    create: Create, unvalidated: Any, unique_name: str, changes: dict[str, Any], code: str, message: str
) -> None:
    create()
    before = unvalidated.get_function_configuration(FunctionName=unique_name)
    with refused(code, message):
        unvalidated.update_function_configuration(FunctionName=unique_name, **changes)
    after = unvalidated.get_function_configuration(FunctionName=unique_name)
    assert before["RevisionId"] == after["RevisionId"]


def test_variables_up_to_4_kb_pass(create: Create) -> None:
    create(Environment={"Variables": {"LARGE_VAR": "x" * (4096 - len('{"LARGE_VAR":""}'))}})


def test_every_reserved_key_is_refused_that_the_model_lets_through(unvalidated: Any, unique_name: str) -> None:
    for key in sorted(RESERVED_KEYS):
        if key.startswith("_"):
            continue  # the model's pattern refuses it first
        with refused("InvalidParameterValueException", RESERVED + key):
            unvalidated.create_function(**function_params(unique_name, Environment={"Variables": {key: "x"}}))


def test_a_runtime_aws_does_not_know(unvalidated: Any, unique_name: str) -> None:
    for runtime in ("non-existent-runtime", "PYTHON3.12"):
        with pytest.raises(ClientError) as caught:
            unvalidated.create_function(**function_params(unique_name, Runtime=runtime))
        error = caught.value.response["Error"]
        assert error["Code"] == "InvalidParameterValueException"
        assert error["Message"].startswith(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: ["
        )
        assert error["Message"].endswith("] or be a valid ARN")


def test_a_runtime_this_machine_does_not_have(create: Create, client: Any, unique_name: str) -> None:
    message = "No interpreter for python3.9 was found on this machine."
    with refused("InvalidParameterValueException", message):
        create(Runtime="python3.9")
    create()
    with refused("InvalidParameterValueException", message):
        client.update_function_configuration(FunctionName=unique_name, Runtime="python3.9")


UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    ({"PackageType": "Image", "Handler": None, "Runtime": None}, "Container images (PackageType Image) are"),
    ({"Code": {"ImageUri": "a/b:c"}}, "Container images (ImageUri) are"),
    ({"ImageConfig": {"Command": ["a"]}}, "ImageConfig is"),
    ({"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:l:1"]}, "Layers are"),
    ({"VpcConfig": {"SubnetIds": ["subnet-1"]}}, "A VpcConfig with subnets is"),
    ({"VpcConfig": {"SecurityGroupIds": ["sg-1"]}}, "A VpcConfig with security groups is"),
    (
        {
            "FileSystemConfigs": [
                {
                    "Arn": "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0",
                    "LocalMountPath": "/mnt/efs",
                }
            ]
        },
        "FileSystemConfigs are",
    ),
    ({"SnapStart": {"ApplyOn": "PublishedVersions"}}, "SnapStart is"),
    ({"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"}}, "A DeadLetterConfig is"),
    (
        {"KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/1"},
        "Encryption with a key of your own (KMSKeyArn) is",
    ),
    (
        {"Code": {"ZipFile": CODE, "SourceKMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/1"}},
        "Encryption with a key of your own (SourceKMSKeyArn) is",
    ),
    (
        {"Code": {"S3Bucket": "bbb", "S3Key": "k", "S3ObjectStorageMode": "REFERENCE"}},
        "S3ObjectStorageMode REFERENCE is",
    ),
    (
        {"CodeSigningConfigArn": "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0"},
        "Code signing (CodeSigningConfigArn) is",
    ),
    ({"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}}, "TenancyConfig is"),
    (
        {
            "CapacityProviderConfig": {
                "LambdaManagedInstancesCapacityProviderConfig": {
                    "CapacityProviderArn": "arn:aws:lambda:us-east-1:000000000000:capacity-provider:c"
                }
            }
        },
        "CapacityProviderConfig is",
    ),
    ({"PublishTo": "LATEST_PUBLISHED"}, "PublishTo is"),
    ({"DurableConfig": {"ExecutionTimeout": 60}}, "DurableConfig is"),
    ({"AcceleratorConfig": {"AcceleratorMemorySize": 16}}, "AcceleratorConfig is"),
    (
        {
            "RuntimeConfig": {
                "RuntimeArn": "arn:aws:lambda:us-east-1:000000000000:runtime/some-runtime",
                "RuntimeAlias": "prod",
            }
        },
        "A customer-managed runtime (RuntimeConfig) is",
    ),
    ({"Runtime": "custom"}, "A customer-managed runtime (Runtime custom) is"),
]


@pytest.mark.parametrize(("changes", "sentence"), UNSUPPORTED, ids=[sentence for _, sentence in UNSUPPORTED])
def test_what_cannot_be_done_yet_is_refused(
    client: Any, unique_name: str, changes: dict[str, Any], sentence: str
) -> None:
    with refused("InvalidParameterValueException", f"{sentence} not supported by this version of Pilotlight."):
        client.create_function(**function_params(unique_name, **changes))


def test_all_of_the_table_is_tested() -> None:
    assert [sentence for _, sentence in UNSUPPORTED] == [row.sentence for row in unsupported.TABLE]


def test_updates_refuse_it_too(create: Create, client: Any, unique_name: str) -> None:
    create()
    with refused("InvalidParameterValueException", "Layers are not supported by this version of Pilotlight."):
        client.update_function_configuration(FunctionName=unique_name, Layers=UNSUPPORTED[3][0]["Layers"])
    with refused("InvalidParameterValueException", "PublishTo is not supported by this version of Pilotlight."):
        client.update_function_code(FunctionName=unique_name, ZipFile=CODE, PublishTo="LATEST_PUBLISHED")
    with refused("InvalidParameterValueException", "PublishTo is not supported by this version of Pilotlight."):
        client.publish_version(FunctionName=unique_name, PublishTo="LATEST_PUBLISHED")
