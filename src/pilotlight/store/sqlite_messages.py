"""What the node and its store process say to each other, over a socketpair.

Why a process: a thread that runs SQLite has to take the GIL back after every statement and every fsync, and an event
loop that is never idle lets it wait. Beside an uvloop serving eight connections flat out, a writer thread made 26
durable enqueues per second, with a p50 of 300 ms; this makes 4,000, with 1.5 ms (2026-11-21, bench/store.py shows it
in small). A process has a GIL, and a core, of its own.

The frames are frames.py's: a call's number, flags, and msgpack.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.store.interface import (
    Change,
    ChangeEvent,
    DataDirectoryInUse,
    FeedTrimmed,
    QueueItem,
    Record,
    SchemaTooNew,
    StoreBroken,
    StoreError,
    StoreFull,
)

#: flags of an answer: it is a Failure; its commit wrote records; it put items on a queue, back on one, or free
FAILED, WROTE_RECORDS, WROTE_QUEUE = 1, 2, 4


class Opening(msgspec.Struct, array_like=True):
    """The process's command line: what to open."""

    directory: str
    owner: str
    max_bytes: int
    feed_revisions: int


class Transact(msgspec.Struct, frozen=True, array_like=True, tag=True):
    changes: list[Change]
    now_ms: int


class Claim(msgspec.Struct, frozen=True, array_like=True, tag=True):
    queue_prefix: str
    now_ms: int
    lease_ms: int
    limit: int
    of_each: int
    rooms: dict[str, int]


class BringForward(msgspec.Struct, frozen=True, array_like=True, tag=True):
    queue_prefix: str
    beyond_ms: int
    due_at_ms: int


class ReleaseOwner(msgspec.Struct, frozen=True, array_like=True, tag=True):
    owner: str


class ReleaseItems(msgspec.Struct, frozen=True, array_like=True, tag=True):
    queue_prefix: str
    but: list[str]


class AcquireLease(msgspec.Struct, frozen=True, array_like=True, tag=True):
    name: str
    owner: str
    ttl_ms: int
    now_ms: int


class ReleaseLease(msgspec.Struct, frozen=True, array_like=True, tag=True):
    name: str
    owner: str


class Get(msgspec.Struct, frozen=True, array_like=True, tag=True):
    kind: str
    key: str


class Scan(msgspec.Struct, frozen=True, array_like=True, tag=True):
    kind: str
    prefix: str
    after: str
    limit: int


class Revision(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class ChangesSince(msgspec.Struct, frozen=True, array_like=True, tag=True):
    revision: int
    limit: int


class NextDue(msgspec.Struct, frozen=True, array_like=True, tag=True):
    queue_prefix: str
    without: list[str]


class QueueDepth(msgspec.Struct, frozen=True, array_like=True, tag=True):
    queue: str


class QueueDepths(msgspec.Struct, frozen=True, array_like=True, tag=True):
    queue_prefix: str


class Counter(msgspec.Struct, frozen=True, array_like=True, tag=True):
    name: str


class Close(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


Write = Transact | Claim | BringForward | ReleaseOwner | ReleaseItems | AcquireLease | ReleaseLease
Read = Get | Scan | Revision | ChangesSince | NextDue | QueueDepth | QueueDepths | Counter
Request = Write | Read | Close

#: what an answer to each request decodes to
ANSWERS: dict[type[Request], msgspec.msgpack.Decoder[Any]] = {
    Transact: msgspec.msgpack.Decoder(int),
    Claim: msgspec.msgpack.Decoder(list[QueueItem]),
    BringForward: msgspec.msgpack.Decoder(int),
    ReleaseOwner: msgspec.msgpack.Decoder(int),
    ReleaseItems: msgspec.msgpack.Decoder(int),
    AcquireLease: msgspec.msgpack.Decoder(bool),
    ReleaseLease: msgspec.msgpack.Decoder(bool),
    Get: msgspec.msgpack.Decoder(Record | None),
    Scan: msgspec.msgpack.Decoder(list[Record]),
    Revision: msgspec.msgpack.Decoder(int),
    ChangesSince: msgspec.msgpack.Decoder(list[ChangeEvent]),
    NextDue: msgspec.msgpack.Decoder(int | None),
    QueueDepth: msgspec.msgpack.Decoder(int),
    QueueDepths: msgspec.msgpack.Decoder(dict[str, int]),
    Counter: msgspec.msgpack.Decoder(int),
    Close: msgspec.msgpack.Decoder(None),
}


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """An answer with FAILED set. `change` is the index of the change in conflict, or -1 when it is another error."""

    error: str
    message: str
    change: int = -1


_ERRORS: dict[str, type[StoreError]] = {
    error.__name__: error for error in (StoreFull, StoreBroken, FeedTrimmed, SchemaTooNew, DataDirectoryInUse)
}


def to_error(failure: Failure) -> StoreError:
    """The exception that a Failure (other than a conflict) stands for."""
    return _ERRORS.get(failure.error, StoreBroken)(failure.message)
