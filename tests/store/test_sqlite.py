"""SQLite held to the conformance suite, and what is only its own: the lock, and the process."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotlight.clock import ManualClock
from pilotlight.store.interface import DataDirectoryInUse, Done, Enqueue, Put, StoreBroken
from pilotlight.store.sqlite import SqliteStore, open_sqlite
from tests.store.conformance import StoreConformance
from tests.support import eventually


@pytest.fixture
def open_store(tmp_path: Path) -> Callable[..., SqliteStore]:
    return lambda **options: open_sqlite(tmp_path / "data", **options)


class TestSqliteConformance(StoreConformance):
    pass


async def test_an_item_remembers_when_it_was_accepted_by_the_nodes_clock(
    open_store: Callable[..., SqliteStore],
) -> None:
    clock = ManualClock(1_800_000_000_000)
    store = open_store(clock=clock)
    await store.transact([Enqueue("q", b"", 0)])
    (item,) = await store.claim("q", 0, 1, 1)
    assert item.enqueued_at_ms == 1_800_000_000_000
    await store.close()


# -- one node per directory


async def test_a_second_opener_is_refused_with_a_sentence(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    with pytest.raises(DataDirectoryInUse) as raised:
        open_sqlite(tmp_path)
    assert f"process {os.getpid()}" in str(raised.value) and str(tmp_path) in str(raised.value)
    script = (
        "import sys; from pilotlight.store.sqlite import open_sqlite\n"
        "try: open_sqlite(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__)"
    )
    assert _output_of(script, tmp_path) == "DataDirectoryInUse"
    await store.transact([Put("k", "a", b"")])
    await store.close()
    store = open_sqlite(tmp_path)
    assert await store.get("k", "a")
    await store.close()


async def test_a_new_node_waits_for_a_store_process_that_outlives_the_old_one(tmp_path: Path) -> None:
    """The database itself is locked by the store process, whose last commit may end after its node was killed."""
    (tmp_path / "store.lock").touch()
    hold = "import fcntl,sys,time; f=open(sys.argv[1]); fcntl.flock(f, 2); print('held', flush=True); time.sleep(0.3)"
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", hold, str(tmp_path / "store.lock")), stdout=subprocess.PIPE
    )
    assert holder.stdout is not None and await holder.stdout.readline() == b"held\n"
    store = open_sqlite(tmp_path)
    assert await asyncio.wait_for(holder.wait(), 5) == 0
    await store.transact([Put("k", "a", b"")])
    await store.close()


async def test_files_are_nobody_elses_to_read(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    await store.transact([Put("k", "a", b"secret")])
    assert {name: mode & 0o077 for name, mode in _modes(tmp_path).items() if mode & 0o077} == {}
    await store.close()


# -- the process


async def test_a_killed_store_process_is_replaced_and_nothing_acknowledged_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_sqlite(tmp_path)
    acknowledged = {str(n) for n in range(20)}
    await store.transact([Put("k", key, b"") for key in acknowledged])
    await store.transact([Enqueue("q", b"x", 0)])
    (item,) = await store.claim("q", 0, 10**9, 1)
    woken: list[int] = []
    store.subscribe(lambda: woken.append(1))

    async def put(key: str) -> None:
        await store.transact([Put("k", key, b"")])
        acknowledged.add(key)

    os.kill(store.process_id, signal.SIGSTOP)  # so that these are certainly unanswered when it dies
    calls = [asyncio.ensure_future(put(f"late {n}")) for n in range(10)]
    await asyncio.sleep(0)
    os.kill(store.process_id, signal.SIGKILL)
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, StoreBroken) for result in results)
    assert woken  # something may have been committed unheard
    await put("after")
    assert acknowledged <= {record.key for record in await store.scan("k")}
    await store.transact([Done("q", item.item_id, item.lease)])  # a lease outlives the process
    await store.close()


async def test_the_store_process_ends_with_its_node(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys, os, signal; from pilotlight.store.sqlite import open_sqlite\n"
        "store = open_sqlite(sys.argv[1]); print(store.process_id, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    pid = int(_output_of(script, tmp_path))
    eventually(lambda: not _alive(pid), what="the store process to end")


async def test_a_store_process_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"this is not a database, whatever it is called" * 100)
    with pytest.raises(StoreBroken, match="NotADB"):
        open_sqlite(tmp_path)
    (tmp_path / "store.db").unlink()
    await open_sqlite(tmp_path).close()  # the lock was let go


async def test_commits_go_on_beside_a_busy_event_loop(tmp_path: Path) -> None:
    """What the process is for: a writer thread took up to 13 s for 64 of these, waiting for the GIL."""
    store = open_sqlite(tmp_path)
    done = False

    async def busy() -> None:
        while not done:
            end = time.perf_counter() + 50e-6
            while time.perf_counter() < end:
                pass
            await asyncio.sleep(0)

    async def enqueue(caller: int) -> None:
        for _ in range(50):
            await store.transact([Enqueue(f"q/{caller}", b"x" * 500, 0)])

    spinning = asyncio.create_task(busy())
    async with asyncio.timeout(5):
        await asyncio.gather(*(enqueue(caller) for caller in range(10)))
    done = True
    await spinning
    await store.close()


async def test_a_value_the_store_cannot_hold_fails_its_caller_only(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    wrong: Any = Put("k", "wrong", 5)  # type: ignore[arg-type]
    results = await asyncio.gather(
        store.transact([Put("k", "a", b"")]),
        store.transact([wrong]),
        store.transact([Put("k", "b", b""), Put("k", "too much", b"", expect=1 << 70)]),
        store.transact([Put("k", "c", b"")]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [int, StoreBroken, OverflowError, int]
    assert [record.key for record in await store.scan("k")] == ["a", "c"]
    await store.close()


def _alive(pid: int) -> bool:
    """Not when it is gone or a zombie, which is gone but for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def _output_of(script: str, folder: Path) -> str:
    return subprocess.run([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True).stdout.strip()
