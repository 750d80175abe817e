"""Requests to function URLs on a connection: read whole, handed on as an event, answered as the function says.

As for invocations there is no ASGI in between, and a request is submitted when its body is complete. What is decided by
the head alone (no such URL, a preflight, no permission) is answered in its turn as well, after its body was read, so
that the connection is good for more. A client that goes away is not told to the function: it runs to its end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial

from pilotlight.errors import AwsError, ServiceUnavailableException
from pilotlight.front import answers
from pilotlight.front.answering import AnsweringConnection
from pilotlight.front.authentication import check_body
from pilotlight.front.function_urls import FORBIDDEN, PATH_PREFIX, UNKNOWN, FunctionUrl, UrlCall, signer
from pilotlight.front.http_connection import Headers
from pilotlight.front.router import is_function_url
from pilotlight.invoke.messages import InvokeReply, InvokeRequest
from pilotlight.invoke.payload import SYNC_LIMIT, check_size
from pilotlight.invoke.response_stream import StreamedAnswer
from pilotlight.observe import trace_header
from pilotlight.wire.http_messages import HttpAnswer, HttpClient, HttpRequest

logger = logging.getLogger(__name__)

#: answers larger than this are not copied to be joined with their head
_JOIN_LIMIT = 64 * 1024
#: the path form is of the node's own origin: what a function answers there must not act as a page of that origin
_SANDBOXED = (
    b"content-security-policy",
    b"sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads",
)
_NO_BODY = frozenset({204, 304})


class UrlConnection(AnsweringConnection):
    _url_call: UrlCall | None = None
    """The one being read."""
    _http_client: HttpClient | None = None
    """The other end, once a request to a URL has come from there."""
    _streaming: asyncio.Task[None] | None = None
    """What writes the answer that is streamed now."""

    # --- reading ---

    def _begin_url(self, headers: Headers, fields: dict[bytes, bytes]) -> bool:
        """Begin a request to a function URL, by the host it names. False when it is no such host."""
        host = fields.get(b"host")
        if host is None:
            return False
        desk = self._desk
        if host not in desk.guard.admitted_urls:
            if not is_function_url(host.decode("latin-1")):
                return False
            if self._identity is None:
                desk.guard.check_url_host(host)
        self._begin_call(desk.function_urls.at_host(host), self._url_request(headers, fields), fields)
        return True

    def _begin_url_path(self, headers: Headers, fields: dict[bytes, bytes]) -> None:
        """Begin a request to the path form of a function URL: the event has the path behind the id."""
        request = self._url_request(headers, fields)
        url_id, slash, path = request.raw_path[len(PATH_PREFIX) :].partition("/")
        request.raw_path = slash + path or "/"
        self._begin_call(self._desk.function_urls.with_id(url_id), request, fields, is_path_form=True)

    def _url_request(self, headers: Headers, fields: dict[bytes, bytes]) -> HttpRequest:
        url = self.url
        if url.startswith(b"/") and b"#" not in url:
            path, _, query = url.decode("latin-1").partition("?")
        else:
            head = self._head(headers, fields, "")
            path, query = head.raw_path, head.query
        traced: str | None = None
        if b"x-amzn-trace-id" in fields:
            traced = fields[b"x-amzn-trace-id"].decode("latin-1")
        trace = trace_header.parse(traced) if traced is not None else None
        client = self._http_client
        if client is None:
            client = self._http_client = HttpClient(
                self.client[0].removeprefix("::ffff:") if self.client else "",
                self.scheme or "http",
                (self.server[1] if self.server else None) or 0,
            )
        return HttpRequest(
            self.parser.get_method(),
            path,
            query,
            headers,
            fields,
            self.parser.get_http_version(),
            client,
            self._desk.new_request_id(),
            trace.root if trace is not None else trace_header.new_root(),
            traced if trace is not None else None,
        )

    def _begin_call(
        self,
        url: FunctionUrl | None,
        request: HttpRequest,
        fields: dict[bytes, bytes],
        *,
        is_path_form: bool = False,
    ) -> None:
        if self._desk.draining and self._identity is None:
            raise ServiceUnavailableException("The node is stopping.")
        call = UrlCall(request, url, time.perf_counter(), self._keep, is_path_form=is_path_form)
        self._url_call = call
        if url is None:
            call.answer = UNKNOWN
        else:
            if b"origin" in fields:
                call.answer = url.preflight(fields) if request.method == b"OPTIONS" else None
            if call.answer is None:
                if url.is_signed:
                    self._read_signature(call, url, fields)
                if call.error is None and not url.is_open_to(request.caller):
                    call.answer = FORBIDDEN
        length = fields.get(b"content-length")
        if length is not None and len(length) > 6:
            check_size(int(length), "RequestResponse")
        if b"expect" in fields and fields[b"expect"].lower() == b"100-continue":
            self.send_continue()

    def _read_signature(self, call: UrlCall, url: FunctionUrl, fields: dict[bytes, bytes]) -> None:
        request = call.request
        call.head = head = self._head(request.headers, fields, request.request_id)
        try:
            request.caller, call.claim = signer(head, url, self._desk.url_verifier)
        except AwsError as error:
            call.error = error

    def on_body(self, body: bytes) -> None:
        call = self._url_call
        if call is None:
            # Into the cycle's buffer, pausing the client when it is full.
            super().on_body(body)
            return
        call.size += len(body)
        if call.size > SYNC_LIMIT:
            check_size(call.size, "RequestResponse")
        call.body.append(body)

    def _url_body_complete(self, call: UrlCall) -> None:
        self._url_call = None
        if self._busy or self._waiting or self.flow.write_paused:
            self.take_turn(partial(self._serve, call))
        else:
            self._serve(call)

    def write_refusal(self, error: AwsError) -> None:
        call = self._url_call
        if call is None:
            super().write_refusal(error)
        else:
            head = self._head(call.request.headers, call.request.fields, call.request.request_id)
            self._write_error(error, "lambda", head, head.request_id, _page_headers(call))

    # --- answering ---

    def _serve(self, call: UrlCall) -> None:
        self._busy = True
        self._keep_current = call.keep
        url = call.url
        if call.answer is not None or url is None:
            self._answer(call, call.answer or UNKNOWN)
            return
        if call.error is not None:
            self._replied(call, url, InvokeReply(error=call.error))
            return
        body = call.body
        payload = body[0] if len(body) == 1 else b"".join(body)
        try:
            if call.claim is not None and call.head is not None:
                check_body(self._desk.url_verifier, call.claim, call.head, payload)
            call.invocation = invocation = url.invocation(call.request, payload)
            if len(invocation.payload) > SYNC_LIMIT:
                check_size(len(invocation.payload), "RequestResponse")
        except AwsError as error:
            self._replied(call, url, InvokeReply(error=error))
            return
        if url.streams:
            self._begin_stream(call, url, invocation)
        else:
            self._desk.submit(invocation, partial(self._replied, call, url))

    def _replied(self, call: UrlCall, url: FunctionUrl, reply: InvokeReply) -> None:
        if self._lost or not self._busy:
            return
        if reply.error is None:
            self._answer(call, url.answer(reply))
        else:
            response = answers.error_response(reply.error, "lambda", None, call.request.request_id)
            assert isinstance(response.body, bytes)
            headers = [header for header in answers.encoded(response.headers) if header[0] != b"x-amzn-RequestId"]
            self._answer(call, HttpAnswer(response.status, headers, response.body))

    def _answer(self, call: UrlCall, answer: HttpAnswer) -> None:
        _count(call, answer.status)
        status, body = answer.status, answer.body
        no_body = status in _NO_BODY or call.request.method == b"HEAD"
        if status != 204:
            self._write_head(call, answer, b"content-length: %d\r\n" % len(body), b"" if no_body else body)
        else:
            self._write_head(call, answer, b"")
        self.answered()

    def _write_head(self, call: UrlCall, answer: HttpAnswer, length: bytes, body: bytes = b"") -> None:
        """Write the head of an answer, with the line that says how long it is, and `body` behind it."""
        fields = call.request.fields
        headers = answer.headers
        if call.is_path_form or b"origin" in fields:
            headers = headers + _page_headers(call)
        head = answers.head(
            answer.status, headers, _ids(call) + length, date=self._desk.date, keep_alive=self._keep_current
        )
        if len(body) > _JOIN_LIMIT:
            self.transport.write(head)
            self.transport.write(body)
        else:
            self.transport.write(head + body)

    # --- streaming ---

    def _begin_stream(self, call: UrlCall, url: FunctionUrl, invocation: InvokeRequest) -> None:
        tasks = self._desk.server_state.tasks
        invocation.stream = streamed = StreamedAnswer()
        self._desk.submit(invocation, streamed.finish)
        self._streaming = task = asyncio.ensure_future(self._stream(call, url, streamed))
        tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            streamed.close()  # whatever the task came to: a function is not kept waiting for nobody

        task.add_done_callback(ended)

    async def _stream(self, call: UrlCall, url: FunctionUrl, streamed: StreamedAnswer) -> None:
        """Answer with what the function writes, as it writes it; a client that reads slowly makes it wait."""
        try:
            await streamed.begun()
            if streamed.head is not None:
                await self._stream_begun(call, url, streamed, streamed.head.content_type)
            elif (reply := streamed.reply) is not None and reply.error is None and reply.function_error is None:
                # The function did not stream: its response is the body, whatever is in it.
                self._answer(call, HttpAnswer(200, [(b"content-type", b"application/json")], reply.payload))
            elif reply is not None:
                self._replied(call, url, reply)
        except Exception:
            logger.exception("streaming the answer to request %s failed", call.request.request_id)
            self.transport.abort()

    async def _stream_begun(self, call: UrlCall, url: FunctionUrl, streamed: StreamedAnswer, content_type: str) -> None:
        got = b""
        async for piece in streamed:
            got += piece
            begun = url.streamed_head(content_type, got, ended=False)
            if begun is not None:
                break
        else:
            reply = streamed.reply or InvokeReply()
            begun = None if reply.function_error else url.streamed_head(content_type, got, ended=True)
            begun = begun or (url.answer(reply), False)
        answer, more = begun
        if not more:
            self._answer(call, answer)
            return
        _count(call, answer.status)
        has_body = answer.status not in _NO_BODY and call.request.method != b"HEAD"
        is_chunked = call.request.http_version != "1.0"
        if has_body and not is_chunked:
            self._keep_current = False
        self._write_head(call, answer, b"transfer-encoding: chunked\r\n" if has_body and is_chunked else b"")
        if has_body and not await self._stream_body(answer.body, streamed, is_chunked):
            self._keep_current = False  # an end without the last chunk tells the client that there was more to come
        self.answered()

    async def _stream_body(self, first: bytes, streamed: StreamedAnswer, is_chunked: bool) -> bool:
        """Whether the function ended well."""
        if first:
            self.transport.write(_chunk(first) if is_chunked else first)
        async for piece in streamed:
            await self.flow.drain()
            self.transport.write(_chunk(piece) if is_chunked else piece)
        reply = streamed.reply
        if reply is None or reply.error is not None or reply.function_error is not None:
            return False
        if is_chunked:
            self.transport.write(b"0\r\n\r\n")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._streaming is not None:
            self._streaming.cancel()  # what the function still writes is thrown away; it runs to its end
        super().connection_lost(exc)


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _count(call: UrlCall, status: int) -> None:
    if call.url is not None:
        call.url.answered(status, (time.perf_counter() - call.began_s) * 1000)


def _ids(call: UrlCall) -> bytes:
    """Header lines. The trace is told when it came to an invocation, as on AWS."""
    invocation = call.invocation
    if invocation is None:
        return b"x-amzn-RequestId: %b\r\n" % call.request.request_id.encode()
    trace = invocation.trace_header or f"Root={invocation.trace_root}"
    return f"x-amzn-RequestId: {invocation.request_id}\r\nX-Amzn-Trace-Id: {trace}\r\n".encode("latin-1")


def _page_headers(call: UrlCall) -> Headers:
    """What the browser of a page that asked is to know."""
    origin = call.request.fields.get(b"origin")
    headers = call.url.page_headers(origin) if call.url is not None and origin is not None else []
    return [*headers, _SANDBOXED] if call.is_path_form else headers
