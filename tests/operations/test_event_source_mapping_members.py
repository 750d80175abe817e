"""Which members each source takes, and that all others are refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operations.conftest import Create, function_params
from tests.operations.errors import refused
from tests.operations.mapping_requests import (
    FAILED,
    INVALID,
    NOT_FOR_SQS,
    PAST,
    PROVISIONED,
    SOURCES,
    request,
    unsupported,
)
from tests.operations.plane import Plane

#: a value of each member that only some sources take
ANY_VALUE: dict[str, Any] = {
    "StartingPosition": "LATEST",
    "StartingPositionTimestamp": PAST,
    "ParallelizationFactor": 1,
    "DestinationConfig": FAILED,
    "MaximumRecordAgeInSeconds": -1,
    "BisectBatchOnFunctionError": False,
    "MaximumRetryAttempts": 0,
    "TumblingWindowInSeconds": 0,
    "Topics": ["orders"],
    "Queues": ["orders"],
    "SourceAccessConfigurations": [],
    "FunctionResponseTypes": [],
    "AmazonManagedKafkaEventSourceConfig": {},
    "SelfManagedKafkaEventSourceConfig": {},
    "ScalingConfig": {},
    "DocumentDBEventSourceConfig": {"DatabaseName": "shop"},
    "ProvisionedPollerConfig": PROVISIONED,
    "MetricsConfig": {},
    "LoggingConfig": {},
}
_STREAMS = {"kinesis", "dynamodb", "msk", "kafka"}
#: member -> the sources that take it (API reference)
TAKEN: dict[str, set[str]] = {
    "StartingPosition": {*_STREAMS, "documentdb"},
    "StartingPositionTimestamp": {*_STREAMS, "documentdb"},
    "ParallelizationFactor": {"kinesis", "dynamodb"},
    "DestinationConfig": _STREAMS,
    "MaximumRecordAgeInSeconds": _STREAMS,
    "BisectBatchOnFunctionError": _STREAMS,
    "MaximumRetryAttempts": _STREAMS,
    "TumblingWindowInSeconds": {"kinesis", "dynamodb"},
    "Topics": {"msk", "kafka"},
    "Queues": {"mq"},
    "SourceAccessConfigurations": {"msk", "kafka", "mq", "documentdb"},
    "FunctionResponseTypes": {*_STREAMS, "sqs", "fifo"},
    "AmazonManagedKafkaEventSourceConfig": {"msk"},
    "SelfManagedKafkaEventSourceConfig": {"kafka"},
    "ScalingConfig": {"sqs", "fifo"},
    "DocumentDBEventSourceConfig": {"documentdb"},
    "ProvisionedPollerConfig": {"sqs", "fifo", "msk", "kafka"},
    "MetricsConfig": {*_STREAMS, "sqs", "fifo"},
    "LoggingConfig": {"msk", "kafka"},
}


@pytest.fixture(scope="module")
def function(plane: Plane) -> str:
    """One function for all that is refused before a mapping of it is made."""
    plane.client().create_function(**function_params("refusing-members"))
    return "refusing-members"


@pytest.mark.parametrize("source", [source for source in SOURCES if source != "consumer"])
@pytest.mark.parametrize("member", ANY_VALUE)
def test_a_member_of_another_source(client: Any, function: str, source: str, member: str) -> None:
    if source in TAKEN[member]:
        return
    named = member[0].lower() + member[1:]
    is_position = source in ("sqs", "fifo") and member.startswith("StartingPosition")
    with refused(INVALID, NOT_FOR_SQS if is_position else unsupported(named)):
        client.create_event_source_mapping(**request(source, function, **{member: ANY_VALUE[member]}))


@pytest.mark.parametrize(
    "member", sorted(ANY_VALUE.keys() - {"StartingPosition", "StartingPositionTimestamp", "Topics", "Queues"})
)
@pytest.mark.parametrize("source", ["sqs", "mq", "kinesis"])
def test_an_update_with_a_member_of_another_source(
    create: Create, client: Any, unique_name: str, source: str, member: str
) -> None:
    if source in TAKEN[member]:
        return
    create()
    uuid = client.create_event_source_mapping(**request(source, unique_name))["UUID"]
    with refused(INVALID, unsupported(member[0].lower() + member[1:])):
        client.update_event_source_mapping(UUID=uuid, **{member: ANY_VALUE[member]})
