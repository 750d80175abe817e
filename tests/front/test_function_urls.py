"""Requests to function URLs over real sockets: what reaches the function, what of its answer reaches the client, and
what clients can do wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
from typing import Any

import pytest

from pilotlight.clock import ManualClock
from pilotlight.errors import ServiceException, TooManyRequestsException
from pilotlight.invoke.messages import InvokeReply
from pilotlight.invoke.payload import SYNC_LIMIT
from tests.front.parts import Answer, RunningFront, request, running_front
from tests.support import eventually_async

FORBIDDEN = {
    "Message": "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
}


def answering(front: RunningFront, **response: Any) -> None:
    front.invoker.answer = lambda request: InvokeReply(payload=json.dumps(response).encode())


async def event_of(front: RunningFront, method: str, target: str, body: bytes | None = None, **headers: str) -> Any:
    """The event that a request to a URL becomes: the function returns it, and it has no statusCode."""
    answer = await front.ask(request(method, target, host=front.urls.add(), body=body, **headers))
    assert answer.status == 200
    return answer.json


# --- the event ---


async def test_the_event_is_the_one_recorded_on_aws() -> None:
    """But for what TLS adds; of the members the developer guide shows as null, an anonymous caller's event has none."""
    async with running_front(clock=ManualClock(1_763_512_066_035)) as front:
        host = front.urls.add()
        client = await front.connect()
        port = client.writer.get_extra_info("sockname")[1]
        sent = request(
            "POST", "/slashcmd", host=host, body=b"a=1", User_Agent="Slackbot 1.0", Content_Type="application/json"
        )
        client.send(sent)
        answer = await client.answer()
        trace = answer.json["headers"]["x-amzn-trace-id"]
        assert answer.json == {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/slashcmd",
            "rawQueryString": "",
            "headers": {
                "host": host,
                "user-agent": "Slackbot 1.0",
                "content-type": "application/json",
                "content-length": "3",
                "x-forwarded-for": "127.0.0.1",
                "x-forwarded-port": str(front.front.port),
                "x-forwarded-proto": "http",
                "x-amzn-trace-id": trace,
            },
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "abc123",
                "domainName": "abc123.lambda-url.eu-west-1.localhost",
                "domainPrefix": "abc123",
                "http": {
                    "method": "POST",
                    "path": "/slashcmd",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "Slackbot 1.0",
                },
                "requestId": answer.headers["x-amzn-requestid"],
                "routeKey": "$default",
                "stage": "$default",
                "time": "19/Nov/2025:00:27:46 +0000",
                "timeEpoch": 1_763_512_066_035,
            },
            "body": "a=1",
            "isBase64Encoded": False,
        }
        assert port != front.front.port
        [invoked] = front.invoker.requests
        assert (invoked.account, invoked.region, invoked.function) == ("123456789012", "eu-west-1", "hello")
        assert (invoked.qualifier, invoked.caller, invoked.invocation_type) == (None, "", "RequestResponse")
        assert invoked.request_id == answer.headers["x-amzn-requestid"]
        assert answer.headers["x-amzn-trace-id"].startswith(trace) and trace.startswith("Root=1-")
        assert f"Root={invoked.trace_root}" == trace


