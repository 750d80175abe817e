"""Event invocations: accepted durably, retried by Lambda's timetable, run again after a restart."""

from __future__ import annotations

from pathlib import Path

from pilotlight.clock import ManualClock
from tests.e2e.functions import create, invoke
from tests.support import RunningNode, eventually_async, running_node

FAILING = (
    "tries = []\n"
    "def handler(e, c):\n"
    "    if e == 'tries':\n        return tries\n"
    "    tries.append(c.aws_request_id)\n"
    "    raise ValueError('always')\n"
)


async def _tries(node: RunningNode, client: object, name: str) -> list[str]:
    return await node.call(invoke, client, name, "tries")


async def test_function_errors_are_retried_after_one_and_two_minutes(unique_name: str) -> None:
    clock = ManualClock()
    async with running_node(clock=clock, state_delay_ms=0) as node:
        client = node.client("lambda")
        await node.call(create, client, unique_name, FAILING)
        answer = await node.call(client.invoke, FunctionName=unique_name, InvocationType="Event", Payload=b"1")
        assert answer["StatusCode"] == 202
        request_id = answer["ResponseMetadata"]["RequestId"]

        async def tried(times: int) -> bool:
            return len(await _tries(node, client, unique_name)) == times

        async def settled() -> bool:
            return node.node.in_flight_events == 0

        queue = f"async/000000000000/us-east-1/{unique_name}"
        await eventually_async(lambda: tried(1))
        await eventually_async(settled)
        clock.advance(59_000)
        assert await node.node.store.claim(queue, clock.time_ms(), 1, 1) == [], "not due before its minute"
        clock.advance(1_000)
        await eventually_async(lambda: tried(2))
        await eventually_async(settled)
        clock.advance(119_000)
        assert await node.node.store.claim(queue, clock.time_ms(), 1, 1) == []
        clock.advance(1_000)
        await eventually_async(lambda: tried(3))
        await eventually_async(settled)
        assert await node.node.store.queue_depth(queue) == 0, "three times and no more"
        assert set(await _tries(node, client, unique_name)) == {request_id}, "the request id stays the same"


async def test_an_accepted_event_outlives_the_node(unique_name: str, tmp_path: Path) -> None:
    clock = ManualClock()
    async with running_node(clock=clock, data_dir=tmp_path / "data", state_delay_ms=0) as node:
        client = node.client("lambda")
        await node.call(create, client, unique_name, FAILING)
        await node.call(client.invoke, FunctionName=unique_name, InvocationType="Event", Payload=b"1")
        await eventually_async(lambda: _has_tried(node, client, unique_name))
    clock.advance(60_000)
    async with running_node(clock=clock, data_dir=tmp_path / "data", state_delay_ms=0) as node:
        client = node.client("lambda")
        await eventually_async(lambda: _has_tried(node, client, unique_name))


async def _has_tried(node: RunningNode, client: object, name: str) -> bool:
    return len(await _tries(node, client, name)) >= 1


async def test_a_throttled_event_waits_and_runs(unique_name: str) -> None:
    clock = ManualClock()
    async with running_node(clock=clock, state_delay_ms=0, concurrency=1) as node:
        client = node.client("lambda")
        slow = "import time\ndef handler(e, c):\n    time.sleep(e)\n"
        note = "seen = []\ndef handler(e, c):\n    seen.append(e)\n    return seen\n"
        await node.call(create, client, unique_name, slow, Timeout=30)
        await node.call(create, client, unique_name + "-note", note)
        import asyncio

        busy = asyncio.create_task(node.call(invoke, client, unique_name, 1.0))
        await eventually_async(lambda: node.node.concurrent_executions == 1)
        answer = await node.call(
            client.invoke, FunctionName=unique_name + "-note", InvocationType="Event", Payload=b'"event"'
        )
        assert answer["StatusCode"] == 202
        await busy
        for _ in range(3):
            clock.advance(1_000)
            await asyncio.sleep(0)

        async def seen() -> bool:
            clock.advance(1_000)
            return "event" in await node.call(invoke, client, unique_name + "-note", "look")

        await eventually_async(seen)
