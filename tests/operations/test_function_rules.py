"""What AWS refuses in a function's configuration, in AWS's words, at creation and at updates alike."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from pilotlight.clock import ManualClock
from pilotlight.operations.members.environment import RESERVED_KEYS
from pilotlight.operations.runtime_lifecycle import CLOSINGS
from tests.operations.conftest import OTHER_CODE, Create, function_params
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


ACCESS_POINT = "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0"
VPC = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
RUNTIME_CONFIG = {
    "RuntimeArn": "arn:aws:lambda:us-east-1:000000000000:runtime/some-runtime",
    "RuntimeAlias": "prod",
}
ON = "PublishedVersions"


def snap(what: str) -> str:
    return f"{what} is not supported for SnapStart enabled functions."


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
        {"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:none-there:1"]},
        "InvalidParameterValueException",
        "Layer version arn:aws:lambda:us-east-1:000000000000:layer:none-there:1 does not exist.",
    ),
    (
        {"VpcConfig": {"SubnetIds": ["subnet-1"]}},
        "InvalidParameterValueException",
        "SubnetIds and SecurityIds must coexist or be both empty list.",
    ),
    (
        {"VpcConfig": {"SecurityGroupIds": ["sg-1"], "SubnetIds": []}},
        "InvalidParameterValueException",
        "SubnetIds and SecurityIds must coexist or be both empty list.",
    ),
    (
        {"VpcConfig": {"SubnetIds": ["vpc-1"], "SecurityGroupIds": ["sg-1"]}},
        "ValidationException",
        "1 validation error detected: Value '[vpc-1]' at 'vpcConfig.subnetIds' failed to satisfy constraint: Member "
        "must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater "
        "than or equal to 0, Member must satisfy regular expression pattern: subnet-[0-9a-z]*, "
        "Member must not be null]",
    ),
    *(
        (
            {"DeadLetterConfig": {"TargetArn": f"arn:aws:{target}"}},
            "InvalidParameterValueException",
            "Invalid dead letter queue ARN: the target must be a standard Amazon SQS queue or a standard Amazon SNS "
            "topic.",
        )
        for target in (
            "lambda:us-east-1:000000000000:function:f",
            "sqs:us-east-1:000000000000:queue.fifo",
            "sns:us-east-1:000000000000:topic.fifo",
        )
    ),
    (
        {"DeadLetterConfig": {"TargetArn": "queue"}},
        "ValidationException",
        "1 validation error detected: Value 'queue' at 'deadLetterConfig.targetArn' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()",
    ),
    (
        {"FileSystemConfigs": [{"Arn": ACCESS_POINT, "LocalMountPath": "/mnt/efs"}]},
        "InvalidParameterValueException",
        f"Function must be configured to execute in a VPC to reference access point {ACCESS_POINT}. "
        "Please update the function configuration to include VPC subnets and security groups.",
    ),
    (
        {
            "VpcConfig": VPC,
            "FileSystemConfigs": [
                {"Arn": ACCESS_POINT, "LocalMountPath": "/mnt/efs", "S3FilesConfig": {"DirectS3Read": "AUTO"}}
            ],
        },
        "InvalidParameterValueException",
        "S3FilesConfig is valid only when the file system access point is an Amazon S3 Files access point.",
    ),
    (
        {"KMSKeyArn": "key"},
        "ValidationException",
        "1 validation error detected: Value 'key' at 'kMSKeyArn' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()",
    ),
    ({"SnapStart": {"ApplyOn": ON}, "Runtime": "python3.11"}, "InvalidParameterValueException", snap("python3.11")),
    ({"SnapStart": {"ApplyOn": ON}, "Runtime": "nodejs22.x"}, "InvalidParameterValueException", snap("nodejs22.x")),
    ({"SnapStart": {"ApplyOn": ON}, "Runtime": "java8.al2"}, "InvalidParameterValueException", snap("java8.al2")),
    (
        {"SnapStart": {"ApplyOn": ON}, "Runtime": "provided.al2023"},
        "InvalidParameterValueException",
        snap("provided.al2023"),
    ),
    (
        {"SnapStart": {"ApplyOn": ON}, "EphemeralStorage": {"Size": 513}},
        "InvalidParameterValueException",
        snap("Ephemeral storage greater than 512 MB"),
    ),
    (
        {
            "SnapStart": {"ApplyOn": ON},
            "VpcConfig": VPC,
            "FileSystemConfigs": [{"Arn": ACCESS_POINT, "LocalMountPath": "/mnt/efs"}],
        },
        "InvalidParameterValueException",
        snap("Amazon EFS"),
    ),
    (
        {"Runtime": "custom"},
        "InvalidParameterValueException",
        "RuntimeConfig is required when Runtime is custom.",
    ),
    (
        {"Runtime": "python3.12", "RuntimeConfig": RUNTIME_CONFIG},
        "InvalidParameterValueException",
        "RuntimeConfig is supported only when Runtime is custom.",
    ),
    (
        {"ImageConfig": {"Command": ["a"]}},
        "InvalidParameterValueException",
        "Please don't provide ImageConfig when the intended function PackageType is Zip.",
    ),
    (
        {"AcceleratorConfig": {"AcceleratorMemorySize": 16}},
        "InvalidParameterValueException",
        "AcceleratorConfig isn't supported for Lambda Default functions.",
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
        {"Code": {"ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/a:b"}},
        "InvalidParameterValueException",
        "Please don't provide ImageUri when creating a function with packageType Zip.",
    ),
    (
        {"DurableConfig": {"RetentionPeriodInDays": 7}},
        "InvalidParameterValueException",
        "You cannot create a function with a durable configuration without an executionTimeout",
    ),
    (
        {"DurableConfig": {"ExecutionTimeout": 60, "RetentionPeriodInDays": 91}},
        "ValidationException",
        above(91, "durableConfig.retentionPeriodInDays", 90),
    ),
    (
        {"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}, "SnapStart": {"ApplyOn": ON}},
        "InvalidParameterValueException",
        snap("Tenant isolation"),
    ),
    (
        {"PublishTo": "LATEST_PUBLISHED"},
        "InvalidParameterValueException",
        "PublishTo isn't supported for Lambda Default functions.",
    ),
    (
        {"Code": {"S3Bucket": "bbb", "S3Key": "k", "S3ObjectStorageMode": "REFERENCE"}},
        "InvalidParameterValueException",
        "S3Bucket, S3Key and S3ObjectVersion are required when S3ObjectStorageMode is REFERENCE.",
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
        listed = error["Message"].partition("[")[2].removesuffix("] or be a valid ARN").split(", ")
        assert {"python3.13", "nodejs22.x", "provided.al2023"} < set(listed), "open ones, whatever has an engine here"
        assert not {"python3.7", "go1.x"} & set(listed), "AWS lists none that it has closed"


def test_an_update_to_a_runtime_aws_does_not_know(create: Create, unvalidated: Any, unique_name: str) -> None:
    create()
    with pytest.raises(ClientError, match="Value python2 at 'runtime' failed to satisfy constraint"):
        unvalidated.update_function_configuration(FunctionName=unique_name, Runtime="python2")


def test_a_runtime_this_machine_does_not_have(create: Create, client: Any, unique_name: str) -> None:
    message = "No interpreter for python3.14 was found on this machine."
    with refused("InvalidParameterValueException", message):
        create(Runtime="python3.14")
    create()
    with refused("InvalidParameterValueException", message):
        client.update_function_configuration(FunctionName=unique_name, Runtime="python3.14")


@pytest.mark.parametrize("runtime", ["python3.8", "python3.9"])
def test_a_python_without_an_engine_is_kept_like_any_other_runtime(create: Create, runtime: str) -> None:
    assert create(Runtime=runtime)["Runtime"] == runtime


# -- runtimes AWS has closed ------------------------------------------------------------------------------------------


def closed(runtime: str, successor: str) -> str:
    return (
        f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. "
        f"We recommend you use the new runtime ({successor}) while creating or updating functions."
    )


def epoch_ms(day: str) -> int:
    return int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp() * 1000)


@pytest.mark.parametrize(
    ("runtime", "successor"),
    [
        ("python3.7", "python3.14"),
        ("nodejs14.x", "nodejs24.x"),
        ("java8", "java25"),
        ("go1.x", "provided.al2023"),
        ("dotnetcore3.1", "dotnet10"),
        ("ruby2.7", "ruby4.0"),
    ],
)
def test_a_closed_runtime(create: Create, runtime: str, successor: str) -> None:
    with refused("InvalidParameterValueException", closed(runtime, successor)):
        create(Runtime=runtime)


def test_a_closed_runtime_where_they_are_allowed(tmp_path: Path) -> None:
    with Plane(tmp_path, allow_closed_runtimes=True) as plane:
        assert plane.client().create_function(**function_params("f", Runtime="nodejs14.x"))["Runtime"] == "nodejs14.x"


def test_runtimes_close_by_the_day_first_for_creation_then_for_updates(tmp_path: Path) -> None:
    clock = ManualClock(epoch_ms(CLOSINGS["nodejs20.x"].create) - 1)
    with Plane(tmp_path, clock=clock) as plane:
        client = plane.client()
        client.create_function(**function_params("f", Runtime="nodejs20.x"))
        plane.advance(1)
        message = closed("nodejs20.x", "nodejs24.x")
        with refused("InvalidParameterValueException", message):
            client.create_function(**function_params("g", Runtime="nodejs20.x"))
        client.update_function_configuration(FunctionName="f", Timeout=9)
        client.update_function_code(FunctionName="f", ZipFile=OTHER_CODE)
        plane.advance(epoch_ms(CLOSINGS["nodejs20.x"].update) - clock.time_ms())
        for update in (
            lambda: client.update_function_configuration(FunctionName="f", Timeout=10),
            lambda: client.update_function_code(FunctionName="f", ZipFile=OTHER_CODE),
        ):
            with refused("InvalidParameterValueException", message):
                update()
        # The way out stays open, and leads one way only.
        client.update_function_configuration(FunctionName="f", Runtime="nodejs24.x")
        with refused("InvalidParameterValueException", message):
            client.update_function_configuration(FunctionName="f", Runtime="nodejs20.x")


def test_every_runtime_has_its_dates_in_order_and_a_successor_that_is_open_longer(client: Any) -> None:
    runtimes = client.meta.service_model.shape_for("Runtime").enum
    assert CLOSINGS.keys() <= set(runtimes)
    for closing in CLOSINGS.values():
        assert closing.create <= closing.update <= CLOSINGS[closing.successor].update


def test_every_open_runtime_but_python_is_held(plane: Plane, unique_name: str) -> None:
    """Whether it can be run is asked when it is invoked."""
    client = plane.client(account=f"{uuid.uuid4().int % 10**12:012}")
    today = datetime.now(UTC).date().isoformat()
    for runtime in client.meta.service_model.shape_for("Runtime").enum:
        still = runtime not in CLOSINGS or today < CLOSINGS[runtime].create
        if still and not runtime.startswith("python") and runtime != "custom":
            name = f"{unique_name}-{runtime.replace('.', '-')}"
            assert client.create_function(**function_params(name, Runtime=runtime))["Runtime"] == runtime