@pytest.mark.parametrize(
    ("target", "path", "query", "parameters"),
    [
        ("/", "/", "", None),
        ("/?", "/", "", None),
        ("/a%2Fb/%C3%A9", "/a%2Fb/%C3%A9", "", None),
        ("//a/../b", "//a/../b", "", None),
        ("/p?a=1&b=2", "/p", "a=1&b=2", {"a": "1", "b": "2"}),
        ("/p?a=1&a=2&b=x%20y+z", "/p", "a=1&a=2&b=x%20y+z", {"a": "1,2", "b": "x y z"}),
        ("/p?flag&=v&&e=", "/p", "flag&=v&&e=", {"flag": "", "": "v", "e": ""}),
        ("/p?a%5B%5D=1&c=a%2Cb", "/p", "a%5B%5D=1&c=a%2Cb", {"a[]": "1", "c": "a,b"}),
        ("/%zz?a=%zz&b=%ff%", "/%zz", "a=%zz&b=%ff%", {"a": "%zz", "b": "�%"}),
        ("/p?a=b?c=d", "/p", "a=b?c=d", {"a": "b?c=d"}),
        ("/2015-03-31/functions/hello/invocations", "/2015-03-31/functions/hello/invocations", "", None),
        ("/_pilotlight/health", "/_pilotlight/health", "", None),
        ("http://elsewhere/p?x=1", "/p", "x=1", {"x": "1"}),
    ],
)
async def test_path_and_query(front: RunningFront, target: str, path: str, query: str, parameters: Any) -> None:
    """Paths and queries stay encoded as they were sent (function URLs do not decode them, as HTTP APIs do); what is no
    percent-encoding stays as it is."""
    event = await event_of(front, "GET", target)
    assert (event["rawPath"], event["requestContext"]["http"]["path"]) == (path, path)
    assert event["rawQueryString"] == query
    assert event.get("queryStringParameters") == parameters
    assert "body" not in event and event["isBase64Encoded"] is False


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
async def test_every_method_reaches_the_function(front: RunningFront, method: str) -> None:
    host = front.urls.add()
    answering(front, statusCode=200, body="ok")
    client = await front.connect()
    for _ in range(2):
        client.send(request(method, "/", host=host))
        answer = await client.answer(head_request=method == "HEAD")
        assert answer.status == 200 and answer.headers["content-length"] == "2"
        assert answer.body == (b"" if method == "HEAD" else b"ok")
    assert json.loads(front.invoker.requests[0].payload)["requestContext"]["http"]["method"] == method


async def test_headers_are_lower_case_and_joined(front: RunningFront) -> None:
    host = front.urls.add()
    raw = (
        f"GET / HTTP/1.1\r\nHost: {host}\r\nX-One: a\r\nx-one: b, c\r\nCookie: s=1; t=2\r\nX-Empty:\r\n"
        "Cookie: u=3\r\nConnection: keep-alive, X-One\r\nTE: trailers\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"
    )
    headers = (event := (await front.ask(raw.encode())).json)["headers"]
    assert headers["x-one"] == "a,b, c"
    assert headers["x-empty"] == ""
    assert headers["x-forwarded-for"] == "10.0.0.1, 127.0.0.1"
    assert not headers.keys() & {"connection", "te"}
    assert event["cookies"] == ["s=1", "t=2", "u=3"]
    assert headers["cookie"] == "s=1; t=2; u=3", "cookies are told twice, as by AWS"


async def test_headers_that_are_not_ascii(front: RunningFront) -> None:
    host = front.urls.add()
    for value, shown in (("é".encode(), "é"), (b"\xe9", "é")):
        raw = b"GET / HTTP/1.1\r\nHost: " + host.encode() + b"\r\nX-Name: " + value + b"\r\n\r\n"
        assert (await front.ask(raw)).json["headers"]["x-name"] == shown


@pytest.mark.parametrize(
    ("content_type", "body", "is_text"),
    [
        ("text/plain", b"plain", True),
        ("text/plain; charset=utf-8", "é ✓".encode(), True),
        ("application/json", b'{"a": "\\u00e9"}', True),
        ("Application/Vnd.API+JSON", b"{}", True),
        ("application/xml", b"<a/>", True),
        ("application/javascript", b"1", True),
        ("application/x-www-form-urlencoded", b"a=1&b=2", False),
        ("multipart/form-data; boundary=x", b"--x--", False),
        ("application/octet-stream", b"abc", False),
        ("image/png", b"\x89PNG", False),
        (None, b"abc", False),
        ("text/plain", b"\xff\x00 is no text", False),
        ("application/json", b"\x80", False),
    ],
)
async def test_bodies_are_text_or_base64(
    front: RunningFront, content_type: str | None, body: bytes, is_text: bool
) -> None:
    headers = {"Content_Type": content_type} if content_type else {}
    event = await event_of(front, "POST", "/", body, **headers)
    assert event["isBase64Encoded"] is not is_text
    assert (event["body"].encode() if is_text else base64.b64decode(event["body"], validate=True)) == body


async def test_content_encoding_is_the_functions_affair(front: RunningFront) -> None:
    event = await event_of(front, "POST", "/", b"\x1f\x8b\x08", Content_Type="text/plain", Content_Encoding="gzip")
    assert event["headers"]["content-encoding"] == "gzip"
    assert base64.b64decode(event["body"]) == b"\x1f\x8b\x08"


