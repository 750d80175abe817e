"""Asking the real embedded SQS, Kinesis and DynamoDB whether an event source is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilotlight.errors import InvalidParameterValueException
from pilotlight.neighbours.event_sources import NeighbourEventSources
from pilotlight.neighbours.neighbours import Neighbours
from pilotlight.settings import Settings
from tests.neighbours.harness import ACCOUNT, REGION, Front

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"
STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/"


@pytest.fixture
def sources(front: Front) -> NeighbourEventSources:
    return NeighbourEventSources(front.neighbours)


def test_queues(front: Front, sources: NeighbourEventSources, unique_name: str) -> None:
    sqs = front.client("sqs")
    sqs.create_queue(QueueName=unique_name, Attributes={"VisibilityTimeout": "17"})
    attributes = front.run(sources.queue_attributes(QUEUE + unique_name))
    assert attributes is not None
    assert attributes["VisibilityTimeout"] == "17"
    with pytest.raises(InvalidParameterValueException) as refused:
        front.run(sources.queue_attributes(f"{QUEUE}{unique_name}-2"))
    assert refused.value.message.startswith(
        "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
        "SQS Error Message: The specified queue does not exist"
    )


def test_streams_and_their_consumers(front: Front, sources: NeighbourEventSources, unique_name: str) -> None:
    kinesis = front.client("kinesis")
    kinesis.create_stream(StreamName=unique_name, ShardCount=1)
    arn = STREAM + unique_name
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="fan-out")["Consumer"]["ConsumerARN"]
    for there in (arn, consumer):
        assert front.run(sources.has_stream(there))
    for absent in (f"{arn}-2", f"{arn}/consumer/other:1541348195"):
        assert not front.run(sources.has_stream(absent))


def test_streams_of_tables(front: Front, sources: NeighbourEventSources, unique_name: str) -> None:
    dynamodb = front.client("dynamodb")
    described: dict[str, Any] = {}
    for name, stream in ((unique_name, {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}), ("plain", None)):
        described[name] = dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            **({"StreamSpecification": stream} if stream else {}),
        )["TableDescription"]
    arn = described[unique_name]["LatestStreamArn"]
    assert front.run(sources.has_stream(arn))
    label = "/stream/2020-01-01T00:00:00.000"
    for table in (described[unique_name]["TableArn"], described["plain"]["TableArn"], f"{arn.split('/')[0]}/absent"):
        assert not front.run(sources.has_stream(table + label))


async def test_services_that_are_off_are_not_asked(tmp_path: Path) -> None:
    neighbours = Neighbours(Settings(data_dir=str(tmp_path), neighbours=False))
    sources = NeighbourEventSources(neighbours)
    try:
        assert await sources.queue_attributes(f"{QUEUE}absent") is None
        assert await sources.has_stream(f"{STREAM}absent")
    finally:
        await neighbours.stop()


async def test_services_that_do_not_answer_refuse(tmp_path: Path) -> None:
    endpoints = dict.fromkeys(("sqs", "kinesis"), "http://127.0.0.1:1")
    neighbours = Neighbours(Settings(data_dir=str(tmp_path), neighbours=False, endpoints=endpoints))
    sources = NeighbourEventSources(neighbours)
    try:
        with pytest.raises(
            InvalidParameterValueException, match="Error occurred while ReceiveMessage. SQS Error Code: ServiceUnavail"
        ):
            await sources.queue_attributes(f"{QUEUE}q")
        with pytest.raises(
            InvalidParameterValueException, match="Received Exception while reading from provided stream"
        ):
            await sources.has_stream(f"{STREAM}s")
    finally:
        await neighbours.stop()
