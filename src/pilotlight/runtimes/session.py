"""What passes between one runtime process and the node, whatever carries it: one state machine, two transports.

`frames.FrameChannel` and `http_api.RuntimeApi` both call the methods below, which check that the message is legal
*before* they change anything. A session ends with its process; the environment that owns it goes on and may start
another process with a session of its own.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from typing import Protocol

import msgspec


class SessionState(enum.Enum):
    INITIALIZING = "initializing"
    IDLE = "idle"
    BUSY = "busy"
    STREAMING = "streaming"
    """Busy, and its response has begun."""
    CLOSED = "closed"


class SessionViolation(Exception):
    """The runtime did what no runtime may; says what."""


class Work(msgspec.Struct, gc=False):
    """One invocation as the runtime sees it. Empty strings stand for absent values."""

    request_id: str
    payload: bytes
    deadline_ms: int
    """Epoch milliseconds."""
    invoked_arn: str
    trace_id: str
    client_context: str = ""
    """JSON text."""
    cognito_identity: str = ""
    tenant_id: str = ""


class SessionOwner(Protocol):
    """The environment: told what its runtime process says."""

    def runtime_ready(self, max_rss_kib: int) -> None: ...
    def runtime_init_failed(self, error_type: str, body: bytes, max_rss_kib: int) -> None: ...
    def runtime_responded(self, body: bytes, max_rss_kib: int, content_type: str) -> None: ...
    def runtime_failed(self, error_type: str, body: bytes, max_rss_kib: int) -> None: ...
    def runtime_violated(self, reason: str) -> None: ...

    def runtime_began_stream(self, content_type: str, transport: asyncio.ReadTransport) -> None:
        """The response comes in pieces, over `transport`, which may be paused."""
        ...

    def runtime_streamed(self, chunk: bytes) -> bool:
        """False once the response is larger than it may be: nothing more of it is wanted."""
        ...

    def runtime_ended_stream(self, error_type: str, body: bytes, max_rss_kib: int) -> None:
        """`error_type` is "" when all of it was said."""
        ...

    def runtime_cut_stream(self) -> None:
        """It broke off, by the runtime's fault or by its end: whichever it was is seen by the process."""
        ...


class RuntimeSession:
    """States: initializing -> idle -> busy -> idle, with streaming between busy and idle for a response that comes in
    pieces; closed from each."""

    __slots__ = ("_held", "_owner", "_send", "carrier", "request_id", "state")

    def __init__(self, owner: SessionOwner) -> None:
        self._owner = owner
        self._send: Callable[[Work], None] | None = None
        self._held: Work | None = None
        self.state = SessionState.INITIALIZING
        self.request_id = ""
        self.carrier = ""
        """Which transport carries the work: `frames`, `http`, or "" before either has claimed it."""

    def attach(self, send: Callable[[Work], None], carrier: str) -> None:
        """Name the transport that carries the work, and its way of handing it over; held work goes out at once."""
        self.carrier = carrier
        self._send = send
        if self._held is not None:
            work, self._held = self._held, None
            send(work)

    def detach(self) -> None:
        """The transport cannot hand over work until it attaches again: over HTTP, until the runtime asks for it."""
        self._send = None

    @property
    def holds_work(self) -> bool:
        """Whether work was delivered that the runtime has not asked for yet."""
        return self._held is not None

    def deliver(self, work: Work) -> None:
        """Give an idle runtime its next invocation."""
        if self.state is not SessionState.IDLE:
            raise SessionViolation(f"work given to a runtime that is {self.state.value}")
        self.state = SessionState.BUSY
        self.request_id = work.request_id
        if self._send is None:
            self._held = work
        else:
            self._send(work)

    def ready(self, max_rss_kib: int) -> None:
        """Initialisation is over; the runtime waits for work."""
        if self.state is not SessionState.INITIALIZING:
            raise SessionViolation(f"ready while {self.state.value}")
        self.state = SessionState.IDLE
        self._owner.runtime_ready(max_rss_kib)

    def init_failed(self, error_type: str, body: bytes, max_rss_kib: int) -> None:
        if self.state is not SessionState.INITIALIZING:
            raise SessionViolation(f"init error while {self.state.value}")
        self.state = SessionState.CLOSED
        self._owner.runtime_init_failed(error_type, body, max_rss_kib)

    def responded(self, request_id: str, body: bytes, max_rss_kib: int, content_type: str) -> None:
        self._answer(request_id)
        self._owner.runtime_responded(body, max_rss_kib, content_type)

    def failed(self, request_id: str, error_type: str, body: bytes, max_rss_kib: int) -> None:
        self._answer(request_id)
        self._owner.runtime_failed(error_type, body, max_rss_kib)

    def stream_began(self, request_id: str, content_type: str, transport: asyncio.ReadTransport) -> None:
        """The answer comes in pieces: some `stream_chunk`, then `stream_ended` or `stream_cut`."""
        if self.state is not SessionState.BUSY or request_id != self.request_id:
            raise SessionViolation(f"a response to {request_id!r}, which is not being served")
        self.state = SessionState.STREAMING
        self._owner.runtime_began_stream(content_type, transport)

    def stream_chunk(self, chunk: bytes) -> bool:
        """False when nothing more of this response is wanted."""
        if self.state is not SessionState.STREAMING:
            raise SessionViolation(f"a piece of a response while {self.state.value}")
        return self._owner.runtime_streamed(chunk)

    def stream_ended(self, request_id: str, error_type: str, body: bytes, max_rss_kib: int) -> None:
        if self.state is not SessionState.STREAMING or request_id != self.request_id:
            raise SessionViolation(f"the end of a response to {request_id!r}, which is not being served")
        self.state = SessionState.IDLE
        self.request_id = ""
        self._owner.runtime_ended_stream(error_type, body, max_rss_kib)

    def stream_cut(self) -> None:
        """The transport ended in mid-response. A runtime that lives on may ask for its next work."""
        if self.state is SessionState.STREAMING:
            self.state = SessionState.IDLE
            self.request_id = ""
            self._owner.runtime_cut_stream()

    def violated(self, reason: str) -> None:
        """The transport could not make sense of what came: the process is not to be trusted with more."""
        if self.state is not SessionState.CLOSED:
            self.state = SessionState.CLOSED
            self._owner.runtime_violated(reason)

    def close(self) -> None:
        self.state = SessionState.CLOSED

    def _answer(self, request_id: str) -> None:
        if self.state is not SessionState.BUSY or request_id != self.request_id:
            raise SessionViolation(f"an answer to {request_id!r}, which is not being served")
        self.state = SessionState.IDLE
        self.request_id = ""