async def test_a_chunked_body(front: RunningFront) -> None:
    client = await front.connect()
    head = request("POST", "/", host=front.urls.add(), Transfer_Encoding="chunked", Content_Type="text/plain")
    client.send(head + b"3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Trailer: t\r\n\r\n")
    event = (await client.answer()).json
    assert event["body"] == "abcdefg" and "x-trailer" not in event["headers"]
    assert "transfer-encoding" not in event["headers"]


async def test_a_trace_comes_in_and_goes_out(front: RunningFront) -> None:
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    answer = await front.ask(request("GET", "/", host=front.urls.add(), X_Amzn_Trace_Id=trace))
    assert answer.json["headers"]["x-amzn-trace-id"].startswith("Root=1-5759e988-bd862e3fe1be46a994272793")
    assert answer.headers["x-amzn-trace-id"].startswith("Root=1-5759e988-bd862e3fe1be46a994272793")
    assert (front.invoker.requests[0].trace_header or "").startswith("Root=1-5759e988-bd862e3fe1be46a994272793")


# --- the answer ---


async def test_a_whole_answer(front: RunningFront) -> None:
    answering(
        front,
        statusCode=201,
        headers={"Content-Type": "text/html", "My-Custom-Header": "Custom Value"},
        body="<p>é</p>",
        cookies=["a=1; Max-Age=78000", "b=2"],
        isBase64Encoded=False,
    )
    answer = await front.ask(request("GET", "/", host=front.urls.add()))
    assert (answer.status, answer.body) == (201, "<p>é</p>".encode())
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["my-custom-header"] == "Custom Value"
    assert answer.cookies == ["a=1; Max-Age=78000", "b=2"]
    assert {"date", "x-amzn-requestid", "x-amzn-trace-id"} <= answer.headers.keys()
    assert "x-amz-executed-version" not in answer.headers


async def test_a_binary_answer_as_large_as_may_be(front: RunningFront) -> None:
    body = bytes(range(256)) * 16_000
    answering(front, statusCode=200, body=base64.b64encode(body).decode(), isBase64Encoded=True)
    answer = await front.ask(request("GET", "/", host=front.urls.add()))
    assert answer.body == body


@pytest.mark.parametrize(("status", "method"), [(204, "GET"), (304, "GET"), (200, "HEAD"), (500, "HEAD")])
async def test_answers_without_a_body(front: RunningFront, status: int, method: str) -> None:
    answering(front, statusCode=status, body="x" * 100_000)
    client = await front.connect()
    for _ in range(2):
        client.send(request(method, "/", host=front.urls.add()))
        answer = await client.answer(head_request=method == "HEAD")
        assert (answer.status, answer.body) == (status, b"")
        assert ("content-length" in answer.headers) is (status != 204)


async def test_a_function_error_is_a_bad_gateway(front: RunningFront) -> None:
    front.invoker.answer = lambda request: InvokeReply(payload=b'{"errorMessage":"secret"}', function_error="Unhandled")
    answer = await front.ask(request("GET", "/", host=front.urls.add()))
    assert (answer.status, answer.body) == (502, b"Internal Server Error")
    assert answer.headers["content-type"] == "application/json"


async def test_what_cannot_be_an_answer_is_a_bad_gateway_and_breaks_nothing(front: RunningFront) -> None:
    client = await front.connect()
    host = front.urls.add()
    answering(front, statusCode=200, headers={"X-Split": "a\r\nSet-Cookie: stolen=1"})
    client.send(request("GET", "/", host=host))
    answer = await client.answer()
    assert (answer.status, answer.body, answer.cookies) == (502, b"Internal Server Error", [])
    answering(front, statusCode=200, body="fine")
    client.send(request("GET", "/", host=host))
    assert (await client.answer()).body == b"fine"


