"""What CreateEventSourceMapping refuses, and in which words."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError

import pytest
from botocore.config import Config

from tests.operations.conftest import function_params
from tests.operations.errors import refused
from tests.operations.mapping_requests import (
    BASIC_AUTH,
    GONE,
    INVALID,
    NO_POSITION,
    NO_WINDOW,
    NOT_FOR_SQS,
    PAST,
    PATTERN,
    PROVISIONED,
    REGISTRY,
    SECRET,
    cluster_arn,
    function_arn,
    provisioned_only,
    queue_arn,
    request,
    required,
    table_stream_arn,
    unsupported,
)
from tests.operations.plane import Plane

FUTURE = datetime.now(UTC) + timedelta(days=1)

#: source, what is given instead, what AWS says
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    # starting positions
    ("sqs", {"StartingPosition": "LATEST"}, NOT_FOR_SQS),
    ("sqs", {"StartingPosition": "LATEST", "StartingPositionTimestamp": PAST}, NOT_FOR_SQS),
    ("fifo", {"StartingPositionTimestamp": PAST}, NOT_FOR_SQS),
    *[(source, {"StartingPosition": None}, NO_POSITION) for source in ("kinesis", "dynamodb", "msk", "kafka")],
    ("documentdb", {"StartingPosition": None}, NO_POSITION),
    *[
        (source, {"StartingPositionTimestamp": PAST}, "Timestamp only valid with StartingPosition AT_TIMESTAMP")
        for source in ("kinesis", "dynamodb", "msk", "kafka", "documentdb")
    ],
    ("kinesis", {"StartingPosition": "AT_TIMESTAMP"}, "Timestamp is required with StartingPosition AT_TIMESTAMP"),
    (
        "kinesis",
        {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": FUTURE},
        "StartingPositionTimestamp cannot be in the future",
    ),
    (
        "kinesis",
        {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": datetime(1950, 1, 1, tzinfo=UTC)},
        "Received Exception while reading from provided stream. "
        "class java.lang.Long can not be converted to a Timestamp",
    ),
    ("mq", {"StartingPosition": "LATEST"}, unsupported("startingPosition")),
    # batches
    ("sqs", {"BatchSize": 11}, NO_WINDOW),
    ("sqs", {"BatchSize": 11, "MaximumBatchingWindowInSeconds": 0}, NO_WINDOW),
    ("fifo", {"BatchSize": 11}, NO_WINDOW),
    ("fifo", {"MaximumBatchingWindowInSeconds": 1}, "Batching window is not supported for FIFO queues"),
    (
        "fifo",
        {"BatchSize": 100, "MaximumBatchingWindowInSeconds": 5},
        "Batching window is not supported for FIFO queues",
    ),
    # failures
    (
        "kinesis",
        {"DestinationConfig": {"OnSuccess": {"Destination": queue_arn("done")}}},
        "Unsupported DestinationConfig parameter for given event source mapping type.",
    ),
    *[
        (
            source,
            {"DestinationConfig": {"OnFailure": {"Destination": arn}}},
            f"The provided destination {arn} is invalid for event source mappings.",
        )
        for source, arn in (
            ("kinesis", function_arn("another")),
            ("kinesis", queue_arn("failed.fifo")),
            ("dynamodb", "kafka://failed-orders"),
        )
    ],
    *[
        ("kinesis", {"MaximumRecordAgeInSeconds": age_s}, "MaximumRecordAgeInSeconds must be -1 or at least 60.")
        for age_s in (0, 59)
    ],
    # pollers
    (
        "sqs",
        {"ProvisionedPollerConfig": {}},
        "Either MinimumPollers or MaximumPollers are required if ProvisionedPollerConfig is provided.",
    ),
    *[
        (
            "sqs",
            {"ProvisionedPollerConfig": config},
            "MinimumPollers should be between [2, 200] and MaximumPollers should be between [MinimumPollers, 10000]",
        )
        for config in ({"MinimumPollers": 1}, {"MinimumPollers": 20, "MaximumPollers": 19}, {"MaximumPollers": 1})
    ],
    (
        "msk",
        {"ProvisionedPollerConfig": {"MaximumPollers": 2001}},
        "MinimumPollers should be between [1, 200] and MaximumPollers should be between [MinimumPollers, 2000]",
    ),
    (
        "sqs",
        {"ProvisionedPollerConfig": PROVISIONED, "ScalingConfig": {"MaximumConcurrency": 5}},
        "Provisioned mode for SQS ESM does not support maximum concurrency feature. "
        "Use MaximumPollers as the control mechanism and remove maximum concurrency.",
    ),
    (
        "sqs",
        {"ProvisionedPollerConfig": {**PROVISIONED, "PollerGroupName": "shared"}},
        unsupported("provisionedPollerConfig.pollerGroupName"),
    ),
    *[
        (source, {member: value}, provisioned_only(member))
        for source in ("msk", "kafka")
        for member, value in (
            ("MetricsConfig", {"Metrics": ["EventCount"]}),
            ("LoggingConfig", {"SystemLogLevel": "INFO"}),
        )
    ],
    (
        "sqs",
        {"MetricsConfig": {"Metrics": ["EventCount", "ErrorCount"]}},
        "Unsupported metric 'ErrorCount' for given event source mapping type.",
    ),
    # Kafka
    ("msk", {"Topics": None}, required("topics")),
    ("kafka", {"Topics": None}, required("topics")),
    ("kafka", {"SourceAccessConfigurations": None}, required("sourceAccessConfigurations")),
    ("kafka", {"SourceAccessConfigurations": []}, required("sourceAccessConfigurations")),
    (
        "msk",
        {"AmazonManagedKafkaEventSourceConfig": {"SchemaRegistryConfig": REGISTRY}},
        provisioned_only("SchemaRegistryConfig"),
    ),
    *[
        (
            "kafka",
            {
                "ProvisionedPollerConfig": PROVISIONED,
                "SelfManagedKafkaEventSourceConfig": {
                    "SchemaRegistryConfig": {name: value for name, value in REGISTRY.items() if name != member}
                },
            },
            required(f"selfManagedKafkaEventSourceConfig.schemaRegistryConfig.{member[0].lower()}{member[1:]}"),
        )
        for member in REGISTRY
    ],
    *[
        (
            "kafka",
            {**given, "SelfManagedKafkaEventSourceConfig": {"ConsumptionMode": "Queue"}},
            message,
        )
        for given, message in (
            ({}, unsupported("startingPosition")),
            (
                {"StartingPosition": None, "MaximumBatchingWindowInSeconds": 1},
                unsupported("maximumBatchingWindowInSeconds"),
            ),
            (
                {"StartingPosition": None, "MaximumRetryAttempts": -1},
                "MaximumRetryAttempts -1 is not supported when ConsumptionMode is Queue.",
            ),
        )
    ],
    # access
    *[
        (
            source,
            {"SourceAccessConfigurations": [BASIC_AUTH, {"Type": "SASL_SCRAM_256_AUTH", "URI": SECRET}]},
            unsupported(f"sourceAccessConfigurations.{kind}"),
        )
        for source, kind in (
            ("msk", "BASIC_AUTH"),
            ("mq", "SASL_SCRAM_256_AUTH"),
            ("documentdb", "SASL_SCRAM_256_AUTH"),
        )
    ],
    ("kafka", {"SourceAccessConfigurations": [{"URI": SECRET}]}, unsupported("sourceAccessConfigurations.")),
    (
        "mq",
        {"SourceAccessConfigurations": [{"Type": "VIRTUAL_HOST", "URI": "/"}]},
        "SourceAccessConfigurations must have one of type BASIC_AUTH.",
    ),
    (
        "kafka",
        {"SourceAccessConfigurations": [{"Type": "OAUTHBEARER_AUDIENCE", "URI": "kafka"}]},
        "SourceAccessConfigurations of type OAUTHBEARER_AUDIENCE require one of type "
        "OAUTHBEARER_AUTH or IAM_OAUTHBEARER_AUTH.",
    ),
    ("mq", {"SourceAccessConfigurations": None}, required("sourceAccessConfigurations")),
    ("mq", {"Queues": None}, required("queues")),
    ("documentdb", {"SourceAccessConfigurations": None}, required("sourceAccessConfigurations")),
    ("documentdb", {"DocumentDBEventSourceConfig": None}, required("documentDBEventSourceConfig.databaseName")),
    (
        "documentdb",
        {"DocumentDBEventSourceConfig": {"CollectionName": "orders"}},
        required("documentDBEventSourceConfig.databaseName"),
    ),
    ("kafka", {"SelfManagedEventSource": {}}, required("selfManagedEventSource.endpoints")),
    # filters
    ("sqs", {"FilterCriteria": {"Filters": PATTERN["Filters"] * 6}}, "The number of filters exceeds the limit of 5."),
    ("sqs", {"FilterCriteria": {"Filters": [{}]}}, "Invalid filter pattern definition."),
    ("sqs", {"FilterCriteria": {"Filters": [{"Pattern": "{"}]}}, "Invalid filter pattern definition."),
    # sources
    ("sqs", {"EventSourceArn": None}, "Unrecognized event source."),
    ("sqs", {"EventSourceArn": "arn:aws:sns:us-east-1:000000000000:topic"}, "Unrecognized event source."),
    ("dynamodb", {"EventSourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/t"}, "Unrecognized event source."),
    ("kafka", {"EventSourceArn": cluster_arn("c")}, "Unrecognized event source."),
    # functions
    ("sqs", {"FunctionName": "doesnotexist"}, "Function does not exist"),
    ("sqs", {"Tags": {"aws:mine": "1"}}, "aws: prefixed tag key names are not allowed for external use."),
]


@pytest.fixture(scope="module")
def function(plane: Plane) -> str:
    """One function for all that is refused before a mapping of it is made."""
    plane.client().create_function(**function_params("refusing"))
    return "refusing"


@pytest.mark.parametrize(("source", "given", "message"), REFUSED)
def test_refused(client: Any, function: str, source: str, given: dict[str, Any], message: str) -> None:
    with refused(INVALID, message):
        client.create_event_source_mapping(**request(source, function, **given))
    assert client.list_event_source_mappings(FunctionName=function)["EventSourceMappings"] == []


def test_at_timestamp_is_not_for_dynamodb(client: Any, function: str) -> None:
    arn = table_stream_arn(function)
    for timestamp in (None, PAST):
        with refused(INVALID, f"Unsupported starting position for arn type: {arn}"):
            client.create_event_source_mapping(
                **request("dynamodb", function, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=timestamp)
            )


def test_constraints_of_the_model(plane: Plane, function: str) -> None:
    client = plane.client(config=Config(parameter_validation=False))
    message = (
        "1 validation error detected: Value '0' at 'startingPosition' failed to satisfy constraint: "
        "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"
    )
    with refused("ValidationException", message):
        client.create_event_source_mapping(**request("kinesis", function, StartingPosition="0"))
    for member, value, bound in (
        ("batchSize", 10_001, "less than or equal to 10000"),
        ("maximumBatchingWindowInSeconds", 301, "less than or equal to 300"),
        ("parallelizationFactor", 11, "less than or equal to 10"),
        ("maximumRetryAttempts", -2, "greater than or equal to -1"),
        ("tumblingWindowInSeconds", 901, "less than or equal to 900"),
    ):
        message = (
            f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
            f"Member must have value {bound}"
        )
        with refused("ValidationException", message):
            client.create_event_source_mapping(
                **request("kinesis", function, **{member[0].upper() + member[1:]: value})
            )


@pytest.mark.parametrize("reference", ["{name}:7", "{name}:absent", "function:{name}:$LATEST.PUBLISHED"])
def test_a_qualifier_that_is_not_there(client: Any, function: str, reference: str) -> None:
    with refused(INVALID, "Function does not exist"):
        client.create_event_source_mapping(**request("sqs", function, FunctionName=reference.format(name=function)))


def test_another_accounts_function(client: Any) -> None:
    arn = "arn:aws:lambda:us-east-1:111111111111:function:theirs"
    with pytest.raises(client.exceptions.ClientError, match="AccessDeniedException"):
        client.create_event_source_mapping(FunctionName=arn, EventSourceArn=queue_arn("q"))


@pytest.mark.parametrize("operation", ["get", "update", "delete"])
def test_a_uuid_that_is_not_there(plane: Plane, client: Any, operation: str) -> None:
    call = getattr(client, f"{operation}_event_source_mapping")
    for uuid in ("7cc92c45-3a2b-4dc0-9c3c-4c7f0b1d2e3f", "not-a-uuid-and-yet-of-the-same-length"[:36]):
        with refused("ResourceNotFoundException", GONE, 404):
            call(UUID=uuid)
    message = (
        "1 validation error detected: Value 'short' at 'uUID' failed to satisfy constraint: "
        "Member must have length greater than or equal to 36"
    )
    with refused("ValidationException", message):
        getattr(plane.client(config=Config(parameter_validation=False)), call.__name__)(UUID="short")


def test_a_marker_of_nobodys(client: Any) -> None:
    with pytest.raises(client.exceptions.InvalidParameterValueException):
        client.list_event_source_mappings(Marker="nonsense")


@pytest.mark.parametrize(
    ("path", "method", "status", "body"),
    [
        (
            "/2015-03-31/event-source-mappings/7cc92c45-3a2b-4dc0-9c3c-4c7f0b1d2e3f",
            "GET",
            404,
            {"Type": "User", "Message": GONE},
        ),
        ("/2015-03-31/event-source-mappings", "POST", 400, {"Type": "User", "message": "Unrecognized event source."}),
    ],
)
def test_the_shape_of_errors(plane: Plane, path: str, method: str, status: int, body: dict[str, str]) -> None:
    data = b'{"FunctionName": "doesnotexist"}' if method == "POST" else None
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(plane.endpoint + path, data, method=method))
    assert (caught.value.code, json.loads(caught.value.read())) == (status, body)
