"""When environments go: idle for too long, too many of them, a version that is gone, a node that cannot start one."""

from __future__ import annotations

import asyncio
import time

import pytest
from botocore.exceptions import ClientError

from tests.e2e.functions import create, invoke
from tests.support import RunningNode, eventually_async, running_node

STREAM = "def handler(e, c):\n    return c.log_stream_name\n"


async def _make(node: RunningNode, *names: str) -> list[str]:
    """One warm environment for each function; their log streams, which name the environments."""
    client = node.client("lambda")
    streams: list[str] = []
    for name in names:
        await node.call(create, client, name, STREAM)
        streams.append(await node.call(invoke, client, name))
    return streams


async def _idle(node: RunningNode, count: int) -> None:
    def so_many() -> bool:
        states = node.node.pool.statistics()
        return states["idle"] == sum(states.values()) == count

    await eventually_async(so_many, what=f"{count} idle environments and no other")


async def test_idle_environments_go_after_their_time() -> None:
    async with running_node(state_delay_ms=0, neighbours=False, idle_environment_s=60) as node:
        await _make(node, "a", "b")
        node.node.pool.sweep(time.monotonic() + 59)
        await _idle(node, 2)
        node.node.pool.sweep(time.monotonic() + 61)
        await _idle(node, 0)
        assert await node.call(invoke, node.client("lambda"), "a")


async def test_beyond_the_limit_the_least_recently_used_go() -> None:
    async with running_node(state_delay_ms=0, neighbours=False, max_idle_environments=2) as node:
        client = node.client("lambda")
        first, second, third = await _make(node, "a", "b", "c")
        assert await node.call(invoke, client, "a") == first
        node.node.pool.sweep(time.monotonic())
        await _idle(node, 2)
        assert await node.call(invoke, client, "a") == first
        assert await node.call(invoke, client, "c") == third
        assert await node.call(invoke, client, "b") != second


async def test_a_deleted_function_leaves_no_environment() -> None:
    async with running_node(state_delay_ms=0, neighbours=False) as node:
        await _make(node, "a", "b")
        await node.call(node.client("lambda").delete_function, FunctionName="a")
        await _idle(node, 1)


async def test_what_cannot_be_started_is_an_error_with_its_cause_and_leaves_nothing_behind() -> None:
    async with running_node(state_delay_ms=0, neighbours=False) as node:
        client = node.client("lambda")
        await _make(node, "a")
        await node.node.launcher.stop()
        await eventually_async(lambda: node.node.pool.statistics()["resetting"] == 1, what="the warm one's death")
        for _ in range(2):
            with pytest.raises(ClientError) as caught:
                await asyncio.gather(*(node.call(invoke, client, "a") for _ in range(3)))
            assert caught.value.response["Error"]["Code"] == "ServiceException"
            assert "could not be started" in caught.value.response["Error"]["Message"]
        await eventually_async(lambda: node.node.concurrent_executions == 0)
        await _idle(node, 0)
