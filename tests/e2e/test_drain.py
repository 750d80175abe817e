"""What changes under what runs: aliases that move, code that is replaced, versions and functions that are deleted."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.functions import WAIT, create, invoke
from tests.support import NodeProcess, RunningNode, eventually_async, make_zip, running_node

WHO = "def handler(event, context):\n    return context.function_version\n"


def code(name: str, *, slow_init: bool = False) -> str:
    """Waits at the gate, in its init or on "wait"; says which code it is."""
    init = "wait()" if slow_init else ""
    return f"""{WAIT}
{init}
def handler(event, context):
    if event == "wait":
        wait()
    return ["{name}", context.function_version]
"""


@pytest.fixture
async def gated() -> AsyncIterator[RunningNode]:
    with ThreadPoolExecutor(50) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        async with running_node(state_delay_ms=0, neighbours=False) as node:
            await node.call(create, node.client("lambda"), "gate", WHO)
            yield node


async def _open(node: RunningNode) -> None:
    await node.call(node.client("lambda").delete_function, FunctionName="gate")


async def _begun(node: RunningNode, count: int, name: str = "f", event: Any = "wait", **members: Any) -> list[Any]:
    """Invocations that run, or wait for an environment that is being initialised."""
    before = node.node.concurrent_executions
    tasks = [
        asyncio.create_task(node.call(invoke, node.client("lambda"), name, event, **members)) for _ in range(count)
    ]
    await eventually_async(lambda: node.node.concurrent_executions == before + count)
    return tasks


async def _in_state(node: RunningNode, state: str, count: int) -> None:
    await eventually_async(lambda: node.node.pool.statistics()[state] == count, what=f"{count} {state}")


async def _nothing_left(node: RunningNode) -> None:
    await eventually_async(lambda: not any(node.node.pool.statistics().values()), what="no environment")
    assert node.node.concurrent_executions == 0


async def _update(node: RunningNode, source: str, **members: Any) -> None:
    await node.call(node.client("lambda").update_function_code, FunctionName="f", ZipFile=make_zip(source), **members)


async def test_what_runs_ends_on_its_code_and_what_comes_begins_on_the_new(gated: RunningNode) -> None:
    client = gated.client("lambda")
    await gated.call(create, client, "f", code("old"), Timeout=60)
    running = await _begun(gated, 3)
    await _in_state(gated, "busy", 3)
    await _update(gated, code("new"))
    assert await gated.call(invoke, client, "f") == ["new", "$LATEST"], "from the moment the call returned"
    await _open(gated)
    assert [name for name, _ in await asyncio.gather(*running)] == ["old"] * 3
    for _ in range(5):
        assert (await gated.call(invoke, client, "f"))[0] == "new"
    assert gated.node.concurrent_executions == 0


async def test_what_waits_for_an_environment_is_answered_when_the_code_changes(gated: RunningNode) -> None:
    await gated.call(create, gated.client("lambda"), "f", code("old", slow_init=True), Timeout=60)
    waiting = await _begun(gated, 3, event=None)
    await _in_state(gated, "initializing", 3)
    await _update(gated, code("new"))
    assert await gated.call(invoke, gated.client("lambda"), "f") == ["new", "$LATEST"]
    await _open(gated)
    assert [name for name, _ in await asyncio.gather(*waiting)] == ["new"] * 3


@pytest.mark.parametrize("slow_init", [False, True], ids=["runs", "waits"])
async def test_a_version_is_deleted_under_what_runs_on_it(gated: RunningNode, slow_init: bool) -> None:
    client = gated.client("lambda")
    await gated.call(create, client, "f", code("one", slow_init=slow_init), Publish=True, Timeout=60)
    tasks = await _begun(gated, 3, Qualifier="1")
    await _in_state(gated, "initializing" if slow_init else "busy", 3)
    await gated.call(client.delete_function, FunctionName="f", Qualifier="1")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        await gated.call(client.invoke, FunctionName="f", Qualifier="1")
    await _open(gated)
    assert await asyncio.gather(*tasks) == [["one", "1"]] * 3
    await _nothing_left(gated)


@pytest.mark.parametrize("slow_init", [False, True], ids=["runs", "waits"])
async def test_a_function_is_deleted_and_made_again_under_what_runs(gated: RunningNode, slow_init: bool) -> None:
    client = gated.client("lambda")
    await gated.call(create, client, "f", code("first", slow_init=slow_init), Timeout=60)
    tasks = await _begun(gated, 3, event=None if slow_init else "wait")
    await _in_state(gated, "initializing" if slow_init else "busy", 3)
    await gated.call(client.delete_function, FunctionName="f")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        await gated.call(client.invoke, FunctionName="f")
    await gated.call(create, client, "f", code("second"))
    assert (await gated.call(invoke, client, "f"))[0] == "second"
    await _open(gated)
    answers = [name for name, _ in await asyncio.gather(*tasks)]
    assert answers == ["second" if slow_init else "first"] * 3, "what had begun ends as it began"
    await gated.call(client.delete_function, FunctionName="f")
    await _nothing_left(gated)


async def test_an_alias_is_deleted_under_what_came_by_it(gated: RunningNode) -> None:
    client = gated.client("lambda")
    await gated.call(create, client, "f", code("one"), Publish=True, Timeout=60)
    await gated.call(client.create_alias, FunctionName="f", Name="live", FunctionVersion="1")
    running = await _begun(gated, 2, Qualifier="live")
    await _in_state(gated, "busy", 2)
    await gated.call(client.delete_alias, FunctionName="f", Name="live")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        await gated.call(client.invoke, FunctionName="f", Qualifier="live")
    await _open(gated)
    assert await asyncio.gather(*running) == [["one", "1"]] * 2


async def test_from_none_to_many_at_once(gated: RunningNode) -> None:
    await gated.call(create, gated.client("lambda"), "f", code("one"), Timeout=60)
    tasks = await _begun(gated, 40)
    await _in_state(gated, "busy", 40)
    await _open(gated)
    assert await asyncio.gather(*tasks) == [["one", "$LATEST"]] * 40
    assert gated.node.concurrent_executions == 0


class _Caller:
    """One kept connection that invokes an alias."""

    def __init__(self, node: NodeProcess, name: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=60)
        self._path = f"/2015-03-31/functions/{name}/invocations?Qualifier=live"

    def __call__(self) -> str:
        """The version that ran, as the header and the function say it."""
        self._connection.request("POST", self._path, body=b"{}")
        answer = self._connection.getresponse()
        ran = json.loads(answer.read())
        assert answer.status == 200, ran
        assert answer.getheader("X-Amz-Executed-Version") == ran
        return ran

    def close(self) -> None:
        self._connection.close()


def _two_versions(client: Any, name: str) -> None:
    create(client, name, WHO, Publish=True)
    client.update_function_code(FunctionName=name, ZipFile=make_zip(WHO + "# two\n"), Publish=True)
    client.get_waiter("published_version_active").wait(FunctionName=name, Qualifier="2", WaiterConfig={"Delay": 0.05})
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")


@pytest.mark.parametrize("weight", [0.05, 0.37])
def test_weights_hold_in_the_statistics(node: NodeProcess, unique_name: str, weight: float) -> None:
    client = node.client("lambda")
    _two_versions(client, unique_name)
    client.update_alias(
        FunctionName=unique_name, Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": weight}}
    )
    calls = 2000
    call = _Caller(node, unique_name)
    ran = Counter(call() for _ in range(calls))
    call.close()
    expected = {"1": calls * (1 - weight), "2": calls * weight}
    chi_square = sum((ran[version] - count) ** 2 / count for version, count in expected.items())
    assert chi_square < 24, f"{ran}: one run in a million is so far off"


def test_an_alias_moves_to_and_fro_under_load(node: NodeProcess, unique_name: str) -> None:
    """Not one call fails; one that began after a move had returned, and ended before the next began, is on its side."""
    client = node.client("lambda")
    _two_versions(client, unique_name)
    moves: list[tuple[float, float, str]] = []
    """When it was asked for, when it had returned, and whereto."""
    ending = time.monotonic() + 3

    def keep_calling() -> list[tuple[float, float, str]]:
        call = _Caller(node, unique_name)
        seen: list[tuple[float, float, str]] = []
        while time.monotonic() < ending:
            began = time.monotonic()
            ran = call()
            seen.append((began, time.monotonic(), ran))
        call.close()
        return seen

    with ThreadPoolExecutor(4) as threads:
        callers = [threads.submit(keep_calling) for _ in range(4)]
        for version in itertools.cycle("21"):
            if time.monotonic() > ending:
                break
            asked = time.monotonic()
            client.update_alias(FunctionName=unique_name, Name="live", FunctionVersion=version)
            moves.append((asked, time.monotonic(), version))
            time.sleep(0.01)  # gives some calls time to fall between two moves
        seen = [each for caller in callers for each in caller.result()]
    between = 0
    for (_, returned, version), (next_asked, _, _) in itertools.pairwise(moves):
        for began, ended, ran in seen:
            if began > returned and ended < next_asked:
                assert ran == version
                between += 1
    assert between > 20
    assert len(moves) > 10
