"""What was acknowledged is there, whatever happened since: kill -9 at any moment, a disk that fills up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotlight.store.interface import Put, Remove, StoreFull
from pilotlight.store.sqlite import SqliteStore, open_sqlite
from tests.support.disks import small_disk

# -- kill -9

_WRITER = """
import asyncio, sys, uvloop
from pilotlight.store.interface import *
from pilotlight.store.sqlite import open_sqlite
async def main():
    store = open_sqlite(sys.argv[1])
    run = sys.argv[2]
    print("pid", store.process_id, flush=True)
    async def write(caller):
        for n in range(1_000_000):
            name = f"{run}/{caller}/{n}"
            item = Enqueue("q", name.encode(), 0, name)
            await store.transact([Put("a", name, b"x" * 200), Put("b", name, b""), item])
            print(name, flush=True)
    await asyncio.gather(*(write(caller) for caller in range(8)))
uvloop.run(main())
"""


def _write_until_killed(data: Path) -> set[str]:
    """24 times eight callers write, and at another moment each time the node is killed, or its store process first.
    Gives what was acknowledged."""
    acknowledged: set[str] = set()
    for run in range(24):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(data), str(run)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert writer.stdout is not None
        store_pid = int(writer.stdout.readline().split()[1])
        heard = [writer.stdout.readline()]  # it is writing: from here on, any moment will do
        os.set_blocking(writer.stdout.fileno(), False)
        moment = time.monotonic() + (run * 37 % 24) / 24 * 0.05
        while time.monotonic() < moment:
            heard.append(writer.stdout.read(1 << 16) or b"")
        if run % 2:
            os.kill(store_pid, signal.SIGKILL)
        writer.kill()
        writer.wait()
        os.set_blocking(writer.stdout.fileno(), True)
        heard.append(writer.stdout.read())
        writer.stdout.close()
        whole, _, _ = b"".join(heard).decode().rpartition("\n")  # a line cut off by the kill says nothing
        acknowledged |= set(whole.split("\n"))
    return acknowledged


async def test_nothing_acknowledged_is_lost_by_kills_at_random_moments(tmp_path: Path) -> None:
    acknowledged = _write_until_killed(tmp_path / "data")
    assert len(acknowledged) > 500
    store = open_sqlite(tmp_path / "data")
    written: dict[str, set[str]] = {"a": set(), "b": set()}
    for kind, keys in written.items():
        while page := await store.scan(kind, after=max(keys, default="")):
            keys |= {record.key for record in page}
    assert acknowledged <= written["a"]
    assert written["a"] == written["b"]  # and each transaction whole
    queued: set[str] = set()
    while items := await store.claim("q", 1, 10**12, 1000):
        queued |= {item.body.decode() for item in items}
    assert queued == written["a"]
    revisions = [event.revision for event in await store.changes_since(0, limit=10**6)]
    assert sorted(set(revisions)) == list(range(1, len(written["a"]) + 1))
    await store.close()


# -- a full disk


async def _fill(store: SqliteStore) -> set[str]:
    """Write until it is full; the keys that were acknowledged."""
    there: set[str] = set()
    while True:
        keys = [f"{len(there) + n:06}" for n in range(8)]
        results = await asyncio.gather(
            *(store.transact([Put("fill", key, os.urandom(20_000))]) for key in keys), return_exceptions=True
        )
        for key, result in zip(keys, results, strict=True):
            if isinstance(result, int):
                there.add(key)
            else:
                assert isinstance(result, StoreFull), result
        if len(there) % 8 or all(isinstance(result, StoreFull) for result in results):
            return there


async def test_a_size_limit_gives_an_error_and_room_is_used_again(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path, max_bytes=2_000_000)
    there = await _fill(store)
    assert 50 < len(there) < 100
    with pytest.raises(StoreFull, match="no room"):
        await store.transact([Put("k", "small", b"1"), Put("k", "large", b"x" * 100_000)])
    assert await store.get("k", "small") is None
    # A batch in which one needs room and one gives some back: only the one is refused.
    key = min(there)
    results = await asyncio.gather(
        store.transact([Put("k", "large", b"x" * 1_000_000)]),
        store.transact([Remove("fill", key)]),
        return_exceptions=True,
    )
    assert isinstance(results[0], StoreFull) and isinstance(results[1], int)
    await store.transact([Put("k", "again", b"x" * 10_000)])
    assert {record.key for record in await store.scan("fill")} == there - {key}
    await store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 6) as place:
        yield place


async def test_a_full_disk_gives_an_error_and_recovers(disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(2_000_000))
    store = open_sqlite(disk / "data")
    there = await _fill(store)
    assert {record.key for record in await store.scan("fill")} == there
    ballast.unlink()
    await store.transact([Put("k", "again", b"x" * 10_000)])
    await store.close()
    store = open_sqlite(disk / "data")
    assert {record.key for record in await store.scan("fill")} == there
    assert await store.get("k", "again")
    await store.close()
