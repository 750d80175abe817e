"""Appends numbered events to a log store until it is killed, and says which it has seen stored."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from pilotlight.clock import SystemClock
from pilotlight.observe.logs import LogStore
from pilotlight.settings import Settings


async def main(directory: str) -> None:
    store = LogStore(Path(directory), SystemClock(), Settings())
    await store.start()
    streams = [store.stream("000000000000", "us-east-1", "/aws/lambda/f", f"s{index}") for index in range(4)]
    number = 0
    while True:
        for _ in range(500):
            streams[number % 4].append(time.time_ns() // 1_000_000, f"{number}\n")
            number += 1
        await store.read(lambda database: None)
        print(number, flush=True)


asyncio.run(main(sys.argv[1]))
