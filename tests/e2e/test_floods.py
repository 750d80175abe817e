"""A function that prints as fast as it can: nothing of it is lost, the node does not grow, and others go on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotlight.observe.database import LogDatabase
from pilotlight.observe.reader import Range, read_forward
from tests.e2e.functions import create, invoke
from tests.support import NodeProcess, eventually_async, node_process, running_node

FLOOD = """
import logging, os, signal, time

def printed(n):
    print(n, 'a line as functions in trouble print it, again and again')

def written(n):
    os.write(1, b'%d ' % n + b'x' * 200_000 + b'\\n')

def garbage(n):
    os.write(1, b'%d ' % n + bytes(range(256)).replace(b'\\n', b'') * 40 + b'\\n')

def short(n):
    os.write(2, b'%d\\n' % n)

def logged(n):
    logging.getLogger().error('%d', n)

def handler(event, context):
    write = globals()[event['how']]
    for n in range(event['count']):
        write(n)
    print('the last words', end='')
    end = event.get('end')
    if end == 'kill':
        os.kill(os.getpid(), signal.SIGKILL)
    if end == 'exit':
        os._exit(1)
    if end == 'hang':
        time.sleep(60)
"""


@pytest.fixture(scope="module")
def flooded() -> Iterator[NodeProcess]:
    with node_process(state_delay_ms=0, neighbours=False) as node:
        create(node.client("lambda"), "quiet", "def handler(e, c):\n    return e\n")
        yield node


def stored(data_dir: Path, name: str) -> list[str]:
    database = LogDatabase(data_dir / "logs" / "logs.db", read_only=True)
    try:
        with database.transaction("DEFERRED"):
            group = database.group("000000000000", "us-east-1", f"/aws/lambda/{name}")
            return [event.message for event in read_forward(database, Range(group.id))] if group else []
    finally:
        database.close()


def numbers(lines: list[str]) -> list[int]:
    """Of the lines of the flood, whose long ones go on in the next event."""
    firsts = [line.split("\t" if line.startswith("[ERROR]\t") else " ")[-1 if line[0] == "[" else 0] for line in lines]
    return [int(first) for first in firsts if first.strip().isdecimal()]


def resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


class Watch:
    """The most memory a process has while this is entered, and what another function answers meanwhile."""

    def __init__(self, node: NodeProcess) -> None:
        self._node = node
        self._over = threading.Event()
        self.before_mib = self.most_mib = resident_mib(node.pid)
        self.answers = 0
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        client = self._node.client("lambda")
        while not self._over.is_set():
            assert invoke(client, "quiet", self.answers) == self.answers
            self.answers += 1
            self.most_mib = max(self.most_mib, resident_mib(self._node.pid))


@pytest.mark.parametrize(
    ("how", "count"),
    [("printed", 150_000), ("written", 100), ("garbage", 1_500), ("short", 100_000), ("logged", 50_000)],
)
def test_a_flood_is_stored_whole_and_the_node_does_not_grow(
    flooded: NodeProcess, unique_name: str, how: str, count: int
) -> None:
    client = flooded.client("lambda")
    create(client, unique_name, FLOOD, Timeout=100)
    with Watch(flooded) as watch:
        invoke(client, unique_name, {"how": how, "count": count})
    flooded.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{unique_name}")  # which waits for the writer
    lines = stored(flooded.data_dir, unique_name)
    assert numbers(lines) == list(range(count))
    assert [line.split(" ")[0] for line in lines[-2:]] == ["END", "REPORT"]
    assert lines[-3] == "the last words"
    assert watch.most_mib - watch.before_mib < 100
    assert watch.answers > 2


@pytest.mark.parametrize(
    ("end", "report"),
    [("kill", "Error Type: Runtime.ExitError"), ("exit", "Error Type: Runtime.ExitError"), ("hang", "Status: timeout")],
)
def test_the_last_lines_before_a_crash_are_there(flooded: NodeProcess, unique_name: str, end: str, report: str) -> None:
    client = flooded.client("lambda")
    create(client, unique_name, FLOOD, Timeout=10 if end == "hang" else 100)
    answer = client.invoke(
        FunctionName=unique_name,
        Payload=json.dumps({"how": "printed", "count": 50_000, "end": end}),
        LogType="Tail",
    )
    assert answer["FunctionError"] == "Unhandled"
    flooded.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{unique_name}")
    lines = stored(flooded.data_dir, unique_name)
    assert numbers(lines) == list(range(50_000))
    at = lines.index("the last words")
    assert lines[at + 1].startswith("END ") and report in lines[at + 2]


async def test_a_log_writer_that_lags_makes_a_flood_wait_instead_of_losing_it(tmp_path: Path, unique_name: str) -> None:
    """The writer is stopped, as a disk that hangs for a moment stops it."""
    async with running_node(data_dir=tmp_path, state_delay_ms=0, neighbours=False) as node:
        client = node.client("lambda")
        await node.call(create, client, unique_name, FLOOD, Timeout=100)
        await node.call(create, client, "quiet", "def handler(e, c):\n    return e\n")
        log_store = node.node.log_store
        os.kill(log_store.process_id, signal.SIGSTOP)
        try:
            flooding = asyncio.ensure_future(node.call(invoke, client, unique_name, {"how": "written", "count": 300}))
            await eventually_async(log_store.is_behind, what="the writer is behind")
            assert await node.call(invoke, client, "quiet", 1) == 1, "others are served"
            assert not flooding.done()
        finally:
            os.kill(log_store.process_id, signal.SIGCONT)
        await flooding
        assert log_store.statistics().dropped_events == 0
        await log_store.read(lambda database: None)
    assert numbers(stored(tmp_path, unique_name)) == list(range(300))
