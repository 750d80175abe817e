"""Requests for event source mappings, one of each source, and what AWS answers to them: for the tests of mappings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

ACCOUNT = "000000000000"
GONE = "The resource you requested does not exist."
SECRET = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:credentials-xPBMTt"
BASIC_AUTH = {"Type": "BASIC_AUTH", "URI": SECRET}


def function_arn(name: str, qualifier: str = "") -> str:
    return f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}" + (f":{qualifier}" if qualifier else "")


def queue_arn(name: str) -> str:
    return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"


def stream_arn(name: str) -> str:
    return f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/{name}"


def table_stream_arn(name: str) -> str:
    return f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{name}/stream/2026-11-21T08:00:00.000"


def cluster_arn(name: str) -> str:
    return f"arn:aws:kafka:us-east-1:{ACCOUNT}:cluster/{name}/6cc0432b-8618-4f44-bccc-e1fbd8fb7c4d-2"


def broker_arn(name: str) -> str:
    return f"arn:aws:mq:us-east-1:{ACCOUNT}:broker:{name}:b-b4d492ef-bdc3-45e3-a781-cd1a3102ecca"


def documents_arn(name: str) -> str:
    return f"arn:aws:rds:us-east-1:{ACCOUNT}:cluster:{name}"


def shown(answer: dict[str, Any]) -> dict[str, Any]:
    """Without what tells one mapping and moment from another."""
    return {k: v for k, v in answer.items() if k not in ("ResponseMetadata", "LastModified", "UUID")}


PROVISIONED = {"MinimumPollers": 3, "MaximumPollers": 9}
PATTERN = {"Filters": [{"Pattern": '{"body": {"kind": ["order"]}}'}]}
KMS_KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
REGISTRY = {
    "SchemaRegistryURI": f"arn:aws:glue:us-east-1:{ACCOUNT}:registry/orders",
    "EventRecordFormat": "JSON",
    "SchemaValidationConfigs": [{"Attribute": "VALUE"}],
}

SHARD_DEFAULTS: dict[str, Any] = {
    "BatchSize": 100,
    "BisectBatchOnFunctionError": False,
    "DestinationConfig": {"OnFailure": {}},
    "FunctionResponseTypes": [],
    "LastProcessingResult": "No records processed",
    "MaximumBatchingWindowInSeconds": 0,
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "ParallelizationFactor": 1,
    "StateTransitionReason": "User action",
    "TumblingWindowInSeconds": 0,
}
BOOTSTRAP = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["one.example.com:9092", "two.example.com:9092"]}}

#: source -> (ARN by name, what is given, what is answered beside what every mapping has)
SOURCES: dict[str, tuple[Callable[[str], str] | None, dict[str, Any], dict[str, Any]]] = {
    "sqs": (
        queue_arn,
        {},
        {
            "BatchSize": 10,
            "MaximumBatchingWindowInSeconds": 0,
            "FunctionResponseTypes": [],
            "StateTransitionReason": "USER_INITIATED",
        },
    ),
    "fifo": (
        lambda name: queue_arn(f"{name}.fifo"),
        {"BatchSize": 5, "FunctionResponseTypes": ["ReportBatchItemFailures"]},
        {
            "BatchSize": 5,
            "MaximumBatchingWindowInSeconds": 0,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "StateTransitionReason": "USER_INITIATED",
        },
    ),
    "kinesis": (stream_arn, {"StartingPosition": "LATEST"}, {**SHARD_DEFAULTS, "StartingPosition": "LATEST"}),
    "consumer": (
        lambda name: f"{stream_arn(name)}/consumer/fan-out:1541348195",
        {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": datetime(2020, 1, 1, tzinfo=UTC)},
        {
            **SHARD_DEFAULTS,
            "StartingPosition": "AT_TIMESTAMP",
            "StartingPositionTimestamp": datetime(2020, 1, 1, tzinfo=UTC),
        },
    ),
    "dynamodb": (
        table_stream_arn,
        {"StartingPosition": "TRIM_HORIZON", "BatchSize": 1, "MaximumRetryAttempts": 1},
        {**SHARD_DEFAULTS, "StartingPosition": "TRIM_HORIZON", "BatchSize": 1, "MaximumRetryAttempts": 1},
    ),
    "msk": (
        cluster_arn,
        {
            "StartingPosition": "LATEST",
            "Topics": ["orders"],
            "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "group"},
        },
        {
            "BatchSize": 100,
            "StartingPosition": "LATEST",
            "Topics": ["orders"],
            "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "group"},
            "LastProcessingResult": "No records processed",
            "StateTransitionReason": "USER_INITIATED",
        },
    ),
    "kafka": (
        None,
        {
            "SelfManagedEventSource": BOOTSTRAP,
            "StartingPosition": "TRIM_HORIZON",
            "Topics": ["orders"],
            "SourceAccessConfigurations": [{"Type": "SASL_SCRAM_512_AUTH", "URI": SECRET}],
            "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "group"},
        },
        {
            "BatchSize": 100,
            "SelfManagedEventSource": BOOTSTRAP,
            "StartingPosition": "TRIM_HORIZON",
            "Topics": ["orders"],
            "SourceAccessConfigurations": [{"Type": "SASL_SCRAM_512_AUTH", "URI": SECRET}],
            "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "group"},
            "LastProcessingResult": "No records processed",
            "StateTransitionReason": "USER_INITIATED",
        },
    ),
    "mq": (
        broker_arn,
        {"Queues": ["ExampleQueue"], "SourceAccessConfigurations": [BASIC_AUTH]},
        {
            "BatchSize": 100,
            "Queues": ["ExampleQueue"],
            "SourceAccessConfigurations": [BASIC_AUTH],
            "LastProcessingResult": "No records processed",
            "StateTransitionReason": "USER_INITIATED",
        },
    ),
    "documentdb": (
        documents_arn,
        {
            "StartingPosition": "LATEST",
            "SourceAccessConfigurations": [BASIC_AUTH],
            "DocumentDBEventSourceConfig": {"DatabaseName": "shop", "CollectionName": "orders"},
        },
        {
            "BatchSize": 100,
            "StartingPosition": "LATEST",
            "SourceAccessConfigurations": [BASIC_AUTH],
            "DocumentDBEventSourceConfig": {
                "DatabaseName": "shop",
                "CollectionName": "orders",
                "FullDocument": "Default",
            },
            "LastProcessingResult": "No records processed",
            "StateTransitionReason": "User action",
        },
    ),
}


def request(source: str, name: str, **changes: Any) -> dict[str, Any]:
    """What creates a mapping of that source."""
    arn, given, _ = SOURCES[source]
    params = {**({"EventSourceArn": arn(name)} if arn else {}), "FunctionName": name, **given, **changes}
    return {member: value for member, value in params.items() if value is not None}


INVALID = "InvalidParameterValueException"
PAST = datetime(2020, 1, 1, tzinfo=UTC)
NO_POSITION = (
    "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
    "Member must not be null."
)
NO_WINDOW = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
NOT_FOR_SQS = "StartingPosition is not valid for SQS event sources."
FAILED = {"OnFailure": {"Destination": queue_arn("failed")}}


def unsupported(member: str) -> str:
    return f"Unsupported '{member}' parameter for given event source mapping type."


def provisioned_only(member: str) -> str:
    return (
        f"{member} is only available for Provisioned Mode. "
        "Enable Provisioned Mode by specifying MinimumPollers in ProvisionedPollerConfig."
    )


def required(member: str) -> str:
    return f"Required '{member}' parameter is missing."
