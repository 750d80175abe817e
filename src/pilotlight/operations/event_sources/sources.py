"""What Lambda polls, as one table: which settings each source takes, needs and shows when they are not given.

Source: botocore's documentation of CreateEventSourceMapping and the developer guide's parameter tables; defaults and
reasons as recorded by LocalStack's snapshot tests (SQS, Kinesis, DynamoDB) and shown in the developer guide's examples
(Amazon MQ, DocumentDB). A default that nobody has recorded is not shown.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pilotlight.errors import InvalidParameterValueException

#: what every source takes; the others' members are in the table
EVERYWHERE = frozenset(
    {"UUID", "FunctionName", "EventSourceArn", "Enabled", "BatchSize", "FilterCriteria", "KMSKeyArn", "Tags"}
)

STREAM_REASON = "User action"
QUEUE_REASON = "USER_INITIATED"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    arn: str
    """Pattern of its ARNs after the partition; "" for the one that has none."""
    takes: frozenset[str]
    """Request members, beside those every source takes."""
    requires: tuple[tuple[str, ...], ...] = ()
    """Paths of members."""
    defaults: dict[str, Any]
    """Settings shown when none are given."""
    positions: frozenset[str] = frozenset()
    """StartingPosition is required, as one of these; none: it is not taken."""
    reason: str
    """StateTransitionReason: the older pollers word it otherwise than the newer ones."""
    shows_last_result: bool = True
    settles_disabled: bool = True
    """Whether one that is or stays disabled goes through Creating and Updating, too."""
    access_types: frozenset[str] = frozenset()
    """Of SourceAccessConfigurations."""
    required_access: str = ""
    metrics: frozenset[str] = frozenset()
    failure_destinations: frozenset[str] = frozenset()
    """Services an OnFailure destination may be of; `kafka` is the kafka:// form."""
    pollers: tuple[int, int] = (0, 0)
    """Least number of provisioned pollers, and the most that may be asked for."""
    provisioned_only: frozenset[str] = frozenset()
    """Members that need provisioned pollers."""
    apart: tuple[str, ...] = ()
    """Settings that keep mappings of the same function and source apart."""
    conflict: str
    """Why a second mapping of the same function and source is refused: with {source}, {name}, {arn} and {apart}."""

    @property
    def is_queue(self) -> bool:
        """Of SQS, FIFO or not."""
        return self.arn.startswith("sqs:")


_STREAM_SETTINGS = frozenset(
    {
        "StartingPosition",
        "StartingPositionTimestamp",
        "MaximumBatchingWindowInSeconds",
        "DestinationConfig",
        "MaximumRecordAgeInSeconds",
        "BisectBatchOnFunctionError",
        "MaximumRetryAttempts",
        "FunctionResponseTypes",
        "MetricsConfig",
    }
)
_SHARD_SETTINGS = _STREAM_SETTINGS | {"ParallelizationFactor", "TumblingWindowInSeconds"}
_KAFKA_SETTINGS = _STREAM_SETTINGS | {
    "Topics",
    "SourceAccessConfigurations",
    "ProvisionedPollerConfig",
    "LoggingConfig",
}
_SHARD_DEFAULTS: dict[str, Any] = {
    "BatchSize": 100,
    "MaximumBatchingWindowInSeconds": 0,
    "ParallelizationFactor": 1,
    "DestinationConfig": {"OnFailure": {}},
    "MaximumRecordAgeInSeconds": -1,
    "BisectBatchOnFunctionError": False,
    "MaximumRetryAttempts": -1,
    "TumblingWindowInSeconds": 0,
    "FunctionResponseTypes": [],
}
_EVENT_COUNT = frozenset({"EventCount"})
_ANY_POSITION = frozenset({"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"})
_QUEUE_CONFLICT = 'An event source mapping with SQS arn (" {source} ") and function (" {name} ") already exists.'
_SHARD_CONFLICT = 'The event source arn (" {source} ") and function (" {name} ") provided mapping already exists.'
_BROKER_CONFLICT = 'An event source mapping with event source ("{source}"), function ("{arn}"){apart} already exists.'
_PROVISIONED_ONLY = frozenset({"MetricsConfig", "LoggingConfig"})

