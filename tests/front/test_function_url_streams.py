"""RESPONSE_STREAM URLs: bytes leave as they are written, slow clients make the function wait, ends are told."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from pilotlight.environments.invocation import HTTP_INTEGRATION, ResponseHead, ResponseStream
from pilotlight.errors import ServiceException
from pilotlight.invoke.messages import InvokeReply
from tests.front.parts import RawClient, RunningFront, request, running_front
from tests.support import eventually_async

NULS = b"\0" * 8


class Writer:
    """The function's side of one streamed response."""

    def __init__(self, front: RunningFront) -> None:
        [(self.request, self._reply)] = front.invoker.held
        front.invoker.held.clear()
        assert self.request.stream is not None
        self._stream: ResponseStream = self.request.stream
        self.paused = 0
        self.is_paused = False

    def pause(self) -> None:
        self.paused += 1
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def begin(self, content_type: str = "application/octet-stream") -> None:
        self._stream.begin(ResponseHead(content_type, "$LATEST"), self)

    def write(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self._stream.write(chunk)

    def end(self, **reply: Any) -> None:
        self._reply(InvokeReply(**reply))


@pytest_asyncio.fixture
async def streaming(front: RunningFront) -> AsyncIterator[RunningFront]:
    front.invoker.holding = True
    yield front


async def begin(front: RunningFront, method: str = "GET", **headers: str) -> tuple[RawClient, Writer]:
    client = await front.connect()
    client.send(request(method, "/", host=front.urls.add(invoke_mode="RESPONSE_STREAM"), **headers))
    await eventually_async(lambda: len(front.invoker.held) == 1)
    return client, Writer(front)


async def head(client: RawClient) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer whose body is still to come."""
    status = int((await client.line()).split()[1])
    headers: dict[str, str] = {}
    while (line := (await client.line()).strip()) != b"":
        name, _, value = line.decode().partition(": ")
        headers[name.lower()] = value
    return status, headers


async def chunk(client: RawClient) -> bytes:
    size = int((await client.line()).strip() or b"-1", 16)
    data = await asyncio.wait_for(client.reader.readexactly(size), 10)
    await client.line()
    return data


async def test_chunks_leave_as_they_are_written(streaming: RunningFront) -> None:
    client, writer = await begin(streaming)
    writer.begin("text/event-stream")
    for part in (b"one", b"two"):
        writer.write(part)
        if part == b"one":
            status, headers = await head(client)
            assert (status, headers["content-type"]) == (200, "text/event-stream")
            assert headers["transfer-encoding"] == "chunked" and "content-length" not in headers
            assert headers["x-amzn-requestid"] == writer.request.request_id
            assert headers["x-amzn-trace-id"].startswith("Root=1-")
        assert await chunk(client) == part
    writer.end()
    assert await chunk(client) == b""
    # The connection is good for more.
    client.send(request("GET", "/", host="none.lambda-url.eu-west-1.localhost"))
    assert (await client.answer()).status == 403


async def test_a_prelude_sets_status_headers_and_cookies(streaming: RunningFront) -> None:
    client, writer = await begin(streaming)
    prelude = {"statusCode": 201, "headers": {"Content-Type": "text/html", "X-A": "b"}, "cookies": ["a=1", "b=2"]}
    text = json.dumps(prelude).encode() + NULS + b"<p>"
    writer.begin(HTTP_INTEGRATION)
    for at in range(0, len(text), 7):  # wherever it is cut
        writer.write(text[at : at + 7])
        await asyncio.sleep(0)
    writer.write(b"</p>")
    writer.end()
    answer = await client.answer()
    assert (answer.status, answer.body) == (201, b"<p></p>")
    assert (answer.headers["content-type"], answer.headers["x-a"]) == ("text/html", "b")
    assert answer.cookies == ["a=1", "b=2"]


async def test_a_prelude_without_a_type(streaming: RunningFront) -> None:
    client, writer = await begin(streaming)
    writer.begin(HTTP_INTEGRATION)
    writer.write(b"{}" + NULS)
    writer.end()
    answer = await client.answer()
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/octet-stream", b"")


@pytest.mark.parametrize(
    "text",
    [
        b"no prelude at all",
        b'{"statusCode": 200}',
        b'{"statusCode": 200' + NULS + b"x",
        b'{"statusCode": 42}' + NULS + b"x",
        b'{"headers": {"a": "\\r\\n"}}' + NULS + b"x",
        b"[]" + NULS,
        b" " * 70_000 + b"{}" + NULS,
        b"",
    ],
)
async def test_a_prelude_that_cannot_be_read(streaming: RunningFront, text: bytes) -> None:
    client, writer = await begin(streaming)
    writer.begin(HTTP_INTEGRATION)
    for at in range(0, len(text), 30_000):
        writer.write(text[at : at + 30_000])
    writer.end()
    answer = await client.answer()
    assert (answer.status, answer.body) == (502, b"Internal Server Error")


@pytest.mark.parametrize("end", ["\r\n\r\n<script>", "\nx: y", "\0"])
async def test_a_type_that_would_end_its_line(streaming: RunningFront, end: str) -> None:
    """On the path form it would take the sandbox off the page."""
    client, writer = await begin(streaming)
    writer.begin(f"text/html{end}")
    writer.write(b"one")
    answer = await client.answer()
    assert (answer.status, answer.body) == (502, b"Internal Server Error")
    writer.end()


async def test_what_fails_before_its_first_byte_is_a_bad_gateway(streaming: RunningFront) -> None:
    for content_type in (None, HTTP_INTEGRATION, "text/plain"):
        client, writer = await begin(streaming)
        if content_type:
            writer.begin(content_type)
        writer.end(payload=b'{"errorMessage":"secret"}', function_error="Unhandled")
        answer = await client.answer()
        assert (answer.status, answer.body) == (502, b"Internal Server Error")
    client, writer = await begin(streaming)
    writer.end(error=ServiceException("The node is full."))
    answer = await client.answer()
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (500, "ServiceException")


async def test_what_fails_in_mid_stream_ends_the_connection_without_a_last_chunk(streaming: RunningFront) -> None:
    client, writer = await begin(streaming)
    writer.begin()
    writer.write(b"half")
    assert (await head(client))[0] == 200
    assert await chunk(client) == b"half"
    writer.end(payload=b"{}", function_error="Unhandled")
    assert await client.reader.read() == b""


async def test_a_function_that_does_not_stream(streaming: RunningFront) -> None:
    """Its response is the body, unread: as recorded from AWS, where also a statusCode in it is."""
    client, writer = await begin(streaming)
    writer.end(payload=b'{"statusCode": 404, "body": "x"}')
    answer = await client.answer()
    assert (answer.status, answer.body) == (200, b'{"statusCode": 404, "body": "x"}')
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_answers_without_a_body(streaming: RunningFront, method: str, status: int) -> None:
    client, writer = await begin(streaming, method)
    writer.begin(HTTP_INTEGRATION)
    writer.write(json.dumps({"statusCode": status}).encode() + NULS + b"body")
    answer = await client.answer(head_request=method == "HEAD")
    assert (answer.status, "transfer-encoding" in answer.headers) == (status, False)
    client.send(request("GET", "/", host="none.lambda-url.eu-west-1.localhost"))
    assert (await client.answer()).status == 403, "nothing of a body came between"
    writer.write(b"more")
    writer.end()


async def test_http_1_0_has_no_chunks(streaming: RunningFront) -> None:
    client = await streaming.connect()
    host = streaming.urls.add(invoke_mode="RESPONSE_STREAM")
    client.send(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    await eventually_async(lambda: len(streaming.invoker.held) == 1)
    writer = Writer(streaming)
    writer.begin()
    writer.write(b"one", b"two")
    writer.end()
    status, headers = await head(client)
    assert status == 200 and "transfer-encoding" not in headers
    assert await client.reader.read() == b"onetwo"


async def test_pages_and_cors(streaming: RunningFront) -> None:
    cors = {"AllowOrigins": ["https://app.example"]}
    client = await streaming.connect()
    host = streaming.urls.add(invoke_mode="RESPONSE_STREAM", cors=cors)
    client.send(request("GET", "/", host=host, Origin="https://app.example"))
    await eventually_async(lambda: len(streaming.invoker.held) == 1)
    writer = Writer(streaming)
    writer.begin(HTTP_INTEGRATION)
    writer.write(b'{"headers": {"Access-Control-Allow-Origin": "*"}}' + NULS)
    assert (await head(client))[1]["access-control-allow-origin"] == "https://app.example"
    writer.end()


async def test_a_slow_client_makes_the_function_wait(streaming: RunningFront) -> None:
    client, writer = await begin(streaming)
    raw: socket.socket = client.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.writer.transport.pause_reading()
    writer.begin()
    piece = b"x" * 65536
    written = 0
    while not writer.is_paused:
        writer.write(piece)
        written += len(piece)
        assert written < 64 << 20, "the function was never made to wait"
        await asyncio.sleep(0)
    client.writer.transport.resume_reading()

    async def rest() -> int:
        assert (await head(client))[0] == 200
        got = 0
        while data := await chunk(client):
            got += len(data)
        return got

    reading = asyncio.ensure_future(rest())
    await eventually_async(lambda: not writer.is_paused)
    writer.end()
    assert await asyncio.wait_for(reading, 10) == written


async def test_a_client_that_takes_nothing_is_disconnected() -> None:
    async with running_front(slow_client_s=0.2) as front:
        front.invoker.holding = True
        client, writer = await begin(front)
        client.writer.transport.pause_reading()
        writer.begin()
        while not writer.is_paused:
            writer.write(b"x" * 65536)
            await asyncio.sleep(0)
        await eventually_async(lambda: front.connections == 0)
        await eventually_async(lambda: not writer.is_paused)
        writer.write(b"thrown away")
        writer.end()


async def test_a_client_that_goes_does_not_stop_the_function(streaming: RunningFront) -> None:
    client, writer = await begin(streaming)
    writer.begin()
    writer.write(b"one")
    assert (await head(client))[0] == 200
    client.writer.transport.abort()

    def noticed() -> bool:
        writer.write(b"x")  # only a write tells one that has gone from one that has no more to say
        return streaming.front.statistics()["requests"] == 0

    await eventually_async(noticed)
    for _ in range(100):
        writer.write(b"x" * 65536)
        await asyncio.sleep(0)
    assert not writer.is_paused, "what nobody takes is thrown away"
    writer.end()


async def test_a_request_behind_a_stream_waits_for_it(streaming: RunningFront) -> None:
    client, writer = await begin(streaming)
    client.send(request("GET", "/", host="none.lambda-url.eu-west-1.localhost"))
    writer.begin()
    writer.write(b"one")
    assert (await head(client))[0] == 200
    assert await chunk(client) == b"one"
    writer.write(b"two")
    assert await chunk(client) == b"two"
    writer.end()
    assert await chunk(client) == b""
    assert (await client.answer()).status == 403


async def test_a_front_that_stops_ends_streams() -> None:
    async with running_front() as front:
        front.invoker.holding = True
        client, writer = await begin(front)
        writer.begin()
        writer.write(b"one")
        assert (await head(client))[0] == 200
    assert await client.closed()
