"""The embedded engine: SQLite in WAL mode, every commit fsynced, in a process of its own (sqlite_messages.py says why).

This is the node's side: it turns calls into frames, one write per turn of the event loop, and answers into results.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pilotlight.clock import Clock, SystemClock
from pilotlight.store.channel import ChannelProcess, FrameSender
from pilotlight.store.frames import frame
from pilotlight.store.interface import (
    Change,
    ChangeEvent,
    Conflict,
    Extend,
    QueueItem,
    Record,
    StoreBroken,
    StoreClosed,
    StoreError,
    Topic,
)
from pilotlight.store.lock import DirectoryLock
from pilotlight.store.sqlite_messages import (
    ANSWERS,
    FAILED,
    WROTE_QUEUE,
    WROTE_RECORDS,
    AcquireLease,
    BringForward,
    ChangesSince,
    Claim,
    Close,
    Counter,
    Failure,
    Get,
    NextDue,
    Opening,
    QueueDepth,
    QueueDepths,
    ReleaseItems,
    ReleaseLease,
    ReleaseOwner,
    Request,
    Revision,
    Scan,
    Transact,
    to_error,
)

logger = logging.getLogger(__name__)

#: how many revisions the change feed reaches back
FEED_REVISIONS = 100_000
_NO_ROOMS: Mapping[str, int] = {}
_ENCODER = msgspec.msgpack.Encoder()
_FAILURE = msgspec.msgpack.Decoder(Failure)


def open_sqlite(
    data_dir: str | Path,
    *,
    owner: str = "node",
    clock: Clock | None = None,
    max_bytes: int = 0,
    feed_revisions: int = FEED_REVISIONS,
) -> SqliteStore:
    """Open (or make) the store in `data_dir` and hold the directory's lock until it is closed.

    `owner` is this node's name on the items it claims; `max_bytes` bounds the database file (0: the disk does).
    Raises DataDirectoryInUse, SchemaTooNew, StoreFull, StoreBroken.
    """
    directory = Path(data_dir).absolute()
    lock = DirectoryLock(directory)
    try:
        opening = Opening(str(directory), owner, max_bytes, feed_revisions)
        return SqliteStore(StoreProcess(opening), lock, clock or SystemClock(), owner)
    except BaseException:
        lock.release()
        raise


class StoreProcess(ChannelProcess):
    """One started store process and the channel to it. Construction returns when it has opened the database."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        super().__init__("pilotlight.store.sqlite_process", msgspec.json.encode(opening).decode())
        try:
            self._hello()
        except BaseException:
            self.end()
            raise
        self.channel.setblocking(False)

    def _hello(self) -> None:
        frames = self.reader.receive()
        if not frames:
            raise StoreBroken("The store's process ended before it had opened the database; its error is above.")
        _, flags, payload = frames[0]
        if flags & FAILED:
            raise to_error(_FAILURE.decode(payload))


class _Pending(msgspec.Struct, gc=False):
    request: Request
    future: asyncio.Future[Any]


