"""Memory is a budget: real environments that hold some, too little of it, and who makes way or has to come again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.functions import WAIT, create, invoke
from tests.support import RunningNode, eventually_async, running_node

#: holds 40 MB; on "wait" it waits at the gate
HOLDS = f"""{WAIT}
HELD = bytearray(os.urandom(1)) * (40 << 20)
def handler(event, context):
    if event == "wait":
        wait()
    return context.log_stream_name
"""


@pytest.fixture
async def tight() -> AsyncIterator[RunningNode]:
    """A node whose environments may take 95 MiB: two of those, and not three."""
    async with running_node(state_delay_ms=0, neighbours=False, memory_mib=95) as node:
        await node.call(create, node.client("lambda"), "gate", HOLDS)
        for name in "abc":
            await node.call(create, node.client("lambda"), name, HOLDS, Publish=True, Timeout=60, MemorySize=3008)
        yield node


async def _ask(node: RunningNode, name: str, event: Any = None) -> str:
    return await node.call(invoke, node.client("lambda"), name, event)


async def _measured(node: RunningNode, environments: int) -> None:
    """Until what so many take is known: until then they count for a guess."""
    await eventually_async(
        lambda: 40 * environments <= node.node.pool.room.used_mib() <= 50 * environments, what="what they take"
    )


async def test_the_least_recently_used_makes_way(tight: RunningNode) -> None:
    first = {}
    for count, name in enumerate("ab", 1):
        first[name] = await _ask(tight, name)
        await _measured(tight, count)
    await _ask(tight, "c")
    await _measured(tight, 2)
    assert await _ask(tight, "b") == first["b"]
    assert await _ask(tight, "a") != first["a"], "it was the one"


async def test_when_nothing_can_make_way_calls_are_throttled_and_events_wait(tight: RunningNode) -> None:
    client = tight.client("lambda")
    for count, name in enumerate("ab", 1):
        await _ask(tight, name)
        await _measured(tight, count)
    busy = [asyncio.create_task(_ask(tight, name, "wait")) for name in "ab"]
    await eventually_async(lambda: tight.node.pool.statistics()["busy"] == 2)
    with pytest.raises(ClientError) as caught:
        await tight.call(client.invoke, FunctionName="c")
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert (answer["Error"]["Code"], answer["Reason"]) == (
        "TooManyRequestsException",
        "ConcurrentInvocationLimitExceeded",
    )
    assert answer["Error"]["Message"] == (
        "Rate Exceeded. This node has no memory for another environment (memory_mib is 95)."
    )
    assert answer["retryAfterSeconds"] == "1"
    assert tight.node.concurrent_executions == 2, "what was refused is counted nowhere"
    await tight.call(client.invoke, FunctionName="c", InvocationType="Event")
    await asyncio.sleep(0)
    assert tight.node.pool.statistics()["busy"] == 2
    await tight.call(client.delete_function, FunctionName="gate")
    await asyncio.gather(*busy)

    def ran() -> bool:
        logs = tight.client("logs")
        groups = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/c")["logGroups"]
        return bool(groups and logs.filter_log_events(logGroupName="/aws/lambda/c", filterPattern="REPORT")["events"])

    await eventually_async(lambda: tight.call(ran), what="the event, once there was room")


async def test_provisioned_ones_stay_and_say_when_there_is_no_room(tight: RunningNode) -> None:
    client = tight.client("lambda")

    async def status(name: str) -> dict[str, Any]:
        return await tight.call(client.get_provisioned_concurrency_config, FunctionName=name, Qualifier="1")

    async def put(name: str, count: int) -> None:
        await tight.call(
            client.put_provisioned_concurrency_config,
            FunctionName=name,
            Qualifier="1",
            ProvisionedConcurrentExecutions=count,
        )

    async def is_ready(name: str) -> bool:
        return (await status(name))["Status"] == "READY"

    await put("a", 1)
    await eventually_async(lambda: is_ready("a"))
    await _measured(tight, 1)
    await put("b", 1)
    await eventually_async(lambda: is_ready("b"))
    await _measured(tight, 2)
    await put("c", 1)

    async def failed() -> bool:
        return (await status("c"))["Status"] == "FAILED"

    await eventually_async(failed)
    assert "no memory" in (await status("c"))["StatusReason"]
    with pytest.raises(ClientError, match="no memory"):
        await _ask(tight, "c")
    assert (await status("a"))["AllocatedProvisionedConcurrentExecutions"] == 1


async def test_the_node_tells_what_is_used(tight: RunningNode) -> None:
    import urllib.request

    def health() -> dict[str, Any]:
        with urllib.request.urlopen(f"{tight.endpoint}/_pilotlight/health", timeout=5) as answer:
            return json.load(answer)

    await _ask(tight, "a")
    await _measured(tight, 1)
    found = (await tight.call(health))["memoryMib"]
    assert found["budget"] == 95
    assert 40 <= found["used"] <= 50
