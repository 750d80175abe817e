"""A disk that is full for a while: a file size limit of the log process stands in for it, since the kernel refuses
writes as well."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path

from pilotlight.clock import SystemClock
from pilotlight.observe.logs import LogStore
from pilotlight.observe.reader import Range, read_forward
from pilotlight.settings import Settings


async def main(directory: str) -> None:
    store = LogStore(Path(directory), SystemClock(), Settings())
    await store.start()
    stream = store.stream("000000000000", "us-east-1", "/aws/lambda/f", "s")

    async def append(name: str, count: int) -> None:
        for number in range(count):
            stream.append(number, f"{name} {number} " + "x" * 1000)
        await store.read(lambda database: None)

    await append("before", 10)
    _, hard = resource.prlimit(store.process_id, resource.RLIMIT_FSIZE)
    resource.prlimit(store.process_id, resource.RLIMIT_FSIZE, (256 * 1024, hard))
    await append("during", 2_000)
    resource.prlimit(store.process_id, resource.RLIMIT_FSIZE, (hard, hard))
    await append("after", 10)

    def messages(database: object) -> list[str]:
        group = database.group("000000000000", "us-east-1", "/aws/lambda/f")  # type: ignore[attr-defined]
        return [event.message.rstrip("x \n") for event in read_forward(database, Range(group.id))]  # type: ignore[arg-type]

    found = await store.read(messages)
    await store.stop()
    print(json.dumps({"messages": found, "dropped": store.statistics().dropped_events}))


asyncio.run(main(sys.argv[1]))
