"""The log store: nothing written is lost, memory is bounded, retention follows the clock, crashes do no harm."""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.clock import ManualClock, SystemClock
from pilotlight.observe.api import logs_handlers
from pilotlight.observe.database import LogDatabase
from pilotlight.observe.logs import BLOCK_SIZE, LogStore
from pilotlight.observe.reader import Place, Range, StoredEvent, read_backward, read_forward
from pilotlight.settings import Settings
from pilotlight.wire.messages import Call
from tests.observe.conftest import ACCOUNT, GROUP, REGION, messages, read_all
from tests.support.waiting import eventually_async

DAY_MS = 86_400_000


async def program(name: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", f"tests.observe.programs.{name}", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


async def test_what_is_appended_is_read_at_once_and_after_a_restart(tmp_path: Path) -> None:
    store = LogStore(tmp_path, SystemClock(), Settings())
    await store.start()
    stream = store.stream(ACCOUNT, REGION, GROUP, "s")
    assert store.stream(ACCOUNT, REGION, GROUP, "s") is stream
    for number in range(5_000):
        stream.append(1_000 + number, f"{number}\n")
    assert await store.read(messages) == [f"{number}\n" for number in range(5_000)]
    stream.append(7_000, "at the very end\n")
    await store.stop()
    store = LogStore(tmp_path, SystemClock(), Settings())
    await store.start()
    assert (await store.read(messages))[-1] == "at the very end\n"
    await store.stop()


async def test_events_are_stored_without_anybody_asking(tmp_path: Path, log_store: LogStore) -> None:
    log_store.stream(ACCOUNT, REGION, GROUP, "s").append(1, "x\n")
    await eventually_async(lambda: log_store.statistics().stored_events == 1)
    reader = LogDatabase(tmp_path / "logs" / "logs.db", read_only=True)
    assert messages(reader) == ["x\n"]
    reader.close()


async def test_what_utf_8_cannot_carry_loses_nothing_else(log_store: LogStore) -> None:
    log_store.stream(ACCOUNT, REGION, GROUP, "s").extend([(1, "before\n"), (2, "\ud800 alone\n"), (3, "after\n")])
    assert await log_store.read(messages) == ["before\n", "? alone\n", "after\n"]


async def test_accounts_and_regions_keep_apart(log_store: LogStore) -> None:
    log_store.stream(ACCOUNT, "eu-west-1", GROUP, "s").append(1, "elsewhere\n")
    log_store.stream("111111111111", REGION, GROUP, "s").append(1, "someone's\n")
    log_store.stream(ACCOUNT, REGION, GROUP, "s").append(1, "mine\n")
    assert await log_store.read(messages) == ["mine\n"]


# How events lie in blocks must not matter to a reader.

EVENTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 300_000), st.booleans()), min_size=1, max_size=40
)  # stream, time, whether a block ends here


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.integers(0, 300_000), st.integers(0, 300_000), st.integers(1, 7))
def test_pages_in_either_direction_are_the_sorted_events(
    events: list[tuple[int, int, bool]], from_ms: int, before_ms: int, page: int
) -> None:
    database = LogDatabase(Path(":memory:"))
    pending: dict[int, list[tuple[int, str]]] = {0: [], 1: [], 2: []}

    def flush() -> None:
        for stream, found in pending.items():
            if found:
                group_id, row = database.written_stream(ACCOUNT, REGION, GROUP, f"s{stream}", 0)
                database.write(group_id, row.id, sorted(found), 0)
                found.clear()

    for number, (stream, at, ends) in enumerate(events):
        pending[stream].append((at, str(number)))
        if ends:
            flush()
    flush()
    row = database.group(ACCOUNT, REGION, GROUP)
    assert row is not None
    wanted = Range(row.id, from_ms=from_ms, before_ms=before_ms)
    expected = sorted((at, str(number)) for number, (_, at, _) in enumerate(events) if from_ms <= at < before_ms)

    def pages(forward: bool) -> list[StoredEvent]:
        found: list[StoredEvent] = []
        place: Place | None = None
        while True:
            bound = Range(
                row.id,
                from_ms=from_ms,
                before_ms=before_ms,
                after=place if forward else None,
                before=None if forward else place,
            )
            events = (read_forward if forward else read_backward)(database, bound)
            part = [event for event, _ in zip(events, range(page), strict=False)]
            if not part:
                return found
            found += part
            place = part[-1].place

    forward, backward = pages(True), pages(False)
    assert forward == backward[::-1] == list(read_forward(database, wanted))
    assert sorted((event.timestamp_ms, event.message) for event in forward) == expected
    assert [event.place for event in forward] == sorted(event.place for event in forward)
    database.close()


