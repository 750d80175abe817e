"""The log store: what functions and the platform print, kept in SQLite files of its own, never in the catalog's.

The hot path appends a tuple to a list; ten times a second, or when a stream has a block's worth, the lists are handed
over to the log process (writer.py). `append` and everything else here is called on the event loop's thread, so there
are no locks. Memory is bounded: what waits to be written has a limit, and beyond it a stream loses what it has
pending, which is counted and said in the log where it was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

import apsw
import msgspec

from pilotlight.clock import Clock
from pilotlight.observe import platform_events
from pilotlight.observe.database import Event, LogDatabase
from pilotlight.observe.writer import Block, HandedOver, LogWriter
from pilotlight.settings import Settings

T = TypeVar("T")

BLOCK_SIZE = 128 * 1024
"""Characters (and overhead) a stream gathers before they are handed over without waiting for the clock."""

QUEUE_SIZE = 32 * 1024 * 1024
"""Characters (and overhead) that may wait to be written, over all streams."""

_BEHIND_SIZE = QUEUE_SIZE // 4

EVENT_OVERHEAD = 150
"""What an event costs in memory besides its characters: a tuple, an int, a str's header, a list slot."""

_COLLECT_EVERY_S = 0.1
_RETIRE_EVERY_MS = 3_600_000
_DAY_MS = 86_400_000

Listener = Callable[[str, int, str], None]
"""Called with stream name, timestamp_ms and message, on the event loop, as events are appended. It must be quick."""

_log = logging.getLogger(__name__)


class LogStatistics(msgspec.Struct, frozen=True):
    stored_events: int
    dropped_events: int
    """Lost because they came faster than they could be written, or because they could not be stored."""
    waiting: int
    """Characters (and overhead) handed over and not yet written."""


class LogGroup:
    """What the streams of one group share while anybody holds one of them or listens."""

    __slots__ = ("__weakref__", "listeners")

    def __init__(self) -> None:
        self.listeners: list[Listener] = []


class LogStream:
    """One log stream being written to. Get it from LogStore.stream and keep it; the hot path only appends."""

    __slots__ = (
        "__weakref__",
        "_lost",
        "_lost_at_ms",
        "_lost_bytes",
        "_pending",
        "_size",
        "_store",
        "group",
        "json",
        "key",
    )

    def __init__(self, store: LogStore, group: LogGroup, key: tuple[str, str, str, str]) -> None:
        self._store = store
        self.group = group
        self.key = key
        """Account, region, group, stream."""
        self._pending: list[Event] = []
        self._size = 0
        self.json = False
        """That events were dropped is told in JSON, as all else of a function with that log format."""
        self._lost = 0
        """Events dropped since the last that was kept."""
        self._lost_bytes = 0
        self._lost_at_ms = 0

    def append(self, timestamp_ms: int, message: str) -> None:
        if not self._pending:
            self._store.will_collect(self)
        self._pending.append((timestamp_ms, message))
        self._size = size = self._size + len(message) + EVENT_OVERHEAD
        if size > BLOCK_SIZE:
            self._store.hand_over(self)
        if self.group.listeners:
            self._tell(timestamp_ms, message)

    def extend(self, events: Sequence[Event]) -> None:
        """`append` of many, at a fraction of its price."""
        if not events:
            return
        if not self._pending:
            self._store.will_collect(self)
        self._pending += events
        self._size += sum([len(message) for _, message in events]) + EVENT_OVERHEAD * len(events)
        if self._size > BLOCK_SIZE:
            self._store.hand_over(self)
        if self.group.listeners:
            for timestamp_ms, message in events:
                self._tell(timestamp_ms, message)
        if self._store.embedded is not None:
            self._store.take_metrics(self.key[0], self.key[1], events)

    def take(self) -> Block | None:
        """What is pending, to be handed over, and first how much was lost before it: also when nothing came after."""
        events, size = self._pending, self._size
        self._pending, self._size = [], 0
        if self._lost:
            at_ms = events[0][0] if events else self._lost_at_ms
            if self.json:
                notice = platform_events.logs_dropped(at_ms, self._lost, self._lost_bytes, _WHY_LOST)
            else:
                notice = f"[pilotlight] {self._lost} log events were dropped here: {_WHY_LOST}\n"
            events.insert(0, (at_ms, notice))
            self._lost = self._lost_bytes = 0
        if not events:
            return None
        return Block(self, events, size)

    def drop(self) -> int:
        """Lose what is pending; returns how many events that were."""
        count, size = len(self._pending), self._size
        self._lost_at_ms = self._pending[-1][0]
        self._pending, self._size = [], 0
        self.lose(count, size)
        return count

    def lose(self, count: int, size: int) -> None:
        """So many events, which counted as `size`, are not and will not be stored."""
        self._lost += count
        self._lost_bytes += size - count * EVENT_OVERHEAD

    def _tell(self, timestamp_ms: int, message: str) -> None:
        for listener in tuple(self.group.listeners):
            listener(self.key[3], timestamp_ms, message)


