"""What a function that prints 50 MB/s does to the others: the warm p50 of another function, beside it and without it,
in turns on one node; what became of the lines, and what the node grew by.

Run alone: python -m bench.flood [seconds [rounds]]
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from bench import load, measures
from pilotlight.cli.node_process import NodeProcess

MEGABYTES_PER_S = 50
_SOURCE = """
import time

LINE = "a line as functions in trouble print it, again and again; " * 3

def handler(event, context):
    started, written, size = time.monotonic(), 0, len(LINE) + 1
    while (elapsed := time.monotonic() - started) < event["seconds"]:
        for _ in range(100):
            print(LINE)
        written += 100 * size
        if (early := written / event["bytes_per_s"] - elapsed) > 0:
            time.sleep(early)
    return {"written": written}
"""


class Flood(NamedTuple):
    """Medians of the rounds. `ratio`: of the other function's p50 beside the flood to that without it."""

    ratio: float
    alone_us: float
    beside_us: float
    beside_p99_us: float
    megabytes_per_s: float
    """What the flooding function got rid of."""
    grown_mib: float
    """The most the node had grown by at the end of a round."""


def measure(seconds: float, rounds: int, megabytes_per_s: float = MEGABYTES_PER_S) -> Flood:
    with measures.node() as node:
        url = measures.deploy(node, "hello")
        with measures.Api(node.port) as api:
            api.create("flood", _SOURCE)
            api.wait_active("flood")
            api.call("PUT", "/2015-03-31/functions/flood/configuration", {"Timeout": 300})
            api.wait_active("flood")
        _flood(node, 0.1, megabytes_per_s)
        load.run(url, connections=1, seconds=1)
        before = resident_mib(node.pid)
        alone: list[load.Load] = []
        beside: list[load.Load] = []
        rates: list[float] = []
        grown = 0.0
        for _ in range(rounds):
            alone.append(load.run(url, connections=1, seconds=seconds))
            flooding = threading.Thread(target=lambda: rates.append(_flood(node, seconds + 1, megabytes_per_s)))
            flooding.start()
            beside.append(load.run(url, connections=1, seconds=seconds))
            grown = max(grown, resident_mib(node.pid) - before)
            flooding.join()
        return Flood(
            statistics.median(b.p50_us / a.p50_us for a, b in zip(alone, beside, strict=True)),
            statistics.median(a.p50_us for a in alone),
            statistics.median(b.p50_us for b in beside),
            statistics.median(b.p99_us for b in beside),
            statistics.median(rates),
            grown,
        )


def _flood(node: NodeProcess, seconds: float, megabytes_per_s: float) -> float:
    """Have the function flood; returns the megabytes per second that it printed."""
    body = {"seconds": seconds, "bytes_per_s": megabytes_per_s * 1e6}
    with measures.Api(node.port) as api:
        written = api.call("POST", "/2015-03-31/functions/flood/invocations", body)["written"]
    assert isinstance(written, int)
    return written / seconds / 1e6


def resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


if __name__ == "__main__":
    arguments = [float(argument) for argument in sys.argv[1:]]
    seconds, rounds = (*arguments, 3.0, 3.0)[:2] if len(arguments) < 2 else arguments[:2]
    print(json.dumps(measure(seconds, int(rounds))._asdict(), indent=2))
