"""The node's side of writing logs: blocks of events go to the log process in batches, whatever else changes the log
database is done here, in a thread.

What is handed over is done in the order it was handed over: a change waits until every batch before it is written,
and batches behind it wait for the change. A log process that dies is replaced, and gets again what it had not
acknowledged; what it had written all the same, it knows. Nothing here has a bound: `logs.LogStore` counts what waits
and stops handing over.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from pilotlight.clock import Clock
from pilotlight.observe.database import Event, LogDatabase, storable
from pilotlight.observe.writer_process import FORGET, NOT_STORED, Opening
from pilotlight.store.channel import ChannelProcess, FrameSender
from pilotlight.store.frames import frame

if TYPE_CHECKING:
    from pilotlight.observe.logs import LogStream

T = TypeVar("T")

_ATTEMPTS = 3
"""After so many processes that ended over the same batch, it is lost, and what waits behind it."""

_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 2.0
"""Before another process is started, when the last ones wrote nothing."""

_encoder = msgspec.msgpack.Encoder()
_log = logging.getLogger(__name__)


class Block(msgspec.Struct, gc=False):
    """Events of one stream on their way to the database; `size` is what they are counted as in memory."""

    stream: LogStream
    events: list[Event]
    size: int


class HandedOver(msgspec.Struct, gc=False):
    """What is remembered of a block until it is written."""

    stream: LogStream
    count: int
    size: int


class _Batch(msgspec.Struct, gc=False):
    number: int
    frame: bytes
    blocks: list[HandedOver]
    deaths: int = 0
    """How many processes ended while this was the next to be acknowledged."""


class _Change(msgspec.Struct, gc=False):
    work: Callable[[LogDatabase], Any] | None
    """None: only wait for what comes before."""
    done: asyncio.Future[Any]
    in_transaction: bool = True


class LogWriter:
    """`written(blocks, stored)` is called on the event loop after each batch; `stored` is False when it was lost."""

    def __init__(self, file: Path, clock: Clock, written: Callable[[list[HandedOver], bool], None]) -> None:
        self._file = file
        self._clock = clock
        self._written = written
        self._opening = msgspec.json.encode(Opening(str(file.absolute()), secrets.token_hex(8))).decode()
        self._database: LogDatabase | None = None
        self._process: ChannelProcess | None = None
        self._restart: asyncio.TimerHandle | None = None
        self._idle_deaths = 0
        """Processes in a row that wrote nothing."""
        self._batch_number = 0
        self._unacknowledged: deque[_Batch] = deque()
        self._queue: deque[_Batch | _Change] = deque()
        """A change, and what waits behind it."""
        self._changing = False
        self._failing = False

    @property
    def process_id(self) -> int:
        """Of the log process; 0 when there is none just now."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Opens the database; raises what opening it raises. The process comes up by itself meanwhile."""
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "pilotlight-logs-change")
        try:
            self._database = await self._loop.run_in_executor(self._thread, LogDatabase, self._file)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        self._start_process()

    async def stop(self) -> None:
        """Everything handed over is written before this returns."""
        if self._database is None:
            return
        await self.wait_written()
        database, self._database = self._database, None
        if self._restart is not None:
            self._restart.cancel()
        if process := self._let_go():
            await asyncio.to_thread(process.end)
        await self._loop.run_in_executor(self._thread, database.close)
        await asyncio.to_thread(self._thread.shutdown)

    def put(self, blocks: list[Block]) -> None:
        self._batch_number += 1
        handed_over = [HandedOver(block.stream, len(block.events), block.size) for block in blocks]
        batch = _Batch(self._batch_number, frame(self._batch_number, 0, self._encode(blocks)), handed_over)
        if self._queue:
            self._queue.append(batch)
        else:
            self._send(batch)

    async def wait_written(self) -> None:
        """Until all that was handed over, and all changes asked for before, are done."""
        await self._ask(_Change(None, self._loop.create_future()))

    async def run(self, work: Callable[[LogDatabase], T], *, in_transaction: bool = True) -> T:
        """Do `work` in the thread, in a transaction of its own, after all that was handed over before."""
        return await self._ask(_Change(work, self._loop.create_future(), in_transaction))

    def _encode(self, blocks: list[Block]) -> bytes:
        """A writer_process.Batch: one call for all events, since this is done on the event loop."""
        now_ms = self._clock.time_ms()
        try:
            return _encoder.encode((now_ms, [(*block.stream.key, block.events) for block in blocks]))
        except UnicodeEncodeError:
            for block in blocks:
                block.events = [(at, str(storable(text))) for at, text in block.events]
            return _encoder.encode((now_ms, [(*block.stream.key, block.events) for block in blocks]))

    # changes

    def _ask(self, change: _Change) -> asyncio.Future[Any]:
        if self._database is None:
            raise RuntimeError("the log store is not running")
        self._queue.append(change)
        self._advance()
        return change.done

    def _advance(self) -> None:
        """Do what is due of the queue: batches, until there is a change that has to wait or takes its time."""
        while self._queue and not self._changing:
            item = self._queue[0]
            if isinstance(item, _Batch):
                self._queue.popleft()
                self._send(item)
            elif item.done.cancelled():
                self._queue.popleft()  # whoever asked has gone
            elif self._unacknowledged:
                return
            elif item.work is None:
                self._queue.popleft()
                item.done.set_result(None)
            else:
                self._changing = True
                self._loop.run_in_executor(self._thread, self._change, item).add_done_callback(self._changed)

    def _change(self, change: _Change) -> Any:
        assert self._database is not None and change.work is not None
        if not change.in_transaction:
            return change.work(self._database)
        with self._database.transaction():
            return change.work(self._database)

    def _changed(self, result: asyncio.Future[Any]) -> None:
        change = self._queue.popleft()
        assert isinstance(change, _Change)
        self._changing = False
        if self._process is not None:
            self._sender.send(frame(0, FORGET, b""))
        error = result.exception()
        if not change.done.done():
            if error is not None:
                change.done.set_exception(error)
            else:
                change.done.set_result(result.result())
        self._advance()

    # the process

    def _send(self, batch: _Batch) -> None:
        self._unacknowledged.append(batch)
        if self._process is not None:
            self._sender.send(batch.frame)

    def _start_process(self) -> None:
        self._restart = None
        try:
            process = ChannelProcess("pilotlight.observe.writer_process", self._opening)
        except OSError as error:
            self._died(f"the log process could not be started: {error}")
            return
        process.channel.setblocking(False)
        self._process = process
        self._sender = FrameSender(process.channel, self._loop)
        self._loop.add_reader(process.channel.fileno(), self._receive)
        for batch in self._unacknowledged:
            self._sender.send(batch.frame)

    def _receive(self) -> None:
        assert self._process is not None
        frames = self._process.reader.receive()
        if frames is None:
            process = self._let_go()
            assert process is not None
            process.end()
            self._died(f"the log process ({process.pid}) has ended")
            return
        for number, flags, payload in frames:
            self._idle_deaths = 0
            lost = bool(flags & NOT_STORED)
            if lost and not self._failing:
                why = str(payload, "utf-8")
                _log.error("log events cannot be stored (%s); they are dropped and counted until they can", why)
            self._failing = lost
            while self._unacknowledged and self._unacknowledged[0].number <= number:
                self._written(self._unacknowledged.popleft().blocks, not lost)
        self._advance()

    def _let_go(self) -> ChannelProcess | None:
        process, self._process = self._process, None
        if process is not None:
            self._loop.remove_reader(process.channel.fileno())
            self._sender.close()
        return process

    def _died(self, what: str) -> None:
        _log.error("%s; another is started", what)
        pause_s = min(self._idle_deaths * _PAUSE_S, _LONGEST_PAUSE_S)
        self._idle_deaths += 1
        self._restart = self._loop.call_later(pause_s, self._start_process)
        if not self._unacknowledged:
            return
        self._unacknowledged[0].deaths += 1
        if self._unacknowledged[0].deaths >= _ATTEMPTS:
            _log.error("log events are dropped and counted: %d log processes ended without storing them", _ATTEMPTS)
            while self._unacknowledged:
                self._written(self._unacknowledged.popleft().blocks, False)
            self._advance()
