"""The hot path: what of an Invoke request reaches the invoker, and what of its reply reaches the client."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import struct

import pytest
from botocore.exceptions import ClientError

from pilotlight.errors import TooManyRequestsException
from pilotlight.front.invocations import InvocationRoutes
from pilotlight.invoke.messages import Extras, InvokeReply
from pilotlight.invoke.payload import EVENT_LIMIT, SYNC_LIMIT
from tests.front.parts import RunningFront, invoke, request
from tests.support import eventually_async

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


async def test_boto3_invokes_and_reads_the_answer(front: RunningFront) -> None:
    front.invoker.answer = lambda request: InvokeReply(
        payload=b'{"errorMessage":"no"}', executed_version="7", function_error="Unhandled", log_result="TE9H"
    )
    context = base64.b64encode(b'{"custom":{"a":"b"}}').decode()
    answer = await front.call(
        front.client("lambda", aws_access_key_id="111122223333").invoke,
        FunctionName="arn:aws:lambda:us-east-1:111122223333:function:thumb",
        Qualifier="prod",
        LogType="Tail",
        ClientContext=context,
        Payload=b'{"key": 1}',
    )
    [got] = front.invoker.requests
    assert got.function == "arn:aws:lambda:us-east-1:111122223333:function:thumb"
    assert (got.qualifier, got.payload, got.log_tail, got.client_context) == ("prod", b'{"key": 1}', True, context)
    assert (got.account, got.region, got.invocation_type) == ("111122223333", "us-east-1", "RequestResponse")
    assert answer["StatusCode"] == 200
    assert (answer["ExecutedVersion"], answer["FunctionError"], answer["LogResult"]) == ("7", "Unhandled", "TE9H")
    assert answer["Payload"].read() == b'{"errorMessage":"no"}'
    assert answer["ResponseMetadata"]["RequestId"] == got.request_id
    assert UUID4.fullmatch(got.request_id)


async def test_the_plain_answer(front: RunningFront) -> None:
    answer = await front.ask(invoke(payload=b"[1,2]"))
    assert (answer.status, answer.body) == (200, b"[1,2]")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-amz-executed-version"] == "$LATEST"
    assert answer.headers["x-amzn-requestid"] == front.invoker.requests[0].request_id
    assert "x-amz-function-error" not in answer.headers and "date" in answer.headers


async def test_request_ids_do_not_repeat(front: RunningFront) -> None:
    client = await front.connect()
    ids: set[str] = set()
    for _ in range(600):  # more than one block of randomness
        client.send(invoke())
        ids.add((await client.answer()).headers["x-amzn-requestid"])
    assert len(ids) == 600 and all(UUID4.fullmatch(value) for value in ids)
    client.close()


@pytest.mark.parametrize(("kind", "status"), [("Event", 202), ("DryRun", 204)])
async def test_other_invocation_types(front: RunningFront, kind: str, status: int) -> None:
    answer = await front.call(front.client("lambda").invoke, FunctionName="f", InvocationType=kind, LogType="Tail")
    assert answer["StatusCode"] == status and "ExecutedVersion" not in answer
    [got] = front.invoker.requests
    assert got.invocation_type == kind
    assert got.payload == b"{}", "no payload is an empty object"
    assert not got.log_tail, "a log tail belongs to synchronous invocations"


async def test_client_context_is_for_synchronous_invocations(front: RunningFront) -> None:
    context = base64.b64encode(b"{}").decode()
    await front.ask(invoke(X_Amz_Invocation_Type="Event", X_Amz_Client_Context=context))
    assert front.invoker.requests[0].client_context is None


@pytest.mark.parametrize("path", ["invoke-async", "invoke-async/"])
async def test_the_legacy_api_is_an_event(front: RunningFront, path: str) -> None:
    answer = await front.ask(request("POST", f"/2014-11-13/functions/f/{path}", body=b'{"a":1}'))
    assert answer.status == 202
    assert front.invoker.requests[0].invocation_type == "Event"


@pytest.mark.parametrize("size", [262_144, 262_145])
async def test_the_legacy_api_takes_256_kb(front: RunningFront, size: int) -> None:
    answer = await front.ask(
        request("POST", "/2014-11-13/functions/f/invoke-async", body=b'"%b"' % (b"x" * (size - 2)))
    )
    if size == 262_144:
        assert answer.status == 202
    else:
        assert answer.status == 413
        message = "262145 byte payload is too large for the Event invocation type (limit 262144 bytes)"
        assert answer.json["message"] == message
        assert front.invoker.requests == []


async def test_tenant_and_durable_execution_name(front: RunningFront) -> None:
    await front.ask(invoke())
    await front.ask(invoke(X_Amz_Tenant_Id="blue 1", X_Amz_Durable_Execution_Name="order-7"))
    await front.ask(invoke(X_Amz_Tenant_Id="blue"))
    plain, both, tenant = (got.extras for got in front.invoker.requests)
    assert plain is None
    assert both == Extras("blue 1", "order-7")
    assert tenant == Extras("blue", None)


async def test_trace_header_and_escaped_name(front: RunningFront) -> None:
    trace = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"
    await front.ask(invoke("my%3Aprod", query="?Qualifier=%24LATEST", X_Amzn_Trace_Id=trace))
    [got] = front.invoker.requests
    assert (got.function, got.qualifier, got.trace_header) == ("my:prod", "$LATEST", trace)


async def test_an_unsigned_call_takes_account_and_region_from_settings_and_host(front: RunningFront) -> None:
    await front.ask(invoke())
    await front.ask(request("POST", "/2015-03-31/functions/f/invocations", host="lambda.eu-west-3.localhost", body=b""))
    assert [(got.account, got.region) for got in front.invoker.requests] == [
        ("000000000000", "us-east-1"),
        ("000000000000", "eu-west-3"),
    ]


@pytest.mark.parametrize(
    ("header", "value", "message"),
    [
        (
            "X_Amz_Invocation_Type",
            "Later",
            "Value 'Later' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: "
            "[Event, RequestResponse, DryRun]",
        ),
        (
            "X_Amz_Tenant_Id",
            "{}",
            "Value '{}' at 'tenantId' failed to satisfy constraint: Member must satisfy regular expression pattern: "
            r"[a-zA-Z0-9\._:\/=+\-@ ]+",
        ),
        (
            "X_Amz_Durable_Execution_Name",
            "a b",
            "Value 'a b' at 'durableExecutionName' failed to satisfy constraint: Member must satisfy regular "
            "expression pattern: [a-zA-Z0-9-_]+",
        ),
        (
            "X_Amz_Log_Type",
            "All",
            "Value 'All' at 'logType' failed to satisfy constraint: Member must satisfy enum value set: [None, Tail]",
        ),
    ],
)
async def test_header_values_the_model_does_not_have(
    front: RunningFront, header: str, value: str, message: str
) -> None:
    client = await front.connect()
    client.send(invoke(**{header: value}))
    answer = await client.answer()
    assert answer.status == 400 and answer.headers["x-amzn-errortype"] == "ValidationException"
    assert answer.json["message"] == f"1 validation error detected: {message}"
    client.send(invoke())
    assert (await client.answer()).status == 200, "the connection is good for more"
    assert len(front.invoker.requests) == 1
    client.close()


@pytest.mark.parametrize(
    "context", ["not base64", base64.b64encode(b"not json").decode(), base64.b64encode(b"[1]").decode()]
)
async def test_client_context_must_be_base64_of_an_object(front: RunningFront, context: str) -> None:
    answer = await front.ask(invoke(X_Amz_Client_Context=context))
    assert answer.status == 400 and answer.headers["x-amzn-errortype"] == "InvalidRequestContentException"
    assert answer.json["message"] == "Client context must be a valid Base64-encoded JSON object."


async def test_client_context_has_a_limit(front: RunningFront) -> None:
    text = base64.b64encode(json.dumps({"a": "x" * 2672}).encode()).decode()
    assert len(text) == 3576
    assert (await front.ask(invoke(X_Amz_Client_Context=text))).status == 200
    longer = base64.b64encode(json.dumps({"a": "x" * 2690}).encode()).decode()
    answer = await front.ask(invoke(X_Amz_Client_Context=longer))
    assert answer.status == 400 and "3583 bytes" in answer.json["message"]


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"hello", "Unrecognized token 'hello': was expecting (JSON String, Number, Array, Object or token 'null',"),
        (b"{'a':1}", "Unexpected character (''' (code 39)): was expecting double-quote to start field name"),
        (b'{"a":1', "Unexpected end-of-input"),
        (b'{"a":1} x', "Unexpected character ('x' (code 120)): Expected space separating root-level values"),
        (b"[1,]", "Unexpected character (']' (code 93)): expected a valid value"),
        (b'"\x97"', "Invalid UTF-8 start byte 0x97"),
        (b"NaN", "Non-standard token 'NaN'"),
        (b"  ", "Unexpected end-of-input"),
        (b"[" * 100_000 + b"]" * 100_000, "Document nesting depth (1001) exceeds the maximum allowed (1000)"),
    ],
)
async def test_malformed_json_is_refused_as_lambda_does(front: RunningFront, payload: bytes, problem: str) -> None:
    with pytest.raises(ClientError) as refused:
        await front.call(front.client("lambda").invoke, FunctionName="f", Payload=payload)
    error = refused.value.response
    assert error["Error"]["Code"] == "InvalidRequestContentException"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    start = "Could not parse request body into json: Could not parse payload into json: "
    assert error["Error"]["Message"].startswith(start + problem)
    assert "[Source: (byte[])" in error["Error"]["Message"]
    assert not front.invoker.requests


@pytest.mark.parametrize(
    "payload", [b"null", b"1e5", b'"\xc3\xa9"', b'"\\ud800"', b' {"a" : [ true ] } \n', b"1" * 5000]
)
async def test_every_json_text_is_taken_as_it_is(front: RunningFront, payload: bytes) -> None:
    answer = await front.ask(invoke(payload=payload))
    assert (answer.status, answer.body) == (200, payload)


async def test_the_largest_payloads_pass(front: RunningFront) -> None:
    sync, event = b'"%b"' % (b"x" * (SYNC_LIMIT - 2)), b'"%b"' % (b"x" * (EVENT_LIMIT - 2))
    answer = await front.ask(invoke(payload=sync))
    assert (answer.status, len(answer.body)) == (200, SYNC_LIMIT)
    assert (await front.ask(invoke(payload=event, X_Amz_Invocation_Type="Event"))).status == 202


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        (
            "RequestResponse",
            SYNC_LIMIT + 1,
            "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
        ),
        (
            "Event",
            EVENT_LIMIT + 1,
            "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
        ),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
async def test_payloads_over_the_limit(front: RunningFront, kind: str, size: int, message: str, chunked: bool) -> None:
    payload = b'"%b"' % (b"x" * (size - 2))
    client = await front.connect()
    if chunked:
        head = request(
            "POST", "/2015-03-31/functions/f/invocations", X_Amz_Invocation_Type=kind, Transfer_Encoding="chunked"
        )
        client.send(head)
        for at in range(0, len(payload), 60_000):
            piece = payload[at : at + 60_000]
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        client.send(b"0\r\n\r\n")
    else:
        client.send(invoke(payload=payload, X_Amz_Invocation_Type=kind))
    answer = await client.answer()
    assert answer.status == 413 and answer.headers["x-amzn-errortype"] == "RequestEntityTooLargeException"
    assert answer.json["message"] == message
    assert not front.invoker.requests
    client.close()


async def test_boto3_gets_the_413_although_it_was_still_sending(front: RunningFront) -> None:
    with pytest.raises(ClientError) as refused:
        await front.call(front.client("lambda").invoke, FunctionName="f", Payload=b'"%b"' % (b"x" * 40_000_000))
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


async def test_errors_of_the_invoker_are_rendered_by_the_model(front: RunningFront) -> None:
    error = TooManyRequestsException("Rate Exceeded.", Reason="CallerRateLimitExceeded", retryAfterSeconds=3)
    front.invoker.answer = lambda request: InvokeReply(error=error)
    answer = await front.ask(invoke())
    assert answer.status == 429 and answer.headers["retry-after"] == "3"
    assert answer.headers["x-amzn-requestid"] == front.invoker.requests[0].request_id
    assert answer.json["Reason"] == "CallerRateLimitExceeded" and answer.json["Type"] == "User"


async def test_a_large_answer_arrives_whole(front: RunningFront) -> None:
    big = b'"%b"' % (b"y" * 6_000_000)
    front.invoker.answer = lambda request: InvokeReply(payload=big)
    assert (await front.ask(invoke())).body == big


@pytest.mark.parametrize("reset", [False, True])
async def test_a_client_that_vanishes_does_not_stop_its_invocation(front: RunningFront, reset: bool) -> None:
    front.invoker.holding = True
    client = await front.connect()
    client.send(invoke())
    await eventually_async(lambda: front.invoker.held)
    if reset:
        linger = struct.pack("ii", 1, 0)
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.close()
    await client.writer.wait_closed()
    if reset:
        await eventually_async(lambda: not front.connections)
    front.invoker.release()
    await eventually_async(lambda: not front.connections)
    front.invoker.holding = False
    assert (await front.ask(invoke(payload=b"1"))).body == b"1", "the late reply went nowhere"


async def test_concurrent_invocations_do_not_wait_for_each_other(front: RunningFront) -> None:
    front.invoker.holding = True
    clients = [await front.connect() for _ in range(20)]
    for number, client in enumerate(clients):
        client.send(invoke(payload=b"%d" % number))
    await eventually_async(lambda: len(front.invoker.held) == 20)
    front.invoker.held.reverse()
    front.invoker.release()
    answers = await asyncio.gather(*(client.answer() for client in clients))
    assert [answer.body for answer in answers] == [b"%d" % number for number in range(20)]
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    "target", ["/2015-03-31/functions//invocations", "/2015-03-31/functions/a/b/invocations", "/2015-03-31/functions/f"]
)
async def test_what_only_looks_like_an_invocation_goes_to_the_lambda_api(front: RunningFront, target: str) -> None:
    assert (await front.ask(request("POST", target, body=b"{}"))).status == 200
    assert not front.invoker.requests and front.lambda_api.requests[0].raw_path == target


async def test_only_post_invokes(front: RunningFront) -> None:
    await front.ask(request("GET", "/2015-03-31/functions/f/invocations"))
    assert not front.invoker.requests and front.lambda_api.requests[0].method == "GET"


async def test_an_invocation_path_signed_for_s3_is_an_object(front: RunningFront) -> None:
    scope = "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"
    await front.ask(invoke(Authorization=scope))
    assert not front.invoker.requests and front.forward.destinations[0].service == "s3"


@pytest.mark.parametrize(
    "url", [b"/2015-03-31/functions/f/invocations?Qualifier=", b"http://h/2015-03-31/functions/f/invocations"]
)
def test_targets_in_other_forms(url: bytes) -> None:
    route = InvocationRoutes().parse(url)
    assert route is not None and route.function == "f" and route.qualifier is None
