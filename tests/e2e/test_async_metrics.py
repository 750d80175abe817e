"""The metrics of asynchronous invocation, as CloudWatch's API shows them, with the function's dimensions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pilotlight.clock import ManualClock
from pilotlight.invoke.async_event import enqueue
from tests.e2e.events import configure, event_of, send
from tests.e2e.functions import create
from tests.support import RunningNode, eventually_async, running_node

FAILING = "def handler(e, c):\n    raise ValueError('always')\n"
ARN = "arn:aws:{}:us-east-1:000000000000:{}"


async def _sum(node: RunningNode, clock: ManualClock, metric: str, **dimensions: str) -> dict[str, float]:
    """Sum and maximum over all there is."""
    now_s = clock.time_ms() // 1000
    answer = await node.call(
        node.client("cloudwatch").get_metric_statistics,
        Namespace="AWS/Lambda",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=datetime.fromtimestamp(now_s // 60 * 60 - 36_000, UTC),
        EndTime=datetime.fromtimestamp(now_s // 60 * 60 + 60, UTC),
        Period=86_400,
        Statistics=["Sum", "Maximum"],
    )
    points: list[dict[str, Any]] = answer["Datapoints"]
    return {
        "sum": sum(point["Sum"] for point in points),
        "most": max((point["Maximum"] for point in points), default=0.0),
    }


async def test_events_are_counted_from_their_acceptance_to_their_end(unique_name: str) -> None:
    clock = ManualClock()
    async with running_node(clock=clock, state_delay_ms=0, neighbours=False) as node:
        client = node.client("lambda")
        await node.call(create, client, unique_name, FAILING, Publish=True)
        await node.call(client.create_alias, FunctionName=unique_name, Name="live", FunctionVersion="1")
        await configure(node, unique_name, MaximumRetryAttempts=1, Qualifier="live")
        await node.call(client.invoke, FunctionName=unique_name, Qualifier="live", InvocationType="Event")
        await send(node, unique_name)
        queue = f"async/000000000000/us-east-1/{unique_name}"
        for wait_ms in (60_000, 120_000):

            async def waits(until_ms: int = clock.steady_ms() + wait_ms) -> bool:
                return node.node.in_flight_events == 0 and await node.node.store.next_due(queue) == until_ms

            await eventually_async(waits)
            clock.advance(wait_ms)

        async def over() -> bool:
            return node.node.in_flight_events == 0 and await node.node.store.queue_depth(queue) == 0

        await eventually_async(over)
        of_all, of_alias = (
            {"FunctionName": unique_name},
            {"FunctionName": unique_name, "Resource": f"{unique_name}:live"},
        )
        assert (await _sum(node, clock, "AsyncEventsReceived", **of_all))["sum"] == 2
        assert (await _sum(node, clock, "AsyncEventsReceived", **of_alias))["sum"] == 1
        assert (await _sum(node, clock, "AsyncEventsDropped", **of_all))["sum"] == 2
        ages = await _sum(node, clock, "AsyncEventAge", **of_all)
        assert ages == {"sum": 60_000 + 60_000 + 180_000, "most": 180_000}, "at each attempt, since it was accepted"
        assert (await _sum(node, clock, "AsyncEventAge", **of_alias))["most"] == 60_000


async def test_results_that_are_given_up_are_counted(unique_name: str) -> None:
    """There is no such queue, no such topic, and a destination function that is gone."""
    clock = ManualClock()
    next_one = unique_name + "-next"
    async with running_node(clock=clock, state_delay_ms=0) as node:
        client = node.client("lambda")
        letters, queue = ARN.format("sns", "nobody"), ARN.format("sqs", "nowhere")
        await node.call(create, client, unique_name, FAILING, DeadLetterConfig={"TargetArn": letters})
        destination = {"OnFailure": {"Destination": queue}}
        await configure(node, unique_name, MaximumRetryAttempts=0, DestinationConfig=destination)
        of = {"FunctionName": unique_name}
        await send(node, unique_name)

        async def waiting() -> bool:
            now_ms = clock.steady_ms()
            due = [await node.node.store.next_due(f"deliveries/{target}") for target in (letters, queue)]
            return all(due_ms is not None and 0 < due_ms - now_ms <= 60_000 for due_ms in due)  # no lease is so short

        await eventually_async(waiting, what="both were tried")
        assert (await _sum(node, clock, "DeadLetterErrors", **of))["sum"] == 0, "they have a minute"
        clock.advance(60_000)

        async def given_up() -> bool:
            return await node.node.store.next_due("deliveries/") is None

        await eventually_async(given_up)
        assert (await _sum(node, clock, "DeadLetterErrors", **of))["sum"] == 1
        assert (await _sum(node, clock, "DestinationDeliveryFailures", **of))["sum"] == 1
        await node.call(create, client, next_one, FAILING)
        destination = {"OnFailure": {"Destination": ARN.format("lambda", f"function:{next_one}")}}
        await configure(node, unique_name, MaximumRetryAttempts=0, DestinationConfig=destination)
        await node.call(client.delete_function, FunctionName=next_one)
        await send(node, unique_name)

        async def counted() -> bool:
            return (await _sum(node, clock, "DestinationDeliveryFailures", **of))["sum"] == 2

        await eventually_async(counted, what="a function that is gone is told of at once")


async def test_thousands_of_throttled_events_cost_few_throttles(unique_name: str) -> None:
    """What waits behind one that is running is left where it is; it is not claimed over and over."""
    clock = ManualClock()
    slow = "import time\ndef handler(e, c):\n    time.sleep(60)\n"
    async with running_node(clock=clock, state_delay_ms=0, neighbours=False) as node:
        client = node.client("lambda")
        await node.call(create, client, unique_name, slow, Timeout=90)
        await node.call(create, client, unique_name + "-other", "def handler(e, c):\n    return 1\n")
        await node.call(client.put_function_concurrency, FunctionName=unique_name, ReservedConcurrentExecutions=1)
        await node.node.store.transact([enqueue(event_of(unique_name, clock.steady_ms())) for _ in range(2_000)])
        await eventually_async(lambda: node.node.concurrent_executions == 1)
        for _ in range(30):  # others' events wake the dispatcher again and again
            await send(node, unique_name + "-other")
        for _ in range(10):
            clock.advance(1_000)
            await send(node, unique_name + "-other")

        async def others_ran() -> bool:
            return (await _sum(node, clock, "Invocations", FunctionName=unique_name + "-other"))["sum"] == 40

        await eventually_async(others_ran)
        throttles = (await _sum(node, clock, "Throttles", FunctionName=unique_name))["sum"]
        assert 31 <= throttles <= 31 + 15, "those of the first claim, and about one a second"
