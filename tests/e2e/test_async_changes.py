"""What changes while events wait: their configuration, their function, the function's concurrency, the clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight.clock import ManualClock
from tests.e2e.events import configure, has_run, runs, send, send_to
from tests.e2e.functions import create
from tests.support import RunningNode, eventually_async, running_node

FAILING = "def handler(e, c):\n    raise ValueError('always')\n"
HOUR_MS = 3_600_000


async def _depth(node: RunningNode, name: str) -> int:
    return await node.node.store.queue_depth(f"async/000000000000/us-east-1/{name}")


async def _ended(node: RunningNode, name: str) -> None:
    async def is_empty() -> bool:
        return await _depth(node, name) == 0 and node.node.in_flight_events == 0

    await eventually_async(is_empty, what="the event has left the queue")


async def test_fewer_retries_are_allowed_while_an_event_waits(unique_name: str) -> None:
    clock = ManualClock()
    async with running_node(clock=clock, state_delay_ms=0) as node:
        await node.call(create, node.client("lambda"), unique_name, FAILING)
        request_id = await send(node, unique_name)
        await has_run(node, unique_name, request_id, 1)
        await configure(node, unique_name, MaximumRetryAttempts=1)
        clock.advance(60_000)
        await has_run(node, unique_name, request_id, 2)
        assert await _depth(node, unique_name) == 0


async def test_a_lower_age_applies_to_events_that_wait(unique_name: str) -> None:
    clock = ManualClock()
    async with running_node(clock=clock, state_delay_ms=0) as node:
        await node.call(create, node.client("lambda"), unique_name, FAILING)
        request_id = await send(node, unique_name)
        await has_run(node, unique_name, request_id, 1)
        clock.advance(60_000)
        await has_run(node, unique_name, request_id, 2)
        await configure(node, unique_name, MaximumEventAgeInSeconds=60)
        clock.advance(120_000)
        await _ended(node, unique_name)
        assert await runs(node, unique_name, request_id) == 2, "it was too old to be tried a third time"


async def test_concurrency_taken_away_while_events_wait_ends_them(unique_name: str) -> None:
    clock = ManualClock()
    async with running_node(clock=clock, state_delay_ms=0) as node:
        client = node.client("lambda")
        await node.call(create, client, unique_name, FAILING)
        request_id = await send(node, unique_name)
        await has_run(node, unique_name, request_id, 1)
        await node.call(client.put_function_concurrency, FunctionName=unique_name, ReservedConcurrentExecutions=0)
        clock.advance(60_000)
        await _ended(node, unique_name)
        assert await runs(node, unique_name, request_id) == 1


async def test_a_function_or_alias_deleted_while_events_wait(unique_name: str) -> None:
    other = unique_name + "-other"
    clock = ManualClock()
    async with running_node(clock=clock, state_delay_ms=0) as node:
        client = node.client("lambda")
        for name in (unique_name, other):
            await node.call(create, client, name, FAILING, Publish=True)
        await node.call(client.create_alias, FunctionName=other, Name="live", FunctionVersion="1")
        sent = {unique_name: await send(node, unique_name), other: await send_to(node, other, "live")}
        for name, request_id in sent.items():
            await has_run(node, name, request_id, 1)
        await node.call(client.delete_function, FunctionName=unique_name)
        await node.call(client.delete_alias, FunctionName=other, Name="live")
        clock.advance(60_000)
        for name, request_id in sent.items():
            await _ended(node, name)
            assert await runs(node, name, request_id) == 1


@pytest.mark.parametrize("jump_ms", [5 * HOUR_MS, -5 * HOUR_MS, 7 * HOUR_MS])
async def test_a_clock_that_is_set_neither_loses_nor_repeats_nor_stalls(unique_name: str, jump_ms: int) -> None:
    """Set between every two steps of an event's life, by more than its maximum age too."""
    clock = ManualClock()
    async with running_node(clock=clock, state_delay_ms=0) as node:
        await node.call(create, node.client("lambda"), unique_name, FAILING)
        request_id = await send(node, unique_name)
        await has_run(node, unique_name, request_id, 1)
        for times, wait_ms in ((2, 60_000), (3, 120_000)):
            clock.jump(jump_ms)
            new = await send(node, unique_name)
            await has_run(node, unique_name, new, 1)
            clock.advance(wait_ms - 1)
            assert await runs(node, unique_name, request_id) == times - 1, "nothing is due early"
            clock.advance(1)
            await has_run(node, unique_name, request_id, times)


async def test_a_node_that_starts_with_a_clock_set_back_has_nothing_stall(unique_name: str, tmp_path: Path) -> None:
    clock = ManualClock()
    data = tmp_path / "data"
    async with running_node(clock=clock, data_dir=data, state_delay_ms=0) as node:
        await node.call(create, node.client("lambda"), unique_name, FAILING)
        request_id = await send(node, unique_name)
        await has_run(node, unique_name, request_id, 1)
    clock = ManualClock(clock.time_ms() - 5 * HOUR_MS)
    async with running_node(clock=clock, data_dir=data, state_delay_ms=0) as node:
        await has_run(node, unique_name, request_id, 2)
