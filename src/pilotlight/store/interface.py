"""What durable state looks like to the rest of the house: records, a change feed, a delayed queue, counters, leases.

Everything is written by `transact`: a list of changes that happens as a whole or not at all, and is on disk when the
call returns. Engines (sqlite.py; PostgreSQL to follow) promise the same and are held to it by one conformance suite,
tests/store/conformance.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, Protocol

import msgspec


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One live record. `revision` is the transaction that wrote it, from the one global sequence."""

    kind: str
    key: str
    revision: int
    body: bytes


class ChangeEvent(msgspec.Struct, frozen=True, array_like=True):
    """A record was written (`removed` false) or removed by the transaction `revision`."""

    revision: int
    kind: str
    key: str
    removed: bool


class QueueItem(msgspec.Struct, frozen=True, array_like=True):
    """A claimed item. It is the claimer's until the lease ends; `lease` proves that in Done, Retry and Extend."""

    queue: str
    item_id: str
    body: bytes
    attempts: int
    """How often it was claimed, this time included."""
    due_at_ms: int
    enqueued_at_ms: int
    lease: str


class Put(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Write a record. `expect`: None = whatever is there; 0 = nothing may be there; n = it must be at revision n."""

    kind: str
    key: str
    body: bytes
    expect: int | None = None


class Remove(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Remove a record; nothing happens when there is none, unless `expect` (as in Put) says there must be."""

    kind: str
    key: str
    expect: int | None = None


class Enqueue(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Put an item on a queue, claimable from `due_at_ms` on.

    With an `item_id` it is idempotent: an item of that id still on the queue stays as it is. Items that are due at the
    same moment are claimed in the order in which they were accepted, when their ids were left to the store.
    """

    queue: str
    body: bytes
    due_at_ms: int
    item_id: str | None = None


class Done(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A claimed item leaves the queue."""

    queue: str
    item_id: str
    lease: str


class Retry(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A claimed item goes back, claimable from `due_at_ms` on, with a new body when one is given."""

    queue: str
    item_id: str
    lease: str
    due_at_ms: int
    body: bytes | None = None


class Extend(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A claimed item stays its claimer's until `until_ms`."""

    queue: str
    item_id: str
    lease: str
    until_ms: int


class Add(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Add to a counter; one never written stands at 0."""

    counter: str
    amount: int


Change = Put | Remove | Enqueue | Done | Retry | Extend | Add

Topic = Literal["any", "records", "queue"]


class StoreError(Exception):
    """Base of what a store raises; its text is a sentence."""


class Conflict(StoreError):
    """An expectation or a lease of `change` did not hold; nothing of its transaction was written."""

    def __init__(self, change: Change) -> None:
        super().__init__(f"something else has changed what this change counts on: {_describe(change)}")
        self.change = change


class StoreFull(StoreError):
    """No room on the disk, or the size limit is reached. Nothing was written; writes work again when there is room."""


class StoreBroken(StoreError):
    """The engine failed (an unreadable file, a disk error); nothing of this call may be relied upon."""


class StoreClosed(StoreError):
    """The store is closed, or closing."""


class SchemaTooNew(StoreError):
    """The data was written by a later version of the software, which this one must not touch."""


class DataDirectoryInUse(StoreError):
    """Another node has this data directory open."""


class FeedTrimmed(StoreError):
    """The feed no longer reaches back to the revision asked for: read `revision()`, scan afresh, follow from there."""


_NO_ROOMS: Mapping[str, int] = {}


def _describe(change: Change) -> str:
    match change:
        case Put() | Remove():
            return f"{change.kind} {change.key!r} expected at revision {change.expect}"
        case Done() | Retry() | Extend():
            return f"item {change.item_id} of queue {change.queue!r} under lease {change.lease}"
        case _:
            return repr(change)


class Store(Protocol):
    """One engine, opened. All methods belong to the event loop it is first used on."""

    async def transact(self, changes: Sequence[Change]) -> int:
        """Do all `changes` or none; durable when it returns. Concurrent callers share one fsync, and nothing else.

        Returns the revision of the transaction: every record it put is now at that revision. (One that touches no
        record makes no revision, and returns the newest.) Raises Conflict, StoreFull, StoreBroken, StoreClosed.
        """
        ...

    async def get(self, kind: str, key: str) -> Record | None:
        """The live record, or None."""
        ...

    async def scan(self, kind: str, prefix: str = "", after: str = "", limit: int = 1000) -> list[Record]:
        """Up to `limit` records of a kind whose keys start with `prefix` and come after `after`, ordered by key
        (by code point, whatever the locale)."""
        ...

    async def revision(self) -> int:
        """The newest revision; 0 for an empty store. Read it before a scan, then follow `changes_since` from it."""
        ...

    async def changes_since(self, revision: int, limit: int = 1000) -> list[ChangeEvent]:
        """What changed after `revision`, oldest first. A transaction is never cut in two: the last one is given whole,
        even over `limit`. Raises FeedTrimmed when the feed no longer reaches that far back."""
        ...

    def subscribe(self, wake: Callable[[], None], on: Topic = "any") -> Callable[[], None]:
        """Have `wake` called on the event loop after each commit that wrote records or put items on a queue, back on
        one, or free. It must not block. Returns the function that ends it. A commit missed is a commit missed:
        look first, then wait."""
        ...

    async def claim(
        self,
        queue_prefix: str,
        now_ms: int,
        lease_ms: int,
        limit: int,
        *,
        of_each: int | None = None,
        rooms: Mapping[str, int] = _NO_ROOMS,
    ) -> list[QueueItem]:
        """Take up to `limit` items due at `now_ms` from the queues whose names start with `queue_prefix`.

        The room is shared evenly over the queues that have something due, in turn, so that a busy queue cannot starve
        another; within a queue, the longest due comes first. Of one queue no more than `rooms` says are taken (0
        leaves it out), or than `of_each` (None: no bound) when `rooms` does not name it. Each item is invisible to
        other claims until `now_ms + lease_ms`, and claimable again after that unless Done, Retry or Extend came first.
        """
        ...

    async def next_due(self, queue_prefix: str, *, without: Collection[str] = ()) -> int | None:
        """When (epoch ms) the next item, waiting or leased, of any queue but those in `without` becomes claimable;
        None when there is none."""
        ...

    async def bring_forward(self, queue_prefix: str, beyond_ms: int, due_at_ms: int) -> int:
        """Unclaimed items that are due after `beyond_ms` become due at `due_at_ms`: what was to come soon does so
        although the clock it was timed by has been set back. Returns how many."""
        ...

    async def queue_depth(self, queue: str) -> int:
        """Items on one queue: due, not yet due, and claimed."""
        ...

    async def queue_depths(self, queue_prefix: str) -> dict[str, int]:
        """The same of every queue whose name starts with `queue_prefix` and that has items."""
        ...

    async def extend(self, queue: str, item_id: str, lease: str, until_ms: int) -> None:
        """Keep a claimed item until `until_ms`; raises Conflict when it is no longer held."""
        ...

    async def release_leases(self, owner: str | None = None) -> int:
        """Free what a dead node held (default: this node's own name, for its start): claimed items are claimable at
        once, named leases free. Returns how many items."""
        ...

    async def release_items(self, queue_prefix: str, but: Collection[str]) -> int:
        """Free what this node has claimed from the queues of `queue_prefix` under other leases than those in `but`:
        what a claim took whose answer was lost. Returns how many items."""
        ...

    async def counter(self, name: str) -> int:
        """A counter's value; 0 when it was never added to."""
        ...

    async def acquire_lease(self, name: str, owner: str, ttl_ms: int, now_ms: int) -> bool:
        """Take or renew the named lease until `now_ms + ttl_ms`; False while another owner's holds."""
        ...

    async def release_lease(self, name: str, owner: str) -> None:
        """Give a named lease up; nothing happens when `owner` does not hold it."""
        ...

    async def close(self) -> None:
        """Finish what was begun, then close. Later calls raise StoreClosed."""
        ...
