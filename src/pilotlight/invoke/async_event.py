"""An accepted asynchronous invocation, as it lies on the durable queue until it has succeeded or been given up."""

from __future__ import annotations

import msgspec

from pilotlight.store.interface import Enqueue

QUEUE_PREFIX = "async/"


class AsyncEvent(msgspec.Struct, kw_only=True):
    account: str
    region: str
    function: str
    """Function name, without qualifier."""
    qualifier: str | None = None
    request_id: str
    payload: bytes
    caller: str = ""
    """ARN of who sent it, "" when that is not known."""
    sender: str = ""
    """The account it comes from, when that is another than the function's: the policy of that has the last word."""
    source: str = ""
    """Service principal of the trigger that sent it, for example `s3.amazonaws.com`; "" for a client."""
    source_arn: str = ""
    trace_header: str = ""
    accepted_ms: int
    """By the clock's steady time, as `due_at_ms` of its queue."""
    failures: int = 0
    """Function errors so far: two retries follow the first, after 1 and 2 minutes."""
    refusals: int = 0
    """Throttles and system errors so far: retried with 1 s to 5 min back-off, for six hours."""


def enqueue(event: AsyncEvent) -> Enqueue:
    """The store change that accepts the event; it is due at once. Each function has a queue of its own."""
    return Enqueue(
        queue=f"{QUEUE_PREFIX}{event.account}/{event.region}/{event.function}",
        body=encode(event),
        due_at_ms=event.accepted_ms,
    )


def encode(event: AsyncEvent) -> bytes:
    return msgspec.msgpack.encode(event)


def decode(body: bytes) -> AsyncEvent:
    return msgspec.msgpack.decode(body, type=AsyncEvent)
