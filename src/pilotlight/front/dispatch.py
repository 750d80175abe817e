"""Everything that is no invocation, as one ASGI application: the node's own pages, our services, and what is passed on.

Requests to services of ours (Lambda, CloudWatch Logs, CloudWatch's metrics) are read whole, up to a limit; requests to
neighbours are passed on as they come, piece by piece, so that an upload never sits in memory.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec

from pilotlight import __version__
from pilotlight.errors import (
    AwsError,
    InternalError,
    RequestEntityTooLargeException,
    ServiceException,
)
from pilotlight.front import answers
from pilotlight.front.authentication import admit_reader, authenticate, check_body
from pilotlight.front.body_digest import DigestedReceive, replayed
from pilotlight.front.callers import Caller
from pilotlight.front.desk import Desk
from pilotlight.front.request_head import Head
from pilotlight.front.router import Destination, scope_of, service_of
from pilotlight.wire.messages import WireRequest, WireResponse
from pilotlight.wire.service import ServiceApi

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
ServiceCallable = Callable[[WireRequest], Awaitable[WireResponse]]
Report = Callable[[str], Awaitable[WireResponse]]
"""From the query string to the page."""
IsOurs = Callable[[WireRequest], bool]
"""Whether a request to a service that is partly ours is for that part; its body is there."""
CodeDownload = Callable[[str, str], Awaitable[WireResponse]]

#: services of ours, whose operations a model names
_MODELLED = frozenset({"lambda", "logs"})
_OWN = "/_pilotlight"
_HEALTH = "/_pilotlight/health"
_CODE = "/_pilotlight/code/"


class ClientGone(Exception):
    """The client closed the connection before its request was complete: there is nobody to answer."""


class Dispatch:
    """The application. `forward` gets `scope["pilotlight"]`, a Destination."""

    def __init__(
        self,
        desk: Desk,
        services: Mapping[str, ServiceCallable],
        forward: AsgiApp,
        code_download: CodeDownload,
        health: Callable[[], dict[str, Any]],
        pages: Mapping[str, ServiceCallable],
        shared: Mapping[str, IsOurs],
        reports: Mapping[str, Report],
    ) -> None:
        self._desk = desk
        self._shared = shared
        self._reports = reports
        self._pages = pages
        self._services = services
        self._forward = forward
        self._code_download = code_download
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head: Head = scope["pilotlight"]
        reply = Reply(send, head)
        service = ""
        try:
            if head.raw_path == _OWN or head.raw_path.startswith(_OWN + "/"):
                page = self._pages.get(head.raw_path) if head.method == "POST" else None
                if page is not None:
                    await reply.send(await self._serve(page, "s3", head, receive), receive)
                else:
                    await reply.send(await self._own_page(head), receive)
                return
            if head.method == "OPTIONS" and b"origin" in head.fields:
                await reply.head(204, self._desk.guard.preflight_headers(head.fields))
                await reply.end()
                return
            service = service_of(head, scope_of(head))
            handler = self._services.get(service)
            if handler is not None and service in self._shared:
                authenticate(self._desk, head, service)  # before its body is read; who takes the request does it again
                body = await _read_body(receive, self._desk.settings.max_body_bytes, service, head)
                receive = replayed(body, receive)
                if not self._shared[service](_wire_request(head, body)):
                    handler = None
            if handler is not None:
                await reply.send(await self._serve(handler, service, head, receive), receive)
            else:
                await self._pass_on(service, head, scope, receive, reply)
        except ClientGone:
            pass
        except AwsError as error:
            await reply.error(error, service)
        except Exception:
            if reply.started:
                raise
            logger.exception("request %s to %s failed", head.request_id, service or head.raw_path)
            text = "We encountered an internal error. Please try again."
            await reply.error(InternalError(text) if service == "s3" else ServiceException(text), service)

    # --- the node's own pages ---

    async def _own_page(self, head: Head) -> WireResponse:
        if head.raw_path == _HEALTH and head.method in ("GET", "HEAD"):
            draining = self._desk.draining
            facts = {"status": "draining" if draining else "ok", "version": __version__, **self._health()}
            return WireResponse(
                503 if draining else 200, {"content-type": "application/json"}, msgspec.json.encode(facts)
            )
        report = self._reports.get(head.raw_path)
        if report is not None and head.method in ("GET", "HEAD"):
            admit_reader(self._desk, head)
            return await report(head.query)
        if head.raw_path.startswith(_CODE) and head.method in ("GET", "HEAD"):
            return await self._code_download(head.raw_path, head.query)
        text = msgspec.json.encode({"message": f"There is no page {head.raw_path} here."})
        return WireResponse(404, {"content-type": "application/json"}, text)

    # --- services of ours ---

    async def _serve(self, handler: ServiceCallable, service: str, head: Head, receive: Receive) -> WireResponse:
        limit = self._desk.settings.max_body_bytes
        length = head.text(b"content-length")
        if length.isdecimal() and int(length) > limit:
            raise _too_large(limit, service, head)
        caller, claim = authenticate(self._desk, head, service)
        body = await _read_body(receive, limit, service, head)
        if claim is not None:
            check_body(self._desk.verifier, claim, head, body)
        return await handler(_wire_request(head, body, caller))

    # --- neighbours ---

    async def _pass_on(self, service: str, head: Head, scope: Scope, receive: Receive, reply: Reply) -> None:
        caller, claim = authenticate(self._desk, head, service)
        digested: DigestedReceive | None = None
        if claim is not None and claim.needs_body:
            # Nothing reaches a neighbour before its signature holds, and this one covers the body.
            body = await _read_body(receive, self._desk.settings.max_body_bytes, service, head)
            check_body(self._desk.verifier, claim, head, body)
            receive = replayed(body, receive)
        elif claim is not None and claim.body_sha256:
            receive = digested = DigestedReceive(receive, claim)
        scope["pilotlight"] = Destination(caller.account, caller.region, service, head.request_id, caller.arn)
        send = reply.passed_on(service, digested)
        await self._forward(scope, receive, send)
        if digested is not None and digested.error is not None:
            raise digested.error


class Reply:
    """The way back to one client: request ids and CORS headers on every answer."""

    def __init__(self, send: Send, head: Head) -> None:
        self._send = send
        self._head = head
        self.started = False

    async def head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.started = True
        names = {name.lower() for name, _ in headers}
        if b"x-amzn-requestid" not in names:
            headers.append((b"x-amzn-RequestId", self._head.request_id.encode()))
        await self._send(
            {"type": "http.response.start", "status": status, "headers": headers + self._head.extra_headers}
        )

    async def end(self, body: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def send(self, response: WireResponse, receive: Receive) -> None:
        """Send a whole response, or a stream until it ends or the client goes away."""
        headers = answers.encoded(response.headers)
        body = response.body
        if isinstance(body, bytes):
            if response.status != 204:
                headers.append((b"content-length", b"%d" % len(body)))
            await self.head(response.status, headers)
            await self.end(body)
            return
        lengths = [value for name, value in response.headers.items() if name.lower() == "content-length"]
        headers += [(b"content-length", value.encode()) for value in lengths]
        streaming = asyncio.ensure_future(self._stream(response.status, headers, body))
        gone = asyncio.ensure_future(_client_gone(receive))
        try:
            await asyncio.wait({streaming, gone}, return_when=asyncio.FIRST_COMPLETED)
            if streaming.done():
                streaming.result()
        finally:
            for task in (streaming, gone):
                task.cancel()
            await asyncio.gather(streaming, gone, return_exceptions=True)
            close = getattr(body, "aclose", None)  # also of a stream that never began
            if close is not None:
                await close()

    async def _stream(self, status: int, headers: list[tuple[bytes, bytes]], body: AsyncIterator[bytes]) -> None:
        await self.head(status, headers)
        if self._head.method != "HEAD":
            async for piece in body:
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self.end()

    async def error(self, error: AwsError, service: str) -> None:
        """Answer with an error, unless the answer has begun: then it can only be broken off."""
        if self.started:
            raise error
        response = answers.error_response(error, service or "lambda", self._head, self._head.request_id)
        assert isinstance(response.body, bytes)
        headers = answers.encoded(response.headers)
        headers.append((b"content-length", b"%d" % len(response.body)))
        await self.head(response.status, headers)
        await self.end(response.body)

    def passed_on(self, service: str, digested: DigestedReceive | None) -> Send:
        """A `send` for the application behind: adds what is missing, and is deaf once the body proved to be wrong."""

        async def send(message: MutableMapping[str, Any]) -> None:
            if digested is not None and digested.error is not None and not self.started:
                return
            if message["type"] != "http.response.start":
                await self._send(message)
                return
            headers: list[tuple[bytes, bytes]] = [
                (name, value)
                for name, value in message.get("headers", [])
                if not (self._head.extra_headers and name.lower().startswith(b"access-control-"))
            ]
            if service == "s3" and not any(name.lower() == b"x-amz-request-id" for name, _ in headers):
                headers.append((b"x-amz-request-id", self._head.request_id.encode()))
            await self.head(message["status"], headers)

        return send


async def _read_body(receive: Receive, limit: int, service: str, head: Head) -> bytes:
    """The whole body. Raises ClientGone, or RequestEntityTooLargeException as soon as it is larger than `limit`."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body = message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit, service, head)
        return body
    whole = bytearray()
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone
        whole += message.get("body", b"")
        if len(whole) > limit:
            raise _too_large(limit, service, head)
        if not message.get("more_body", False):
            return bytes(whole)
        message = await receive()


def _wire_request(head: Head, body: bytes, caller: Caller | None = None) -> WireRequest:
    headers: dict[str, str] = {}
    for name, value in head.headers:
        text = name.decode("latin-1")
        shown = value.decode("latin-1")
        headers[text] = f"{headers[text]},{shown}" if text in headers else shown
    return WireRequest(
        method=head.method,
        raw_path=head.raw_path,
        query_string=head.query,
        headers=headers,
        body=body,
        account=caller.account if caller else "",
        region=caller.region if caller else "",
        request_id=head.request_id,
        caller=caller.arn if caller else "",
        host=head.host,
    )


async def _client_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _too_large(limit: int, service: str, head: Head) -> AwsError:
    """AWS names the operation, as LocalStack's tests recorded it."""
    what = f"Request must be smaller than {limit} bytes"
    if service in _MODELLED:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        operation = _api(service).route(head.method, head.raw_path, headers, head.query)
        if operation is not None:
            return RequestEntityTooLargeException(f"{what} for the {operation} operation")
    return RequestEntityTooLargeException(f"{what} (the setting max_body_bytes).")


@functools.cache
def _api(service: str) -> ServiceApi:
    return ServiceApi(service, {})
