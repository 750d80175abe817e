"""X-Ray's trace header in, through and out, with real functions and plain boto3."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from pilotlight.clock import ManualClock
from tests.e2e.functions import create, invoke, invoke_failing
from tests.support import NodeProcess, eventually, eventually_async, running_node

ECHO = "import os\ndef handler(e, c): return os.environ['_X_AMZN_TRACE_ID']"
#: calls the function it is told, and gives back what both were given
CALLING = """
import json
import os
import boto3

def handler(event, context):
    answer = boto3.client("lambda").invoke(FunctionName=event)
    return [os.environ["_X_AMZN_TRACE_ID"], json.loads(answer["Payload"].read())]
"""
ROOT, PARENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"


def tracing_client(node: NodeProcess, service: str, header: str) -> Any:
    """A client whose every call has `header`."""
    client = node.client(service)

    def send(params: Any, **_: Any) -> None:
        params["headers"]["X-Amzn-Trace-Id"] = header

    client.meta.events.register(f"before-call.{service}", send)
    return client


def parts(header: str) -> dict[str, str]:
    return dict(part.split("=") for part in header.split(";"))


def log_of(node: NodeProcess, name: str, pattern: str) -> list[str]:
    client = node.client("logs")

    def found() -> list[str]:
        try:
            events = client.filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern=pattern)["events"]
        except client.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in events]

    return eventually(found, what=f"{pattern} in the log")


def test_a_call_without_one_is_answered_with_the_functions(node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    create(functions, unique_name, ECHO)
    headers = set()
    for _ in range(3):
        answer = functions.invoke(FunctionName=unique_name)
        seen = json.loads(answer["Payload"].read())
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-trace-id"] == seen
        assert parts(seen)["Sampled"] == "0"
        headers.add(seen)
    assert len(headers) == 3


def test_what_the_caller_sends_reaches_the_function_and_whatever_that_calls(
    node: NodeProcess, unique_name: str
) -> None:
    create(node.client("lambda"), unique_name, CALLING, Timeout=20)
    create(node.client("lambda"), f"{unique_name}-called", ECHO)
    functions = tracing_client(node, "lambda", f"Root={ROOT};Parent={PARENT};Sampled=1;CalledFrom=app")
    own, called = invoke(functions, unique_name, f"{unique_name}-called")
    assert parts(own)["Root"] == parts(called)["Root"] == ROOT
    assert parts(own)["Sampled"] == parts(called)["Sampled"] == "1"
    assert parts(own)["CalledFrom"] == parts(called)["CalledFrom"] == "app"
    assert len({PARENT, parts(own)["Parent"], parts(called)["Parent"]}) == 3
    assert parts(own)["Lineage"].endswith(":0") and parts(called)["Lineage"].endswith(":1")


def test_errors_of_functions_and_accepted_events_are_answered_with_it_too(node: NodeProcess, unique_name: str) -> None:
    create(node.client("lambda"), unique_name, "def handler(e, c): raise KeyError")
    functions = tracing_client(node, "lambda", f"Root={ROOT};Sampled=0")
    for kind in ("RequestResponse", "Event"):
        answer = functions.invoke(FunctionName=unique_name, InvocationType=kind)
        assert parts(answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-trace-id"])["Root"] == ROOT


def test_streamed_invocations_take_and_give_it(node: NodeProcess, unique_name: str) -> None:
    create(node.client("lambda"), unique_name, ECHO)
    for sent, root in ((f"Root={ROOT};Sampled=0", ROOT), (None, "1-")):
        functions = tracing_client(node, "lambda", sent) if sent else node.client("lambda")
        answer = functions.invoke_with_response_stream(FunctionName=unique_name)
        events = list(answer["EventStream"])
        seen = json.loads(b"".join(event["PayloadChunk"]["Payload"] for event in events[:-1]))
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-trace-id"] == seen
        assert parts(seen)["Root"].startswith(root)


def test_a_stranger_cannot_write_headers_or_frames_with_it(node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    create(functions, unique_name, ECHO)
    evil = f"Root={ROOT};A=%0d%0aSet-Cookie:%20a=b;B=%00%00;C={'x' * 200}"
    answer = tracing_client(node, "lambda", evil).invoke(FunctionName=unique_name)
    seen = json.loads(answer["Payload"].read())
    assert seen == answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-trace-id"]
    assert set(parts(seen)) == {"Root", "Parent", "Sampled", "Lineage"}
    assert "set-cookie" not in answer["ResponseMetadata"]["HTTPHeaders"]


def test_an_event_its_destination_and_the_messages_about_it(node: NodeProcess, unique_name: str) -> None:
    functions, sqs = node.client("lambda"), node.client("sqs")
    queue = f"q-{uuid.uuid4().hex[:12]}"
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    create(functions, unique_name, "import os\ndef handler(e, c):\n    print(os.environ['_X_AMZN_TRACE_ID'])")
    functions.put_function_event_invoke_config(
        FunctionName=unique_name,
        DestinationConfig={"OnSuccess": {"Destination": f"arn:aws:sqs:us-east-1:000000000000:{queue}"}},
    )
    tracing_client(node, "lambda", f"Root={ROOT};Sampled=0").invoke(FunctionName=unique_name, InvocationType="Event")
    (printed,) = log_of(node, unique_name, f'"{ROOT}"')

    def take() -> Any:
        return sqs.receive_message(QueueUrl=url, AttributeNames=["All"]).get("Messages")

    (message,) = eventually(take, what="the record")
    assert message["Attributes"]["AWSTraceHeader"] == printed.strip()


def test_an_upload_and_the_function_it_runs(node: NodeProcess, unique_name: str) -> None:
    functions, s3 = node.client("lambda"), node.client("s3")
    s3.create_bucket(Bucket=unique_name)
    source = "import os\ndef handler(e, c):\n    print(os.environ['_X_AMZN_TRACE_ID'])"
    arn = create(functions, unique_name, source)["FunctionArn"]
    functions.add_permission(
        FunctionName=unique_name, StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    )
    s3.put_bucket_notification_configuration(
        Bucket=unique_name,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    tracing_client(node, "s3", f"Root={ROOT};Parent={PARENT};Sampled=0").put_object(Bucket=unique_name, Key="k")
    (printed,) = log_of(node, unique_name, f'"{ROOT}"')
    assert parts(printed.strip())["Parent"] == PARENT


async def test_retries_of_an_upload_without_one_are_of_one_trace(unique_name: str) -> None:
    clock = ManualClock()
    async with running_node(clock=clock, state_delay_ms=0) as node:
        functions, s3, logs = node.client("lambda"), node.client("s3"), node.client("logs")
        source = "import os\ndef handler(e, c):\n    print(os.environ['_X_AMZN_TRACE_ID'])\n    raise KeyError"
        arn = (await node.call(create, functions, unique_name, source))["FunctionArn"]
        await node.call(
            functions.add_permission,
            FunctionName=unique_name,
            StatementId="s",
            Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com",
        )
        await node.call(s3.create_bucket, Bucket=unique_name)
        await node.call(
            s3.put_bucket_notification_configuration,
            Bucket=unique_name,
            NotificationConfiguration={
                "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
            },
        )
        await node.call(s3.put_object, Bucket=unique_name, Key="k")
        group = f"/aws/lambda/{unique_name}"

        async def printed(times: int) -> list[str]:
            async def so_often() -> list[str]:
                try:
                    found = await node.call(logs.filter_log_events, logGroupName=group, filterPattern='"Root="')
                except logs.exceptions.ResourceNotFoundException:
                    return []
                events = [event["message"].strip() for event in found["events"]]
                return events if len(events) >= times and not node.node.in_flight_events else []

            return await eventually_async(so_often)

        await printed(1)
        clock.advance(60_000)
        first, second = await printed(2)
        assert parts(first)["Root"] == parts(second)["Root"]
        assert parts(first)["Lineage"] == parts(second)["Lineage"]


def test_an_upload_and_the_message_about_it(node: NodeProcess, unique_name: str) -> None:
    s3, sqs = node.client("s3"), node.client("sqs")
    url = sqs.create_queue(QueueName=unique_name)["QueueUrl"]
    s3.create_bucket(Bucket=unique_name)
    arn = f"arn:aws:sqs:us-east-1:000000000000:{unique_name}"
    s3.put_bucket_notification_configuration(
        Bucket=unique_name,
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]},
    )
    header = f"Root={ROOT};Parent={PARENT};Sampled=0;Lineage=3:fe460cdd:2"
    tracing_client(node, "s3", header).put_object(Bucket=unique_name, Key="k", Body=b"x")

    def carried() -> list[str]:
        messages = sqs.receive_message(QueueUrl=url, AttributeNames=["All"]).get("Messages", [])
        return [message["Attributes"]["AWSTraceHeader"] for message in messages if '"Records"' in message["Body"]]

    assert eventually(carried, what="the notification") == [header]


def test_active_tracing_marks_the_first_request_of_a_second(node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    create(functions, unique_name, ECHO, TracingConfig={"Mode": "Active"})
    header = parts(invoke(functions, unique_name))
    assert header["Sampled"] == "1"
    (report,) = log_of(node, unique_name, '"XRAY TraceId"')
    first, second, rest = report.split("\n")
    assert first.startswith("REPORT RequestId: ") and not rest
    assert second == f"XRAY TraceId: {header['Root']}\tSegmentId: {header['Parent']}\tSampled: true\t"


def test_what_is_not_sampled_leaves_no_mark_in_the_log(node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    create(functions, unique_name, "def handler(e, c): raise KeyError")
    invoke_failing(functions, unique_name)
    for report in log_of(node, unique_name, '"REPORT RequestId"'):
        assert "XRAY" not in report


def test_in_json_logs_start_and_report_have_it(node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    create(
        functions,
        unique_name,
        ECHO,
        TracingConfig={"Mode": "Active"},
        LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "DEBUG"},
    )
    header = invoke(functions, unique_name)
    for kind in ("start", "runtimeDone", "report"):
        (line,) = log_of(node, unique_name, f'{{ $.type = "platform.{kind}" }}')
        tracing = json.loads(line)["record"]["tracing"]
        assert tracing["type"] == "X-Amzn-Trace-Id"
        assert tracing["value"] == header
        assert re.fullmatch(r"[0-9a-f]{16}", tracing["spanId"])
