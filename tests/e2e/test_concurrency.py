"""Reserved concurrency at work: who is let in, who is not, and that the counts are right at every moment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.functions import WAIT, create, invoke
from tests.support import RunningNode, eventually_async, running_node

#: on "wait" it waits at the gate
WAITS = f"""{WAIT}
def handler(event, context):
    if event == "wait":
        wait()
    return event
"""


@pytest.fixture
async def small() -> AsyncIterator[RunningNode]:
    """A node whose account may run three at once, and may reserve all of it; functions a and b that wait."""
    async with running_node(state_delay_ms=0, neighbours=False, concurrency=3, min_unreserved_concurrency=0) as node:
        for name in ("a", "b"):
            await node.call(create, node.client("lambda"), name, WAITS, Timeout=60)
            await node.call(invoke, node.client("lambda"), name, 0)
        yield node


def _reserve(node: RunningNode, name: str, amount: int) -> Any:
    return node.call(
        node.client("lambda").put_function_concurrency, FunctionName=name, ReservedConcurrentExecutions=amount
    )


async def _running(node: RunningNode, *names: str) -> list[asyncio.Task[Any]]:
    """Invocations that have started, and do not end before `_finish`."""
    client, before = node.client("lambda"), node.node.concurrent_executions
    if not before:
        await node.call(create, client, "gate", WAITS)
    tasks = [asyncio.create_task(node.call(invoke, node.client("lambda"), name, "wait")) for name in names]
    await eventually_async(lambda: node.node.concurrent_executions == before + len(names))
    return tasks


async def _finish(node: RunningNode, tasks: list[asyncio.Task[Any]]) -> None:
    await node.call(node.client("lambda").delete_function, FunctionName="gate")
    assert await asyncio.gather(*tasks) == ["wait"] * len(tasks)


async def _throttled(node: RunningNode, name: str) -> str:
    """The reason for which it is refused now."""
    with pytest.raises(ClientError) as caught:
        await node.call(node.client("lambda").invoke, FunctionName=name, Payload=b"0")
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert (answer["Error"]["Code"], answer["message"], answer["Type"]) == (
        "TooManyRequestsException",
        "Rate Exceeded.",
        "User",
    )
    return answer["Reason"]


async def test_a_reservation_is_the_most_and_the_least(small: RunningNode) -> None:
    await _reserve(small, "a", 1)
    tasks = await _running(small, "a", "b", "b")
    assert await _throttled(small, "a") == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert await _throttled(small, "b") == "ConcurrentInvocationLimitExceeded"
    await _finish(small, tasks)
    tasks = await _running(small, "b", "b")
    assert await _throttled(small, "b") == "ConcurrentInvocationLimitExceeded"
    assert await small.call(invoke, small.client("lambda"), "a", 0) == 0, "its own one is kept for it"
    await _finish(small, tasks)
    assert small.node.concurrent_executions == 0


async def test_it_changes_under_what_runs(small: RunningNode) -> None:
    client = small.client("lambda")
    tasks = await _running(small, "a", "a")
    await _reserve(small, "a", 2)
    assert await _throttled(small, "a") == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert await small.call(invoke, client, "b", 0) == 0
    await small.call(client.delete_function_concurrency, FunctionName="a")
    tasks += await _running(small, "b")
    assert await _throttled(small, "a") == await _throttled(small, "b") == "ConcurrentInvocationLimitExceeded"
    await _finish(small, tasks)
    await _finish(small, await _running(small, "a", "a", "b"))
    assert small.node.concurrent_executions == 0


async def test_none_reserved_is_off(small: RunningNode) -> None:
    client = small.client("lambda")
    await _reserve(small, "a", 0)
    assert await _throttled(small, "a") == "ReservedFunctionConcurrentInvocationLimitExceeded"
    dry = await small.call(client.invoke, FunctionName="a", InvocationType="DryRun")
    assert dry["StatusCode"] == 204
    await small.call(client.delete_function_concurrency, FunctionName="a")
    assert await small.call(invoke, client, "a", 0) == 0


async def test_it_holds_after_a_restart(tmp_path: Any) -> None:
    settings = {"state_delay_ms": 0, "neighbours": False, "data_dir": tmp_path / "data"}
    async with running_node(**settings) as node:
        await node.call(create, node.client("lambda"), "a", WAITS)
        await _reserve(node, "a", 0)
    async with running_node(**settings) as node:
        assert await _throttled(node, "a") == "ReservedFunctionConcurrentInvocationLimitExceeded"


async def test_a_deleted_function_gives_back_what_it_had(small: RunningNode) -> None:
    client = small.client("lambda")
    await _reserve(small, "a", 3)
    assert await _throttled(small, "b") == "ConcurrentInvocationLimitExceeded"
    tasks = await _running(small, "a")
    await small.call(client.delete_function, FunctionName="a")
    await _finish(small, tasks)
    await _finish(small, await _running(small, "b", "b", "b"))


async def test_the_body_of_a_throttle() -> None:
    import urllib.error
    import urllib.request

    async with running_node(state_delay_ms=0, neighbours=False) as node:
        await node.call(create, node.client("lambda"), "a", WAITS)
        await _reserve(node, "a", 0)

        def post() -> tuple[int, dict[str, Any], str, str]:
            url = f"{node.endpoint}/2015-03-31/functions/a/invocations"
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(url, data=b"0", timeout=10)
            with caught.value as error:
                return error.code, json.load(error), error.headers["x-amzn-ErrorType"], error.headers["Retry-After"]

        assert await node.call(post) == (
            429,
            {
                "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
                "Type": "User",
                "message": "Rate Exceeded.",
            },
            "TooManyRequestsException",
            "1",
        )


async def test_so_many_synchronous_calls_a_second() -> None:
    async with running_node(
        state_delay_ms=0, neighbours=False, concurrency=4, min_unreserved_concurrency=0, request_rate=0.005
    ) as node:
        client = node.client("lambda")
        for name in ("a", "b"):
            await node.call(create, client, name, WAITS)
        assert await node.call(invoke, client, "a", 0) == 0, "the account's one in 50 seconds"
        assert await _throttled(node, "b") == "FunctionInvocationRateLimitExceeded"
        await _reserve(node, "a", 2)
        assert await node.call(invoke, client, "a", 0) == 0, "its own one in 100 seconds"
        assert await _throttled(node, "a") == "ReservedFunctionInvocationRateLimitExceeded"
        for _ in range(3):
            event = await node.call(client.invoke, FunctionName="a", InvocationType="Event")
            assert event["StatusCode"] == 202

        def ran() -> bool:
            events = node.client("logs").filter_log_events(logGroupName="/aws/lambda/a", filterPattern="REPORT")
            return len(events["events"]) == 5

        await eventually_async(lambda: node.call(ran), what="events run at any rate")


async def test_a_function_grows_at_its_rate() -> None:
    async with running_node(state_delay_ms=0, neighbours=False, scaling_rate=2) as node:
        client = node.client("lambda")
        for name in ("a", "b"):
            await node.call(create, client, name, WAITS, Timeout=60)
        tasks = await _running(node, "a", "a")
        with pytest.raises(ClientError) as caught:
            await node.call(client.invoke, FunctionName="a", Payload=b"0")
        answer = caught.value.response
        assert answer["Error"]["Message"] == "Rate Exceeded. a may start 2 environments in 10 s."
        assert (answer["Reason"], answer["retryAfterSeconds"]) == ("ConcurrentInvocationLimitExceeded", "1")
        assert node.node.concurrent_executions == 2, "what was refused is counted nowhere"
        assert await node.call(invoke, client, "b", 0) == 0, "it is each function's own"
        await _finish(node, tasks)
        assert await node.call(invoke, client, "a", 0) == 0, "what is there may be used again"


async def test_every_throttle_is_counted(small: RunningNode) -> None:
    """By what ran, too: an alias and the version behind it."""
    client = small.client("lambda")
    await small.call(client.publish_version, FunctionName="a")
    await small.call(client.create_alias, FunctionName="a", Name="live", FunctionVersion="1")
    await _reserve(small, "a", 0)
    for _ in range(3):
        assert await _throttled(small, "a") == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert await _throttled(small, "a:live") == "ReservedFunctionConcurrentInvocationLimitExceeded"

    def throttles(**dimensions: str) -> float:
        now = datetime.now(UTC)
        points = small.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="Throttles",
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=now - timedelta(minutes=10),
            EndTime=now + timedelta(minutes=10),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)

    assert await small.call(throttles, FunctionName="a") == 4
    assert await small.call(throttles, FunctionName="a", Resource="a:live") == 1
    assert await small.call(throttles) == 4
    assert await small.call(throttles, FunctionName="b") == 0
