"""The log process and the node's side of it: what dies when, what is written again, and in what order things happen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from pilotlight.observe.database import LogDatabase
from pilotlight.observe.logs import BLOCK_SIZE, LogStore
from pilotlight.observe.writer_process import Opening
from pilotlight.store.channel import ChannelProcess
from pilotlight.store.frames import frame
from tests.observe.conftest import ACCOUNT, GROUP, REGION, messages, read_all
from tests.support.waiting import eventually, eventually_async


def lines(first: int, end: int) -> list[tuple[int, str]]:
    return [(number, f"{number}\n") for number in range(first, end)]


def numbers(end: int) -> list[str]:
    return [f"{number}\n" for number in range(end)]


def running(pid: int) -> bool:
    """Not when it is gone or a zombie, which is gone but for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def other_writer(tmp_path: Path) -> Iterator[apsw.Connection]:
    """Somebody else, who is in the middle of a transaction inside the block: nobody can write."""
    connection = apsw.Connection(str(tmp_path / "logs" / "logs.db"))
    connection.set_busy_timeout(10_000)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    finally:
        connection.close()


async def killed(store: LogStore) -> None:
    """Kill the log process; returns when the node has another."""
    old = store.process_id
    os.kill(old, signal.SIGKILL)
    await eventually_async(lambda: store.process_id not in (0, old), what="another log process")


# Deaths


async def test_a_killed_log_process_is_replaced_and_gets_again_what_it_had_not_written(
    log_store: LogStore, caplog: pytest.LogCaptureFixture
) -> None:
    stream = log_store.stream(ACCOUNT, REGION, GROUP, "s")
    stream.extend(lines(0, 100))
    assert await log_store.read(messages) == numbers(100)
    os.kill(log_store.process_id, signal.SIGSTOP)  # so that what follows is certainly not written when it dies
    stream.extend(lines(100, 5_000))
    assert log_store.statistics().waiting > 0
    await killed(log_store)
    stream.extend(lines(5_000, 5_100))
    assert await log_store.read(messages) == numbers(5_100)
    assert log_store.statistics().stored_events == 5_100
    assert log_store.statistics().dropped_events == 0
    assert "has ended; another is started" in caplog.text


async def test_deaths_at_any_moment_lose_nothing_and_repeat_nothing(log_store: LogStore) -> None:
    streams = [log_store.stream(ACCOUNT, REGION, GROUP, f"s{index}") for index in range(3)]
    count = 0
    for round_number in range(6):
        stored = log_store.statistics().stored_events
        for _ in range(40 + 10 * round_number):  # the process is at it when it dies
            for stream in streams:
                stream.extend(lines(count, count + 100))
            count += 100
            await asyncio.sleep(0)
        if round_number % 2:
            await eventually_async(lambda stored=stored: log_store.statistics().stored_events > stored)
        await killed(log_store)
    found = await log_store.read(read_all)
    assert [event.message for event in found] == [line for line in numbers(count) for _ in streams]
    statistics = log_store.statistics()
    assert (statistics.stored_events, statistics.dropped_events, statistics.waiting) == (count * 3, 0, 0)


def test_a_batch_that_was_written_but_not_acknowledged_is_not_written_twice(tmp_path: Path) -> None:
    file = tmp_path / "logs.db"
    LogDatabase(file).close()

    def batch(number: int) -> bytes:
        blocks = [(ACCOUNT, REGION, GROUP, "s", [(number, f"{number}\n")])]
        return frame(number, 0, msgspec.msgpack.encode((number, blocks)))

    def answers(run: str, *batches: bytes) -> list[tuple[int, int]]:
        """Number and flags of what a process of its own says to each, one by one."""
        process = ChannelProcess(
            "pilotlight.observe.writer_process", msgspec.json.encode(Opening(str(file), run)).decode()
        )
        found: list[tuple[int, int]] = []
        for one in batches:
            process.channel.sendall(one)
            frames = process.reader.receive()
            assert frames is not None
            found += [(number, flags) for number, flags, _ in frames]
        process.end()
        return found

    assert answers("a run", batch(1), batch(2), batch(3)) == [(1, 0), (2, 0), (3, 0)]
    assert answers("a run", batch(2), batch(3), batch(4)) == [(2, 0), (3, 0), (4, 0)]
    assert answers("the next run", batch(1)) == [(1, 0)]
    database = LogDatabase(file)
    assert sorted(messages(database)) == ["1\n", "1\n", "2\n", "3\n", "4\n"]
    assert database.run("last_batch", run="a run") == []
    database.close()


async def test_what_a_killed_node_handed_over_is_written_and_the_process_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.observe.programs.hand_over_and_die", str(tmp_path)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    said: dict[str, Any] = json.loads(done.stdout)
    eventually(lambda: not running(said["process_id"]), what="the log process to end")
    connection = apsw.Connection(str(tmp_path / "logs.db"))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    reader = LogDatabase(tmp_path / "logs.db", read_only=True)
    assert messages(reader) == numbers(said["appended"])
    reader.close()


