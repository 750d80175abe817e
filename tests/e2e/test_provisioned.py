"""Provisioned concurrency at work: environments initialised ahead, kept, made again, moved with their alias."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pilotlight.clock import ManualClock
from tests.e2e.functions import create, invoke, invoke_failing
from tests.support import RunningNode, eventually_async, make_zip, running_node

#: says who it is; on "die" its process ends
WHO = """
import os, time
BORN = time.time()
def handler(event, context):
    if event == "die":
        os._exit(7)
    if isinstance(event, float):
        time.sleep(event)
    return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], context.log_stream_name, context.function_version]
"""
PROVISIONED = "provisioned-concurrency"


async def _make(node: RunningNode, source: str = WHO, name: str = "a", **members: Any) -> None:
    await node.call(create, node.client("lambda"), name, source, Publish=True, **members)


async def _put(node: RunningNode, qualifier: str, count: int, name: str = "a") -> dict[str, Any]:
    return await node.call(
        node.client("lambda").put_provisioned_concurrency_config,
        FunctionName=name,
        Qualifier=qualifier,
        ProvisionedConcurrentExecutions=count,
    )


async def _get(node: RunningNode, qualifier: str, name: str = "a") -> dict[str, Any]:
    return await node.call(
        node.client("lambda").get_provisioned_concurrency_config, FunctionName=name, Qualifier=qualifier
    )


async def _ready(node: RunningNode, qualifier: str, count: int, name: str = "a") -> None:
    async def is_ready() -> bool:
        found = await _get(node, qualifier, name)
        assert found["Status"] != "FAILED", found
        assert found["AvailableProvisionedConcurrentExecutions"] == found["AllocatedProvisionedConcurrentExecutions"]
        if found["Status"] == "READY":
            assert found["AllocatedProvisionedConcurrentExecutions"] == count
            return True
        return False

    await eventually_async(is_ready, what="READY")


async def _environments(node: RunningNode, count: int) -> None:
    """Until so many are idle and there is no other."""

    def so_many() -> bool:
        states = node.node.pool.statistics()
        return states["idle"] == sum(states.values()) == count

    await eventually_async(so_many, what=f"{count} idle environments and no other")


async def _ask(node: RunningNode, qualifier: str, event: Any = None) -> list[str]:
    return await node.call(invoke, node.client("lambda"), "a", event, Qualifier=qualifier)


async def test_environments_are_there_before_the_first_call() -> None:
    async with running_node(state_delay_ms=0, neighbours=False) as node:
        await _make(node)
        put = await _put(node, "1", 2)
        assert (put["Status"], put["AllocatedProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 0)
        await _ready(node, "1", 2)
        await _environments(node, 2)
        busy = [asyncio.create_task(_ask(node, "1", 1.0)) for _ in range(2)]
        await eventually_async(lambda: node.node.concurrent_executions == 2)
        third = await _ask(node, "1")
        assert third[0] == "on-demand", "the third spills over"
        answers = [third, *await asyncio.gather(*busy)]
        assert [kind for kind, _, _ in answers[1:]] == [PROVISIONED, PROVISIONED]
        assert len({stream for _, stream, _ in answers}) == 3
        for _ in range(4):
            assert (await _ask(node, "1"))[0] == PROVISIONED, "they go first"
        assert (await _ask(node, "$LATEST"))[0] == "on-demand"


async def test_they_are_kept_when_idle() -> None:
    async with running_node(state_delay_ms=0, neighbours=False, idle_environment_s=60, max_idle_environments=0) as node:
        await _make(node)
        await _put(node, "1", 1)
        await _ready(node, "1", 1)
        assert (await _ask(node, "$LATEST"))[0] == "on-demand"
        kind, stream, _ = await _ask(node, "1")
        node.node.pool.sweep(time.monotonic() + 3600)
        await _environments(node, 1)
        assert await _ask(node, "1") == [kind, stream, "1"]
        node.node.pool.sweep(time.monotonic() + 12 * 3600)
        await eventually_async(lambda: node.node.pool.statistics()["retiring"] == 0)
        await _ready(node, "1", 1)
        assert (await _ask(node, "1"))[1] != stream, "credentials last twelve hours: it was replaced"


async def test_they_are_made_again_after_a_crash() -> None:
    async with running_node(state_delay_ms=0, neighbours=False) as node:
        await _make(node)
        await _put(node, "1", 1)
        await _ready(node, "1", 1)
        _, stream, _ = await _ask(node, "1")
        await node.call(invoke_failing, node.client("lambda"), "a:1", "die")
        await _ready(node, "1", 1)
        kind, other, _ = await _ask(node, "1")
        assert (kind, other != stream) == (PROVISIONED, True)


async def test_one_that_dies_idle_is_made_again() -> None:
    dying = WHO + "import threading\nthreading.Timer(0.3, os._exit, [3]).start()\n"
    async with running_node(state_delay_ms=0, neighbours=False) as node:
        await _make(node, dying)
        await _put(node, "1", 1)
        logs = node.client("logs")

        def environments() -> int:
            try:
                return len(logs.describe_log_streams(logGroupName="/aws/lambda/a")["logStreams"])
            except logs.exceptions.ResourceNotFoundException:  # nothing has been logged yet
                return 0

        async def again() -> bool:
            return await node.call(environments) >= 2

        await eventually_async(again, what="a second environment")
        await node.call(node.client("lambda").delete_provisioned_concurrency_config, FunctionName="a", Qualifier="1")
        await _environments(node, 0)


async def test_they_are_made_again_after_a_restart(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"state_delay_ms": 0, "neighbours": False, "data_dir": tmp_path / "data"}
    async with running_node(**settings) as node:
        await _make(node)
        await _put(node, "1", 2)
        await _ready(node, "1", 2)
    async with running_node(**settings) as node:
        await _ready(node, "1", 2)
        assert (await _ask(node, "1"))[0] == PROVISIONED


async def test_they_move_with_their_alias_and_go_with_the_configuration() -> None:
    async with running_node(state_delay_ms=0, neighbours=False) as node:
        client = node.client("lambda")
        await _make(node)
        await node.call(client.update_function_code, FunctionName="a", ZipFile=make_zip(WHO + "# two\n"), Publish=True)
        await node.call(client.create_alias, FunctionName="a", Name="live", FunctionVersion="1")
        await _put(node, "live", 2)
        await _ready(node, "live", 2)
        assert (await _ask(node, "live"))[::2] == [PROVISIONED, "1"]
        await node.call(client.update_alias, FunctionName="a", Name="live", FunctionVersion="2")
        await _ready(node, "live", 2)
        await _environments(node, 2)
        assert (await _ask(node, "live"))[::2] == [PROVISIONED, "2"]
        await _put(node, "live", 1)
        await _ready(node, "live", 1)
        await _environments(node, 1)
        await node.call(client.delete_provisioned_concurrency_config, FunctionName="a", Qualifier="live")
        await _environments(node, 0)
        assert (await _ask(node, "live"))[::2] == ["on-demand", "2"]


async def test_a_busy_one_finishes_before_it_goes() -> None:
    async with running_node(state_delay_ms=0, neighbours=False) as node:
        await _make(node)
        await _put(node, "1", 1)
        await _ready(node, "1", 1)
        busy = asyncio.create_task(_ask(node, "1", 0.5))
        await eventually_async(lambda: node.node.concurrent_executions == 1)
        await node.call(node.client("lambda").delete_provisioned_concurrency_config, FunctionName="a", Qualifier="1")
        assert (await busy)[0] == PROVISIONED
        await _environments(node, 0)


async def test_a_deleted_function_takes_them_along() -> None:
    async with running_node(state_delay_ms=0, neighbours=False) as node:
        await _make(node)
        await _put(node, "1", 2)
        await _ready(node, "1", 2)
        await node.call(node.client("lambda").delete_function, FunctionName="a")
        await _environments(node, 0)


async def test_an_init_that_fails_is_failed_and_tried_again() -> None:
    clock = ManualClock()
    counting = "import os\nprint('tried')\nraise ValueError('not yet')\n"
    async with running_node(clock=clock, state_delay_ms=0, neighbours=False) as node:
        await _make(node, counting)
        await _put(node, "1", 1)

        async def failed() -> bool:
            return (await _get(node, "1"))["Status"] == "FAILED"

        await eventually_async(failed)
        found = await _get(node, "1")
        assert found["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE"
        assert found["AllocatedProvisionedConcurrentExecutions"] == 0

        def tries() -> int:
            logs = node.client("logs")
            page = logs.filter_log_events(logGroupName="/aws/lambda/a", filterPattern="tried")
            return len(page["events"])

        async def tried(times: int) -> bool:
            return await node.call(tries) == times

        await eventually_async(lambda: tried(1))
        await _environments(node, 0)
        clock.advance(999)
        await _environments(node, 0)
        assert await node.call(tries) == 1, "not before its second has passed"
        clock.advance(1)
        await eventually_async(lambda: tried(2))
        await _environments(node, 0)
        await _put(node, "1", 1)
        await eventually_async(lambda: tried(3), what="asked for anew, it is tried at once")


async def test_it_is_set_aside() -> None:
    async with running_node(state_delay_ms=0, neighbours=False, concurrency=2, min_unreserved_concurrency=0) as node:
        await _make(node)
        await _put(node, "1", 1)
        await _ready(node, "1", 1)
        busy = asyncio.create_task(_ask(node, "$LATEST", 1.5))
        await eventually_async(lambda: node.node.concurrent_executions == 1)
        with pytest.raises(ClientError, match="TooManyRequestsException"):
            await _ask(node, "$LATEST")
        assert (await _ask(node, "1"))[0] == PROVISIONED
        await busy


async def test_what_has_no_engine_is_failed_with_its_sentence() -> None:
    async with running_node(state_delay_ms=0, neighbours=False) as node:
        client = node.client("lambda")
        await _make(node, Runtime="nodejs22.x")
        await _put(node, "1", 1)
        found = await _get(node, "1")
        assert found["Status"] == "FAILED"
        assert "nodejs22.x" in found["StatusReason"]
        assert sum(node.node.pool.statistics().values()) == 0
        await node.call(client.delete_provisioned_concurrency_config, FunctionName="a", Qualifier="1")
