"""What a request on a connection means: an invocation, cut short past ASGI, a function URL's (`url_connection`), or
anything else, which is ASGI's.

An invocation becomes an InvokeRequest as its head is read and is submitted when its body is complete; its answer is a
few bytes joined. This is the hot path: every line of `on_headers_complete`, `_begin_invocation`, `_invoke` and `reply`
runs for every invocation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import msgspec

from pilotlight.catalog.credentials import Identity
from pilotlight.errors import AwsError, ServiceUnavailableException
from pilotlight.front import answers, invocations
from pilotlight.front.authentication import authenticate, check_body
from pilotlight.front.cycle import Cycle
from pilotlight.front.desk import Desk
from pilotlight.front.event_stream import EventStreamAnswer
from pilotlight.front.function_urls import PATH_PREFIX
from pilotlight.front.http_connection import Headers
from pilotlight.front.request_head import Head
from pilotlight.front.router import header_credential, scope_of
from pilotlight.front.sigv4 import Claim
from pilotlight.front.url_connection import UrlConnection
from pilotlight.invoke.messages import InvokeReply, InvokeRequest
from pilotlight.invoke.payload import EVENT_LIMIT, INVOKE_ASYNC_LIMIT, check_event_size, check_json, check_size

#: answers larger than this are not copied to be joined with their head
_JOIN_LIMIT = 64 * 1024


class _Rare(msgspec.Struct, gc=False):
    """What few invocations have: kept apart so that the others carry one None."""

    error: AwsError | None = None
    """Their headers are not valid: said when the body has been read, as the connection is good for more."""
    claim: Claim | None = None
    head: Head | None = None
    event_limit: int = 0
    """Bytes its payload may have, when fewer than others' may."""
    is_stream: bool = False
    """It is answered with a stream of events."""
    cors: Headers = []