async def test_stopping_ends_the_process_and_a_signal_meant_for_the_node_does_not(log_store: LogStore) -> None:
    process_id = log_store.process_id
    stream = log_store.stream(ACCOUNT, REGION, GROUP, "s")
    stream.append(1, "x\n")
    await log_store.read(messages)  # it is up, and has said what it does with signals
    os.kill(process_id, signal.SIGTERM)
    os.kill(process_id, signal.SIGINT)
    stream.append(2, "y\n")
    assert await log_store.read(messages) == ["x\n", "y\n"]
    assert log_store.process_id == process_id
    await log_store.stop()
    assert not running(process_id)
    assert log_store.process_id == 0
    with pytest.raises(RuntimeError, match="not running"):
        await log_store.change(messages)
    await log_store.start()  # for the fixture to stop


async def test_a_batch_that_processes_die_over_is_given_up_and_said(
    tmp_path: Path, log_store: LogStore, caplog: pytest.LogCaptureFixture
) -> None:
    stream = log_store.stream(ACCOUNT, REGION, GROUP, "s")
    await log_store.retire()  # so that the round at the start is over
    with other_writer(tmp_path):
        stream.extend(lines(0, 10))
        for _ in range(3):
            await eventually_async(lambda: log_store.statistics().waiting > 0)
            await killed(log_store)
        await eventually_async(lambda: log_store.statistics().dropped_events == 10)
    stream.append(20, "after\n")
    said = "[pilotlight] 10 log events were dropped here: they came faster than they could be stored\n"
    assert await log_store.read(messages) == [said, "after\n"]
    assert "3 log processes ended without storing them" in caplog.text


# Order


async def test_who_else_writes_to_the_database_is_waited_for(tmp_path: Path, log_store: LogStore) -> None:
    stream = log_store.stream(ACCOUNT, REGION, GROUP, "s")
    with other_writer(tmp_path):
        stream.extend(lines(0, 10))
        change = asyncio.ensure_future(log_store.change(messages))
        await eventually_async(lambda: log_store.statistics().waiting > 0)
    assert await change == numbers(10)
    assert log_store.statistics().dropped_events == 0


async def test_a_change_comes_after_what_was_appended_before_it_and_before_what_is_appended_during_it(
    log_store: LogStore,
) -> None:
    stream = log_store.stream(ACCOUNT, REGION, GROUP, "s")
    stream.extend(lines(0, 5_000))
    begun, go_on = threading.Event(), threading.Event()

    def delete(database: LogDatabase) -> list[str]:
        begun.set()
        assert go_on.wait(20)
        found = messages(database)
        row = database.group(ACCOUNT, REGION, GROUP)
        assert row is not None
        database.delete_group(row.id)
        return found

    change = asyncio.ensure_future(log_store.change(delete))
    await eventually_async(begun.is_set)
    stream.append(6_000, "x" * BLOCK_SIZE)  # handed over at once
    later = asyncio.ensure_future(log_store.change(messages))
    await asyncio.sleep(0)
    stream.append(6_001, "y" * BLOCK_SIZE)
    go_on.set()
    assert await change == numbers(5_000)
    assert [message[0] for message in await later] == ["x"]
    assert [message[0] for message in await log_store.read(messages)] == ["x", "y"]


async def test_a_change_that_fails_or_is_given_up_stops_nothing(log_store: LogStore) -> None:
    stream = log_store.stream(ACCOUNT, REGION, GROUP, "s")

    def fail(database: LogDatabase) -> None:
        row = database.group(ACCOUNT, REGION, GROUP)
        assert row is not None
        database.delete_group(row.id)
        raise LookupError("no")

    stream.extend(lines(0, 3))
    failing = asyncio.ensure_future(log_store.change(fail))
    done: list[int] = []
    given_up = asyncio.ensure_future(log_store.change(lambda database: done.append(1)))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(LookupError):
        await failing
    assert await log_store.read(messages) == numbers(3), "undone"
    assert given_up.cancelled() and done == []


async def test_small_steps_back_in_time_keep_the_order_of_writing(log_store: LogStore) -> None:
    """Also from block to block, for a stream that has been away from memory, and for a new process."""
    stream = log_store.stream(ACCOUNT, REGION, GROUP, "s")
    written: list[str] = []

    async def write(*times: int) -> None:
        for at in times:
            written.append(f"{len(written)}\n")
            stream.append(at, written[-1])
        await log_store.read(messages)

    await write(10_000, 9_500, 10_100)
    await write(9_900, 10_200)
    await log_store.change(lambda database: None)  # what the process keeps of streams is forgotten
    await write(10_150)
    await killed(log_store)
    await write(10_199)
    assert await log_store.read(messages) == written
    await write(5_000)
    assert await log_store.read(messages) == [written[-1], *written[:-1]], "a large step is another time"


async def test_a_database_that_cannot_be_written_loses_the_batch_and_says_so(
    tmp_path: Path, log_store: LogStore, caplog: pytest.LogCaptureFixture
) -> None:
    with other_writer(tmp_path) as other:
        other.execute("CREATE TRIGGER refuse BEFORE INSERT ON log_blocks BEGIN SELECT RAISE(ABORT, 'no more'); END")
    stream = log_store.stream(ACCOUNT, REGION, GROUP, "s")
    stream.extend(lines(0, 10))
    assert await log_store.read(messages) == []
    assert log_store.statistics().dropped_events == 10
    assert "no more" in caplog.text
    with other_writer(tmp_path) as other:
        other.execute("DROP TRIGGER refuse")
    stream.append(20, "after\n")
    assert (await log_store.read(messages))[-1] == "after\n"
