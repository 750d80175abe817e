"""What is kept of metrics: merged by minute, over restarts, rolled up as it ages, dropped when it is too old."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pilotlight.clock import ManualClock
from tests.observe.metric_world import ACCOUNT, REGION, ended, metric_world, version

DAY_MS = 86_400_000
HELLO = {"FunctionName": "hello"}


async def test_what_was_counted_is_there_at_once_and_after_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    hello = version()
    async with metric_world(tmp_path, clock) as world:
        world.counters.invoked(hello, None, ended(10.0))
        assert await world.values("Invocations", **HELLO) == [1]
        world.counters.invoked(hello, None, ended(20.0))
        await world.counters.flush()
    async with metric_world(tmp_path, clock) as world:
        world.counters.invoked(version(), None, ended(30.0))
        assert await world.values("Invocations", **HELLO) == [3]
        assert await world.values("Duration", "Average", **HELLO) == [20.0]
        assert await world.values("Duration", "p50", **HELLO) == [pytest.approx(20, rel=0.01)]
        assert await world.values("Duration", "Maximum", **HELLO) == [30]


async def test_readers_see_what_another_is_flushing_just_now(tmp_path: Path) -> None:
    async with metric_world(tmp_path) as world:
        world.counters.invoked(version(), None, ended())
        first = asyncio.ensure_future(world.counters.flush())
        await asyncio.sleep(0)
        assert await world.values("Invocations", **HELLO) == [1]
        await first


async def test_old_minutes_become_five_minutes_then_hours_and_go(tmp_path: Path) -> None:
    clock = ManualClock(1_699_999_201_000)  # a second after a full hour
    async with metric_world(tmp_path, clock) as world:
        for minute in range(10):
            world.counters.invoked(version(), None, ended(float(minute + 1)))
            await world.counters.flush()
            clock.advance(60_000)

        async def kept(period: int) -> list[float]:
            return await world.values("Duration", "Sum", period, hours=24 * 500, **HELLO)

        assert await world.values("Duration", "Sum", 60, **HELLO) == [float(n) for n in range(1, 11)]
        clock.advance(15 * DAY_MS + 3_600_000)
        await world.counters.keep_house()
        assert await kept(60) == []
        assert await kept(300) == [1 + 2 + 3 + 4 + 5, 6 + 7 + 8 + 9 + 10]
        assert await world.values("Duration", "p100", 3600, hours=24 * 20, **HELLO) == [10]
        clock.advance(50 * DAY_MS)
        await world.counters.keep_house()
        assert await kept(300) == []
        assert await kept(3600) == await kept(86_400) == [55]
        clock.advance(400 * DAY_MS)
        await world.counters.keep_house()
        assert await kept(3600) == []
        await world.counters.keep_house()
        assert await world.store.read(lambda database: database.run("list_metrics", **ANY)) == []


ANY = {
    "account": ACCOUNT,
    "region": REGION,
    "namespace": "",
    "name": "",
    "after_namespace": "",
    "after_name": "",
    "after_dimensions": "",
    "since_s": 0,
}


async def test_a_series_is_known_again_after_it_was_forgotten(tmp_path: Path) -> None:
    async with metric_world(tmp_path) as world:
        world.counters.invoked(version(), None, ended())
        await world.counters.flush()
        world.clock.advance(500 * DAY_MS)
        await world.counters.keep_house()
        world.counters.invoked(version(), None, ended())
        assert await world.values("Invocations", **HELLO) == [1]


async def test_high_resolution_values_are_seconds_for_three_hours(tmp_path: Path) -> None:
    async with metric_world(tmp_path) as world:
        data = [
            {"MetricName": "x", "Value": float(n), "Timestamp": world.at(n), "StorageResolution": 1} for n in range(3)
        ]
        await world.call("PutMetricData", Namespace="Mine", MetricData=data)
        assert await world.values("x", "Sum", 1, hours=0.5, namespace="Mine") == [0, 1, 2]
        assert await world.values("x", "Sum", 60, namespace="Mine") == [3]
        world.clock.advance(4 * 3_600_000)
        await world.counters.keep_house()
        assert await world.values("x", "Sum", 1, hours=5, namespace="Mine") == []
        assert await world.values("x", "Sum", 60, hours=5, namespace="Mine") == [3]
