"""The log store's one writer thread: blocks of events in batches, and whatever else changes the log database.

What is handed over is done in the order it was handed over, so a change that is awaited comes after every event
appended before it. The queue itself has no bound here: `logs.LogStore` counts what is in it and stops handing over.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from pilotlight.clock import Clock
from pilotlight.observe.database import Event, LogDatabase, in_order

if TYPE_CHECKING:
    from pilotlight.observe.logs import LogStream

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Block(msgspec.Struct, gc=False):
    """Events of one stream on their way to the database; `size` is what they are counted as in memory."""

    stream: LogStream
    events: list[Event]
    size: int


class _Change(msgspec.Struct, gc=False):
    work: Callable[[LogDatabase], Any]
    done: Future[Any]
    in_transaction: bool


class LogWriter:
    """`written(blocks, stored)` is called on the event loop after each batch; `stored` is False when it was lost."""

    def __init__(self, file: Path, clock: Clock, written: Callable[[list[Block], bool], None]) -> None:
        self._file = file
        self._clock = clock
        self._written = written
        self._queue: SimpleQueue[list[Block] | _Change | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._failing = False

    async def start(self) -> None:
        """Opens the database in the thread; raises what opening it raises."""
        self._loop = asyncio.get_running_loop()
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="pilotlight-logs", daemon=True)
        self._thread.start()
        await asyncio.wrap_future(opened)

    async def stop(self) -> None:
        """Everything handed over is written before this returns."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(thread.join)

    def put(self, blocks: list[Block]) -> None:
        self._queue.put(blocks)

    async def run(self, work: Callable[[LogDatabase], T], *, in_transaction: bool = True) -> T:
        """Do `work` in the writer thread, in a transaction of its own, after all that was handed over before."""
        if self._thread is None:
            raise RuntimeError("the log store is not running")
        done: Future[T] = Future()
        self._queue.put(_Change(work, done, in_transaction))
        return await asyncio.wrap_future(done)

    def _run(self, opened: Future[None]) -> None:
        try:
            database = LogDatabase(self._file)
        except BaseException as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        item = self._queue.get()
        while item is not None:
            if isinstance(item, _Change):
                self._change(database, item)
                item = self._queue.get()
            else:
                item = self._batch(database, item)
        database.close()

    def _batch(self, database: LogDatabase, blocks: list[Block]) -> list[Block] | _Change | None:
        """Write these blocks and those already waiting behind them; returns the item that comes next."""
        following: list[Block] | _Change | None = []
        try:
            while isinstance(following := self._queue.get_nowait(), list):
                blocks = blocks + following
        except Empty:
            following = []
        try:
            with database.transaction():
                now_ms = self._clock.time_ms()
                for block in blocks:
                    stream = block.stream
                    group_id, stream_id = database.ids(*stream.key, now_ms)
                    events = in_order(block.events, stream.last_ms)
                    stream.last_ms = max(stream.last_ms, events[-1][0])
                    database.write(group_id, stream_id, events, now_ms)
            self._failing = False
            stored = True
        except Exception:
            if not self._failing:
                _log.exception("log events cannot be stored; they are dropped and counted until they can")
            self._failing = True
            stored = False
        self._loop.call_soon_threadsafe(self._written, blocks, stored)
        return self._queue.get() if following == [] else following

    def _change(self, database: LogDatabase, change: _Change) -> None:
        if not change.done.set_running_or_notify_cancel():
            return  # whoever asked has gone
        try:
            if change.in_transaction:
                with database.transaction():
                    result = change.work(database)
            else:
                result = change.work(database)
        except BaseException as error:
            change.done.set_exception(error)
        else:
            change.done.set_result(result)
