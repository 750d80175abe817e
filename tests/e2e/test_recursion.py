"""Loops of functions are stopped after sixteen turns, whatever they go through; what is no loop is left alone.

Every loop here is made of real functions that call the node with plain boto3, or of the node's own deliveries.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pilotlight.observe import lineage as lineages
from tests.e2e.functions import create, invoke
from tests.support import NodeProcess, eventually, node_process

MESSAGE = (
    "Lambda has detected your function being invoked in a recursive loop with other Amazon Web Services resources and "
    "stopped your function's invocation."
)
#: invokes the function it is told next, and says how deep it came
DEEPER = """
import json
import boto3

client = boto3.client("lambda")

def handler(event, context):
    depth = event["depth"] + 1
    names = event["names"]
    if depth > event.get("most", 99):
        return {"depth": depth}
    try:
        answer = client.invoke(
            FunctionName=names[depth % len(names)], Payload=json.dumps({**event, "depth": depth})
        )
    except client.exceptions.RecursiveInvocationException as error:
        return {"depth": depth, "error": error.response["Error"], "status": error.response["ResponseMetadata"]}
    return json.loads(answer["Payload"].read())
"""
#: prints its turn, then starts the next
TURNING = """
import json
import boto3

client = boto3.client("lambda")

def handler(event, context):
    turn = event.get("turn", 0) + 1
    print(f"TURN {turn}")
    if turn < event.get("most", 60):
        client.invoke(
            FunctionName=context.function_name, InvocationType="Event", Payload=json.dumps({**event, "turn": turn})
        )
    return event