# Retention


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def aging(tmp_path: Path, clock: ManualClock) -> AsyncIterator[LogStore]:
    store = LogStore(tmp_path, clock, Settings(log_retention_days=7))
    await store.start()
    yield store
    await store.stop()


async def test_retention_follows_the_group_and_else_the_setting(aging: LogStore, clock: ManualClock) -> None:
    handlers = logs_handlers(aging, clock)

    async def call(operation: str, **params: Any) -> dict[str, Any]:
        return await handlers[operation](Call(operation, params, ACCOUNT, REGION, "r")) or {}

    async def seen(group: str) -> list[str]:
        return [event["message"] for event in (await call("FilterLogEvents", logGroupName=group))["events"]]

    async def held(group: str) -> list[str]:
        return [event.message for event in await aging.read(lambda database: read_all(database, group))]

    for group in ("/short", "/default"):
        aging.stream(ACCOUNT, REGION, group, "s").append(clock.time_ms(), "old\n")
    await call("PutRetentionPolicy", logGroupName="/short", retentionInDays=1)
    clock.advance(DAY_MS - 1_000)
    for group in ("/short", "/default"):
        aging.stream(ACCOUNT, REGION, group, "s").append(clock.time_ms(), "young\n")
    assert await seen("/short") == ["old\n", "young\n"]
    clock.advance(2_000)
    assert await seen("/short") == ["young\n"], "too old is not shown even where it is not yet removed"
    assert await seen("/default") == ["old\n", "young\n"]

    async def removed() -> bool:
        clock.advance(600_000)  # a round comes within the hour, and the one that is under way may be too early
        return await held("/short") == ["young\n"]

    await eventually_async(removed)
    (group,) = (await call("DescribeLogGroups", logGroupNamePattern="short"))["logGroups"]
    assert 0 < group["storedBytes"] < 100
    clock.advance(7 * DAY_MS)

    async def all_gone() -> bool:
        clock.advance(600_000)
        streams = await call("DescribeLogStreams", logGroupName="/default")
        return await held("/default") == [] and streams["logStreams"] == []

    await eventually_async(all_gone)
    await call("DeleteRetentionPolicy", logGroupName="/short")
    aging.stream(ACCOUNT, REGION, "/default", "s").append(clock.time_ms(), "new life\n")
    assert await seen("/default") == ["new life\n"], "a stream that was removed can be written again"


async def test_deleting_gives_the_space_back(tmp_path: Path, log_store: LogStore) -> None:
    stream = log_store.stream(ACCOUNT, REGION, GROUP, "s")
    text = "".join(random.Random(1).choices("abcdefgh", k=10_000))
    for number in range(2_000):
        stream.append(number, text)
        if number % 100 == 0:
            await log_store.read(lambda database: None)
    await log_store.read(lambda database: None)
    file = tmp_path / "logs" / "logs.db"
    handlers = logs_handlers(log_store, SystemClock())
    await handlers["DeleteLogGroup"](Call("DeleteLogGroup", {"logGroupName": GROUP}, ACCOUNT, REGION, "r"))

    async def small() -> bool:
        await log_store.change(lambda database: None)
        pages = apsw.Connection(str(file)).execute("PRAGMA page_count").fetchall()[0][0]
        return isinstance(pages, int) and pages * 4096 < 1_000_000

    await eventually_async(small)