class Connection(UrlConnection):
    def __init__(self, desk: Desk, routes: invocations.InvocationRoutes, identity: Identity | None = None) -> None:
        super().__init__(desk, identity)
        self._routes = routes
        self._admitted = desk.guard.admitted
        # The invocation being read.
        self._request: InvokeRequest | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._rare: _Rare | None = None
        # The invocation being answered.
        self._request_id = ""
        self._cors: Headers = []
        self._event_stream: EventStreamAnswer | None = None
        self._is_http_1_0 = False

    # --- reading ---

    def on_headers_complete(self) -> None:
        self._in_head = False
        headers = self.headers
        # Trailers of a chunked body come as headers too, and are not part of this request's.
        self.headers = []
        self._fields = fields = dict(headers)
        self._request = None
        self._keep = self.parser.should_keep_alive() and not self._final
        if len(fields) != len(headers) or b"connection" in fields or self._head_bytes > self._header_limit:
            self.check_head(headers, fields)
        if (
            self._identity is not None
            or fields.get(b"host") not in self._admitted
            or b"origin" in fields
            or b"sec-fetch-site" in fields
        ):
            if self._begin_url(headers, fields):
                return
            if self._identity is None:
                self._desk.guard.check(fields, self._local_address(), self.parser.get_http_version())
        route = self._routes.get(self.url) or self._routes.parse(self.url)
        if route is None and self.url.startswith(PATH_PREFIX):
            self._begin_url_path(headers, fields)
        elif route is None or self.parser.get_method() != b"POST" or not self._begin_invocation(route, headers, fields):
            self._begin_cycle(headers, fields)

    def on_body(self, body: bytes) -> None:
        if self._request is None:
            super().on_body(body)
            return
        self._pieces.append(body)
        self._size += len(body)
        if self._size > EVENT_LIMIT:
            # A chunked body has no length to refuse beforehand. An Event's is counted to its end, for the message.
            check_size(self._size, "RequestResponse", operation=_named(self._rare))

    def body_complete(self) -> None:
        request = self._request
        if request is None:
            if self._url_call is not None:
                self._url_body_complete(self._url_call)
            else:
                self.cycle_body_complete()
            return
        self._request = None
        pieces = self._pieces
        request.payload = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._busy or self._waiting or self.flow.write_paused:
            self.take_turn(partial(self._invoke, request, self._keep, self._rare))
        else:
            self._invoke(request, self._keep, self._rare)

    # --- invocations ---

    def _begin_invocation(
        self, route: invocations.InvocationRoute, headers: Headers, fields: dict[bytes, bytes]
    ) -> bool:
        """Read an invocation's head. False when the request was signed for another service."""
        desk = self._desk
        request_id = desk.new_request_id()
        rare: _Rare | None = None
        if self._identity is None and desk.verifier is None and not route.presigned:
            authorization = fields.get(b"authorization")
            if authorization is None:
                caller = desk.callers.unsigned(fields.get(b"host"))
            else:
                caller = desk.callers.claimed(header_credential(authorization), fields.get(b"x-amz-security-token"))
            if caller.service and caller.service != "lambda":
                return False
        else:
            head = self._head(headers, fields, request_id)
            head.raw_path, head.query = route.raw_path, route.query
            scope = scope_of(head)
            if scope is not None and scope.service != "lambda":
                return False
            caller, claim = authenticate(desk, head, "lambda")
            if claim is not None:
                rare = _Rare(claim=claim, head=head)
        if desk.draining and self._identity is None:
            raise ServiceUnavailableException("The node is stopping.")
        request = InvokeRequest(
            caller.account, caller.region, route.function, route.qualifier, request_id, b"", caller=caller.arn
        )
        operation = route.operation
        if operation != "Invoke":
            rare = rare or _Rare()
            if operation == "InvokeAsync":
                request.invocation_type = "Event"
                rare.event_limit = INVOKE_ASYNC_LIMIT
            else:
                rare.is_stream = True
        if operation != "InvokeAsync":
            try:
                invocations.read_options(request, fields, operation)
            except AwsError as error:
                rare = rare or _Rare()
                rare.error = error
        length = fields.get(b"content-length")
        if length is not None and len(length) > 6:
            check_size(int(length), request.invocation_type, operation=_named(rare))
        if b"origin" in fields:
            rare = rare or _Rare()
            rare.cors = desk.guard.cors_headers(fields)
        if b"expect" in fields and fields[b"expect"].lower() == b"100-continue":
            self.send_continue()
        self._request = request
        self._pieces = []
        self._size = 0
        self._rare = rare
        return True

    def _invoke(self, request: InvokeRequest, keep: bool, rare: _Rare | None) -> None:
        self._busy = True
        self._keep_current = keep
        self._request_id = request.request_id
        payload = request.payload
        reply = self.reply
        try:
            if rare is not None:
                self._cors = rare.cors
                if rare.claim is not None and rare.head is not None:
                    check_body(self._desk.verifier, rare.claim, rare.head, payload)
                if rare.error is not None:
                    raise rare.error
                if rare.event_limit:
                    check_event_size(len(payload), rare.event_limit)
                if rare.is_stream:
                    reply = self._begin_event_stream(request)
            elif self._cors:
                self._cors = []
            if payload:
                if len(payload) > EVENT_LIMIT:
                    check_size(len(payload), request.invocation_type, operation=_named(rare))
                check_json(payload)
            else:
                request.payload = b"{}"
        except AwsError as error:
            self.reply(InvokeReply(error=error))
            return
        self._desk.submit(request, reply)

    def reply(self, reply: InvokeReply) -> None:
        """The invoker's callback. A client that is gone gets nothing; its invocation has run all the same."""
        if self._lost or not self._busy:
            return
        if (
            reply.error is None
            and reply.status == 200
            and reply.function_error is None
            and reply.log_result is None
            and self._keep_current
            and not self._cors
        ):
            payload = reply.payload
            desk = self._desk
            head = b"%b%b\r\nX-Amzn-Trace-Id: %b\r\nContent-Length: %d\r\n\r\n" % (
                desk.result_heads.get(reply.executed_version) or invocations.result_head(desk, reply.executed_version),
                self._request_id.encode(),
                reply.trace_header.encode(),
                len(payload),
            )
            if len(payload) > _JOIN_LIMIT:
                self.transport.write(head)
                self.transport.write(payload)
            else:
                self.transport.write(head + payload)
        elif reply.error is None:
            headers = invocations.reply_headers(reply, self._request_id) + self._cors
            self._write(reply.status, headers, reply.payload)
        else:
            self._write_error(reply.error, "lambda", None, self._request_id, self._cors)
        self.answered()

    # --- answers that are streamed ---

    def _begin_event_stream(self, request: InvokeRequest) -> Callable[[InvokeReply], None]:
        request.stream = self._event_stream = answer = EventStreamAnswer(self, request, self._cors)
        self._is_http_1_0 = self.parser.get_http_version() == "1.0"
        return answer.finish

    def stream_head(self, headers: Headers) -> bool:
        if self._is_http_1_0:  # the end of the connection is the end of the body
            self._keep_current = False
        else:
            headers.append((b"transfer-encoding", b"chunked"))
        head = answers.head(200, headers, b"", date=self._desk.date, keep_alive=self._keep_current)
        self.transport.write(head)
        return not self._is_http_1_0

    def stream_write(self, data: bytes) -> None:
        self.transport.write(data)

    def stream_ended(self) -> None:
        self._event_stream = None
        self.answered()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._event_stream is not None:
            self._event_stream.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._event_stream is not None:
            self._event_stream.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._event_stream is not None:
            self._event_stream.let_go()

    # --- everything else ---

    def _begin_cycle(self, headers: Headers, fields: dict[bytes, bytes]) -> None:
        desk = self._desk
        head = self._head(headers, fields, desk.new_request_id())
        if b"origin" in fields:
            head.extra_headers = desk.guard.cors_headers(fields)
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": self.parser.get_http_version(),
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": head.method,
            "root_path": "",
            "path": answers.decoded_path(head.raw_path),
            "raw_path": head.raw_path.encode("latin-1"),
            "query_string": head.query.encode("latin-1"),
            "headers": headers,
            "state": {},
            "pilotlight": head,
        }
        cycle = Cycle(
            scope=cast(Any, scope),
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=[(b"date", desk.date)],
            message_event=asyncio.Event(),
            expect_100_continue=fields.get(b"expect", b"").lower() == b"100-continue",
            keep_alive=self._keep,
            on_response=self.answered,
        )
        self.cycle = self._open_cycle = cycle
        self.take_turn(partial(self._run, cycle, self._keep))

    def _run(self, cycle: Cycle, keep: bool) -> None:
        self._busy = True
        self._keep_current = keep
        self._current_cycle = cycle
        cycle.keep_alive = cycle.keep_alive and keep
        self._start_asgi_task(cycle, self.app)


def _named(rare: _Rare | None) -> str:
    """The operation, as the message on a payload that is too large has it."""
    return "InvokeWithResponseStream" if rare is not None and rare.is_stream else "InvokeFunction"
