"""Results of asynchronous invocations: destinations and dead letter queues get AWS's documents, durably."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilotlight.clock import ManualClock
from pilotlight.store.interface import Enqueue
from tests.e2e.functions import create
from tests.support import RunningNode, eventually_async, running_node

ACCOUNT = "000000000000"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:a"
#: fails or answers, as it is told
TOLD = "def handler(e, c):\n    if e['fail']:\n        raise ValueError('told to')\n    return {'heard': e}\n"


@pytest.fixture
async def node() -> AsyncIterator[RunningNode]:
    """With function a, which is not retried."""
    async with running_node(clock=ManualClock(), state_delay_ms=0) as running:
        await running.call(create, running.client("lambda"), "a", TOLD)
        yield running


async def _queue(node: RunningNode) -> tuple[str, str]:
    """URL and ARN."""
    name = f"q-{uuid.uuid4().hex[:8]}"
    made = await node.call(node.client("sqs").create_queue, QueueName=name)
    return made["QueueUrl"], f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"


async def _received(node: RunningNode, url: str) -> dict[str, Any]:
    """The next message; it is taken off the queue."""
    sqs = node.client("sqs")

    async def take() -> dict[str, Any] | None:
        answer = await node.call(sqs.receive_message, QueueUrl=url, MessageAttributeNames=["All"])
        return answer.get("Messages", [None])[0]

    message = await eventually_async(take, what="a message")
    assert message is not None
    await node.call(sqs.delete_message, QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return message


async def _configure(node: RunningNode, **members: Any) -> None:
    destinations = {name: {"Destination": members.pop(name)} for name in ("OnSuccess", "OnFailure") if name in members}
    await node.call(
        node.client("lambda").put_function_event_invoke_config,
        FunctionName="a",
        DestinationConfig=destinations,
        **{"MaximumRetryAttempts": 0, **members},
    )


async def _send(node: RunningNode, fail: bool, **members: Any) -> str:
    answer = await node.call(
        node.client("lambda").invoke,
        FunctionName="a",
        InvocationType="Event",
        Payload=json.dumps({"fail": fail}),
        **members,
    )
    return answer["ResponseMetadata"]["RequestId"]


def _record(message: dict[str, Any], body: str = "Body") -> dict[str, Any]:
    record = json.loads(message[body])
    assert re.fullmatch(r"2023-11-14T\d\d:\d\d:\d\d\.\d\d\dZ", record.pop("timestamp"))
    return record


def _success(request_id: str) -> dict[str, Any]:
    return {
        "version": "1.0",
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{FUNCTION}:$LATEST",
            "condition": "Success",
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"fail": False},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": {"heard": {"fail": False}},
    }


async def test_queues(node: RunningNode) -> None:
    success_url, success = await _queue(node)
    failure_url, failure = await _queue(node)
    await _configure(node, OnSuccess=success, OnFailure=failure)
    request_id = await _send(node, fail=False)
    message = await _received(node, success_url)
    assert _record(message) == _success(request_id)
    assert "MessageAttributes" not in message
    request_id = await _send(node, fail=True)
    record = _record(await _received(node, failure_url))
    answer = record.pop("responsePayload")
    assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "told to")
    assert record == {
        "version": "1.0",
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{FUNCTION}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"fail": True},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    }


async def test_a_topic(node: RunningNode) -> None:
    url, queue = await _queue(node)
    sns = node.client("sns")
    topic = (await node.call(sns.create_topic, Name="results"))["TopicArn"]
    await node.call(sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint=queue)
    await _configure(node, OnSuccess=topic)
    request_id = await _send(node, fail=False)
    notification = json.loads((await _received(node, url))["Body"])
    assert _record(notification, "Message") == _success(request_id)
    assert not notification.get("Subject")


async def test_an_event_bus(node: RunningNode) -> None:
    url, queue = await _queue(node)
    events = node.client("events")
    bus = (await node.call(events.create_event_bus, Name="results"))["EventBusArn"]
    await node.call(events.put_rule, Name="all", EventBusName="results", EventPattern='{"source": ["lambda"]}')
    await node.call(events.put_targets, Rule="all", EventBusName="results", Targets=[{"Id": "1", "Arn": queue}])
    await _configure(node, OnSuccess=bus, OnFailure=bus)
    request_id = await _send(node, fail=False)
    event = json.loads((await _received(node, url))["Body"])
    assert event["source"] == "lambda"
    assert event["detail-type"] == "Lambda Function Invocation Result - Success"
    assert event["resources"] == [bus, f"{FUNCTION}:$LATEST"]
    assert {**event["detail"], "timestamp": 0} == {**_success(request_id), "timestamp": 0}
    await _send(node, fail=True)
    event = json.loads((await _received(node, url))["Body"])
    assert event["detail-type"] == "Lambda Function Invocation Result - Failure"


async def test_a_function(node: RunningNode) -> None:
    """It is invoked asynchronously with the record, and passes it on to a queue of its own."""
    url, queue = await _queue(node)
    client = node.client("lambda")
    await node.call(create, client, "b", "def handler(e, c):\n    return [e, c.invoked_function_arn]\n", Publish=True)
    await node.call(
        client.put_function_event_invoke_config,
        FunctionName="b",
        Qualifier="1",
        DestinationConfig={"OnSuccess": {"Destination": queue}},
    )
    await _configure(node, OnSuccess=f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:b:1")
    request_id = await _send(node, fail=False)
    answer, arn = json.loads((await _received(node, url))["Body"])["responsePayload"]
    assert {**answer, "timestamp": 0} == {**_success(request_id), "timestamp": 0}
    assert arn == f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:b:1"


async def test_a_function_of_another_account_while_its_policy_allows_it(node: RunningNode) -> None:
    url, queue = await _queue(node)
    theirs = node.client("lambda", aws_access_key_id="111111111111")
    arn = "arn:aws:lambda:us-east-1:111111111111:function:b"
    await node.call(create, theirs, "b", "def handler(e, c):\n    return e['requestPayload']\n")
    await node.call(
        theirs.put_function_event_invoke_config,
        FunctionName="b",
        DestinationConfig={"OnSuccess": {"Destination": queue}},
    )
    await node.call(
        theirs.add_permission,
        FunctionName="b",
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal=ACCOUNT,
    )
    await _configure(node, OnSuccess=arn)
    await _send(node, fail=False)
    assert json.loads((await _received(node, url))["Body"])["responsePayload"] == {"fail": False}
    await node.call(theirs.remove_permission, FunctionName="b", StatementId="s")
    await _send(node, fail=False)

    async def over() -> bool:
        depths = [
            await node.node.store.queue_depth(f"async/{account}/us-east-1/{name}")
            for account, name in ((ACCOUNT, "a"), ("111111111111", "b"))
        ]
        return depths == [0, 0] and node.node.in_flight_events == 0

    await eventually_async(over)
    assert await node.node.store.next_due("deliveries/") is None, "it did not run, so nothing is on its way"
    answer = await node.call(node.client("sqs").receive_message, QueueUrl=url)
    assert "Messages" not in answer


async def test_a_bucket(node: RunningNode) -> None:
    s3 = node.client("s3")
    await node.call(s3.create_bucket, Bucket="failures")
    await _configure(node, OnFailure="arn:aws:s3:::failures")
    request_id = await _send(node, fail=True)

    async def listed() -> list[dict[str, Any]]:
        return (await node.call(s3.list_objects_v2, Bucket="failures")).get("Contents", [])

    [found] = await eventually_async(listed)
    assert re.fullmatch(r"aws/lambda/async/a/2023/11/14/2023-11-14T\d\d\.\d\d\.\d\d-[0-9a-f-]{36}", found["Key"])
    body = await node.call(lambda: s3.get_object(Bucket="failures", Key=found["Key"])["Body"].read())
    assert json.loads(body)["requestContext"]["requestId"] == request_id


async def test_after_all_retries_and_with_an_alias(node: RunningNode) -> None:
    url, queue = await _queue(node)
    client, clock = node.client("lambda"), node.node._clock
    await node.call(client.publish_version, FunctionName="a")
    await node.call(client.create_alias, FunctionName="a", Name="live", FunctionVersion="1")
    await _configure(node, Qualifier="live", OnFailure=queue, MaximumRetryAttempts=2)
    await _send(node, fail=True, Qualifier="live")
    for wait_ms in (60_000, 120_000):

        async def waits(wait_ms: int = wait_ms) -> bool:
            due_ms = await node.node.store.next_due(f"async/{ACCOUNT}/us-east-1/a")
            return node.node.in_flight_events == 0 and due_ms == clock.time_ms() + wait_ms

        await eventually_async(waits)
        clock.advance(wait_ms)
    record = json.loads((await _received(node, url))["Body"])
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["requestContext"]["functionArn"] == f"{FUNCTION}:live"
    assert record["responseContext"]["executedVersion"] == "1"


async def test_nothing_reserved(node: RunningNode) -> None:
    url, queue = await _queue(node)
    letters_url, letters = await _queue(node)
    client = node.client("lambda")
    await _configure(node, OnFailure=queue)
    await node.call(client.update_function_configuration, FunctionName="a", DeadLetterConfig={"TargetArn": letters})
    await node.call(client.put_function_concurrency, FunctionName="a", ReservedConcurrentExecutions=0)
    request_id = await _send(node, fail=False)
    record = _record(await _received(node, url))
    assert record == {
        "version": "1.0",
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{FUNCTION}:$LATEST",
            "condition": "ZeroReservedConcurrency",
            "approximateInvokeCount": 0,
        },
        "requestPayload": {"fail": False},
    }
    attributes = (await _received(node, letters_url))["MessageAttributes"]
    assert set(attributes) == {"RequestID", "ErrorMessage"}


async def test_dead_letters(node: RunningNode) -> None:
    url, queue = await _queue(node)
    client = node.client("lambda")
    await _configure(node)
    await node.call(client.update_function_configuration, FunctionName="a", DeadLetterConfig={"TargetArn": queue})
    request_id = await _send(node, fail=True)
    message = await _received(node, url)
    assert message["Body"] == '{"fail": true}', "the event as it came"
    attributes = {
        name: (value["DataType"], value["StringValue"]) for name, value in message["MessageAttributes"].items()
    }
    assert attributes == {
        "RequestID": ("String", request_id),
        "ErrorCode": ("Number", "200"),
        "ErrorMessage": ("String", "told to"),
    }
    sns = node.client("sns")
    topic = (await node.call(sns.create_topic, Name="letters"))["TopicArn"]
    await node.call(sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint=queue)
    await node.call(client.update_function_configuration, FunctionName="a", DeadLetterConfig={"TargetArn": topic})
    request_id = await _send(node, fail=True)
    notification = json.loads((await _received(node, url))["Body"])
    assert notification["Message"] == '{"fail": true}'
    assert notification["MessageAttributes"]["RequestID"] == {"Type": "String", "Value": request_id}


async def test_a_version_keeps_the_dead_letter_queue_it_was_published_with(node: RunningNode) -> None:
    first_url, first = await _queue(node)
    second_url, second = await _queue(node)
    client = node.client("lambda")
    await node.call(client.update_function_configuration, FunctionName="a", DeadLetterConfig={"TargetArn": first})
    await node.call(client.publish_version, FunctionName="a")
    await node.call(client.create_alias, FunctionName="a", Name="live", FunctionVersion="1")
    await node.call(client.update_function_configuration, FunctionName="a", DeadLetterConfig={"TargetArn": second})
    for qualifier, url in (("$LATEST", second_url), ("1", first_url), ("live", first_url)):
        await _configure(node, Qualifier=qualifier)
        request_id = await _send(node, fail=True, Qualifier=qualifier)
        attributes = (await _received(node, url))["MessageAttributes"]
        assert attributes["RequestID"]["StringValue"] == request_id, qualifier


async def test_a_destination_function_that_is_gone_gets_nothing(node: RunningNode) -> None:
    client = node.client("lambda")
    await node.call(create, client, "b", "def handler(e, c):\n    return 1\n")
    await _configure(node, OnSuccess=f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:b")
    await node.call(client.delete_function, FunctionName="b")
    await _send(node, fail=False)

    async def over() -> bool:
        return node.node.in_flight_events == 0 and await node.node.store.next_due("") is None

    await eventually_async(over, what="nothing is left on any queue")


async def test_a_destination_that_is_down_is_tried_again_after_a_restart(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"state_delay_ms": 0, "data_dir": tmp_path / "data"}
    clock = ManualClock()
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:later"
    async with running_node(clock=clock, **settings) as node:
        await node.call(create, node.client("lambda"), "a", TOLD)
        await _configure(node, OnSuccess=queue)
        await _send(node, fail=False)

        async def put_back() -> bool:
            store = node.node.store
            due_ms = await store.next_due(f"deliveries/{queue}")
            return due_ms == clock.time_ms() + 1_000 and await store.queue_depth(f"async/{ACCOUNT}/us-east-1/a") == 0

        await eventually_async(put_back, what="one delivery waiting, and the event done")
    async with running_node(clock=clock, **settings) as node:
        url = (await node.call(node.client("sqs").create_queue, QueueName="later"))["QueueUrl"]
        await asyncio.sleep(0)
        assert await node.node.store.queue_depth(f"deliveries/{queue}") == 1
        clock.advance(1_000)
        assert json.loads((await _received(node, url))["Body"])["responsePayload"] == {"heard": {"fail": False}}
        await eventually_async(lambda: _empty(node, f"deliveries/{queue}"))


async def _empty(node: RunningNode, queue: str) -> bool:
    return await node.node.store.queue_depth(queue) == 0


async def test_what_an_earlier_pilotlight_left_waiting_is_delivered(tmp_path: Path) -> None:
    """Its deliveries were S3's, on queues of another name, and had no subject."""
    topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:former"
    settings: dict[str, Any] = {"state_delay_ms": 0, "data_dir": tmp_path / "data"}
    clock = ManualClock()
    left = {"account": ACCOUNT, "region": "us-east-1", "accepted_ms": clock.time_ms(), "arn": topic, "entry": {}}
    async with running_node(clock=clock, **settings) as node:
        items = [
            Enqueue(f"s3-deliveries/{topic}", msgspec.msgpack.encode({**left, "message": text}), due_ms)
            for text, due_ms in (("one", clock.time_ms()), ("two", clock.time_ms() + 300_000))
        ]
        await node.node.store.transact(items)
    async with running_node(clock=clock, **settings) as node:
        url, queue = await _queue(node)
        sns = node.client("sns")
        await node.call(sns.create_topic, Name="former")
        await node.call(sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint=queue)
        received: list[dict[str, Any]] = []
        sqs = node.client("sqs")

        async def all_of_them() -> bool:
            clock.advance(1_000)  # the first attempts may have been before there was a topic
            answer = await node.call(sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=10)
            received.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
            return len(received) >= len(items)

        await eventually_async(all_of_them)
        assert {(one["Message"], one["Subject"]) for one in received} == {
            ("one", "Amazon S3 Notification"),
            ("two", "Amazon S3 Notification"),
        }
        await eventually_async(lambda: _empty(node, f"deliveries/{topic}"))
        assert await node.node.store.next_due("s3-deliveries/") is None