# Floods


@pytest.mark.parametrize("how", ["sharing", "starve"])
async def test_a_flood_does_not_grow_the_node_and_what_is_dropped_is_counted(tmp_path: Path, how: str) -> None:
    """200 MB as fast as they can be parsed; with `starve` the loop never turns, so that the writer must lag."""
    result = await program("flood", str(tmp_path), "200", how)
    assert result["grown_bytes"] < 150_000_000
    store = LogStore(tmp_path, SystemClock(), Settings())
    await store.start()
    found = await store.read(lambda database: [e.message for e in read_all(database, "/aws/lambda/f")])
    await store.stop()
    said = [int(text[1]) for message in found if (text := re.match(r"\[pilotlight\] (\d+) log events were", message))]
    lines = [message for message in found if message.startswith("a line")]
    assert len(lines) + result["dropped"] == result["appended"]
    assert sum(said) == result["dropped"]
    if how == "starve":
        assert result["dropped"] > 0
        assert lines, "the newest are kept"


async def test_a_quiet_stream_keeps_its_lines_beside_a_flood(log_store: LogStore) -> None:
    loud, quiet = (log_store.stream(ACCOUNT, REGION, GROUP, name) for name in ("loud", "quiet"))
    quiet.append(1, "first\n")
    while log_store.statistics().dropped_events == 0:
        loud.append(2, "x" * BLOCK_SIZE)
    quiet.append(3, "last\n")
    await eventually_async(lambda: log_store.statistics().waiting == 0)
    kept = [message for message in await log_store.read(messages) if not message.startswith("x")]
    assert [message for message in kept if not message.startswith("[pilotlight]")] == ["first\n", "last\n"]
    said = [message for message in kept if message.startswith("[pilotlight]")]  # though nothing came after them
    assert said == ["[pilotlight] 1 log events were dropped here: they came faster than they could be stored\n"]


# Crashes and bad disks


async def test_a_killed_writer_leaves_a_readable_database_with_all_it_confirmed(tmp_path: Path) -> None:
    chance = random.Random(7)
    for round_number in range(4):
        directory = tmp_path / str(round_number)
        command = [sys.executable, "-m", "tests.observe.programs.append_forever", str(directory)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 40)):
                confirmed = int(await asyncio.to_thread(process.stdout.readline))
            process.kill()
            rest = process.stdout.read().split()
        confirmed = int(rest[-1]) if rest else confirmed
        store = LogStore(directory, SystemClock(), Settings())
        await store.start()
        events = await store.read(lambda database: read_all(database, "/aws/lambda/f"))
        await store.stop()
        connection = apsw.Connection(str(directory / "logs.db"))
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
        numbers = sorted(int(event.message) for event in events)
        assert len(numbers) >= confirmed
        assert numbers == list(range(len(numbers)))


async def test_a_full_disk_costs_the_lines_of_that_time_and_no_more(tmp_path: Path) -> None:
    result = await program("full_disk", str(tmp_path))
    found = result["messages"]
    assert [message for message in found if message.startswith("before")] == [f"before {n}" for n in range(10)]
    assert [message for message in found if message.startswith("after")] == [f"after {n}" for n in range(10)]
    during = [message for message in found if message.startswith("during")]
    assert 0 < result["dropped"] == 2_000 - len(during)
    assert f"[pilotlight] {result['dropped']} log events were dropped here" in "".join(found)


async def test_an_unreadable_database_is_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "logs.db").write_bytes(b"this is not a database, whatever it once was" * 100)
    store = LogStore(tmp_path, SystemClock(), Settings())
    await store.start()
    store.stream(ACCOUNT, REGION, GROUP, "s").append(1, "x\n")
    assert await store.read(messages) == ["x\n"]
    await store.stop()
    (aside,) = [path for path in tmp_path.iterdir() if path.name.startswith("logs.db.unreadable-")]
    assert aside.read_bytes().startswith(b"this is not")
    assert "is not a readable log database" in caplog.text
