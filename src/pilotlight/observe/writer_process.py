"""The log process: writes the blocks of events that its node hands over. Started by writer.py, ends when the node does.

Why a process: sqlite_messages.py has the reason and figures. What is done for each event is done here: putting it in
order, and knowing the time of the one before. All that has come while the last commit ran is the next transaction.
"""

from __future__ import annotations

import operator
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import apsw
import msgspec

from pilotlight.observe.database import LogDatabase
from pilotlight.store.frames import FrameReader, frame

FORGET = 1
"""Flag of a frame to the process: ids it has kept may be those of deleted groups and streams."""

NOT_STORED = 1
"""Flag of an answer: the batches up to this number, after those answered before, are lost; the payload says why."""

Batch = tuple[int, list[tuple[str, str, str, str, msgspec.Raw]]]
"""Time in ms; blocks: account, region, group, stream, and [[timestamp_ms, message], ...] as the database has them."""

_STEP_BACK_MS = 1_000
"""Within a stream a time this little behind the last one is set to the last one: the order of writing stays."""

_KEPT_STREAMS = 10_000

_BATCH = msgspec.msgpack.Decoder(Batch)
_EVENTS = msgspec.msgpack.Decoder(list[tuple[int, msgspec.Raw]])

RawEvent = tuple[int, msgspec.Raw]


class Opening(msgspec.Struct, array_like=True):
    """The process's command line: the database, and the name of the node's run in it."""

    file: str
    run: str


class _Stream(msgspec.Struct, gc=False):
    group_id: int
    stream_id: int
    last_ms: int


class LogProcess:
    def __init__(self, channel: socket.socket, opening: Opening) -> None:
        self._channel = channel
        self._reader = FrameReader(channel)
        self._file = Path(opening.file)
        self._run = opening.run
        self._database: LogDatabase | None = None
        self._last_batch = 0
        self._streams: dict[tuple[str, str, str, str], _Stream] = {}

    def serve(self) -> None:
        """Until the node closes its end, and all that it sent before is written."""
        while (frames := self._reader.receive()) is not None:
            batches: list[tuple[int, memoryview]] = []
            for number, flags, payload in frames:
                if flags & FORGET:
                    # Never behind a batch that is not yet written: the node waits for that before it changes anything.
                    self._streams.clear()
                else:
                    batches.append((number, payload))
            if batches:
                answer = self._store(batches)
                with suppress(BrokenPipeError, ConnectionResetError):  # a node that is gone left more to be read
                    self._channel.sendall(answer)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()

    def _store(self, batches: list[tuple[int, memoryview]]) -> bytes:
        last_batch = batches[-1][0]
        try:
            database = self._database or self._open()
            # A batch can have been written already, by a process that was killed before it could say so.
            payloads = [payload for number, payload in batches if number > self._last_batch]
            if payloads:
                with database.transaction():
                    for payload in payloads:
                        self._write(database, payload)
                    database.run("set_last_batch", run=self._run, batch=last_batch)
                self._last_batch = last_batch
        except (apsw.Error, OSError) as error:
            self._streams.clear()
            return frame(last_batch, NOT_STORED, f"{type(error).__name__}: {error}".encode())
        return frame(last_batch, 0, b"")

    def _open(self) -> LogDatabase:
        """With the first batch: by then the node has made the database."""
        database = LogDatabase(self._file)
        row = database.first("last_batch", run=self._run)
        self._last_batch = row[0] if row else 0
        database.run("forget_other_runs", run=self._run)
        self._database = database
        return database

    def _write(self, database: LogDatabase, payload: memoryview) -> None:
        now_ms, blocks = _BATCH.decode(payload)
        for account, region, group, stream, encoded in blocks:
            key = (account, region, group, stream)
            kept = self._streams.get(key)
            if kept is None:
                group_id, row = database.written_stream(account, region, group, stream, now_ms)
                if len(self._streams) >= _KEPT_STREAMS:
                    self._streams.clear()
                kept = self._streams[key] = _Stream(group_id, row.id, row.last_ms)
            events = _EVENTS.decode(encoded)
            moved = in_order(events, kept.last_ms)
            kept.last_ms = max(kept.last_ms, moved[-1][0])
            database.write(kept.group_id, kept.stream_id, moved, now_ms, bytes(encoded) if moved is events else None)


def in_order(events: list[RawEvent], last_ms: int) -> list[RawEvent]:
    """`events` sorted by time, where a small step back in time (two clocks, one pipe) keeps the order of writing. The
    list itself when nothing had to be moved."""
    times = [event[0] for event in events]
    if times[0] >= last_ms and all(map(operator.le, times, times[1:])):
        return events
    moved: list[RawEvent] = []
    for timestamp_ms, message in events:
        if last_ms - _STEP_BACK_MS <= timestamp_ms < last_ms:
            timestamp_ms = last_ms
        last_ms = max(last_ms, timestamp_ms)
        moved.append((timestamp_ms, message))
    moved.sort(key=operator.itemgetter(0))
    return moved


def main() -> None:
    """argv: the channel's file descriptor, and an Opening as JSON."""
    # Ctrl-C and a service manager's SIGTERM go to every process; this one ends after its node has drained.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    channel = socket.socket(fileno=int(sys.argv[1]))
    process = LogProcess(channel, msgspec.json.decode(sys.argv[2], type=Opening))
    try:
        process.serve()
    except ConnectionResetError:
        pass  # the node is gone, and left an answer unread
    finally:
        process.close()


if __name__ == "__main__":
    main()
