"""What passes between one runtime process and the node, whatever carries it: one state machine, two transports.

`frames.FrameChannel` and `http_api.RuntimeApi` both call the methods below, which check that the message is legal
*before* they change anything. A session ends with its process; the environment that owns it goes on and may start
another process with a session of its own.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

import msgspec


class SessionState(enum.Enum):
    INITIALIZING = "initializing"
    IDLE = "idle"
    BUSY = "busy"
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


class RuntimeSession:
    """States: initializing -> idle <-> busy, and closed from each."""

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
