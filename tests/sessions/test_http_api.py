"""The Runtime API over HTTP: a runtime written with nothing but http.client, and calls that do not fit the state."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pilotlight.runtimes.http_api import MAX_HEAD_BYTES, MAX_RESPONSE_BYTES, RuntimeApi
from pilotlight.runtimes.session import RuntimeSession, SessionState, Work
from tests.sessions.recorder import Recorder
from tests.support import eventually_async

PREFIX = "/2018-06-01/runtime"
WORK = Work("id-1", b'{"a": 1}', 1234, "arn:f", "Root=1")


class Api:
    def __init__(self, session: RuntimeSession, owner: Recorder, port: int) -> None:
        self.session = session
        self.owner = owner
        self.port = port

    def _call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    async def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        status, answered, content = await asyncio.to_thread(self._call, method, PREFIX + path, body, named)
        return status, answered, json.loads(content)


@asynccontextmanager
async def runtime_api() -> AsyncIterator[Api]:
    owner = Recorder()
    session = RuntimeSession(owner)
    server = await asyncio.get_running_loop().create_server(lambda: RuntimeApi(lambda: session), "127.0.0.1", 0)
    try:
        yield Api(session, owner, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()


async def test_next_blocks_until_there_is_work_and_the_answer_is_taken() -> None:
    async with runtime_api() as api:
        waiting = asyncio.create_task(api.call("GET", "/invocation/next"))
        await eventually_async(lambda: api.owner.told == [("ready", 0)])
        assert not waiting.done()
        api.session.deliver(WORK)
        status, headers, body = await waiting
        assert (status, body) == (200, {"a": 1})
        assert headers["lambda-runtime-aws-request-id"] == "id-1"
        assert headers["lambda-runtime-deadline-ms"] == "1234"
        assert headers["lambda-runtime-invoked-function-arn"] == "arn:f"
        assert headers["lambda-runtime-trace-id"] == "Root=1"
        assert "lambda-runtime-client-context" not in headers
        assert (await api.call("POST", "/invocation/id-1/response", b"[1]"))[0] == 202
        assert api.owner.told[1] == ("responded", b"[1]", 0, "application/json")


async def test_errors_of_the_function_and_of_init() -> None:
    async with runtime_api() as api:
        kind = {"Lambda_Runtime_Function_Error_Type": "Custom.Oops"}
        assert (await api.call("POST", "/init/error", b'{"e": 1}', **kind))[0] == 202
        assert api.owner.told == [("init_failed", "Custom.Oops", b'{"e": 1}', 0)]
    async with runtime_api() as api:
        waiting = asyncio.create_task(api.call("GET", "/invocation/next"))
        await eventually_async(lambda: bool(api.owner.told))
        api.session.deliver(WORK)
        await waiting
        assert (await api.call("POST", "/invocation/id-1/error", b"{}", **kind))[0] == 202
        assert api.owner.told[1] == ("failed", "Custom.Oops", b"{}", 0)


async def test_calls_that_do_not_fit_the_state() -> None:
    async with runtime_api() as api:
        status, _, body = await api.call("POST", "/invocation/id-1/response", b"1")
        assert (status, body["errorType"]) == (403, "InvalidStateTransition")
        waiting = asyncio.create_task(api.call("GET", "/invocation/next"))
        await eventually_async(lambda: bool(api.owner.told))
        api.session.deliver(WORK)
        await waiting
        assert (await api.call("POST", "/invocation/another/response", b"1"))[0] == 403
        assert (await api.call("GET", "/invocation/next"))[0] == 403
        assert (await api.call("POST", "/init/error", b"{}"))[0] == 403
        assert (await api.call("GET", "/nothing"))[0] == 404
        assert api.session.state is SessionState.BUSY
        assert (await api.call("POST", "/invocation/id-1/response", b"1"))[0] == 202
        assert (await api.call("POST", "/invocation/id-1/response", b"1"))[0] == 403, "answered twice"


async def test_a_response_over_the_limit() -> None:
    async with runtime_api() as api:
        waiting = asyncio.create_task(api.call("GET", "/invocation/next"))
        await eventually_async(lambda: bool(api.owner.told))
        api.session.deliver(WORK)
        await waiting
        status, _, _ = await api.call("POST", "/invocation/id-1/response", b"x" * (MAX_RESPONSE_BYTES + 1))
        assert status == 413
        assert api.owner.told[1][:2] == ("failed", "Function.ResponseSizeTooLarge")


async def test_where_frames_carry_the_work_the_function_cannot_answer_here() -> None:
    async with runtime_api() as api:
        sent: list[Work] = []
        api.session.attach(sent.append, carrier="frames")
        api.session.ready(0)
        api.session.deliver(WORK)
        assert (await api.call("POST", "/invocation/id-1/response", b"1"))[0] == 403
        assert (await api.call("GET", "/invocation/next"))[0] == 403
        assert api.session.state is SessionState.BUSY
        assert sent == [WORK]


class Post:
    """One streamed response, written by hand as slowly as wanted."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def open(self, request_id: str = "id-1", mode: str = "streaming") -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._api.port)
        head = (
            f"POST {PREFIX}/invocation/{request_id}/response HTTP/1.1\r\nHost: runtime\r\n"
            f"Lambda-Runtime-Function-Response-Mode: {mode}\r\nContent-Type: text/plain\r\n"
            "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        self.writer.write(head.encode())

    def chunk(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self, **trailers: str) -> None:
        lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in trailers.items()]
        self.writer.write(f"0\r\n{''.join(lines)}\r\n".encode())

    async def answer(self) -> tuple[int, dict[str, str]]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.split("Content-Length: ")[1].split("\r\n")[0])
        return int(head.split()[1]), json.loads(await self.reader.readexactly(length))

    async def next(self) -> None:
        """Ask for more work on the same connection."""
        self.writer.write(f"GET {PREFIX}/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n".encode())

    def close(self) -> None:
        self.writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Api, Post]]:
    """A runtime with work, that has opened its streamed response."""
    async with runtime_api() as api:
        waiting = asyncio.create_task(api.call("GET", "/invocation/next"))
        await eventually_async(lambda: bool(api.owner.told))
        api.session.deliver(WORK)
        await waiting
        post = Post(api)
        await post.open()
        try:
            yield api, post
        finally:
            post.close()