async def test_throttles_and_other_errors_keep_lambdas_words(front: RunningFront) -> None:
    host = front.urls.add()
    throttled = TooManyRequestsException(
        "Rate Exceeded.", Reason="ReservedFunctionConcurrentInvocationLimitExceeded", Type="User"
    )
    for error, status in ((throttled, 429), (ServiceException("broken"), 500)):
        front.invoker.answer = lambda request, error=error: InvokeReply(error=error)
        answer = await front.ask(request("GET", "/", host=host))
        assert (answer.status, answer.headers["x-amzn-errortype"]) == (status, error.code)
        assert answer.headers["content-type"] == "application/json"
    front.invoker.answer = lambda request: InvokeReply(error=throttled)
    assert (await front.ask(request("GET", "/", host=host))).json == {
        "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
        "Type": "User",
        "message": "Rate Exceeded.",
    }


async def test_requests_are_counted_by_their_answers(front: RunningFront) -> None:
    host = front.urls.add(alias="prod", cors={"AllowOrigins": ["*"]})
    await front.ask(request("GET", "/", host=host))
    front.invoker.answer = lambda request: InvokeReply(payload=b"{}", function_error="Unhandled")
    await front.ask(request("GET", "/", host=host))
    await front.ask(request("GET", "/", host=front.urls.add(alias="prod", policies={})))
    await front.ask(request("GET", "/", host="none.lambda-url.eu-west-1.localhost"))
    seen = front.urls.counts.seen
    assert [(metric, alias) for metric, alias, _ in seen] == [
        ("UrlRequestLatency", "prod"),
        ("UrlRequestLatency", "prod"),
        ("Url5xxCount", "prod"),
        ("UrlRequestLatency", "prod"),
        ("Url4xxCount", "prod"),
    ]
    assert all(0 < value < 10_000 for _, _, value in seen)


# --- which URL ---


@pytest.mark.parametrize(
    "host",
    [
        "0123456789abcdefghijklmnopqrstuv.lambda-url.us-east-1.localhost",
        "abc123.lambda-url.us-east-1.localhost:4566",  # not its region
        "abc123.lambda-url.localhost",
        "abc123.lambda-url.eu-west-1.on.aws.localhost",
    ],
)
async def test_a_url_that_does_not_exist(front: RunningFront, host: str) -> None:
    front.urls.add("other", name="other")
    answer = await front.ask(request("GET", "/", host=host))
    assert (answer.status, answer.body) == (403, b'{"Message":null}')
    assert answer.headers["x-amzn-errortype"] == "AccessDeniedException"
    assert answer.headers["content-type"] == "application/json" and "x-amzn-trace-id" not in answer.headers
    assert not front.invoker.requests


@pytest.mark.parametrize(
    "host",
    [
        "ABC123.Lambda-URL.eu-west-1.LOCALHOST",
        "abc123.lambda-url.eu-west-1.on.aws",
        "abc123.lambda-url.eu-west-1.localhost",
    ],
)
async def test_hosts_are_names(front: RunningFront, host: str) -> None:
    front.urls.add()
    for _ in range(2):
        answer = await front.ask(request("GET", "/", host=host))
        assert answer.json["requestContext"]["domainName"] == "abc123.lambda-url.eu-west-1.localhost"


async def test_a_domain_of_ones_own() -> None:
    async with running_front(url_domain="fn.example") as front:
        front.urls.add()
        own = await front.ask(request("GET", "/", host="abc123.lambda-url.eu-west-1.fn.example:80"))
        assert own.status == 200
        for target, host in (
            ("/", "fn.example"),
            ("/2015-03-31/functions", "x.fn.example"),
            ("/", "a.lambda-url.evil.example"),
        ):
            assert (await front.ask(request("GET", target, host=host))).status == 403


async def test_a_url_goes_and_comes_with_its_function(front: RunningFront) -> None:
    host = front.urls.add()
    client = await front.connect()
    for _ in range(2):
        client.send(request("GET", "/", host=host))
        assert (await client.answer()).status == 200
        front.urls.remove()
        client.send(request("GET", "/", host=host))
        assert (await client.answer()).status == 403
        front.urls.add()
    front.urls.add(policies={})
    client.send(request("GET", "/", host=host))
    assert (await client.answer()).json == FORBIDDEN


async def test_the_url_of_an_alias_invokes_the_alias(front: RunningFront) -> None:
    await front.ask(request("GET", "/", host=front.urls.add(alias="prod")))
    assert front.invoker.requests[0].qualifier == "prod"


