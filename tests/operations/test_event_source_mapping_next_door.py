"""What a mapping is refused for by the queue or stream it names, as far as these can be asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.operations.conftest import Create
from tests.operations.errors import refused
from tests.operations.mapping_requests import (
    INVALID,
    broker_arn,
    cluster_arn,
    documents_arn,
    queue_arn,
    request,
    stream_arn,
    table_stream_arn,
)
from tests.operations.plane import NO_SUCH_QUEUE, Plane, Sources


@pytest.fixture
def sources(plane: Plane) -> Iterator[Sources]:
    """SQS, Kinesis and DynamoDB that answer, and have nothing."""
    plane.sources.queues, plane.sources.streams = {}, set()
    yield plane.sources
    plane.sources.queues = plane.sources.streams = None


def test_a_queue_that_does_not_exist(create: Create, client: Any, sources: Sources, unique_name: str) -> None:
    create()
    with refused(INVALID, NO_SUCH_QUEUE):
        client.create_event_source_mapping(**request("sqs", unique_name))


@pytest.mark.parametrize("arn", [stream_arn("s"), f"{stream_arn('s')}/consumer/c:1", table_stream_arn("t")])
def test_a_stream_that_does_not_exist(
    create: Create, client: Any, sources: Sources, unique_name: str, arn: str
) -> None:
    create()
    params = request("kinesis", unique_name, EventSourceArn=arn)
    assert sources.streams is not None
    with refused(INVALID, f"Stream not found: {arn}"):
        client.create_event_source_mapping(**params)
    sources.streams.add(arn)
    client.create_event_source_mapping(**params)


def test_a_function_outlasts_the_queues_patience(
    create: Create, client: Any, sources: Sources, unique_name: str
) -> None:
    assert sources.queues is not None
    sources.queues[queue_arn(unique_name)] = {"VisibilityTimeout": "29"}
    create(Timeout=30)
    create(FunctionName=f"{unique_name}-2", Timeout=29)
    message = "Queue visibility timeout: 29 seconds is less than Function timeout: 30 seconds"
    with refused(INVALID, message):
        client.create_event_source_mapping(**request("sqs", unique_name))
    uuid = client.create_event_source_mapping(
        **request("sqs", f"{unique_name}-2", EventSourceArn=queue_arn(unique_name))
    )["UUID"]
    with refused(INVALID, message):
        client.update_event_source_mapping(UUID=uuid, FunctionName=unique_name)


def test_the_timeout_is_that_of_the_version(create: Create, client: Any, sources: Sources, unique_name: str) -> None:
    assert sources.queues is not None
    sources.queues[queue_arn(unique_name)] = {"VisibilityTimeout": "10"}
    create(Timeout=10, Publish=True)
    client.create_alias(FunctionName=unique_name, Name="live", FunctionVersion="1")
    client.update_function_configuration(FunctionName=unique_name, Timeout=11)
    for qualifier in ("1", "live"):
        params = request("sqs", f"{unique_name}:{qualifier}", EventSourceArn=queue_arn(unique_name))
        client.create_event_source_mapping(**params)
    with refused(INVALID, "Queue visibility timeout: 10 seconds is less than Function timeout: 11 seconds"):
        client.create_event_source_mapping(**request("sqs", unique_name))


def test_other_updates_ask_nobody(create: Create, client: Any, sources: Sources, unique_name: str) -> None:
    assert sources.queues is not None
    create()
    sources.queues[queue_arn(unique_name)] = {"VisibilityTimeout": "30"}
    uuid = client.create_event_source_mapping(**request("sqs", unique_name))["UUID"]
    sources.queues.clear()
    client.update_event_source_mapping(UUID=uuid, BatchSize=2)


def test_sources_nobody_can_ask_for_are_not_looked_for(
    create: Create, client: Any, sources: Sources, unique_name: str
) -> None:
    create()
    for source, arn in (("msk", cluster_arn), ("mq", broker_arn), ("documentdb", documents_arn)):
        client.create_event_source_mapping(**request(source, unique_name, EventSourceArn=arn(unique_name)))
