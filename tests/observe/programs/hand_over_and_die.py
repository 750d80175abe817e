"""Hands a block of events over to the log process and is killed at once, before that has so much as started."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from pilotlight.clock import SystemClock
from pilotlight.observe.logs import LogStore
from pilotlight.settings import Settings


async def main(directory: str) -> None:
    store = LogStore(Path(directory), SystemClock(), Settings())
    await store.start()
    stream = store.stream("000000000000", "us-east-1", "/aws/lambda/hello", "s")
    appended = 0
    while store.statistics().waiting == 0:
        stream.append(appended, f"{appended}\n")
        appended += 1
    print(json.dumps({"process_id": store.process_id, "appended": appended}), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


asyncio.run(main(sys.argv[1]))
