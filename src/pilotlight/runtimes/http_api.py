"""The Runtime API (2018-06-01) over HTTP, served inside an environment on AWS_LAMBDA_RUNTIME_API.

For runtimes that are not ours: custom runtimes, images, AWS's own runtime clients. It drives the same `RuntimeSession`
as the frame channel; where frames carry the work, calls made here by the function's code are refused as AWS refuses
calls that do not fit the state (403 InvalidStateTransition). `next` blocks for ever, as AWS's does. A response with
`Lambda-Runtime-Function-Response-Mode: streaming` is passed on as it comes; its trailers say how it ended. Source:
developer guide, "Using the Lambda runtime API" and "Implementing response streaming in a custom runtime"; the Runtime
Interface Emulator for the error bodies.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, cast

import httptools

from pilotlight.runtimes import faults
from pilotlight.runtimes.session import RuntimeSession, SessionState, SessionViolation, Work

PREFIX = "/2018-06-01/runtime/"
MAX_RESPONSE_BYTES = 6 * 1024 * 1024 + 100
#: what a request may have that is not its body: a head, or the trailers, which may hold an error's stack trace
MAX_HEAD_BYTES = 1024 * 1024
_MODE = "lambda-runtime-function-response-mode"
_ERROR_TYPE = "lambda-runtime-function-error-type"
_ERROR_BODY = "lambda-runtime-function-error-body"
_STATUS_TEXT = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    413: "Too Large",
    431: "Head Too Large",
}


class RuntimeApi(asyncio.Protocol):
    """One connection from inside the environment."""

    def __init__(self, session: Callable[[], RuntimeSession | None]) -> None:
        self._session_of = session
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpRequestParser(self)  # pyright: ignore[reportUnknownMemberType]
        self._head_bytes = 0
        """Read since there last was a piece of a body, or the end of a request."""
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._streaming: RuntimeSession | None = None
        self._deaf = False

    # -- asyncio and httptools callbacks -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        session, self._streaming = self._streaming, None
        if session is not None:
            session.detach()
            session.stream_cut()

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._refuse(400, str(error))
            return
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, f"The head is larger than {MAX_HEAD_BYTES} bytes")

    def _refuse(self, status: int, message: str) -> None:
        self._reply(status, {"errorType": "InvalidRequest", "errorMessage": message})
        if self._transport is not None:
            self._transport.close()

    def on_message_begin(self) -> None:
        self._reset()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._transport is not None and self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")  # curl waits a second for it
        if _MODE not in self._headers:
            return
        match self._path().split("/"):
            case ["invocation", request_id, "response"] if self._parser.get_method() == b"POST":
                self._begin_stream(request_id)
            case _:
                pass

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        if self._deaf:
            return
        session = self._streaming
        if session is not None:
            if session.state is not SessionState.STREAMING:  # its invocation has ended without it
                self._deaf = True
            elif not session.stream_chunk(body):
                self._deaf = True
                self._end_stream(session)
            return
        if len(self._body) <= MAX_RESPONSE_BYTES:
            self._body += body

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        if self._streaming is not None:
            self._end_stream(self._streaming)
            return
        if self._deaf:
            return
        session = self._session_of()
        method = self._parser.get_method().decode()
        path = self._path()
        if session is None or not path:
            url = self._url.decode("latin-1")
            self._reply(404, {"errorType": "NotFound", "errorMessage": f"{method} {url} is not of the Runtime API"})
            return
        try:
            self._route(session, method, path.split("/"))
        except SessionViolation as error:
            self._reply(403, {"errorType": "InvalidStateTransition", "errorMessage": str(error)})

    def _path(self) -> str:
        """Below the Runtime API's prefix; "" for what is not of it."""
        path = self._url.decode("latin-1").partition("?")[0]
        return path.removeprefix(PREFIX) if path.startswith(PREFIX) else ""

    # -- a streamed response -----------------------------------------------------------------------------------------

    def _begin_stream(self, request_id: str) -> None:
        session = self._session_of()
        if session is None or self._transport is None:
            return
        mode = self._headers[_MODE]
        try:
            self._carried_here(session)
            if mode != "streaming":
                self._deaf = True
                self._refuse_mode(session, request_id, mode)
                return
            content_type = self._headers.get("content-type", "application/octet-stream")
            session.stream_began(request_id, content_type, self._transport)
        except SessionViolation as error:
            self._deaf = True
            self._reply(403, {"errorType": "InvalidStateTransition", "errorMessage": str(error)})
            return
        self._streaming = session
        self._headers = {}  # what comes now are the trailers

    def _refuse_mode(self, session: RuntimeSession, request_id: str, mode: str) -> None:
        message = f"Invalid function response mode: {mode}"
        error_type = "Runtime.InvalidResponseModeHeader"
        session.detach()
        session.failed(request_id, error_type, faults.error_body(error_type, message), 0)
        self._reply(400, {"errorType": "InvalidFunctionResponseMode", "errorMessage": message})

    def _end_stream(self, session: RuntimeSession) -> None:
        self._streaming = None
        session.detach()
        error_type = self._headers.get(_ERROR_TYPE, "")
        if session.state is not SessionState.STREAMING:
            self._reply(403, {"errorType": "InvalidStateTransition", "errorMessage": "the invocation has ended"})
            return
        session.stream_ended(session.request_id, error_type, self._error_body(), 0)
        if self._deaf:  # of a response that is too large, the rest is not waited for
            self._reply(413, {"errorType": "RequestEntityTooLarge", "errorMessage": "The response is too large."})
        else:
            self._reply(202, {"status": "OK"})

    def _error_body(self) -> bytes:
        try:
            return base64.b64decode(self._headers.get(_ERROR_BODY, ""), validate=True)
        except binascii.Error:
            return b""

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
        serving = session.state in (SessionState.BUSY, SessionState.STREAMING) and not session.holds_work
        if serving or session.state is SessionState.CLOSED:
            raise SessionViolation("next while an invocation is being served")
        session.attach(self._hand_over, carrier="http")
        if session.state is SessionState.INITIALIZING:
            session.ready(0)

    def _response(self, session: RuntimeSession, request_id: str) -> None:
        self._carried_here(session)
        session.detach()  # the next work may come before the runtime asks for it
        if len(self._body) > MAX_RESPONSE_BYTES:
            session.failed(request_id, faults.TOO_LARGE, faults.too_large(MAX_RESPONSE_BYTES), 0)
            self._reply(413, {"errorType": "RequestEntityTooLarge", "errorMessage": "The response is too large."})
            return
        content_type = self._headers.get("content-type", "application/json")
        session.responded(request_id, bytes(self._body), 0, content_type)
        self._reply(202, {"status": "OK"})

    @staticmethod
    def _carried_here(session: RuntimeSession) -> None:
        if session.carrier not in ("", "http"):
            raise SessionViolation("this runtime's invocations do not pass through the Runtime API")

    def _error_type(self) -> str:
        return self._headers.get(_ERROR_TYPE, "Runtime.Unknown")

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
