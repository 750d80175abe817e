"""Spans of sampled invocations reach a real collector over OTLP/HTTP, and never stand in a function's way."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from pilotlight.clock import ManualClock
from tests.e2e.collector import Collector, collector
from tests.e2e.functions import create, health, invoke, invoke_failing
from tests.support import NodeProcess, eventually, eventually_async, node_process, running_node

ECHO = "import os\ndef handler(e, c): return os.environ['_X_AMZN_TRACE_ID']"


@pytest.fixture(scope="module")
def traced() -> Iterator[tuple[NodeProcess, Collector]]:
    """A node that samples what nobody has decided about, and where its spans go."""
    with (
        collector() as taking,
        node_process(
            state_delay_ms=0,
            otlp_endpoint=taking.endpoint,
            otlp_headers={"x-key": "secret"},
            trace_sampling="all",
        ) as node,
    ):
        yield node, taking


def ids(header: str) -> tuple[str, str]:
    """Trace and span of a header, as OpenTelemetry writes them."""
    parts = dict(part.split("=") for part in header.split(";"))
    assert parts["Sampled"] == "1"
    _, seconds, rest = parts["Root"].split("-")
    return seconds + rest, parts["Parent"]


def test_an_invocation_its_overhead_and_its_init(traced: tuple[NodeProcess, Collector], unique_name: str) -> None:
    node, taking = traced
    functions = node.client("lambda")
    arn = create(functions, unique_name, ECHO)["FunctionArn"]
    trace_id, span_id = ids(invoke(functions, unique_name))
    spans = eventually(lambda: taking.of(trace_id), what="the spans")
    assert set(spans) == {unique_name, "overhead", "init"}
    own, overhead, init = spans[unique_name], spans["overhead"], spans["init"]
    assert own["spanId"] == span_id and "parentSpanId" not in own and own["kind"] == 2 and "status" not in own
    request_id = own["attributes"].pop("faas.invocation_id")
    assert own["attributes"] == {
        "faas.trigger": "other",
        "faas.coldstart": True,
        "faas.name": unique_name,
        "faas.version": "$LATEST",
        "cloud.resource_id": f"{arn}:$LATEST",
        "aws.lambda.invoked_arn": arn,
    }
    assert own["resource"] == {
        "service.name": unique_name,
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "cloud.account.id": "000000000000",
        "cloud.region": "us-east-1",
        "cloud.resource_id": f"{arn}:$LATEST",
        "faas.name": unique_name,
        "faas.version": "$LATEST",
        "faas.max_memory": 128 << 20,
    }
    assert len(request_id) == 36
    for child in (overhead, init):
        assert child["parentSpanId"] == span_id and child["kind"] == 1
        assert int(own["startTimeUnixNano"]) <= int(child["startTimeUnixNano"]) <= int(child["endTimeUnixNano"])
    assert int(init["endTimeUnixNano"]) <= int(overhead["endTimeUnixNano"]) + 1_000_000
    assert int(overhead["endTimeUnixNano"]) <= int(own["endTimeUnixNano"])
    path, headers, _ = taking.requests[0]
    assert path == "/v1/traces"
    assert headers["Content-Type"] == "application/json" and headers["x-key"] == "secret"
    # Warm, there is no init.
    trace_id, _ = ids(invoke(functions, unique_name))
    spans = eventually(lambda: taking.of(trace_id))
    assert set(spans) == {unique_name, "overhead"}
    assert spans[unique_name]["attributes"]["faas.coldstart"] is False


def test_an_error_is_the_spans_status(traced: tuple[NodeProcess, Collector], unique_name: str) -> None:
    node, taking = traced
    functions = node.client("lambda")
    create(functions, unique_name, "def handler(e, c): raise KeyError('no')")
    functions.publish_version(FunctionName=unique_name)
    invoke_failing(functions, f"{unique_name}:1")
    (span,) = eventually(lambda: [span for span in taking.spans() if span["name"] == unique_name])
    assert span["status"] == {"code": 2, "message": "KeyError"}
    assert span["attributes"]["error.type"] == "KeyError"
    assert span["attributes"]["aws.lambda.invoked_arn"].endswith(f":{unique_name}:1")
    assert span["attributes"]["faas.version"] == "1"


def test_a_callers_trace_goes_on_through_functions_and_the_queue(
    traced: tuple[NodeProcess, Collector], unique_name: str
) -> None:
    node, taking = traced
    calling, called = f"{unique_name}-calling", f"{unique_name}-called"
    source = f"""
import boto3

def handler(event, context):
    boto3.client("lambda").invoke(FunctionName="{called}", InvocationType="Event", Payload=b"1")
