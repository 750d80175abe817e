"""How a node ends: calls over the drain limit are cut, nothing is left running, and a restart keeps everything."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.e2e.functions import create, descendants, health, invoke
from tests.support import eventually, node_process


def test_a_call_over_the_limit_is_cut(unique_name: str) -> None:
    with node_process(state_delay_ms=0, neighbours=False, drain_s=0.3) as node:
        client = node.client("lambda")
        create(client, unique_name, "import time\ndef handler(e, c):\n    time.sleep(60)\n", Timeout=90)
        failed: list[Exception] = []

        def call_it() -> None:
            try:
                invoke(client, unique_name)
            except Exception as error:
                failed.append(error)

        call = threading.Thread(target=call_it)
        call.start()
        eventually(lambda: health(node)["concurrentExecutions"] == 1, what="the call is running")
        assert node.stop() == 0
        call.join()
        assert failed


def test_functions_outlive_a_restart(tmp_path: Path, unique_name: str) -> None:
    data = tmp_path / "data"
    with node_process(data, state_delay_ms=0, neighbours=False) as node:
        client = node.client("lambda")
        create(client, unique_name, "def handler(e, c):\n    return 'lit'\n", Publish=True, Tags={"a": "b"})
        before = client.get_function(FunctionName=unique_name)
        node.stop()
        node.start()
        client = node.client("lambda")
        after = client.get_function(FunctionName=unique_name)
        assert after["Configuration"] == before["Configuration"]
        assert after["Tags"] == {"a": "b"}
        assert invoke(client, unique_name) == "lit"
        assert invoke(client, unique_name, Qualifier="1") == "lit"


def test_a_busy_node_stops_without_a_word_too_many(unique_name: str) -> None:
    with node_process(state_delay_ms=0, neighbours=False) as node:
        client = node.client("lambda")
        names = [f"{unique_name}-{n}" for n in range(8)]
        for name in names:
            create(client, name, "def handler(e, c):\n    return 1\n")
            invoke(client, name)
        assert node.stop() == 0
        assert node.log().rstrip().endswith("Stopping; calls in flight may finish.")


def test_nothing_is_left_running(unique_name: str) -> None:
    with node_process(state_delay_ms=0) as node:
        client = node.client("lambda")
        create(client, unique_name, "import os\ndef handler(e, c):\n    return os.getpid()\n")
        invoke(client, unique_name)
        group = descendants(node.pid)
        assert len(group) >= 3
        node.kill()
        eventually(lambda: not [pid for pid in group if _alive(pid)], what="every process of a killed node ends")


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