"""


def starts(node: NodeProcess, name: str) -> int:
    """How often a function was started, by its log."""
    client = node.client("logs")
    try:
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/lambda/{name}", filterPattern='"START RequestId"'
        )
        return sum(len(page["events"]) for page in pages)
    except client.exceptions.ResourceNotFoundException:
        return 0


def dropped(node: NodeProcess, name: str) -> float:
    """What the metric says."""
    now = datetime.now(UTC)
    points = node.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="RecursiveInvocationsDropped",
        Dimensions=[{"Name": "FunctionName", "Value": name}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=2),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(point["Sum"] for point in points)


def queue(node: NodeProcess) -> tuple[str, str]:
    """URL and ARN of a new queue."""
    name = f"q-{uuid.uuid4().hex[:12]}"
    return node.client("sqs").create_queue(QueueName=name)["QueueUrl"], f"arn:aws:sqs:us-east-1:000000000000:{name}"


def received(node: NodeProcess, url: str) -> dict[str, Any]:
    client = node.client("sqs")

    def take() -> dict[str, Any] | None:
        answer = client.receive_message(QueueUrl=url, MessageAttributeNames=["All"], AttributeNames=["All"])
        return answer.get("Messages", [None])[0]

    message = eventually(take, within_s=60, what="a message")
    assert message is not None
    return message


def stopped_with(node: NodeProcess, name: str) -> str:
    """Have what becomes of the function's failed events put on a queue; its URL."""
    url, arn = queue(node)
    node.client("lambda").put_function_event_invoke_config(
        FunctionName=name, DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    return url


def test_a_function_that_invokes_itself_gets_the_error_at_its_seventeenth_turn(
    node: NodeProcess, unique_name: str
) -> None:
    functions = node.client("lambda")
    create(functions, unique_name, DEEPER, Timeout=60)
    came = invoke(functions, unique_name, {"depth": 0, "names": [unique_name]})
    assert came["depth"] == 16
    assert came["error"] == {"Code": "RecursiveInvocationException", "Message": MESSAGE}
    assert came["status"]["HTTPStatusCode"] == 400
    # Nothing is left behind: the next request is a chain of its own.
    assert invoke(functions, unique_name, {"depth": 0, "names": [unique_name], "most": 12}) == {"depth": 13}
    assert starts(node, unique_name) == 16 + 13
    assert dropped(node, unique_name) == 1


def test_so_does_one_that_invokes_itself_by_streams(node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    streaming = """
import json
import boto3

client = boto3.client("lambda")

def handler(depth, context):
    try:
        events = client.invoke_with_response_stream(FunctionName=context.function_name, Payload=str(depth + 1))
    except client.exceptions.RecursiveInvocationException:
        return depth
    return json.loads(b"".join(event["PayloadChunk"]["Payload"] for event in events["EventStream"]
                               if "PayloadChunk" in event))
"""
    create(functions, unique_name, streaming, Timeout=60)
    assert invoke(functions, unique_name, 1) == 16


def test_a_loop_of_two_is_stopped_and_others_are_not(node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    names = [f"{unique_name}-a", f"{unique_name}-b"]
    for name in names:
        create(functions, name, DEEPER, Timeout=60)
    came = invoke(functions, names[0], {"depth": 0, "names": names})
    assert came["error"]["Code"] == "RecursiveInvocationException"
    assert 32 <= came["depth"] <= 34
    assert sum(dropped(node, name) for name in names) == 1
    assert invoke(functions, names[1], {"depth": 0, "names": [names[1]], "most": 0}) == {"depth": 1}


def test_events_to_itself_end_at_the_failure_destination(node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    create(functions, unique_name, TURNING, Timeout=20)
    url = stopped_with(node, unique_name)
    functions.invoke(FunctionName=unique_name, InvocationType="Event", Payload=b"{}")
    message = received(node, url)
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "RecursiveLoopDetected"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert record["requestPayload"] == {"turn": 16}
    assert record["responseContext"] == {"statusCode": 400, "executedVersion": "$LATEST"}
    assert ";Lineage=16:" in message["Attributes"]["AWSTraceHeader"]
    assert starts(node, unique_name) == 16
    assert dropped(node, unique_name) == 1


def test_a_dead_letter_queue_gets_the_event_that_was_stopped(node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    url, arn = queue(node)
    create(functions, unique_name, TURNING, Timeout=20, DeadLetterConfig={"TargetArn": arn})
    functions.invoke(FunctionName=unique_name, InvocationType="Event", Payload=b"{}")
    message = received(node, url)
    assert json.loads(message["Body"]) == {"turn": 16}
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["ErrorCode"] == "400" and attributes["ErrorMessage"] == MESSAGE


def test_a_loop_of_destinations_is_stopped(node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    names = [f"{unique_name}-a", f"{unique_name}-b"]
    arns = [create(functions, name, "def handler(e, c): return 1")["FunctionArn"] for name in names]
    url, failures = queue(node)
    for name, other in zip(names, reversed(arns), strict=True):
        functions.put_function_event_invoke_config(
            FunctionName=name,
            DestinationConfig={"OnSuccess": {"Destination": other}, "OnFailure": {"Destination": failures}},
        )
    functions.invoke(FunctionName=names[0], InvocationType="Event", Payload=b"{}")
    record = json.loads(received(node, url)["Body"])
    assert record["requestContext"]["condition"] == "RecursiveLoopDetected"
    assert 32 <= sum(starts(node, name) for name in names) <= 34


def test_a_loop_through_s3_is_stopped(node: NodeProcess, unique_name: str) -> None:
    functions, s3 = node.client("lambda"), node.client("s3")
    s3.create_bucket(Bucket=unique_name)
    writing = """
import json
import boto3

s3 = boto3.client("s3")

def handler(event, context):
    record = event["Records"][0]["s3"]
    s3.put_object(Bucket=record["bucket"]["name"], Key=record["object"]["key"] + "x", Body=b"x")
"""
    arn = create(functions, unique_name, writing, Timeout=20)["FunctionArn"]
    functions.add_permission(
        FunctionName=unique_name,
        StatementId="bucket",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{unique_name}",
    )
    url = stopped_with(node, unique_name)
    s3.put_bucket_notification_configuration(
        Bucket=unique_name,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    for key in ("a", "b"):  # two uploads are two chains
        s3.put_object(Bucket=unique_name, Key=key, Body=b"x")
    stopped = set()
    while len(stopped) < 2:
        record = json.loads(received(node, url)["Body"])
        assert record["requestContext"]["condition"] == "RecursiveLoopDetected"
        stopped.add(record["requestPayload"]["Records"][0]["s3"]["object"]["key"])
    assert stopped == {"a" + "x" * 16, "b" + "x" * 16}
    assert starts(node, unique_name) == 32
    assert dropped(node, unique_name) == 2


def test_a_loop_through_a_queue_is_stopped(node: NodeProcess, unique_name: str) -> None:
    """The poller is a stand-in: it invokes with the header its message has, as an event source mapping's will."""
    functions, sqs = node.client("lambda"), node.client("sqs")
    url, _ = queue(node)
    sending = """
import json
import boto3

sqs = boto3.client("sqs")

def handler(event, context):
    (record,) = event["Records"]
    sqs.send_message(QueueUrl=record["url"], MessageBody=str(int(record["body"]) + 1))
"""
    create(functions, unique_name, sending, Timeout=20)
    carried = ""

    def carry(params: Any, **_: Any) -> None:
        params["headers"]["X-Amzn-Trace-Id"] = carried

    poller = node.client("lambda")
    poller.meta.events.register("before-call.lambda.Invoke", carry)
    turn = 0
    with pytest.raises(poller.exceptions.RecursiveInvocationException):
        while turn < 30:
            invoke(poller, unique_name, {"Records": [{"body": str(turn), "url": url}]})
            message = received(node, url)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            turn, carried = int(message["Body"]), message["Attributes"]["AWSTraceHeader"]
    assert turn == 16


@contextmanager
def topics() -> Iterator[tuple[str, list[str]]]:
    """A server that takes SNS's Publish: its URL, and the trace headers that came with what was published."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(self.headers["X-Amzn-Trace-Id"])
            body = b"<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()


def test_a_loop_through_a_topic_is_stopped(unique_name: str) -> None:
    """SNS is a stand-in: it delivers with the header of what was published, as AWS's does."""
    publishing = """
import boto3

sns = boto3.client("sns")

def handler(event, context):
    sns.publish(TopicArn="arn:aws:sns:us-east-1:000000000000:t", Message="on")
"""
    with topics() as (url, seen), node_process(state_delay_ms=0, endpoints={"sns": url}) as node:
        create(node.client("lambda"), unique_name, publishing, Timeout=20)

        def carry(params: Any, **_: Any) -> None:
            if seen:
                params["headers"]["X-Amzn-Trace-Id"] = seen[-1]

        delivering = node.client("lambda")
        delivering.meta.events.register("before-call.lambda.Invoke", carry)
        with pytest.raises(delivering.exceptions.RecursiveInvocationException):
            while len(seen) < 30:
                invoke(delivering, unique_name, {"Records": [{"EventSource": "aws:sns"}]})
        assert len(seen) == 16


def test_a_function_that_may_loop_goes_on(node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    create(functions, unique_name, TURNING, Timeout=20)
    functions.put_function_recursion_config(FunctionName=unique_name, RecursiveLoop="Allow")
    functions.invoke(FunctionName=unique_name, InvocationType="Event", Payload=json.dumps({"most": 40}))
    eventually(lambda: starts(node, unique_name) >= 40, within_s=60, what="forty turns")
    # And may no longer.
    functions.put_function_recursion_config(FunctionName=unique_name, RecursiveLoop="Terminate")
    url = stopped_with(node, unique_name)
    functions.invoke(FunctionName=unique_name, InvocationType="Event", Payload=b"{}")
    assert json.loads(received(node, url)["Body"])["requestPayload"] == {"turn": 16}
    assert starts(node, unique_name) == 40 + 16


def test_one_that_may_loop_does_not_let_another_loop(node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    names = [f"{unique_name}-may", f"{unique_name}-may-not"]
    for name in names:
        create(functions, name, DEEPER, Timeout=60)
    functions.put_function_recursion_config(FunctionName=names[0], RecursiveLoop="Allow")
    came = invoke(functions, names[0], {"depth": 0, "names": names})
    assert came["error"]["Code"] == "RecursiveInvocationException"
    assert 32 <= came["depth"] <= 34


def test_fan_out_is_no_loop(node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    spreading = """
import json
import boto3

client = boto3.client("lambda")

def handler(event, context):
    if not event["wide"]:
        return 1
    return sum(
        json.loads(client.invoke(FunctionName=context.function_name, Payload=b'{"wide": 0}')["Payload"].read())
        for _ in range(event["wide"])
    )
"""
    create(functions, unique_name, spreading, Timeout=60)
    assert invoke(functions, unique_name, {"wide": 40}) == 40


def test_separate_requests_are_never_counted_together(node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    create(functions, unique_name, "def handler(e, c): return e")
    for number in range(40):
        assert invoke(functions, unique_name, number) == number


@pytest.mark.parametrize("loops", [17, 32767])
def test_a_forged_lineage_stops_its_own_chain_only(node: NodeProcess, unique_name: str, loops: int) -> None:
    functions = node.client("lambda")
    create(functions, unique_name, "def handler(e, c): return e")
    resource = lineages.resource("000000000000", "us-east-1", unique_name)

    def send_lineage(params: Any, **_: Any) -> None:
        root = "Root=1-5759e988-bd862e3fe1be46a994272793"
        params["headers"]["X-Amzn-Trace-Id"] = f"{root};Lineage={loops}:{resource}:0"

    forging = node.client("lambda")
    forging.meta.events.register("before-call.lambda.Invoke", send_lineage)
    with pytest.raises(ClientError, match="RecursiveInvocationException"):
        forging.invoke(FunctionName=unique_name, Payload=b"1")
    assert invoke(functions, unique_name, 1) == 1
