"""The streaming proxy to the services next door: what the client sent goes out as it came, and so does the answer.

Path and query byte for byte, bodies piece by piece with back-pressure both ways, Host and signature untouched (the
embedded neighbour and endpoints with credentials excepted, see `_outgoing`). S3 requests pass the tap, which may
answer in the backend's place (notification settings), and which holds the head of a successful write back until its
events are on disk.

`Expect: 100-continue` is answered by the server in front when the first piece of the body is asked for, which is when
the request is on its way: nothing is gained by passing it on.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol, cast

import aiohttp

from pilotlight.errors import AwsError, EntityTooLarge, InternalError, ServiceUnavailableException
from pilotlight.neighbours import caller_identity, sqs_trace
from pilotlight.neighbours.connections import Body, Connections
from pilotlight.neighbours.outgoing import Outgoing
from pilotlight.neighbours.request_body import BodyTooLarge, ClientGone, Receive, RequestBody
from pilotlight.neighbours.routing import Routing
from pilotlight.wire.messages import WireRequest, WireResponse
from pilotlight.wire.neighbour_errors import neighbour_error
from pilotlight.wire.s3_address import s3_address

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: of one connection only; `expect` is answered here, and `date` and `server` are the front's to add
_HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade", "expect"),
    }
)
_NOT_PASSED_BACK = _HOP_BY_HOP | {"date", "server"}
ANSWERED_BODY_LIMIT_BYTES = 1 << 20
#: a batch delete of 1,000 keys of 1,024 bytes, each byte written as an entity, is below this
WATCHED_BODY_LIMIT_BYTES = 8 << 20
WATCHED_RESPONSE_LIMIT_BYTES = 8 << 20


class Destination(Protocol):
    """What the front found out about the request: `scope["pilotlight"]`."""

    @property
    def account(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def caller(self) -> str: ...


class Watch(Protocol):
    """The tap's interest in one write."""

    @property
    def keep_request_bytes(self) -> int:
        """How much of the start of the request's body `after` is to be given."""
        ...

    @property
    def whole_request(self) -> bool:
        """Whether `before` needs the request's body (a small XML document)."""
        ...

    @property
    def keep_response(self) -> bool:
        """Whether `after` needs the body of the response (a small XML document)."""
        ...

    async def before(self, request_body: bytes) -> None:
        """Called before the backend gets the request; the body is b"" unless asked for by `whole_request`."""
        ...

    async def after(self, response: WireResponse, request_start: bytes) -> None:
        """Called with the backend's answer before the client sees any of it; what it has to keep is durable when it
        returns. Raises AwsError, which the client then gets instead."""
        ...


Answer = Callable[[bytes], Awaitable[WireResponse]]


class Tap(Protocol):
    """Sees every S3 request before it is forwarded; the request's body is not in it yet."""

    def answer(self, request: WireRequest) -> Answer | None:
        """A function from the request's body to the answer, when the backend is not to be asked at all."""
        ...

    def watch(self, request: WireRequest, source_ip: str) -> Watch | None:
        """The tap's interest in this request, if any. Cheap: it is asked for every S3 request."""
        ...

    async def embedded_started(self) -> None:
        """The embedded S3 has been started, empty; nothing reaches it before this returns."""
        ...