class SqliteStore:
    """The Store of one data directory. Made by `open_sqlite`.

    A store process that dies is replaced at the next call; the calls it left unanswered raise StoreBroken.
    """

    def __init__(self, process: StoreProcess, lock: DirectoryLock, clock: Clock, owner: str) -> None:
        self._opening = process.opening
        self._process: StoreProcess | None = process
        self._lock = lock
        self._clock = clock
        self._owner = owner
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sender: FrameSender | None = None
        self._number = 0
        self._pending: dict[int, _Pending] = {}
        self._gathered: list[bytes] = []
        self._wakes: list[tuple[int, Callable[[], None]]] = []
        self._closed = False

    @property
    def process_id(self) -> int:
        """Of the store process; 0 when there is none just now."""
        return self._process.pid if self._process else 0

    async def transact(self, changes: Sequence[Change]) -> int:
        return await self._ask(Transact(list(changes), self._clock.time_ms()))

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
        bound = limit if of_each is None else of_each
        return await self._ask(Claim(queue_prefix, now_ms, lease_ms, limit, bound, dict(rooms)))

    async def bring_forward(self, queue_prefix: str, beyond_ms: int, due_at_ms: int) -> int:
        return await self._ask(BringForward(queue_prefix, beyond_ms, due_at_ms))

    async def extend(self, queue: str, item_id: str, lease: str, until_ms: int) -> None:
        await self.transact([Extend(queue, item_id, lease, until_ms)])

    async def release_leases(self, owner: str | None = None) -> int:
        return await self._ask(ReleaseOwner(self._owner if owner is None else owner))

    async def release_items(self, queue_prefix: str, but: Collection[str]) -> int:
        return await self._ask(ReleaseItems(queue_prefix, list(but)))

    async def acquire_lease(self, name: str, owner: str, ttl_ms: int, now_ms: int) -> bool:
        return await self._ask(AcquireLease(name, owner, ttl_ms, now_ms))

    async def release_lease(self, name: str, owner: str) -> None:
        await self._ask(ReleaseLease(name, owner))

    async def get(self, kind: str, key: str) -> Record | None:
        return await self._ask(Get(kind, key))

    async def scan(self, kind: str, prefix: str = "", after: str = "", limit: int = 1000) -> list[Record]:
        return await self._ask(Scan(kind, prefix, after, limit))

    async def revision(self) -> int:
        return await self._ask(Revision())

    async def changes_since(self, revision: int, limit: int = 1000) -> list[ChangeEvent]:
        return await self._ask(ChangesSince(revision, limit))

    async def next_due(self, queue_prefix: str, *, without: Collection[str] = ()) -> int | None:
        return await self._ask(NextDue(queue_prefix, list(without)))

    async def queue_depth(self, queue: str) -> int:
        return await self._ask(QueueDepth(queue))

    async def queue_depths(self, queue_prefix: str) -> dict[str, int]:
        return await self._ask(QueueDepths(queue_prefix))

    async def counter(self, name: str) -> int:
        return await self._ask(Counter(name))

    def subscribe(self, wake: Callable[[], None], on: Topic = "any") -> Callable[[], None]:
        topics = {"any": WROTE_RECORDS | WROTE_QUEUE, "records": WROTE_RECORDS, "queue": WROTE_QUEUE}
        entry = (topics[on], wake)
        self._wakes.append(entry)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._wakes.remove(entry)

        return unsubscribe

    async def close(self) -> None:
        if self._closed:
            return
        try:
            if self._process is not None:
                answered = self._ask(Close())
                self._closed = True
                with contextlib.suppress(StoreError):
                    await answered
        finally:
            self._closed = True
            self._wakes.clear()
            self._let_go("The store was closed.")
            self._lock.release()

    # -- the channel

    def _ask(self, request: Request) -> asyncio.Future[Any]:
        """Have it sent at the end of this turn of the event loop, with everything else that was asked in it."""
        if self._closed:
            raise StoreClosed("The store is closed.")
        loop = self._loop or self._attach()
        payload = _ENCODER.encode(request)
        future: asyncio.Future[Any] = loop.create_future()
        self._number += 1
        self._pending[self._number] = _Pending(request, future)
        if not self._gathered:
            loop.call_soon(self._send)
        self._gathered.append(frame(self._number, 0, payload))
        return future

    def _attach(self) -> asyncio.AbstractEventLoop:
        """Bind to the running loop; start another process (some 60 ms) when the last one died."""
        if self._process is None:
            self._process = StoreProcess(self._opening)
        self._loop = loop = asyncio.get_running_loop()
        self._sender = FrameSender(self._process.channel, loop)
        loop.add_reader(self._process.channel.fileno(), self._receive)
        return loop

    def _send(self) -> None:
        if self._sender is not None:
            self._sender.send(b"".join(self._gathered))
            self._gathered.clear()

    def _receive(self) -> None:
        assert self._process is not None
        frames = self._process.reader.receive()
        if frames is None:
            logger.error("the store process (%d) has ended; another is started when needed", self._process.pid)
            self._let_go("The store's process ended: whether this was done is not known.")
            self._wake(WROTE_RECORDS | WROTE_QUEUE)
            return
        wrote = 0
        for number, flags, payload in frames:
            wrote |= flags
            pending = self._pending.pop(number)
            if pending.future.done():
                continue  # its caller was cancelled; what it asked for is done
            if flags & FAILED:
                pending.future.set_exception(_to_error(pending.request, _FAILURE.decode(payload)))
            else:
                pending.future.set_result(ANSWERS[type(pending.request)].decode(payload))
        self._wake(wrote)

    def _wake(self, wrote: int) -> None:
        for topics, wake in tuple(self._wakes):
            if topics & wrote:
                try:
                    wake()
                except Exception:
                    logger.exception("a store subscriber's wake-up failed")

    def _let_go(self, why: str) -> None:
        """End the process, and fail what it left unanswered."""
        process, self._process = self._process, None
        if process is not None:
            if self._loop is not None and self._sender is not None:
                self._loop.remove_reader(process.channel.fileno())
                self._sender.close()
            process.end()
        self._loop = self._sender = None
        self._gathered.clear()
        pending, self._pending = self._pending, {}
        for one in pending.values():
            if not one.future.done():
                one.future.set_exception(StoreBroken(why))


def _to_error(request: Request, failure: Failure) -> StoreError:
    if failure.change >= 0 and isinstance(request, Transact):
        return Conflict(request.changes[failure.change])
    return to_error(failure)
