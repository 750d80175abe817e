"""One client connection as HTTP/1.1 wants it, on uvicorn's httptools protocol: order, limits, refusals, slow clients.

uvicorn parses nothing itself and neither do we: httptools (llhttp) calls back with the pieces. A pipelining client is
served one request after the other, so answers are in order. What a client may do wrong has one way out: an AwsError
raised in a callback stops the parser and `_refuse` answers it. Then the rest of what the client sends is read and
thrown away for a while, because closing a socket with unread data resets it, and the client would never see the
answer. Slow clients are found by `check_progress`, called for every connection by the front's ticker: no timer is set
and no clock is read per request. What a request means is for `connection.Connection`, the one subclass.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pilotlight.errors import (
    AwsError,
    BadRequestException,
    IncompleteBody,
    RequestHeaderSectionTooLarge,
    RequestTimeout,
)
from pilotlight.front import answers
from pilotlight.front.cycle import Cycle
from pilotlight.front.desk import Desk

logger = logging.getLogger(__name__)

#: slow_client_s is measured in this many ticks
TICKS = 4
#: headers of which a request has at most one: with two, what is checked and what is obeyed could differ
_SINGLE = frozenset({b"host", b"content-length", b"authorization", b"origin", b"x-amz-security-token", b"x-amz-date"})
_NO_FIELDS: dict[bytes, bytes] = {}

Headers = list[tuple[bytes, bytes]]


class Ended(Exception):
    """Nothing more is read from this connection: its last answer has been decided."""


class HttpConnection(HttpToolsProtocol):
    """What is being read (`_in_*`, `_open_cycle`), what is being answered (`_busy`, `_current_cycle`), what waits."""

    parser: httptools.HttpRequestParser  # type: ignore[assignment]  # None once the connection is lost
    app: Any  # type: ignore[assignment]

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.config, desk.server_state, {})
        self._desk = desk
        self._header_limit = desk.settings.max_header_bytes
        # The request being read.
        self._in_head = False
        self._in_message = False
        self._head_bytes = 0
        self._fields = _NO_FIELDS
        self._keep = True
        self._open_cycle: Cycle | None = None
        self._raw_body_left = 0
        # The request being answered, and those behind it.
        self._busy = False
        self._keep_current = True
        self._current_cycle: Cycle | None = None
        self._waiting: deque[Callable[[], None]] = deque()
        self._starting = False
        self._continue_due = False
        # The connection's end.
        self._ending = False
        self._lingering = False
        self._eof = False
        self._final = False
        self._lost = False
        # For check_progress.
        self._messages = 0
        self._progress = 0
        self._mark: tuple[str, int, int] | None = None
        self._ticks = 0

    @property
    def is_receiving(self) -> bool:
        """Whether a part of a request has come, and not all of it."""
        return self._in_message

    @property
    def is_lingering(self) -> bool:
        """Whether everything has been said, and only the rest of what the client sends is awaited."""
        return self._lingering

    # --- for the subclass to say ---

    def write_refusal(self, error: AwsError) -> None:
        """Write the answer to the request being read, whose head may be incomplete."""
        raise NotImplementedError

    def body_complete(self) -> None:
        """The request being read is complete."""
        raise NotImplementedError

    # --- what the transport says ---

    def data_received(self, data: bytes) -> None:
        self._progress += 1
        if self._ending:
            return
        if self._in_head:
            self._head_bytes += len(data)
        else:
            self._head_bytes = 0 if self._in_message else len(data)
        try:
            self._feed(data)
        except Ended:
            return
        except AwsError as error:
            self._refuse(error)
            return
        if self._in_head and self._head_bytes > self._header_limit:
            self._refuse(head_too_large(self._header_limit))

    def _feed(self, data: bytes) -> None:
        if self._raw_body_left:
            data = self._take_raw_body(data)
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                # We speak HTTP/1.1 and say so by answering: what follows is the body, or the next request.
                data = self._take_raw_body(data[upgrade.args[0] :])
            except httptools.HttpParserCallbackError as error:
                cause = error.__context__
                if isinstance(cause, AwsError | Ended):
                    raise cause from None
                if isinstance(cause, httptools.HttpParserInvalidURLError):
                    raise BadRequestException("The request's target is not a URL.") from None
                raise
            except httptools.HttpParserError as error:
                raise BadRequestException(f"The request is not valid HTTP: {error}") from None

    def _take_raw_body(self, data: bytes) -> bytes:
        """Take the body of a request that asks for an upgrade, which the parser leaves to us; return what is left."""
        if not self._raw_body_left:
            return data
        body = data[: self._raw_body_left]
        if body:
            self._raw_body_left -= len(body)
            self.on_body(body)
            if not self._raw_body_left:
                self._message_complete()
        return data[len(body) :]

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client will send no more. True keeps the connection for the answer it may still be waiting for."""
        self._eof = True
        if self._ending:
            return False
        if self._in_message:
            self._refuse(IncompleteBody("The connection ended before the request did."))
            return self._busy
        if self._busy or self._waiting or self.transport.get_write_buffer_size():
            self._final = True
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._waiting.clear()
        if self._current_cycle is not None:
            _disconnect(self._current_cycle)
        super().connection_lost(exc)
        self._desk.connection_ended.set()

    def pause_writing(self) -> None:
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self._progress += 1
        self.flow.resume_writing()
        self._start_waiting()

    def shutdown(self) -> None:
        """The front is draining: close when idle, else after the answers that are due."""
        if not (self._busy or self._waiting or self._in_message):
            self.transport.close()
            return
        self._final = True
        self._keep = self._keep_current = False
        if self._current_cycle is not None:
            self._current_cycle.keep_alive = False

    # --- what the parser says ---

    def on_message_begin(self) -> None:
        if self._ending:
            raise Ended
        self._in_head = self._in_message = True
        self._messages += 1
        self.url = b""
        self.headers = []
        self._fields = _NO_FIELDS

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_message_complete(self) -> None:
        if not self._raw_body_left:
            self._message_complete()

    def _message_complete(self) -> None:
        self._in_message = False
        self._open_cycle = None
        self.body_complete()

    def cycle_body_complete(self) -> None:
        super().on_message_complete()

    def check_head(self, headers: Headers, fields: dict[bytes, bytes]) -> None:
        """What is rarely wrong, looked at when a cheaper look said that it might be."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in headers)
        if size > self._header_limit:
            raise head_too_large(self._header_limit)
        if len(fields) != len(headers):
            seen: set[bytes] = set()
            for name, _ in headers:
                if name in seen and name in _SINGLE:
                    raise BadRequestException(f"The header {name.decode('latin-1')} is given more than once.")
                seen.add(name)
        if b"connection" in fields:
            if self.parser.get_http_version() == "1.0":
                # Nobody needs HTTP/1.0's keep-alive, and answering it right takes a header more.
                self._keep = False
            if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
                if b"transfer-encoding" in fields:
                    raise BadRequestException("A request that asks for an upgrade can not have a chunked body.")
                self._raw_body_left = int(fields.get(b"content-length", b"0"))

    # --- order ---

    def take_turn(self, start: Callable[[], None]) -> None:
        """Run `start` when the requests before this one have been answered."""
        if self._busy or self._waiting or self.flow.write_paused:
            self.flow.pause_reading()
            self._waiting.append(start)
        else:
            start()

    def answered(self) -> None:
        """The answer is written: close, start the next request, or let the client send one."""
        self._busy = False
        cycle = self._current_cycle
        if cycle is not None:
            self._current_cycle = None
            if cycle.body_unwanted and cycle is self._open_cycle:
                self._keep_current = False
        if self._lost:
            return
        if not self._keep_current or (self._final and not self._waiting):
            self._end()
        elif self._waiting or self._continue_due:
            self._start_waiting()
        elif self.flow.read_paused:
            self.flow.resume_reading()

    def _start_waiting(self) -> None:
        """Start requests that waited for their turn. A loop, not recursion: an answer may come at once."""
        if self._starting or self._lost:
            return
        self._starting = True
        try:
            while self._waiting and not self._busy and not self._ending and not self.flow.write_paused:
                self._waiting.popleft()()
        finally:
            self._starting = False
        if not self._busy and not self._waiting and not self._ending:
            if self._continue_due:
                self._continue_due = False
                self.transport.write(answers.CONTINUE)
            self.flow.resume_reading()

    def send_continue(self) -> None:
        """Tell the client to send its body, after the answers that are due."""
        if self._busy or self._waiting:
            self._continue_due = True
        else:
            self.transport.write(answers.CONTINUE)

    # --- the end ---

    def _refuse(self, error: AwsError) -> None:
        """Answer the request being read with an error, after the answers that are due, and end the connection."""
        self._in_head = False
        self._in_message = True
        cycle = self._open_cycle
        if cycle is not None and cycle.response_complete:
            # Answered before its body had come: there is nothing left to say.
            self._end()
            return
        if cycle is not None:
            # Its application has begun: it learns that the client is gone, and what it still sends goes nowhere.
            started = cycle.response_started
            _disconnect(cycle)
            if cycle is self._current_cycle:
                self._current_cycle = None
                self._busy = False
                if started:
                    self.transport.abort()
                    return
            elif self._waiting:
                self._waiting.pop()
        start = partial(self._end_with, error)
        if self._busy or self._waiting:
            self._waiting.append(start)
            self.flow.pause_reading()
        else:
            start()

    def _end_with(self, error: AwsError) -> None:
        self._keep_current = False
        self.write_refusal(error)
        self._end()

    def _end(self) -> None:
        """No further request. With a request half read, what is still coming is read and thrown away."""
        self._ending = True
        self._waiting.clear()
        if self._in_message and not self._eof and not self.transport.is_closing():
            self._lingering = True
            self.flow.resume_reading()
            self.transport.write_eof()
            self._desk.connection_ended.set()
        else:
            self.transport.close()

    # --- slow clients ---

    def check_progress(self) -> None:
        """Called TICKS times in slow_client_s: ends a connection whose client kept us waiting for all of them."""
        mark = self._waiting_for()
        if mark is None or mark != self._mark:
            self._mark = mark
            self._ticks = 0
            return
        self._ticks += 1
        if self._ticks < TICKS:
            return
        self._mark = None
        if mark[0] in ("head", "body"):
            self._refuse(
                RequestTimeout(
                    "Your socket connection to the server was not read from or written to within the timeout period. "
                    "Idle connections will be closed."
                )
            )
        elif mark[0] == "idle":
            self.transport.close()
        else:
            self.transport.abort()

    def _waiting_for(self) -> tuple[str, int, int] | None:
        """What we wait for the client to do, with numbers that change when it does it; None while it waits for us."""
        if self.transport.is_closing():
            return None
        unread = self.transport.get_write_buffer_size()
        if unread:
            return "unread", unread, self._progress
        if self._ending:
            return "ending", 0, 0
        if self._in_head:
            # Not by progress: a byte a minute is no progress. While an answer is due, its client may take its time.
            return None if self._busy or self._waiting else ("head", self._messages, 0)
        if self._in_message:
            cycle = self._open_cycle
            ours = self._busy and (cycle is None or cycle is not self._current_cycle)
            if ours or self.flow.read_paused or (cycle is not None and cycle.waiting_for_100_continue):
                return None
            return "body", self._messages, self._progress
        return None if self._busy or self._waiting else ("idle", self._messages, 0)


def head_too_large(limit: int) -> AwsError:
    return RequestHeaderSectionTooLarge(
        f"The request line and headers are larger than {limit} bytes (the setting max_header_bytes)."
    )


def _disconnect(cycle: Any) -> None:
    cycle.disconnected = True
    cycle.message_event.set()