async def test_a_streamed_response_is_passed_on_as_it_comes() -> None:
    async with serving() as (api, post):
        await eventually_async(lambda: api.owner.told[1:] == [("began_stream", "text/plain")])
        post.chunk(b"one")
        await eventually_async(lambda: api.owner.told[-1] == ("streamed", b"one"))
        post.chunk(b"two")
        await eventually_async(lambda: api.owner.told[-1] == ("streamed", b"two"))
        assert (await api.call("GET", "/invocation/next"))[0] == 403, "while it streams"
        post.end()
        assert (await post.answer())[0] == 202
        assert api.owner.told[-1] == ("ended_stream", "", b"", 0)
        await post.next()
        api.session.deliver(WORK)
        assert (await post.answer()) == (200, {"a": 1})


async def test_the_trailers_tell_of_an_error() -> None:
    async with serving() as (api, post):
        post.chunk(b"one")
        body = base64.b64encode(b'{"errorMessage": "no"}').decode()
        post.end(Lambda_Runtime_Function_Error_Type="Custom.Oops", Lambda_Runtime_Function_Error_Body=body)
        assert (await post.answer())[0] == 202
        assert api.owner.told[-1] == ("ended_stream", "Custom.Oops", b'{"errorMessage": "no"}', 0)


async def test_a_connection_cut_in_mid_response() -> None:
    async with serving() as (api, post):
        post.chunk(b"one")
        await eventually_async(lambda: api.owner.told[-1] == ("streamed", b"one"))
        post.close()
        await eventually_async(lambda: api.owner.told[-1] == ("cut_stream",))
        assert api.session.state is SessionState.IDLE, "the runtime may ask for more"


async def test_a_streamed_response_that_is_too_large_is_not_read_to_its_end() -> None:
    async with serving() as (api, post):
        api.owner.stream_room = 10
        post.chunk(bytes(8))
        post.chunk(bytes(8))
        status, body = await post.answer()
        assert (status, body["errorType"]) == (413, "RequestEntityTooLarge")
        assert api.owner.told[-1] == ("ended_stream", "", b"", 0)
        post.chunk(bytes(8))
        post.end()
        await post.next()
        api.session.deliver(WORK)
        assert (await post.answer()) == (200, {"a": 1}), "what it still wrote was thrown away"


async def test_streams_that_do_not_fit() -> None:
    async with serving() as (api, first):
        other = Post(api)
        await other.open("another")
        other.end()
        assert (await other.answer())[0] == 403
        first.end()
        assert (await first.answer())[0] == 202
        again = Post(api)
        await again.open()
        again.end()
        assert (await again.answer())[0] == 403, "answered twice"
        other.close()
        again.close()


async def test_a_client_that_waits_to_be_told_to_send_is_told() -> None:
    async with runtime_api() as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        head = (
            f"POST {PREFIX}/init/error HTTP/1.1\r\nHost: runtime\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        writer.write(head.encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(b"{}")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 202 ")
        writer.close()


async def test_a_mode_there_is_not() -> None:
    async with runtime_api() as api:
        waiting = asyncio.create_task(api.call("GET", "/invocation/next"))
        await eventually_async(lambda: bool(api.owner.told))
        api.session.deliver(WORK)
        await waiting
        post = Post(api)
        await post.open(mode="dribbling")
        post.end()
        status, body = await post.answer()
        assert (status, body["errorType"]) == (400, "InvalidFunctionResponseMode")
        assert api.owner.told[-1][:2] == ("failed", "Runtime.InvalidResponseModeHeader")
        post.close()


@pytest.mark.parametrize(
    "before",
    [
        b"GET /" + b"x" * 1000,
        b"GET / HTTP/1.1\r\nx-long: ",
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 1000,
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx-trailer: ",
    ],
    ids=["target", "header", "headers", "trailer"],
)
async def test_a_head_that_does_not_end_is_not_kept(before: bytes) -> None:
    async with runtime_api() as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(before)
        with contextlib.suppress(ConnectionError):
            for _ in range(2 * MAX_HEAD_BYTES // 65536):
                writer.write(b"x" * 65536)
                await writer.drain()
        with contextlib.suppress(ConnectionError):  # a reset may come ahead of the answer
            assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 431 ")
        assert (await api.call("GET", "/nothing"))[0] == 404
        writer.close()


async def test_long_bodies_count_for_no_head() -> None:
    async with runtime_api() as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(
            b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (3 * MAX_HEAD_BYTES) + b"x" * 3 * MAX_HEAD_BYTES
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")
        writer.close()
