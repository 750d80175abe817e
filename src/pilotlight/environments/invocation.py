"""One invocation on its way through an environment, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from pilotlight.environments.log_tail import LogTail
from pilotlight.observe.trace import Trace

Initialization = Literal["on-demand", "provisioned-concurrency"]
"""Why an environment was initialised, as functions and platform logs are told."""


class ResponseHead(msgspec.Struct, frozen=True):
    """What is known of a streamed response before its first byte."""

    content_type: str
    """As the runtime gave it. `HTTP_INTEGRATION` says that the bytes open with an HTTP prelude: the JSON of status,
    headers and cookies, then eight NUL bytes, then the body."""
    executed_version: str


HTTP_INTEGRATION = "application/vnd.awslambda.http-integration-response"


class Source(Protocol):
    """Where a streamed response's bytes come from: the function, through its environment."""

    def pause(self) -> None:
        """Read no more of them: soon the function waits in its write. What was read already may still come."""
        ...

    def resume(self) -> None: ...


class ResponseStream(Protocol):
    """Who wants a response's bytes as the function writes them. How it ended is told by the invocation's outcome, as
    always; a function that does not stream has its whole response there, and nothing here is called."""

    def begin(self, head: ResponseHead, source: Source) -> None:
        """Once, before the first byte."""
        ...

    def write(self, chunk: bytes) -> None: ...


class Outcome(msgspec.Struct, gc=False):
    """What an environment made of an invocation. `function_error` is "" when the function answered normally."""

    payload: bytes
    function_error: str = ""
    """`Unhandled` for whatever the runtime or platform reports, as X-Amz-Function-Error has it."""
    error_type: str = ""
    duration_ms: float = 0.0
    billed_ms: int = 0
    init_ms: float | None = None
    max_memory_mib: int = 0
    log_tail: LogTail | None = None
    """The end of what this invocation logged, if asked for."""
    never_ran: bool = False
    """The platform failed before the function saw the event: a system error, which the async queue retries."""
    streamed_bytes: int | None = None
    """Of a response that the function streamed, whether its caller took it as a stream or whole; None of others."""
    first_byte_ms: float | None = None
    """From the start of the invocation to the first byte of a streamed response."""
    trace: Trace | None = None
    """Of one that is sampled."""
    provisioned: bool = False
    """It ran on provisioned concurrency."""


class Invocation:
    """Mutable while it runs; owned by the pool until an environment begins it, then by that environment."""

    __slots__ = (
        "client_context",
        "cognito_identity",
        "done",
        "invoked_arn",
        "log_tail",
        "payload",
        "request_id",
        "stream",
        "trace",
        "trace_id",
    )

    def __init__(
        self,
        request_id: str,
        payload: bytes,
        invoked_arn: str,
        trace_id: str,
        done: Callable[[Outcome], None],
        *,
        client_context: str = "",
        cognito_identity: str = "",
        log_tail: bool = False,
        stream: ResponseStream | None = None,
        trace: Trace | None = None,
    ) -> None:
        self.request_id = request_id
        self.payload = payload
        self.invoked_arn = invoked_arn
        self.trace_id = trace_id
        self.client_context = client_context
        self.cognito_identity = cognito_identity
        self.done = done
        self.log_tail = LogTail() if log_tail else None
        self.stream = stream
        self.trace = trace
