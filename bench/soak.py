"""`make soak`: a node under load while its environments are killed at random, and whether all of it was right.

So many connections for so long on twenty functions of mixed durations, some with reserved or provisioned concurrency,
more connections than the account may run at once; meanwhile runtimes, and whole environments, are killed with SIGKILL,
and functions get new configurations. Every request must get exactly one answer and the right one, no environment may
serve two at once, nothing may exceed its limits, and afterwards the node must hold what it held before. Exits with 1
when any of that is not so. A short run is one of the tests.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bench.measures import Api
from bench.soak_load import Client, Served, Tally, Target, most_at_once
from pilotlight.cli.node_process import NodeProcess

CONCURRENCY = 150
TAKES_MS = (0, 0, 1, 1, 2, 5, 5, 10, 10, 20, 20, 30, 50, 50, 80, 100, 150, 200, 300, 500)
RESERVED = {3: 2, 7: 5, 13: 1}
"""Of some of the twenty, by position."""
PROVISIONED = {5: 3, 11: 2}
#: how often some function gets a new configuration, and with it new environments
CHANGE_EVERY_S = 2.0
#: far beyond what a loaded machine makes of any of them: one that takes so long was forgotten
TIMEOUT_S = 45
#: what a node may hold more of after the load than before it: allocators keep some, caches have filled
SLACK_MIB = 24.0
SLACK_DESCRIPTORS = 8
#: an idle environment is gone after one second, looked for every five
_QUIET_LIMIT_S = 40.0

# The lock is the kernel's: it goes with the process that is killed, and another process in the same /tmp sees it.
SOURCE = """
import fcntl, os, time
TAKES_S = {takes_s}
LOCK = open("/tmp/busy", "w")
def handler(event, context):
    began = time.monotonic_ns()
    try:
        fcntl.flock(LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
        two = False
    except BlockingIOError:
        two = True
    if TAKES_S:
        time.sleep(TAKES_S)
    answer = {{
        "id": event["id"], "function": context.function_name, "stream": context.log_stream_name, "two at once": two,
        "began": began, "ended": time.monotonic_ns(),
    }}
    fcntl.flock(LOCK, fcntl.LOCK_UN)
    return answer
"""


class Holdings(msgspec.Struct, frozen=True):
    """What a node holds when it has nothing to do."""

    descriptors: int
    processes: int
    node_mib: float
    others_mib: float
    """Proportional sizes of its other processes."""


class Report(msgspec.Struct, frozen=True):
    seconds: float
    counts: dict[str, int]
    kills: int
    at_once: int
    """The most invocations that ran at the same moment."""
    environments: int
    """How many answered something."""
    p50_ms: float
    """Of answers, beyond what their functions slept."""
    p99_ms: float
    before: Holdings
    after: Holdings
    faults: list[str]

    def __str__(self) -> str:
        what = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        lines = [
            f"{self.counts['sent'] / self.seconds:.0f} requests/s for {self.seconds:.0f} s: {what}",
            f"{self.kills} kills; {self.environments} environments answered; at most {self.at_once} at once",
            f"beyond their functions' own time: p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms",
            f"before: {self.before}",
            f"after:  {self.after}",
            *self.faults,
            "FAULTS" if self.faults else "all of it right",
        ]
        return "\n".join(lines)


def run(*, seconds: float, connections: int, seed: int = 1, kills_per_s: float = 10.0) -> Report:
    with tempfile.TemporaryDirectory(prefix="pilotlight-soak-", ignore_cleanup_errors=True) as directory:
        node = NodeProcess(
            Path(directory) / "data",
            dies_with_us=True,
            concurrency=CONCURRENCY,
            min_unreserved_concurrency=50,
            idle_environment_s=1,
            neighbours=False,
            log_level="error",
            state_delay_ms=0,
        )
        node.start()
        try:
            targets = _deploy(node)
            # Once through everything first: what a node allocates when it first works is not lost, but kept.
            uvloop.run(_load(node, targets, Tally(), min(5.0, seconds), connections, kills_per_s, seed + 1))
            before = _quiet(node)
            tally = Tally()
            kills = uvloop.run(_load(node, targets, tally, seconds, connections, kills_per_s, seed))
            after = _quiet(node)
            _check(tally, targets, kills, before, after)
            _answers_still(node, targets, tally)
            if " ERROR " in node.log() or "Traceback" in node.log():
                tally.fault(f"the node had to say:\n{node.log()[-4000:]}")
        finally:
            node.stop()
    beyond = sorted(tally.latencies_ms)
    return Report(
        seconds=seconds,
        counts=dict(tally.counts),
        kills=kills,
        at_once=most_at_once(tally.served),
        environments=len({served.stream for served in tally.served}),
        p50_ms=statistics.median(beyond),
        p99_ms=beyond[int(len(beyond) * 0.99)],
        before=before,
        after=after,
        faults=tally.faults,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--kills", type=float, default=10, help="a second")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    report = run(seconds=options.seconds, connections=options.connections, seed=options.seed, kills_per_s=options.kills)
    print(report)
    sys.exit(1 if report.faults else 0)


# -- the functions ---------------------------------------------------------------------------------------------------


def _deploy(node: NodeProcess) -> list[Target]:
    targets: list[Target] = []
    with Api(node.port) as api:
        for position, takes_ms in enumerate(TAKES_MS):
            name = f"soak-{position}"
            path = f"/2015-03-31/functions/{name}"
            api.create(name, SOURCE.format(takes_s=takes_ms / 1000), Timeout=TIMEOUT_S)
            api.wait_active(name)
            reserved, provisioned = RESERVED.get(position), PROVISIONED.get(position)
            if reserved is not None:
                api.call(
                    "PUT",
                    f"/2017-10-31/functions/{name}/concurrency",
                    {"ReservedConcurrentExecutions": reserved},
                )
            if provisioned is not None:
                api.call("POST", f"{path}/versions", {})
                api.call(
                    "PUT",
                    f"/2019-09-30/functions/{name}/provisioned-concurrency?Qualifier=1",
                    {"ProvisionedConcurrentExecutions": provisioned},
                )
            targets.append(Target(name, takes_ms, reserved, "1" if provisioned else ""))
    return targets


def _answers_still(node: NodeProcess, targets: list[Target], tally: Tally) -> None:
    """Every function, once more, when nobody kills."""
    with Api(node.port) as api:
        for target in targets:
            answer = api.call("POST", target.path, {"id": "last"})
            if answer.get("id") != "last":
                tally.fault(f"{target.name} answers no longer: {answer}")


# -- the load ----------------------------------------------------------------------------------------------------------


async def _load(
    node: NodeProcess,
    targets: list[Target],
    tally: Tally,
    seconds: float,
    connections: int,
    kills_per_s: float,
    seed: int,
) -> int:
    """How many processes were killed meanwhile."""
    until_s = time.monotonic() + seconds
    killer = asyncio.create_task(_kill(node.pid, random.Random(seed), kills_per_s))
    others = [
        asyncio.create_task(_watch(node, tally)),
        asyncio.create_task(_change(node, targets, random.Random(seed))),
    ]
    clients = [Client(tally, targets, seed * 10_000 + number) for number in range(connections)]
    await asyncio.gather(*(client.run(node.port, until_s) for client in clients))
    for task in (killer, *others):
        task.cancel()
    for task in others:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return await killer


async def _kill(node_pid: int, chance: random.Random, kills_per_s: float) -> int:
    """SIGKILL to runtimes and, one time in five, to the init of an environment, which takes everything in it along."""
    killed = 0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(chance.expovariate(kills_per_s))
            processes = list(_environment_processes(node_pid))
            wanted = chance.random() < 0.2
            pids = [pid for pid, is_init in processes if is_init == wanted]
            if pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(pids), signal.SIGKILL)
                    killed += 1
    return killed


async def _change(node: NodeProcess, targets: list[Target], chance: random.Random) -> None:
    """New configurations under what runs: environments of the former ones finish and go."""
    changeable = [target for target in targets if not target.qualifier]

    def change(number: int) -> None:
        with Api(node.port) as api:
            path = f"/2015-03-31/functions/{chance.choice(changeable).name}/configuration"
            api.call("PUT", path, {"Environment": {"Variables": {"NUMBER": str(number)}}})

    for number in itertools.count():
        await asyncio.sleep(CHANGE_EVERY_S)
        await asyncio.to_thread(change, number)


async def _watch(node: NodeProcess, tally: Tally) -> None:
    """What the node says of itself is never beyond the limit either."""
    while True:
        await asyncio.sleep(0.2)
        found = await asyncio.to_thread(_health, node)
        if found["concurrentExecutions"] > CONCURRENCY:
            tally.fault(f"{found['concurrentExecutions']} run at once, the node says")


def _environment_processes(node_pid: int) -> Iterator[tuple[int, bool]]:
    """Processes in innermost pid namespaces that hold a runtime, and whether each is the namespace's init. A namespace
    with an init alone was made ahead of need and serves nobody yet."""
    depths: dict[int, tuple[int, int]] = {}
    groups: dict[str, list[int]] = defaultdict(list)
    for pid in _descendants(node_pid):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            inner = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
            groups[os.readlink(f"/proc/{pid}/ns/pid")].append(pid)
            depths[pid] = (len(inner), int(inner[-1]))
    innermost = max((depth for depth, _ in depths.values()), default=0)
    for pids in groups.values():
        if len(pids) > 1:
            for pid in pids:
                if pid in depths and depths[pid][0] == innermost > 1:
                    yield pid, depths[pid][1] == 1


def _descendants(pid: int) -> Iterator[int]:
    todo = [pid]
    while todo:
        parent = todo.pop()
        with contextlib.suppress(OSError, ValueError):
            for thread in os.listdir(f"/proc/{parent}/task"):
                for child in Path(f"/proc/{parent}/task/{thread}/children").read_text().split():
                    yield int(child)
                    todo.append(int(child))


# -- before and after --------------------------------------------------------------------------------------------------


def _quiet(node: NodeProcess) -> Holdings:
    """What it holds once nothing runs and all environments but the provisioned ones have gone."""
    deadline = time.monotonic() + _QUIET_LIMIT_S
    kept = sum(PROVISIONED.values())
    while True:
        found = _health(node)
        states: dict[str, int] = found["environments"]
        if found["concurrentExecutions"] == 0 and states["idle"] == sum(states.values()) == kept:
            break
        if time.monotonic() > deadline:
            raise RuntimeError(f"not quiet {_QUIET_LIMIT_S:.0f} s after the load: {found}; the node said: {node.log()}")
        time.sleep(0.1)
    time.sleep(1)  # fork servers make up for the blanks they gave away
    others = list(_descendants(node.pid))
    return Holdings(
        descriptors=len(os.listdir(f"/proc/{node.pid}/fd")),
        processes=len(others),
        node_mib=round(_pss_mib(node.pid), 1),
        others_mib=round(sum(map(_pss_mib, others)), 1),
    )


def _pss_mib(pid: int) -> float:
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:", 1)[1].split()[0]) / 1024
    return 0.0


def _health(node: NodeProcess) -> dict[str, Any]:
    with urllib.request.urlopen(f"{node.endpoint}/_pilotlight/health", timeout=30) as answer:
        return json.load(answer)


def _check(tally: Tally, targets: list[Target], kills: int, before: Holdings, after: Holdings) -> None:
    """What can only be seen from all of it together."""
    by_function: dict[str, list[Served]] = defaultdict(list)
    by_stream: dict[str, list[Served]] = defaultdict(list)
    for served in tally.served:
        by_function[served.function].append(served)
        by_stream[served.stream].append(served)
    for stream, served in by_stream.items():
        if most_at_once(served) > 1:
            tally.fault(f"environment {stream} served two at once")
    for target in targets:
        if target.reserved is not None and most_at_once(by_function[target.name]) > target.reserved:
            tally.fault(f"{target.name} ran {most_at_once(by_function[target.name])} at once of {target.reserved}")
        if not by_function[target.name]:
            tally.fault(f"{target.name} never answered")
    if most_at_once(tally.served) > CONCURRENCY:
        tally.fault(f"{most_at_once(tally.served)} ran at once")
    if tally.counts["killed"] > kills:
        tally.fault(f"{tally.counts['killed']} were told they were killed, of {kills} kills")
    answered = sum(count for name, count in tally.counts.items() if name != "sent")
    if answered + len(tally.faults) < tally.counts["sent"]:
        tally.fault(f"{tally.counts['sent']} sent, {answered} answered")
    if after.descriptors > before.descriptors + SLACK_DESCRIPTORS:
        tally.fault(f"{before.descriptors} descriptors became {after.descriptors}")
    if after.processes > before.processes + SLACK_DESCRIPTORS:
        tally.fault(f"{before.processes} processes became {after.processes}")
    for name, mib, was_mib in (
        ("the node's", after.node_mib, before.node_mib),
        ("the others'", after.others_mib, before.others_mib),
    ):
        if mib > was_mib + SLACK_MIB:
            tally.fault(f"{name} memory grew from {was_mib} to {mib} MiB")


if __name__ == "__main__":
    main()
