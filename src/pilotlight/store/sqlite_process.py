"""The store process: one thread, one writing connection, group commit. Started by sqlite.py, ends when the node does.

Whatever callers asked for while the last fsync ran is the next transaction. Each caller's changes run under a savepoint
of their own, so its Conflict undoes its own writes and no one else's; the commit, with its fsync, is shared. Reads are
answered first, from the last commit, without waiting for it.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from pathlib import Path

import apsw
import msgspec

from pilotlight.store.frames import FrameReader, frame
from pilotlight.store.interface import Conflict, StoreBroken, StoreError, StoreFull
from pilotlight.store.lock import DirectoryLock
from pilotlight.store.queries import load_migrations, load_queries
from pilotlight.store.sqlite_connection import connect, migrate
from pilotlight.store.sqlite_engine import Engine
from pilotlight.store.sqlite_messages import (
    FAILED,
    WROTE_QUEUE,
    WROTE_RECORDS,
    Close,
    Failure,
    Opening,
    Request,
    Transact,
    Write,
)

logger = logging.getLogger(__name__)

FILE_NAME = "store.db"
#: how long a dying store process of the node before us may keep the database
_LOCK_WAIT_S = 10.0
_DECODER: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_ENCODER = msgspec.msgpack.Encoder()


class Call(msgspec.Struct, gc=False):
    """One caller's write, and its answer once there is one."""

    number: int
    request: Write
    flags: int = 0
    answer: object = None


class Server:
    def __init__(self, engine: Engine, channel: socket.socket) -> None:
        self._engine = engine
        self._channel = channel
        self._reader = FrameReader(channel)

    def serve(self) -> None:
        """Until the node closes its end, or says Close."""
        while (frames := self._reader.receive()) is not None:
            writes: list[Call] = []
            answers: list[bytes] = []
            closing: int | None = None
            for number, _, payload in frames:
                try:
                    request = _DECODER.decode(payload)
                except msgspec.DecodeError as error:
                    answers.append(
                        _failure(number, Failure("StoreBroken", f"The store was given a value that {error}"))
                    )
                    continue
                match request:
                    case Close():
                        closing = number
                    case request if isinstance(request, Write):
                        writes.append(Call(number, request))
                    case _:
                        answers.append(self._read(number, request))
            if answers:
                self._channel.sendall(b"".join(answers))
            if writes:
                self._commit(writes)
                self._channel.sendall(b"".join(_answer(call) for call in writes))
            if closing is not None:
                self._engine.close()
                self._channel.sendall(frame(closing, 0, _ENCODER.encode(None)))
                return
        self._engine.close()

    def _read(self, number: int, request: Request) -> bytes:
        try:
            return frame(number, 0, _ENCODER.encode(self._engine.read(request)))
        except (apsw.Error, StoreError) as error:
            return _failure(number, explain(error))

    def _commit(self, calls: list[Call]) -> None:
        """Fill in every call's answer. An engine's failure in a batch of several is tried again one by one: so a full
        disk fails who needs room, not who gives some back."""
        engine = self._engine
        before = engine.revision
        try:
            engine.run("begin")
            for call in calls:
                self._write(call)
            engine.run("commit")
        except Exception as error:
            engine.revision = before
            if engine.in_transaction:
                engine.run("rollback")
            if len(calls) == 1:
                calls[0].flags, calls[0].answer = FAILED, explain(error)
                return
            for call in calls:
                call.flags = 0
                self._commit([call])

    def _write(self, call: Call) -> None:
        engine, request = self._engine, call.request
        engine.wrote_records = engine.wrote_queue = False
        if not isinstance(request, Transact):
            call.answer = engine.write(request)
        else:
            # A change that refuses has written nothing itself, so one alone needs no savepoint.
            several = len(request.changes) > 1
            before = engine.revision
            if several:
                engine.run("caller_begin")
            try:
                call.answer = engine.transact(request)
            except Conflict as conflict:
                index = next(n for n, change in enumerate(request.changes) if change is conflict.change)
                call.flags, call.answer = FAILED, Failure("Conflict", str(conflict), index)
                if several:
                    engine.run("caller_undo")
                    engine.revision = before
            if several:
                engine.run("caller_end")
            if call.flags:
                return
        call.flags = WROTE_RECORDS * engine.wrote_records | WROTE_QUEUE * engine.wrote_queue


def _answer(call: Call) -> bytes:
    return frame(call.number, call.flags, _ENCODER.encode(call.answer))


def _failure(number: int, failure: Failure) -> bytes:
    return frame(number, FAILED, _ENCODER.encode(failure))


def explain(error: Exception) -> Failure:
    """An engine's error in the store's words."""
    if isinstance(error, StoreError):
        return Failure(type(error).__name__, str(error))
    if isinstance(error, apsw.FullError) or (isinstance(error, OSError) and error.errno == 28):
        text = "There is no room left for the store: its disk is full, or its size limit is reached."
        return Failure(StoreFull.__name__, text)
    logger.error("the store's database failed", exc_info=error)
    return Failure(StoreBroken.__name__, f"The store's database failed: {type(error).__name__}: {error}")


def open_engine(opening: Opening) -> Engine:
    directory = Path(opening.directory)
    # The node holds the directory already; this waits for a store process that has outlived its node by a commit.
    lock = DirectoryLock(directory, "store.lock", _LOCK_WAIT_S)
    path = directory / FILE_NAME
    # Made by us first: payloads are nobody else's to read, and SQLite gives its other files the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    queries = load_queries("sqlite")
    connection = connect(path)
    connection.execute(queries["configure"])
    if opening.max_bytes:
        (page_bytes,) = connection.execute(queries["page_size"]).fetchall()[0]
        connection.execute(queries["limit_pages"].format(pages=max(1, opening.max_bytes // page_bytes)))
    migrate(connection, queries, load_migrations("sqlite"), path)
    return Engine(connection, queries, lock, opening.owner, opening.feed_revisions)


def main() -> None:
    """argv: the channel's file descriptor, and an Opening as JSON. The first frame says whether it was opened."""
    # Ctrl-C and a service manager's SIGTERM go to every process; this one ends after its node has drained.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    channel = socket.socket(fileno=int(sys.argv[1]))
    opening = msgspec.json.decode(sys.argv[2], type=Opening)
    try:
        engine = open_engine(opening)
    except (apsw.Error, OSError, StoreError) as error:
        channel.sendall(_failure(0, explain(error)))
        return
    channel.sendall(frame(0, 0, b""))
    try:
        Server(engine, channel).serve()
    except (BrokenPipeError, ConnectionResetError):
        engine.close()  # the node is gone


if __name__ == "__main__":
    main()