class Forward:
    """ASGI application. `tap` may be set after construction, before the first request."""

    def __init__(self, routing: Routing, connections: Connections, domains: Iterable[str]) -> None:
        self._routing = routing
        self._connections = connections
        self._domains = tuple(domains)
        self.tap: Tap | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, destination = _read(scope)
        exchange = _Exchange(send)
        try:
            await self._handle(scope, request, destination, receive, exchange)
        except ClientGone:
            pass
        except AwsError as error:
            if exchange.started:
                raise
            await exchange.answer(_error_response(error, request, destination.service))
        except Exception:
            if exchange.started:
                raise
            logger.exception("a request to %s could not be forwarded", destination.service)
            error = InternalError("We encountered an internal error. Please try again.")
            await exchange.answer(_error_response(error, request, destination.service))

    async def _handle(
        self, scope: Scope, request: WireRequest, destination: Destination, receive: Receive, exchange: _Exchange
    ) -> None:
        is_s3 = destination.service in ("s3", "s3express")
        tap = self.tap if is_s3 else None
        if tap is not None and (answer := tap.answer(request)) is not None:
            await exchange.answer(await answer(await _whole(RequestBody(receive), ANSWERED_BODY_LIMIT_BYTES)))
            return
        watch = tap.watch(request, _source_ip(scope)) if tap is not None else None
        body = RequestBody(receive, watch.keep_request_bytes if watch is not None else 0)
        endpoint = self._routing.endpoint(destination.service)
        if endpoint.embedded and destination.service == "sts":
            known = caller_identity.answer(request, await body.start() or b"")
            if known is not None:
                await exchange.answer(known)
                return
        if destination.service == "sqs" and (endpoint.embedded or endpoint.keys is not None):
            await _with_trace_header(request, body)
        outgoing = Outgoing(request, destination.service, endpoint, self._address_path(request) if is_s3 else None)
        if watch is not None:
            await watch.before(await _whole(body, WATCHED_BODY_LIMIT_BYTES) if watch.whole_request else b"")
        await outgoing.prepare(scope["headers"], body, _HOP_BY_HOP)
        if watch is not None:
            await self._watched(watch, outgoing, body, exchange)
        else:
            await self._passed(outgoing, body, exchange, is_s3)

    def _address_path(self, request: WireRequest) -> str:
        return s3_address(request.host, request.raw_path, self._domains).raw_path

    async def _open(self, outgoing: Outgoing, body: Body) -> aiohttp.ClientResponse:
        return await self._connections.send(
            outgoing.endpoint,
            outgoing.method,
            outgoing.raw_path,
            outgoing.query_string,
            outgoing.headers,
            body,
        )

    async def _passed(self, outgoing: Outgoing, body: RequestBody, exchange: _Exchange, is_s3: bool) -> None:
        """Nobody but the client has an interest: when it goes away, so does the request to the backend."""
        sending = asyncio.ensure_future(self._open(outgoing, outgoing.body))
        gone = asyncio.ensure_future(body.wait_gone())
        gone.add_done_callback(lambda _: sending.cancel())
        try:
            response = await sending
            async with response:
                await exchange.head(response.status, _passed_back(response, is_s3))
                await exchange.stream(response, gone)
        except asyncio.CancelledError:
            if not body.gone:
                raise
            raise ClientGone from None
        finally:
            gone.cancel()
            sending.cancel()

    async def _watched(self, watch: Watch, outgoing: Outgoing, body: RequestBody, exchange: _Exchange) -> None:
        """A write with events: once the backend has it, the events are stored whether or not the client still waits."""
        response = await self._open(outgoing, outgoing.body)
        async with response:
            headers = _passed_back(response, is_s3=True)
            content = b""
            if watch.keep_response:
                content = await _read_whole(response, outgoing)
            fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
            await watch.after(WireResponse(response.status, fields, content), bytes(body.kept))
            await exchange.head(response.status, headers)
            if watch.keep_response:
                await exchange.end(content)
                return
            gone = asyncio.ensure_future(body.wait_gone())
            try:
                await exchange.stream(response, gone)
            finally:
                gone.cancel()