_WHY_LOST = "they came faster than they could be stored"


class LogStore:
    """`path` is a directory, made when it is not there; the database in it is `logs.db`."""

    def __init__(self, path: Path, clock: Clock, settings: Settings) -> None:
        self._file = path / "logs.db"
        self._clock = clock
        self._default_days = settings.log_retention_days
        self._writer = LogWriter(self._file, clock, self._written)
        self._streams: WeakValueDictionary[tuple[str, str, str, str], LogStream] = WeakValueDictionary()
        self._groups: WeakValueDictionary[tuple[str, str, str], LogGroup] = WeakValueDictionary()
        self._dirty: list[LogStream] = []
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = 0
        self._stored_events = 0
        self._dropped_events = 0
        self._wanted = asyncio.Event()
        self._wakes: list[Callable[[], None]] = []
        self.embedded: Callable[[str, str, str], None] | None = None
        """Given account, region and message of what functions print and may have metrics in it."""
        self._readers: list[LogDatabase] = []
        self._reader_of_thread = threading.local()

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._file.parent.mkdir, mode=0o700, parents=True, exist_ok=True)
        try:
            await self._writer.start()
        except (apsw.NotADBError, apsw.CorruptError):
            aside = self._file.with_name(f"logs.db.unreadable-{self._clock.time_ms()}")
            _log.warning("%s is not a readable log database: moved to %s, starting an empty one", self._file, aside)
            self._file.rename(aside)
            for suffix in ("-wal", "-shm"):
                self._file.with_name(f"logs.db{suffix}").unlink(missing_ok=True)
            await self._writer.start()
        self._read_threads = ThreadPoolExecutor(2, "pilotlight-logs-read")
        self._retiring = asyncio.create_task(self._retire_by_the_clock())

    async def stop(self) -> None:
        """Everything appended is on disk when this returns."""
        self._retiring.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._retiring
        self._collect(whatever=True)
        await self._writer.stop()
        await asyncio.to_thread(self._read_threads.shutdown)
        for reader in self._readers:
            reader.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stream(self, account: str, region: str, group: str, stream_name: str) -> LogStream:
        """The stream to append to, made when it is not there; both exist for clients from the first event on."""
        key = (account, region, group, stream_name)
        found = self._streams.get(key)
        if found is None:
            found = self._streams[key] = LogStream(self, self._group(account, region, group), key)
        return found

    def subscribe(self, account: str, region: str, group: str, listener: Listener) -> Callable[[], None]:
        """Have `listener` called with every event of a group from now on; returns what ends it."""
        shared = self._group(account, region, group)
        shared.listeners.append(listener)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                shared.listeners.remove(listener)

        return unsubscribe

    def tell(self, account: str, region: str, group: str, stream_name: str, events: Iterable[Event]) -> None:
        """Show subscribers events that were written by other means than a LogStream."""
        for timestamp_ms, message in events:
            for listener in tuple(self._group(account, region, group).listeners):
                listener(stream_name, timestamp_ms, message)
            self.take_metrics(account, region, ((timestamp_ms, message),))
        self._tell_written()

    def take_metrics(self, account: str, region: str, events: Iterable[Event]) -> None:
        if self.embedded is not None:
            for _, message in events:
                if message.startswith("{") and '"_aws"' in message:
                    self.embedded(account, region, message)

    def when_written(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have `wake` called on the event loop after each time that events were stored; returns what ends it."""
        self._wakes.append(wake)
        return lambda: self._wakes.remove(wake)

    @property
    def process_id(self) -> int:
        """Of the log process; 0 when there is none just now."""
        return self._writer.process_id

    def is_behind(self) -> bool:
        """So much waits to be written that whoever can wait with more should."""
        return self._waiting > _BEHIND_SIZE

    def statistics(self) -> LogStatistics:
        return LogStatistics(self._stored_events, self._dropped_events, self._waiting)

    async def change(self, work: Callable[[LogDatabase], T]) -> T:
        """Do `work` in a thread, in one transaction, after every event appended so far."""
        self._collect()
        return await self._writer.run(work)

    async def read(self, work: Callable[[LogDatabase], T]) -> T:
        """Do `work` on one consistent state of the database that has every event appended so far."""
        self._collect()
        if self._waiting:
            await self._writer.wait_written()
        return await self._loop.run_in_executor(self._read_threads, self._read, work)

    def oldest_ms(self, retention_days: int) -> int:
        """Events before this time are too old to be seen in a group with that retention (0: the setting's)."""
        days = retention_days or self._default_days
        return self._clock.time_ms() - days * _DAY_MS if days else 0

    # between the streams and the writer

    def will_collect(self, stream: LogStream) -> None:
        """A stream has a first pending event."""
        self._dirty.append(stream)
        if self._timer is None:
            self._timer = self._loop.call_later(_COLLECT_EVERY_S, self._collect)

    def hand_over(self, stream: LogStream) -> None:
        """A stream has a block's worth: to the writer with it, or, when that lags too far, away with it."""
        if self._waiting > QUEUE_SIZE:
            self._dropped_events += stream.drop()
        elif block := stream.take():
            self._waiting += block.size
            self._writer.put([block])

    def _collect(self, *, whatever: bool = False) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._dirty or (self._waiting > QUEUE_SIZE and not whatever):
            return  # `_written` comes back here when the writer has caught up
        dirty, self._dirty = self._dirty, []
        if blocks := [block for stream in dirty if (block := stream.take())]:
            self._waiting += sum(block.size for block in blocks)
            self._writer.put(blocks)

    def _written(self, blocks: list[HandedOver], stored: bool) -> None:
        for block in blocks:
            self._waiting -= block.size
            if stored:
                self._stored_events += block.count
            else:
                self._dropped_events += block.count
                block.stream.lose(block.count, block.size)
        if self._dirty and self._timer is None and self._waiting <= QUEUE_SIZE:
            self._timer = self._loop.call_later(_COLLECT_EVERY_S, self._collect)
        self._tell_written()

    def _tell_written(self) -> None:
        for wake in tuple(self._wakes):
            wake()

    def _group(self, account: str, region: str, name: str) -> LogGroup:
        key = (account, region, name)
        found = self._groups.get(key)
        if found is None:
            found = self._groups[key] = LogGroup()
        return found

    def _read(self, work: Callable[[LogDatabase], T]) -> T:
        reader: LogDatabase | None = getattr(self._reader_of_thread, "database", None)
        if reader is None:
            reader = self._reader_of_thread.database = LogDatabase(self._file, read_only=True)
            self._readers.append(reader)
        with reader.transaction("DEFERRED"):
            return work(reader)

    # what is too old

    async def _retire_by_the_clock(self) -> None:
        while True:
            self._wanted.clear()
            try:
                await self.retire()
            except Exception:
                _log.exception("old log events could not be removed; the next round tries again")
            next_round = asyncio.ensure_future(self._clock.sleep_until(self._clock.time_ms() + _RETIRE_EVERY_MS))
            wanted = asyncio.ensure_future(self._wanted.wait())
            try:
                await asyncio.wait((next_round, wanted), return_when=asyncio.FIRST_COMPLETED)
            finally:
                next_round.cancel()
                wanted.cancel()

    def collect_soon(self) -> None:
        """Something was deleted, or retention made shorter: remove its events now rather than at the next round."""
        self._wanted.set()

    async def retire(self) -> None:
        """Remove what is older than its group's retention, and what deleted groups and streams left behind."""
        for group_id, days in await self._writer.run(lambda database: database.run("all_groups")):
            if before_ms := self.oldest_ms(days):
                while await self._writer.run(lambda d, g=group_id, b=before_ms: d.remove_old(g, b)):
                    pass
        while await self._writer.run(LogDatabase.collect_garbage):
            pass
        while await self._writer.run(LogDatabase.give_back_space, in_transaction=False):
            pass
