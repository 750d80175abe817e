"""Streaming functions where nobody reads a stream: they serve events, and are themselves where results go."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pilotlight.clock import ManualClock
from tests.e2e.functions import create
from tests.e2e.streams import STREAMS
from tests.support import RunningNode, eventually_async, running_node

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
#: streams what it is told, then ends as it is told
SAYING = """
import os

def handler(event, context):
    yield from event["say"]
    if event.get("large"):
        yield "x" * 7_000_000
    if event.get("end") == "raise":
        raise LookupError("in mid-stream")
    if event.get("end") == "exit":
        os._exit(3)
"""


@pytest.fixture
async def node() -> AsyncIterator[RunningNode]:
    """With the streaming function `says`, which is not retried."""
    async with running_node(clock=ManualClock(), state_delay_ms=0) as running:
        await running.call(create, running.client("lambda"), "says", SAYING, **STREAMS)
        yield running


async def results_of(node: RunningNode, function: str, **to: str) -> str:
    """Have results of the function's events sent to a new queue, or `to` where it says so; the queue's URL."""
    name = f"q-{uuid.uuid4().hex[:8]}"
    url = (await node.call(node.client("sqs").create_queue, QueueName=name))["QueueUrl"]
    queue = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    await node.call(
        node.client("lambda").put_function_event_invoke_config,
        FunctionName=function,
        MaximumRetryAttempts=0,
        DestinationConfig={when: {"Destination": to.get(when, queue)} for when in ("OnSuccess", "OnFailure")},
    )
    return url


async def received(node: RunningNode, url: str) -> dict[str, Any]:
    sqs = node.client("sqs")

    async def take() -> dict[str, Any] | None:
        return (await node.call(sqs.receive_message, QueueUrl=url)).get("Messages", [None])[0]

    message = await eventually_async(take, what="a result")
    assert message is not None
    await node.call(sqs.delete_message, QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return json.loads(message["Body"])


async def send(node: RunningNode, function: str, event: dict[str, Any]) -> None:
    answer = await node.call(
        node.client("lambda").invoke, FunctionName=function, InvocationType="Event", Payload=json.dumps(event)
    )
    assert answer["StatusCode"] == 202


async def test_an_event_has_the_whole_of_what_was_streamed_as_its_result(node: RunningNode) -> None:
    url = await results_of(node, "says")
    for said, whole in (
        (['{"a": ', "1}"], {"a": 1}),
        (["one ", "two"], "one two"),  # no JSON: its text
        ([], None),
    ):
        await send(node, "says", {"say": said})
        record = await received(node, url)
        assert record["requestContext"]["condition"] == "Success"
        assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}
        assert record["responsePayload"] == whole


@pytest.mark.parametrize(
    ("event", "error_type"),
    [
        ({"end": "raise"}, "LookupError"),
        ({"end": "exit"}, "Runtime.ExitError"),
        ({"large": True}, "Function.ResponseSizeTooLarge"),
    ],
)
async def test_an_event_whose_stream_breaks_off_has_failed(
    node: RunningNode, event: dict[str, Any], error_type: str
) -> None:
    url = await results_of(node, "says")
    await send(node, "says", {"say": ["some"], **event})
    record = await received(node, url)
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert record["responsePayload"]["errorType"] == error_type, "and nothing of what it wrote before"


async def test_a_streaming_function_is_a_destination(node: RunningNode) -> None:
    echo = (
        "import json\ndef handler(event, context):\n    yield 'got '\n    yield json.dumps(event['responsePayload'])\n"
    )
    await node.call(create, node.client("lambda"), "hears", echo, **STREAMS)
    await results_of(node, "says", OnSuccess=f"{ARN}hears")
    url = await results_of(node, "hears")
    await send(node, "says", {"say": ["on", "e"]})
    record = await received(node, url)
    assert record["responsePayload"] == 'got "one"'
    assert record["requestPayload"]["requestContext"]["functionArn"] == f"{ARN}says:$LATEST"