SQS = Source(
    name="SQS",
    arn=r"sqs:[^:]+:\d{12}:[^:/]+(?<!\.fifo)",
    takes=frozenset(
        {
            "MaximumBatchingWindowInSeconds",
            "FunctionResponseTypes",
            "ScalingConfig",
            "ProvisionedPollerConfig",
            "MetricsConfig",
        }
    ),
    defaults={"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, "FunctionResponseTypes": []},
    reason=QUEUE_REASON,
    shows_last_result=False,
    settles_disabled=False,
    metrics=_EVENT_COUNT,
    pollers=(2, 10_000),
    conflict=_QUEUE_CONFLICT,
)
SQS_FIFO = msgspec.structs.replace(SQS, name="SQS FIFO", arn=r"sqs:[^:]+:\d{12}:[^:/]+\.fifo")
KINESIS = Source(
    name="Kinesis",
    arn=r"kinesis:[^:]+:\d{12}:stream/[^/:]+(/consumer/.+)?",
    takes=_SHARD_SETTINGS,
    defaults=_SHARD_DEFAULTS,
    positions=_ANY_POSITION,
    reason=STREAM_REASON,
    metrics=_EVENT_COUNT,
    failure_destinations=frozenset({"sqs", "sns", "s3"}),
    conflict=_SHARD_CONFLICT,
)
DYNAMODB = msgspec.structs.replace(
    KINESIS,
    name="DynamoDB Streams",
    arn=r"dynamodb:[^:]+:\d{12}:table/[^/]+/stream/.+",
    positions=_ANY_POSITION - {"AT_TIMESTAMP"},
)
MSK = Source(
    name="Amazon MSK",
    arn=r"kafka:[^:]+:\d{12}:(cluster|vpc-connection)/.+",
    takes=_KAFKA_SETTINGS | {"AmazonManagedKafkaEventSourceConfig"},
    requires=(("Topics",),),
    defaults={"BatchSize": 100},
    positions=_ANY_POSITION,
    reason=QUEUE_REASON,
    access_types=frozenset({"SASL_SCRAM_512_AUTH", "CLIENT_CERTIFICATE_TLS_AUTH"}),
    metrics=frozenset({"EventCount", "ErrorCount", "KafkaMetrics"}),
    failure_destinations=frozenset({"sqs", "sns", "s3", "kafka"}),
    pollers=(1, 2_000),
    provisioned_only=_PROVISIONED_ONLY,
    apart=("Topics",),
    conflict=_BROKER_CONFLICT,
)
SELF_MANAGED_KAFKA = msgspec.structs.replace(
    MSK,
    name="self-managed Apache Kafka",
    arn="",
    takes=_KAFKA_SETTINGS | {"SelfManagedEventSource", "SelfManagedKafkaEventSourceConfig"},
    requires=(("SelfManagedEventSource", "Endpoints"), ("SourceAccessConfigurations",), ("Topics",)),
    access_types=frozenset(
        {
            "BASIC_AUTH",
            "VPC_SUBNET",
            "VPC_SECURITY_GROUP",
            "SASL_SCRAM_256_AUTH",
            "SASL_SCRAM_512_AUTH",
            "CLIENT_CERTIFICATE_TLS_AUTH",
            "SERVER_ROOT_CA_CERTIFICATE",
            "OAUTHBEARER_AUTH",
            "OAUTHBEARER_SCOPE",
            "OAUTHBEARER_AUDIENCE",
            "OAUTHBEARER_LOGICAL_CLUSTER",
            "OAUTHBEARER_IDENTITY_POOL",
            "IAM_AUTH",
            "IAM_OAUTHBEARER_AUTH",
        }
    ),
)
AMAZON_MQ = Source(
    name="Amazon MQ",
    arn=r"mq:[^:]+:\d{12}:broker:.+",
    takes=frozenset({"MaximumBatchingWindowInSeconds", "Queues", "SourceAccessConfigurations"}),
    requires=(("Queues",), ("SourceAccessConfigurations",)),
    defaults={"BatchSize": 100},
    reason=QUEUE_REASON,
    access_types=frozenset({"BASIC_AUTH", "VIRTUAL_HOST"}),
    required_access="BASIC_AUTH",
    apart=("Queues",),
    conflict=_BROKER_CONFLICT,
)
DOCUMENTDB = Source(
    name="DocumentDB",
    arn=r"rds:[^:]+:\d{12}:cluster:.+",
    takes=frozenset(
        {
            "MaximumBatchingWindowInSeconds",
            "StartingPosition",
            "StartingPositionTimestamp",
            "SourceAccessConfigurations",
            "DocumentDBEventSourceConfig",
        }
    ),
    requires=(("DocumentDBEventSourceConfig", "DatabaseName"), ("SourceAccessConfigurations",)),
    defaults={"BatchSize": 100},
    positions=_ANY_POSITION,
    reason=STREAM_REASON,
    access_types=frozenset({"BASIC_AUTH"}),
    required_access="BASIC_AUTH",
    apart=("DocumentDBEventSourceConfig",),
    conflict=_BROKER_CONFLICT,
)

SOURCES = (SQS, SQS_FIFO, KINESIS, DYNAMODB, MSK, SELF_MANAGED_KAFKA, AMAZON_MQ, DOCUMENTDB)
_ARNS = tuple((re.compile(rf"arn:aws[a-zA-Z0-9-]*:{source.arn}"), source) for source in SOURCES if source.arn)


def source_of(event_source_arn: str, *, self_managed: bool) -> Source:
    """Which source an ARN names, or a SelfManagedEventSource is; InvalidParameterValueException when none, or both."""
    if self_managed and not event_source_arn:
        return SELF_MANAGED_KAFKA
    for pattern, source in _ARNS:
        if not self_managed and pattern.fullmatch(event_source_arn):
            return source
    raise InvalidParameterValueException("Unrecognized event source.")