async def test_the_path_form(front: RunningFront) -> None:
    front.urls.add()
    for target, path, query in (
        ("/_pilotlight/url/abc123", "/", ""),
        ("/_pilotlight/url/abc123/", "/", ""),
        ("/_pilotlight/url/abc123/a%2Fb//c?x=1", "/a%2Fb//c", "x=1"),
        ("/_pilotlight/url/abc123?x=1", "/", "x=1"),
    ):
        answer = await front.ask(request("GET", target, host="127.0.0.1:4566"))
        event = answer.json
        assert (event["rawPath"], event["rawQueryString"]) == (path, query)
        assert event["requestContext"]["domainName"] == "abc123.lambda-url.eu-west-1.localhost"
        assert event["headers"]["host"] == "127.0.0.1:4566"
        assert answer.headers["content-security-policy"].startswith("sandbox ")
    answer = await front.ask(request("GET", "/_pilotlight/url/nobody/x"))
    assert (answer.status, answer.body) == (403, b'{"Message":null}')


# --- what clients do ---


async def test_a_body_that_is_too_large(front: RunningFront) -> None:
    host = front.urls.add()
    said = {
        "message": f"Request must be smaller than {SYNC_LIMIT} bytes for the InvokeFunction operation",
        "Type": "User",
    }
    declared = f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {SYNC_LIMIT + 1}\r\n\r\n".encode()
    chunked = request("POST", "/", host=host, Transfer_Encoding="chunked")
    chunk = b"%x\r\n" % (1 << 20) + b"x" * (1 << 20) + b"\r\n"
    # In base64 it is larger than the event may be.
    binary = request("POST", "/", host=host, body=b"\0" * (SYNC_LIMIT * 3 // 4))
    for sent in (declared, chunked + chunk * 7, binary):
        answer = await front.ask(sent)
        assert answer.status == 413
        assert answer.json.items() <= {**said, **answer.json}.items() and answer.json["message"] == said["message"]
        assert answer.headers["x-amzn-errortype"] == "RequestEntityTooLargeException"
    assert not front.invoker.requests


async def test_half_a_body(front: RunningFront) -> None:
    client = await front.connect()
    client.send(request("POST", "/", host=front.urls.add(), Content_Length="10") + b"abc")
    client.writer.write_eof()
    assert (await client.answer()).status == 400
    assert not front.invoker.requests


async def test_a_body_that_does_not_come() -> None:
    async with running_front(slow_client_s=0.2) as front:
        client = await front.connect()
        client.send(request("POST", "/", host=front.urls.add(), Content_Length="10") + b"abc")
        answer = await client.answer()
        assert answer.status == 400 and b"RequestTimeout" in answer.body + answer.headers["x-amzn-errortype"].encode()
        assert await client.closed()
        assert not front.invoker.requests


async def test_headers_that_are_too_large(front: RunningFront) -> None:
    answer = await front.ask(request("GET", "/", host=front.urls.add(), X_Large="x" * 1_100_000))
    assert answer.status == 431 and "x-amzn-errortype" in answer.headers


async def test_long_names_and_headers(front: RunningFront) -> None:
    front.urls.add()
    host = "abc123.lambda-url.eu-west-1." + "x" * 900_000 + ".localhost"
    for _ in range(2):
        answer = await front.ask(request("POST", "/", host=host, body=b"a", Content_Type="text/" + "y" * 90_000))
        assert (answer.json["headers"]["host"], answer.json["body"]) == (host, "a")
    assert (await event_of(front, "GET", "/"))["headers"]["host"] == front.urls.add()


async def test_two_hosts_are_refused(front: RunningFront) -> None:
    host = front.urls.add()
    answer = await front.ask(f"GET / HTTP/1.1\r\nHost: {host}\r\nHost: other\r\n\r\n".encode())
    assert answer.status == 400 and not front.invoker.requests


async def test_pipelined_requests_are_answered_in_order(front: RunningFront) -> None:
    host = front.urls.add()
    front.invoker.holding = True
    client = await front.connect()
    invocation = request("POST", "/2015-03-31/functions/f/invocations", body=b"[1]")
    client.send(
        request("GET", "/first", host=host)
        + request("GET", "/none", host="none.lambda-url.eu-west-1.localhost")
        + invocation
        + request("POST", "/last", host=host, body=b"x", Content_Type="text/plain")
    )
    await eventually_async(lambda: len(front.invoker.held) == 1)
    answers: list[Answer] = []
    while len(answers) < 4:
        front.invoker.release()
        answers.append(await client.answer())
    assert [answer.status for answer in answers] == [200, 403, 200, 200]
    assert (answers[0].json["rawPath"], answers[2].body, answers[3].json["body"]) == ("/first", b"[1]", "x")


async def test_a_client_that_goes_away_does_not_stop_its_function(front: RunningFront) -> None:
    front.invoker.holding = True
    client = await front.connect()
    client.send(request("GET", "/", host=front.urls.add()))
    await eventually_async(lambda: len(front.invoker.held) == 1)
    raw: socket.socket = client.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()
    await eventually_async(lambda: front.connections == 0)
    front.invoker.release()  # its answer goes nowhere, and nothing breaks
    front.invoker.holding = False
    assert (await front.ask(request("GET", "/", host=front.urls.add()))).status == 200


async def test_expect_100_continue(front: RunningFront) -> None:
    client = await front.connect()
    client.send(request("POST", "/", host=front.urls.add(), Content_Length="2", Expect="100-continue"))
    assert (await client.answer()).status == 100
    client.send(b"hi")
    event = (await client.answer()).json
    assert base64.b64decode(event["body"]) == b"hi" and "expect" not in event["headers"]


async def test_http_1_0(front: RunningFront) -> None:
    client = await front.connect()
    client.send(f"GET /x HTTP/1.0\r\nHost: {front.urls.add()}\r\n\r\n".encode())
    answer = await client.answer()
    assert answer.json["requestContext"]["http"]["protocol"] == "HTTP/1.0"
    assert await client.closed()


async def test_a_draining_node_answers_what_it_took(front: RunningFront) -> None:
    host = front.urls.add()
    front.invoker.holding = True
    client = await front.connect()
    client.send(request("GET", "/", host=host))
    await eventually_async(lambda: len(front.invoker.held) == 1)
    draining = asyncio.create_task(front.front.drain(5))
    front.invoker.release()
    assert (await client.answer()).status == 200
    assert await client.closed()
    await draining


# --- pages ---


CORS = {
    "AllowOrigins": ["https://app.example"],
    "AllowMethods": ["GET", "POST"],
    "AllowHeaders": ["x-custom", "content-type"],
    "ExposeHeaders": ["x-answer"],
    "MaxAge": 300,
    "AllowCredentials": True,
}


def preflight(host: str, origin: str, method: str = "POST", target: str = "/", **headers: str) -> bytes:
    return request("OPTIONS", target, host=host, Origin=origin, Access_Control_Request_Method=method, **headers)


async def test_a_preflight_is_answered_without_the_function(front: RunningFront) -> None:
    for auth_type in ("NONE", "AWS_IAM"):
        host = front.urls.add(auth_type=auth_type, cors=CORS)
        answer = await front.ask(preflight(host, "https://app.example"))
        assert (answer.status, answer.body) == (200, b"")
        assert {name: value for name, value in answer.headers.items() if name.startswith("access-control-")} == {
            "access-control-allow-origin": "https://app.example",
            "access-control-allow-methods": "GET,POST",
            "access-control-allow-headers": "x-custom,content-type",
            "access-control-expose-headers": "x-answer",
            "access-control-max-age": "300",
            "access-control-allow-credentials": "true",
        }
        assert answer.headers["vary"] == "Origin"
        other = await front.ask(preflight(host, "https://other.example"))
        assert other.status == 200
        assert not [name for name in other.headers if name.startswith("access-control-")]
    assert not front.invoker.requests


async def test_an_options_request_that_is_no_preflight_is_the_functions(front: RunningFront) -> None:
    host = front.urls.add(cors=CORS)
    for sent in (request("OPTIONS", "/", host=host), request("OPTIONS", "/", host=host, Origin="https://app.example")):
        assert (await front.ask(sent)).json["requestContext"]["http"]["method"] == "OPTIONS"
    # Nor does a URL without Cors settings answer one.
    event = (await front.ask(preflight(front.urls.add(), "https://app.example"))).json
    assert event["headers"]["origin"] == "https://app.example"


async def test_answers_to_pages_carry_what_the_settings_say(front: RunningFront) -> None:
    host = front.urls.add(cors=CORS)
    own = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "x-own", "X-Answer": "1"}
    answering(front, statusCode=200, headers=own, body="x")
    answer = await front.ask(request("GET", "/", host=host, Origin="https://app.example"))
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-expose-headers"] == "x-answer"
    assert answer.headers["x-answer"] == "1"
    other = await front.ask(request("GET", "/", host=host, Origin="https://other.example", Sec_Fetch_Site="cross-site"))
    assert (other.status, other.body) == (200, b"x"), "served all the same: its page just cannot read it"
    assert not [name for name in other.headers if name.startswith("access-control-")]
    # Without Cors settings it is all the function's.
    answer = await front.ask(request("GET", "/", host=front.urls.add(), Origin="https://app.example"))
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_errors_are_for_pages_to_read_as_well(front: RunningFront) -> None:
    front.invoker.answer = lambda request: InvokeReply(payload=b"{}", function_error="Unhandled")
    for policies, status in ((None, 502), ({}, 403)):
        host = front.urls.add(cors=CORS, policies=policies)
        answer = await front.ask(request("GET", "/", host=host, Origin="https://app.example"))
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
    too_large = request("POST", "/", host=host, Origin="https://app.example", Content_Length="99999999")
    answer = await front.ask(too_large)
    assert answer.status == 413 and answer.headers["access-control-allow-origin"] == "https://app.example"


async def test_everybody(front: RunningFront) -> None:
    host = front.urls.add(cors={"AllowOrigins": ["*"], "AllowMethods": ["*"], "AllowHeaders": ["*"]})
    answer = await front.ask(
        preflight(
            host, "null", "DELETE", Access_Control_Request_Headers="x-a", Access_Control_Request_Private_Network="true"
        )
    )
    assert answer.headers["access-control-allow-origin"] == "*" and "vary" not in answer.headers
    assert (answer.headers["access-control-allow-methods"], answer.headers["access-control-allow-headers"]) == (
        "*",
        "*",
    )
    assert answer.headers["access-control-allow-private-network"] == "true"
    host = front.urls.add(
        cors={"AllowOrigins": ["*"], "AllowMethods": ["*"], "AllowHeaders": ["*"], "AllowCredentials": True}
    )
    answer = await front.ask(preflight(host, "https://a.example", "DELETE", Access_Control_Request_Headers="x-a,x-b"))
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert answer.headers["access-control-allow-methods"] == "DELETE"
    assert answer.headers["access-control-allow-headers"] == "x-a,x-b"


async def test_pages_reach_function_urls_and_nothing_else(front: RunningFront) -> None:
    """Whatever a URL's own settings, its host opens no path of the node's, and the node's hosts stay closed."""
    host = front.urls.add(cors={"AllowOrigins": ["*"]})
    page = {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"}
    for target in ("/", "/2015-03-31/functions/", "/_pilotlight/health", "/_pilotlight/url/abc123/", "/bucket/key"):
        answer = await front.ask(request("GET", target, host=host, **page))
        assert answer.json["rawPath"] == target
    front.invoker.requests.clear()
    for target in ("/2015-03-31/functions/hello/invocations", "/_pilotlight/url/abc123/", "/bucket/key"):
        for sent in (
            request("POST", target, body=b"{}", **page),
            request("POST", target, body=b"{}", Origin="http://" + host),
            request("GET", target, Sec_Fetch_Site="cross-site"),
            preflight("localhost:4566", "https://evil.example", target=target),
        ):
            assert (await front.ask(sent)).status == 403
    assert not (front.invoker.requests or front.forward.scopes or front.lambda_api.requests)


@pytest.mark.parametrize(
    "host", ["abc123.lambda-url.eu-west-1.evil.example", "abc123.lambda-url.eu-west-1.localhost.evil.example"]
)
async def test_rebound_names_reach_no_function_url(front: RunningFront, host: str) -> None:
    front.urls.add()
    answer = await front.ask(request("GET", "/", host=host))
    assert answer.status == 403 and b"allowed_hosts" in answer.body
    assert not front.invoker.requests
