"""Measures the store alone: commits one by one, group commit, the durable queue, and commits beside a busy event loop.

Run: python bench/store.py [--seconds 2] [--dir DIR]. Prints one line of JSON per figure. The directory's disk decides
the fsync, so the figure of a bare 4 KiB write + fdatasync is printed first, to compare with.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from pilotlight.clock import SystemClock
from pilotlight.store.interface import Done, Enqueue, Put
from pilotlight.store.sqlite import SqliteStore, open_sqlite

BODY = os.urandom(600)
CLOCK = SystemClock()


def report(name: str, count: int, seconds: float, **more: float) -> None:
    print(json.dumps({"name": name, "per_s": round(count / seconds), "count": count, **more}), flush=True)


def fsync_rate(directory: Path, seconds: float) -> None:
    count, file = 0, os.open(directory / "probe", os.O_RDWR | os.O_CREAT)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        os.pwrite(file, BODY, count % 64 * 4096)
        os.fdatasync(file)
        count += 1
    os.close(file)
    report("bare fdatasync", count, seconds)


async def callers(name: str, how_many: int, seconds: float, call: Callable[[int, int], Awaitable[object]]) -> None:
    """`how_many` callers in a closed loop; `call(caller, number)`."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def one(caller: int) -> None:
        number = 0
        while (begun := time.perf_counter()) < end:
            await call(caller, number)
            taken.append(time.perf_counter() - begun)
            number += 1

    begun = time.perf_counter()
    await asyncio.gather(*(one(caller) for caller in range(how_many)))
    cuts = statistics.quantiles(taken, n=100)
    report(name, len(taken), time.perf_counter() - begun, p50_us=round(cuts[49] * 1e6), p99_us=round(cuts[98] * 1e6))


async def queue_round(store: SqliteStore, name: str, items: int, queues: int) -> None:
    """Fill, claim in hundreds, and finish: three rates."""
    now = CLOCK.time_ms()
    begun = time.perf_counter()
    for start in range(0, items, 500):
        await store.transact([Enqueue(f"q/{n % queues}", BODY, now) for n in range(start, start + 500)])
    report(f"{name}: enqueue in transactions of 500", items, time.perf_counter() - begun)
    begun, claimed = time.perf_counter(), []
    while batch := await store.claim("q/", now + 1, 600_000, 100):
        claimed += batch
    report(f"{name}: claim in hundreds", len(claimed), time.perf_counter() - begun)
    begun = time.perf_counter()
    for start in range(0, items, 100):
        group = claimed[start : start + 100]
        await asyncio.gather(*(store.transact([Done(item.queue, item.item_id, item.lease)]) for item in group))
    report(f"{name}: done, 100 callers at a time", items, time.perf_counter() - begun)


async def busy_loop(stop: asyncio.Event) -> int:
    """A loop that is never idle, as under load: 50 us of Python per turn. Returns its turns."""
    turns = 0
    while not stop.is_set():
        end = time.perf_counter() + 50e-6
        while time.perf_counter() < end:
            pass
        turns += 1
        await asyncio.sleep(0)
    return turns


async def measure(directory: Path, seconds: float) -> None:
    fsync_rate(directory, seconds / 2)
    store = open_sqlite(directory / "data")
    put = lambda caller, number: store.transact([Put("bench", f"{caller}/{number % 500}", BODY)])  # noqa: E731
    enqueue = lambda caller, number: store.transact([Enqueue(f"a/{caller}", BODY, 1 << 60)])  # noqa: E731
    await callers("put, one caller", 1, seconds, put)
    await callers("put, 64 callers", 64, seconds, put)
    await callers("enqueue, one caller", 1, seconds, enqueue)
    await callers("enqueue, 64 callers", 64, seconds, enqueue)
    await callers("get, one caller", 1, seconds / 2, lambda c, n: store.get("bench", f"0/{n % 500}"))
    await queue_round(store, "1 queue", 20_000, 1)
    await queue_round(store, "1,000 queues", 20_000, 1000)
    for name, call in (("put", put), ("enqueue", enqueue)):
        stop = asyncio.Event()
        busy = asyncio.create_task(busy_loop(stop))
        begun = time.perf_counter()
        await callers(f"{name}, 64 callers, beside a busy loop", 64, seconds, call)
        stop.set()
        report("   turns of the busy loop meanwhile", await busy, time.perf_counter() - begun)
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--dir", default=None, help="where to put the data (default: a temporary directory)")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="pilotlight-bench-", dir=options.dir))
    try:
        uvloop.run(measure(directory, options.seconds))
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