"""
    create(node.client("lambda"), calling, source, Timeout=20)
    create(node.client("lambda"), called, ECHO)
    root, parent = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
    functions = node.client("lambda")

    def send(params: Any, **_: Any) -> None:
        params["headers"]["X-Amzn-Trace-Id"] = f"Root={root};Parent={parent};Sampled=1"

    functions.meta.events.register("before-call.lambda.Invoke", send)
    answer = functions.invoke(FunctionName=calling, Payload=b"1")
    header = answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-trace-id"]
    trace_id = "5759e988bd862e3fe1be46a994272793"
    assert ids(header)[0] == trace_id
    eventually(lambda: {calling, called} <= set(taking.of(trace_id)), what="both functions' spans")
    spans = taking.of(trace_id)
    assert spans[calling]["parentSpanId"] == parent
    assert spans[calling]["spanId"] == ids(header)[1]
    assert spans["queue"]["parentSpanId"] == spans[calling]["spanId"] and spans["queue"]["kind"] == 5
    assert spans[called]["parentSpanId"] == spans["queue"]["spanId"]
    assert int(spans["queue"]["endTimeUnixNano"]) == int(spans[called]["startTimeUnixNano"])


def test_what_triggered_it(traced: tuple[NodeProcess, Collector], unique_name: str) -> None:
    node, taking = traced
    functions, s3 = node.client("lambda"), node.client("s3")
    arn = create(functions, unique_name, "def handler(e, c): return {}")["FunctionArn"]
    url = functions.create_function_url_config(FunctionName=unique_name, AuthType="NONE")["FunctionUrl"]
    for action in ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction"):
        functions.add_permission(
            FunctionName=unique_name,
            StatementId=action.replace(":", "-"),
            Action=action,
            Principal="*",
            **({"FunctionUrlAuthType": "NONE"} if action.endswith("Url") else {"InvokedViaFunctionUrl": True}),
        )
    host = url.split("/")[2]
    request = urllib.request.Request(f"{node.endpoint}/", headers={"Host": host})
    with urllib.request.urlopen(request) as answer:
        assert ids(answer.headers["X-Amzn-Trace-Id"])
    functions.add_permission(
        FunctionName=unique_name, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    )
    s3.create_bucket(Bucket=unique_name)
    s3.put_bucket_notification_configuration(
        Bucket=unique_name,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    s3.put_object(Bucket=unique_name, Key="k", Body=b"x")
    invoke(functions, unique_name)

    def triggers() -> list[str]:
        return sorted(span["attributes"]["faas.trigger"] for span in taking.spans() if span["name"] == unique_name)

    eventually(lambda: triggers() == ["datasource", "http", "other"], what="three kinds of trigger")


def test_what_the_caller_does_not_sample_makes_none(traced: tuple[NodeProcess, Collector], unique_name: str) -> None:
    node, taking = traced
    functions = node.client("lambda")
    create(functions, unique_name, ECHO)

    def send(params: Any, **_: Any) -> None:
        params["headers"]["X-Amzn-Trace-Id"] = "Root=1-67891233-abcdef012345678912345678;Sampled=0"

    silent = node.client("lambda")
    silent.meta.events.register("before-call.lambda.Invoke", send)
    assert "Sampled=0" in invoke(silent, unique_name)
    trace_id, _ = ids(invoke(functions, unique_name))
    eventually(lambda: taking.of(trace_id))
    assert not taking.of("67891233abcdef012345678912345678")


async def test_a_collector_that_is_down_is_tried_again(unique_name: str) -> None:
    clock = ManualClock()
    with collector() as taking:
        taking.answer = (503, b"busy")
        async with running_node(
            clock=clock, state_delay_ms=0, otlp_endpoint=taking.endpoint, trace_sampling="all"
        ) as node:
            functions = node.client("lambda")
            await node.call(create, functions, unique_name, ECHO)
            headers = [await node.call(invoke, functions, unique_name) for _ in range(3)]

            def refused() -> bool:
                clock.advance(1_000)
                return taking.refused >= 3

            await eventually_async(refused)
            taking.answer = (200, b"{}")

            async def sent() -> bool:
                clock.advance(60_000)
                return (await node.call(health, node))["spans"] == {"exported": 3, "waiting": 0, "dropped": 0}

            await eventually_async(sent)
            assert all(unique_name in taking.of(ids(header)[0]) for header in headers)
            last = await node.call(invoke, functions, unique_name)
        # No second has passed by the node's clock: they were sent as the node stopped.
        assert unique_name in taking.of(ids(last)[0])


def test_with_nobody_at_the_collectors_address_functions_run_and_the_node_stops(unique_name: str) -> None:
    with collector() as gone:
        pass
    with node_process(state_delay_ms=0, otlp_endpoint=gone.endpoint, trace_sampling="all") as node:
        functions = node.client("lambda")
        create(functions, unique_name, ECHO)
        for _ in range(3):
            invoke(functions, unique_name)
        node.stop()
        assert "spans of 3 invocations were not sent" in node.log()


def test_an_endpoint_that_is_no_url_is_refused(tmp_path: Any) -> None:
    with pytest.raises(Exception, match="otlp_endpoint"), node_process(otlp_endpoint="localhost:4318"):
        pass


def test_off_by_default(node: NodeProcess) -> None:
    assert "spans" not in health(node)
