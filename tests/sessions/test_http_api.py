"""The Runtime API over HTTP: a runtime written with nothing but http.client, and calls that do not fit the state."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pilotlight.runtimes.http_api import MAX_RESPONSE_BYTES, RuntimeApi
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