class _Exchange:
    """The way back to the client."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        if status in (204, 304):
            # Neither has a body, whatever a Content-Length says about the one it stands for.
            headers = [header for header in headers if header[0] != b"content-length"]
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def end(self, content: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": content, "more_body": False})

    async def stream(self, response: aiohttp.ClientResponse, gone: asyncio.Future[None]) -> None:
        """Raises ClientGone, or aiohttp.ClientError when the backend broke off: the server in front then breaks off
        too, so that half a body is not taken for a whole one."""
        gone.add_done_callback(lambda _: response.close())
        try:
            async for piece in response.content.iter_any():
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        except aiohttp.ClientError as error:
            if gone.done():
                raise ClientGone from None
            logger.warning("a neighbour broke off in the middle of a response: %s", error)
            raise
        await self.end()

    async def answer(self, response: WireResponse) -> None:
        content = cast(bytes, response.body)
        headers = [(name.encode("latin-1"), value.encode()) for name, value in response.headers.items()]
        headers.append((b"content-length", b"%d" % len(content)))
        await self.head(response.status, headers)
        await self.end(content)


def _read(scope: Scope) -> tuple[WireRequest, Destination]:
    destination: Destination = scope["pilotlight"]
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        text = name.decode("latin-1")
        headers[text] = f"{headers[text]},{_text(value)}" if text in headers else _text(value)
    raw_path = scope.get("raw_path") or scope["path"].encode()
    request = WireRequest(
        method=scope["method"],
        raw_path=raw_path.decode("latin-1"),
        query_string=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=b"",
        account=destination.account,
        region=destination.region,
        request_id=destination.request_id,
        caller=destination.caller,
        host=headers.get("host", ""),
    )
    return request, destination


async def _with_trace_header(request: WireRequest, body: RequestBody) -> None:
    """Have SQS's messages keep the trace header their request has. Not where the backend checks the client's own
    signature, which covers the body: that can only be AWS's kind of SQS, which does this itself."""
    header = sqs_trace.header_of(request)
    if header:
        body.replace(sqs_trace.written_in(request, await _whole(body, sqs_trace.BODY_LIMIT_BYTES), header))


async def _whole(body: RequestBody, limit_bytes: int) -> bytes:
    try:
        return await body.whole(limit_bytes)
    except BodyTooLarge:
        raise EntityTooLarge("Your proposed upload exceeds the maximum allowed size") from None


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _source_ip(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client and client[0] else "127.0.0.1"


def _passed_back(response: aiohttp.ClientResponse, is_s3: bool) -> list[tuple[bytes, bytes]]:
    """The response's headers for the client, names in lower case. S3's two request ids are added when they are
    missing: the client, and the event that follows from its request, are given the same. (moto sends the id of other
    services too, which SDKs would take for S3's.)"""
    dropped = {token.strip().lower() for token in response.headers.get("connection", "").split(",")}
    if is_s3:
        dropped.add("x-amzn-requestid")
    headers = [
        (name.lower(), value)
        for name, value in response.raw_headers
        if (text := name.decode("latin-1").lower()) not in _NOT_PASSED_BACK and text not in dropped
    ]
    if is_s3:
        if "x-amz-request-id" not in response.headers:
            headers.append((b"x-amz-request-id", secrets.token_hex(8).upper().encode()))
        if "x-amz-id-2" not in response.headers:
            headers.append((b"x-amz-id-2", base64.b64encode(secrets.token_bytes(48))))
    return headers


async def _read_whole(response: aiohttp.ClientResponse, outgoing: Outgoing) -> bytes:
    pieces = bytearray()
    try:
        with contextlib.closing(response):
            async for piece in response.content.iter_any():
                pieces += piece
                if len(pieces) > WATCHED_RESPONSE_LIMIT_BYTES:
                    raise InternalError("The answer of the S3 server is larger than any such answer may be.")
    except aiohttp.ClientError as error:
        raise ServiceUnavailableException(
            f'The service "{outgoing.endpoint.service}" at {outgoing.endpoint.name} broke off its answer: {error}'
        ) from error
    return bytes(pieces)


def _error_response(error: AwsError, request: WireRequest, service: str) -> WireResponse:
    response = neighbour_error(
        service,
        error,
        headers=request.headers,
        query_string=request.query_string,
        request_id=request.request_id,
        resource=request.raw_path,
    )
    if request.method == "HEAD":
        response.body = b""
    return response
