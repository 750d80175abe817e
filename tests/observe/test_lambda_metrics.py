"""What Lambda measures of functions, and the series it is part of."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from pilotlight.catalog.attached import Alias, ProvisionedConcurrency
from pilotlight.clock import ManualClock
from tests.observe.metric_world import (
    ACCOUNT,
    HELLO,
    LAMBDA,
    REGION,
    MetricWorld,
    ended,
    metric_world,
    statistics,
    version,
    view,
)
from tests.support.waiting import eventually_async


async def test_invocations_errors_throttles_and_durations_by_function(world: MetricWorld) -> None:
    for duration in (10.0, 20.0, 30.0):
        world.counters.invoked(version(), None, ended(duration))
    world.counters.invoked(version(), None, ended(40.0, failed=True))
    world.counters.throttled(version(), None)
    world.counters.invoked(version("other"), None, ended(1000.0))
    assert await world.values("Invocations", **HELLO) == [4]
    assert await world.values("Errors", **HELLO) == [1]
    assert await world.values("Errors", "Average", **HELLO) == [0.25]
    assert await world.values("Throttles", **HELLO) == [1]
    assert await world.values("Duration", "Average", **HELLO) == [25]
    assert await world.values("Duration", "SampleCount", **HELLO) == [4]
    assert await world.values("Invocations") == [5]
    assert await world.values("Duration", "Maximum") == [1000]


async def test_what_is_throttled_is_no_invocation(world: MetricWorld) -> None:
    world.counters.throttled(version(), None)
    assert await world.values("Throttles", **HELLO) == [1]
    assert await world.values("Invocations", **HELLO) == []
    assert await world.values("Errors", **HELLO) == []


async def test_resources_are_what_was_called_and_versions_what_ran(world: MetricWorld) -> None:
    aliases = {
        "live": Alias(name="live", version="1", weights={"2": 0.1}),
        "steady": Alias(name="steady", version="1"),
    }
    world.functions["hello"] = view(aliases=aliases)
    world.counters.invoked(version(number="1"), "live", ended())
    world.counters.invoked(version(number="1"), "live", ended())
    world.counters.invoked(version(number="2"), "live", ended(failed=True))
    world.counters.invoked(version(number="1"), "steady", ended())
    world.counters.invoked(version(number="1"), "1", ended())
    world.counters.invoked(version(), None, ended())
    resources = {"hello:live": 3, "hello:steady": 1, "hello:1": 1, "hello": 1}
    for resource, count in resources.items():
        assert await world.values("Invocations", **HELLO, Resource=resource) == [count]
    live = {**HELLO, "Resource": "hello:live"}
    assert await world.values("Invocations", **live, ExecutedVersion="1") == [2]
    assert await world.values("Errors", **live, ExecutedVersion="2") == [1]
    assert await world.values("Invocations", **HELLO) == [6]
    listed = await world.call("ListMetrics", Namespace=LAMBDA, Dimensions=[{"Name": "ExecutedVersion"}])
    shown = [{one["Name"]: one["Value"] for one in metric["Dimensions"]} for metric in listed["Metrics"]]
    assert {dimensions["Resource"] for dimensions in shown} == {"hello:live"}


async def test_a_long_invocation_is_in_the_minute_in_which_it_began(world: MetricWorld) -> None:
    world.counters.invoked(version(), None, ended(300_000.0))
    (point,) = (await statistics(world, "Duration", ["Maximum"], **HELLO))["Datapoints"]
    assert (world.at() - point["Timestamp"]).total_seconds() >= 300


async def test_rarer_things_have_their_metrics(world: MetricWorld) -> None:
    world.counters.count("DeadLetterErrors", version(), None)
    world.counters.count("AsyncEventsReceived", version(), "live", 3)
    world.counters.observe("AsyncEventAge", version(), None, 100.0)
    world.counters.observe("AsyncEventAge", version(), None, 300.0)
    assert await world.values("DeadLetterErrors", **HELLO) == [1]
    assert await world.values("AsyncEventsReceived", **HELLO, Resource="hello:live") == [3]
    assert await world.values("AsyncEventAge", "Average", **HELLO) == [200]
    (point,) = (await statistics(world, "AsyncEventAge", ["Maximum"], **HELLO))["Datapoints"]
    assert (point["Maximum"], point["Unit"]) == (300, "Milliseconds")
    with pytest.raises(ValueError, match="no metric Nonsense"):
        world.counters.count("Nonsense", version(), None)


class Peak(msgspec.Struct, frozen=True):
    account: str = ACCOUNT
    region: str = REGION
    function: str = ""
    version: str = ""
    running: int = 0
    peak: int = 0
    unreserved_peak: int = 0
    set_aside: int = 0
    provisioned: int = 0
    invocations: int = 0
    spillovers: int = 0


async def test_concurrency_is_what_ran_at_once_at_most(world: MetricWorld) -> None:
    world.functions["hello"] = view(
        aliases={"live": Alias(name="live", version="3")},
        provisioned={"live": ProvisionedConcurrency(requested=4)},
    )
    taken = [
        [
            Peak(peak=7, unreserved_peak=5, set_aside=10),
            Peak(function="hello", peak=3),
            Peak(function="hello", version="3", peak=3, provisioned=4, invocations=20, spillovers=2),
        ],
        [Peak(peak=2, unreserved_peak=2, set_aside=10), Peak(function="hello", peak=1)],
    ]
    world.counters.watch(lambda: taken.pop(0) if taken else [])
    await world.counters.flush()
    await world.counters.flush()
    assert await world.values("ConcurrentExecutions", "Maximum") == [7]
    assert await world.values("ConcurrentExecutions", "Maximum", **HELLO) == [3]
    assert await world.values("UnreservedConcurrentExecutions", "Maximum") == [5]
    assert await world.values("ClaimedAccountConcurrency", "Maximum") == [15]
    for dimensions in (HELLO, {**HELLO, "Resource": "hello:live"}):
        assert await world.values("ProvisionedConcurrentExecutions", "Maximum", **dimensions) == [3]
        assert await world.values("ProvisionedConcurrencyUtilization", "Maximum", **dimensions) == [0.75]
        assert await world.values("ProvisionedConcurrencyInvocations", **dimensions) == [20]
        assert await world.values("ProvisionedConcurrencySpilloverInvocations", **dimensions) == [2]


async def test_accounts_and_regions_see_their_own_metrics(world: MetricWorld) -> None:
    foreign = msgspec.structs.replace(version(), account="999999999999")
    world.counters.invoked(foreign, None, ended())
    world.counters.invoked(msgspec.structs.replace(version(), region="us-east-1"), None, ended())
    assert (await world.call("ListMetrics"))["Metrics"] == []
    assert await world.values("Invocations", **HELLO) == []


async def test_a_flush_that_comes_late_counts_for_the_minute_that_is_over(tmp_path: Path) -> None:
    clock = ManualClock(1_699_999_200_000 + 55_000)
    async with metric_world(tmp_path, clock) as world:
        await world.counters.start()
        await asyncio.sleep(0)  # it waits now
        world.counters.invoked(version(), None, ended())
        clock.advance(7_000)  # it is due after five seconds, and wakes in the next minute
        await eventually_async(lambda: is_counted(world))
        (point,) = (await statistics(world, "Invocations", ["Sum"], **HELLO))["Datapoints"]
        assert point["Timestamp"].timestamp() == 1_699_999_200
        await world.counters.stop()


async def is_counted(world: MetricWorld) -> bool:
    """Without asking CloudWatch, which would flush by itself."""
    everything = {"account": ACCOUNT, "region": REGION, "namespace": "", "name": "Invocations", "since_s": 0}
    after = {"after_namespace": "", "after_name": "", "after_dimensions": ""}
    return bool(await world.store.read(lambda database: database.run("list_metrics", **everything, **after)))
