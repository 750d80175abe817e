"""The Runtime API (2018-06-01) over HTTP, served inside an environment on AWS_LAMBDA_RUNTIME_API.

For runtimes that are not ours: custom runtimes, images, AWS's own runtime clients. It drives the same `RuntimeSession`
as the frame channel; where frames carry the work, calls made here by the function's code are refused as AWS refuses
calls that do not fit the state (403 InvalidStateTransition). `next` blocks for ever, as AWS's does. Source: developer
guide, "Using the Lambda runtime API"; the Runtime Interface Emulator for the error bodies.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import httptools

from pilotlight.runtimes.session import RuntimeSession, SessionState, SessionViolation, Work

PREFIX = "/2018-06-01/runtime/"
MAX_RESPONSE_BYTES = 6 * 1024 * 1024 + 100
_STATUS_TEXT = {200: "OK", 202: "Accepted", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 413: "Too Large"}


class RuntimeApi(asyncio.Protocol):
    """One connection from inside the environment."""

    def __init__(self, session: Callable[[], RuntimeSession | None]) -> None:
        self._session_of = session
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpRequestParser(self)  # pyright: ignore[reportUnknownMemberType]
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    # -- asyncio and httptools callbacks -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._reply(400, {"errorType": "InvalidRequest", "errorMessage": str(error)})
            if self._transport is not None:
                self._transport.close()

    def on_message_begin(self) -> None:
        self._reset()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        if len(self._body) <= MAX_RESPONSE_BYTES:
            self._body += body

    def on_message_complete(self) -> None:
        session = self._session_of()
        path = self._url.decode("latin-1").partition("?")[0]
        method = self._parser.get_method().decode()
        if session is None or not path.startswith(PREFIX):
            self._reply(404, {"errorType": "NotFound", "errorMessage": f"{method} {path} is not of the Runtime API"})
            return
        try:
            self._route(session, method, path.removeprefix(PREFIX).split("/"))
        except SessionViolation as error:
            self._reply(403, {"errorType": "InvalidStateTransition", "errorMessage": str(error)})

    # -- routes ------------------------------------------------------------------------------------------------------

    def _route(self, session: RuntimeSession, method: str, parts: list[str]) -> None:
        match method, parts:
            case "GET", ["invocation", "next"]:
                self._next(session)
            case "POST", ["invocation", request_id, "response"]:
                self._response(session, request_id)
            case "POST", ["invocation", request_id, "error"]:
                self._carried_here(session)
                session.detach()
                session.failed(request_id, self._error_type(), bytes(self._body), 0)
                self._reply(202, {"status": "OK"})
            case "POST", ["init", "error"]:
                self._carried_here(session)
                session.init_failed(self._error_type(), bytes(self._body), 0)
                self._reply(202, {"status": "OK"})
            case _:
                self._reply(404, {"errorType": "NotFound", "errorMessage": f"no route {method} {'/'.join(parts)}"})

    def _next(self, session: RuntimeSession) -> None:
        self._carried_here(session)
        if session.state is SessionState.CLOSED or (session.state is SessionState.BUSY and not session.holds_work):
            raise SessionViolation("next while an invocation is being served")
        session.attach(self._hand_over, carrier="http")
        if session.state is SessionState.INITIALIZING:
            session.ready(0)

    def _response(self, session: RuntimeSession, request_id: str) -> None:
        self._carried_here(session)
        session.detach()  # the next work may come before the runtime asks for it
        if len(self._body) > MAX_RESPONSE_BYTES:
            message = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
            body = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message}
            session.failed(request_id, body["errorType"], json.dumps(body).encode(), 0)
            self._reply(413, {"errorType": "RequestEntityTooLarge", "errorMessage": message})
            return
        content_type = self._headers.get("content-type", "application/json")
        session.responded(request_id, bytes(self._body), 0, content_type)
        self._reply(202, {"status": "OK"})

    @staticmethod
    def _carried_here(session: RuntimeSession) -> None:
        if session.carrier not in ("", "http"):
            raise SessionViolation("this runtime's invocations do not pass through the Runtime API")

    def _error_type(self) -> str:
        return self._headers.get("lambda-runtime-function-error-type", "Runtime.Unknown")

    def _hand_over(self, work: Work) -> None:
        headers = {
            "Lambda-Runtime-Aws-Request-Id": work.request_id,
            "Lambda-Runtime-Deadline-Ms": str(work.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": work.invoked_arn,
            "Lambda-Runtime-Trace-Id": work.trace_id,
            "Lambda-Runtime-Client-Context": work.client_context,
            "Lambda-Runtime-Cognito-Identity": work.cognito_identity,
            "Lambda-Runtime-Aws-Tenant-Id": work.tenant_id,
        }
        self._send(200, work.payload, {name: value for name, value in headers.items() if value})

    def _reply(self, status: int, body: dict[str, str]) -> None:
        self._send(status, json.dumps(body).encode(), {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        if self._transport is None:
            return
        lines = [f"HTTP/1.1 {status} {_STATUS_TEXT[status]}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines.append(f"Content-Length: {len(body)}\r\n\r\n")
        self._transport.write("\r\n".join(lines).encode() + body)
