"""Event invocations: accepted durably, retried by Lambda's timetable, run again after a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from pilotlight.clock import ManualClock
from pilotlight.invoke import dispatcher
from pilotlight.invoke.async_event import enqueue
from pilotlight.store.interface import Enqueue
from tests.e2e.events import configure, event_of, has_run, runs, send, send_to
from tests.e2e.functions import create, invoke
from tests.support import eventually_async, running_node

FAILING = "def handler(e, c):\n    raise ValueError('always')\n"


async def test_function_errors_are_retried_after_one_and_two_minutes(unique_name: str) -> None:
    clock = ManualClock()
    async with running_node(clock=clock, state_delay_ms=0) as node:
        await node.call(create, node.client("lambda"), unique_name, FAILING)
        request_id = await send(node, unique_name)
        queue = f"async/000000000000/us-east-1/{unique_name}"
        await has_run(node, unique_name, request_id, 1)
        clock.advance(59_999)
        assert await node.node.store.claim(queue, clock.time_ms(), 1, 1) == [], "not due before its minute"
        clock.advance(1)
        await has_run(node, unique_name, request_id, 2)
        clock.advance(119_999)
        assert await node.node.store.claim(queue, clock.time_ms(), 1, 1) == []
        clock.advance(1)
        await has_run(node, unique_name, request_id, 3)
        assert await node.node.store.queue_depth(queue) == 0, "three times and no more"


async def test_an_accepted_event_outlives_the_node(unique_name: str, tmp_path: Path) -> None:
    clock = ManualClock()
    data = tmp_path / "data"
    async with running_node(clock=clock, data_dir=data, state_delay_ms=0) as node:
        await node.call(create, node.client("lambda"), unique_name, FAILING)
        request_id = await send(node, unique_name)
        await has_run(node, unique_name, request_id, 1)
    clock.advance(60_000)
    async with running_node(clock=clock, data_dir=data, state_delay_ms=0) as node:
        await has_run(node, unique_name, request_id, 2)


async def test_a_throttled_event_waits_and_runs(unique_name: str) -> None:
    clock = ManualClock()
    note = unique_name + "-note"
    async with running_node(clock=clock, state_delay_ms=0, concurrency=1) as node:
        client = node.client("lambda")
        await node.call(create, client, unique_name, "import time\ndef handler(e, c):\n    time.sleep(e)\n", Timeout=30)
        await node.call(create, client, note, "def handler(e, c):\n    return 1\n")
        busy = asyncio.create_task(node.call(invoke, client, unique_name, 1.0))
        await eventually_async(lambda: node.node.concurrent_executions == 1)
        with pytest.raises(ClientError) as caught:
            await node.call(client.invoke, FunctionName=note)
        assert caught.value.response["Error"]["Code"] == "TooManyRequestsException"
        assert caught.value.response["Reason"] == "ConcurrentInvocationLimitExceeded"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        request_id = await send(node, note)
        await eventually_async(lambda: node.node.in_flight_events == 0)
        await busy
        assert await runs(node, note, request_id) == 0
        clock.advance(1_000)
        await has_run(node, note, request_id, 1)


async def test_retries_are_those_of_the_qualifier(unique_name: str) -> None:
    clock = ManualClock()
    async with running_node(clock=clock, state_delay_ms=0) as node:
        client = node.client("lambda")
        await node.call(create, client, unique_name, FAILING, Publish=True)
        await node.call(client.create_alias, FunctionName=unique_name, Name="live", FunctionVersion="1")
        await configure(node, unique_name, MaximumRetryAttempts=0)
        await configure(node, unique_name, Qualifier="live", MaximumRetryAttempts=1)
        sent = {
            await send(node, unique_name): 1,
            await send_to(node, unique_name, "live"): 2,
            await send_to(node, unique_name, "1"): 3,
        }
        for minutes in (0, 1, 2):
            clock.advance(minutes * 60_000)
            for request_id, times in sent.items():
                await has_run(node, unique_name, request_id, min(times, minutes + 1))
        assert await node.node.store.queue_depth(f"async/000000000000/us-east-1/{unique_name}") == 0


async def test_an_event_is_not_retried_beyond_its_age(unique_name: str) -> None:
    clock = ManualClock()
    async with running_node(clock=clock, state_delay_ms=0) as node:
        await node.call(create, node.client("lambda"), unique_name, FAILING)
        await configure(node, unique_name, MaximumEventAgeInSeconds=179)
        request_id = await send(node, unique_name)
        await has_run(node, unique_name, request_id, 1)
        clock.advance(60_000)
        await has_run(node, unique_name, request_id, 2)
        assert await node.node.store.queue_depth(f"async/000000000000/us-east-1/{unique_name}") == 0


async def test_a_throttled_event_is_given_up_at_its_age(unique_name: str) -> None:
    clock = ManualClock()
    queue = f"async/000000000000/us-east-1/{unique_name}"
    async with running_node(clock=clock, state_delay_ms=0, concurrency=1, min_unreserved_concurrency=0) as node:
        client = node.client("lambda")
        await node.call(create, client, unique_name + "-other", FAILING)
        await node.call(create, client, unique_name, FAILING)
        await node.call(
            client.put_function_concurrency, FunctionName=unique_name + "-other", ReservedConcurrentExecutions=1
        )
        await configure(node, unique_name, MaximumEventAgeInSeconds=60)
        request_id = await send(node, unique_name)

        async def waits_until(due_ms: int) -> bool:
            return node.node.in_flight_events == 0 and await node.node.store.next_due(queue) == due_ms

        accepted_ms = clock.time_ms()
        for waited_s in (1, 3, 7, 15, 31, 60):
            await eventually_async(lambda due_ms=accepted_ms + waited_s * 1000: waits_until(due_ms))
            clock.advance(accepted_ms + waited_s * 1000 - clock.time_ms())

        async def given_up() -> bool:
            return await node.node.store.queue_depth(queue) == 0

        await eventually_async(given_up)
        assert await runs(node, unique_name, request_id) == 0


async def test_no_concurrency_ends_an_event_at_once(unique_name: str) -> None:
    async with running_node(clock=ManualClock(), state_delay_ms=0) as node:
        client = node.client("lambda")
        await node.call(create, client, unique_name, FAILING)
        await node.call(client.put_function_concurrency, FunctionName=unique_name, ReservedConcurrentExecutions=0)
        request_id = await send(node, unique_name)

        async def ended() -> bool:
            return await node.node.store.queue_depth(f"async/000000000000/us-east-1/{unique_name}") == 0

        await eventually_async(ended)
        assert await runs(node, unique_name, request_id) == 0


async def test_events_for_every_form_of_a_name_run(unique_name: str) -> None:
    async with running_node(state_delay_ms=0) as node:
        await node.call(create, node.client("lambda"), unique_name, "def handler(e, c):\n    return 1\n", Publish=True)
        arn = f"arn:aws:lambda:us-east-1:000000000000:function:{unique_name}"
        forms = [unique_name, f"function:{unique_name}", f"000000000000:{unique_name}"]
        forms += [f"000000000000:function:{unique_name}", f"us-east-1:000000000000:function:{unique_name}", arn]
        for form in [*forms, *(f"{form}:1" for form in forms)]:
            request_id = await send(node, form)
            await has_run(node, unique_name, request_id, 1)


async def test_an_event_that_nobody_can_read_keeps_nothing_else_waiting(unique_name: str) -> None:
    event = event_of(unique_name, ManualClock().steady_ms())
    readable = enqueue(event)
    async with running_node(clock=ManualClock(), state_delay_ms=0) as node:
        await node.call(create, node.client("lambda"), unique_name, "def handler(e, c):\n    return 1\n")
        await node.node.store.transact([Enqueue(readable.queue, b"\xc1", 0), readable])
        await has_run(node, unique_name, event.request_id, 1)
        assert await node.node.store.queue_depth(readable.queue) == 1, "it is kept"


async def test_an_end_that_cannot_be_recorded_costs_no_environment(
    unique_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("the end of an event")

    async with running_node(clock=ManualClock(), state_delay_ms=0) as node:
        client = node.client("lambda")
        await node.call(create, client, unique_name, "def handler(e, c):\n    return c.log_stream_name\n")
        stream = await node.call(invoke, client, unique_name)
        monkeypatch.setattr(dispatcher, "sent", broken)
        request_id = await send(node, unique_name)
        await has_run(node, unique_name, request_id, 1)
        assert await node.call(invoke, client, unique_name) == stream


async def test_a_function_with_hundreds_of_slow_events_keeps_no_other_waiting(unique_name: str) -> None:
    """It has all the concurrency it can use, and another's single event still starts within a moment."""
    other = unique_name + "-other"
    clock = ManualClock()
    async with running_node(clock=clock, state_delay_ms=0) as node:
        client = node.client("lambda")
        await node.call(
            create, client, unique_name, "import time\ndef handler(e, c):\n    time.sleep(60)\n", Timeout=90
        )
        await node.call(create, client, other, "def handler(e, c):\n    return 1\n")
        events = [event_of(unique_name, clock.steady_ms()) for _ in range(500)]
        await node.node.store.transact([enqueue(event) for event in events])
        await eventually_async(lambda: node.node.concurrent_executions >= 32, what="the slow ones run")
        request_id = await send(node, other)

        async def single_ran() -> bool:
            return await runs(node, other, request_id) == 1

        await eventually_async(single_ran, within_s=10, what="the other's event ran long before one of these has ended")
        assert await node.node.store.queue_depth(f"async/000000000000/us-east-1/{unique_name}") == 500
        await eventually_async(lambda: node.node.concurrent_executions > 64, what="more than at first")
