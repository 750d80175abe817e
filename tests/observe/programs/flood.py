"""What a function that prints without end does to a node: its output goes through parser and store, measured."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from pilotlight.clock import SystemClock
from pilotlight.observe.logs import LogStore
from pilotlight.observe.output import LogStreamParser
from pilotlight.settings import Settings


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def main(directory: str, megabytes: int, starve: bool) -> None:
    store = LogStore(Path(directory), SystemClock(), Settings())
    await store.start()
    stream = store.stream("000000000000", "us-east-1", "/aws/lambda/f", "s")
    parser = LogStreamParser()
    chunk = ("a line as a function in trouble prints it, over and over, eighty characters long" + "\n").encode() * 800
    appended = 0
    before = largest = resident_bytes()
    started = time.perf_counter()
    for _ in range(megabytes * 1_000_000 // len(chunk)):
        now_ms = time.time_ns() // 1_000_000
        events = [(at or now_ms, message) for at, message in parser.feed(chunk)]
        stream.extend(events)
        appended += len(events)
        if not starve:
            await asyncio.sleep(0)
        largest = max(largest, resident_bytes())
    seconds = time.perf_counter() - started
    await store.stop()
    statistics = store.statistics()
    result = {
        "appended": appended,
        "stored": statistics.stored_events,
        "dropped": statistics.dropped_events,
        "grown_bytes": largest - before,
        "megabytes_per_s": megabytes / seconds,
    }
    print(json.dumps(result))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "starve"))
