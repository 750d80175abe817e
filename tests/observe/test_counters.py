"""What is counted for the bill."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from pilotlight.catalog.records import FunctionVersion
from pilotlight.clock import ManualClock
from pilotlight.environments.invocation import Outcome
from pilotlight.observe.counters import Counters
from pilotlight.observe.logs import LogStore
from pilotlight.observe.used_days import ProvisionedMeter
from pilotlight.settings import Settings
from tests.support.waiting import eventually_async

DAY_MS = 86_400_000
#: midnight, 2026-11-01
NOVEMBER_MS = 1_793_491_200_000


def no_functions(account: str, region: str, name: str) -> None:
    """A catalog without functions."""


def version(
    name: str = "hello", number: str = "$LATEST", memory_mib: int = 1024, tmp_mib: int = 512
) -> FunctionVersion:
    return FunctionVersion(
        account="000000000000",
        region="us-east-1",
        name=name,
        version=number,
        runtime="python3.12",
        handler="app.handler",
        role="arn:aws:iam::000000000000:role/r",
        memory_mib=memory_mib,
        tmp_mib=tmp_mib,
        code_blob="",
        code_sha256="",
        code_size=0,
    )


def ended(
    duration_ms: float,
    billed_ms: int,
    *,
    failed: bool = False,
    provisioned: bool = False,
    streamed_bytes: int | None = None,
) -> Outcome:
    return Outcome(
        b"",
        "Unhandled" if failed else "",
        duration_ms=duration_ms,
        billed_ms=billed_ms,
        provisioned=provisioned,
        streamed_bytes=streamed_bytes,
    )


async def test_what_is_billed_is_summed_by_day_and_outlives_the_node(tmp_path: Path) -> None:
    clock = ManualClock(NOVEMBER_MS + DAY_MS - 5_000)
    store = LogStore(tmp_path, clock, Settings())
    await store.start()
    counters = Counters(store, clock, no_functions)
    await counters.start()
    counters.invoked(version(), None, ended(12.5, 113))
    counters.invoked(version(), "live", ended(2.5, 3, failed=True))
    counters.throttled(version(), None)
    counters.invoked(version("other", "3", 512), "3", ended(1.0, 1, provisioned=True))
    counters.invoked(version("other", "3", 512, tmp_mib=1536), "3", ended(1.0, 2, streamed_bytes=(6 << 20) + 7))
    counters.invoked(version("other", "3", 512), "3", ended(1.0, 1, streamed_bytes=6 << 20))

    async def written() -> bool:
        clock.advance(1_000)
        return bool(await of_days(store, 0))

    await eventually_async(written)
    clock.advance(1_000)
    counters.invoked(version(), None, ended(1.0, 1))
    await counters.stop()
    assert await of_days(store, NOVEMBER_MS) == {
        ("hello", "$LATEST"): (2, 116 * 1024, 0, 0, 0, 0, 0),
        ("other", "3"): (2, 3 * 512, 1, 512, 0, 2 * 1024, 7),
    }
    assert (await of_days(store, NOVEMBER_MS + DAY_MS))["hello", "$LATEST"][0] == 1, "the next day"
    await store.stop()


async def test_days_are_kept_for_sixteen_months(tmp_path: Path) -> None:
    clock = ManualClock(NOVEMBER_MS + 1_000)
    store = LogStore(tmp_path, clock, Settings())
    await store.start()
    counters = Counters(store, clock, no_functions)
    counters.invoked(version(), None, ended(1.0, 1))
    await counters.flush()
    clock.advance(15 * 31 * DAY_MS)
    await counters.keep_house()
    assert len(await of_days(store, NOVEMBER_MS)) == 1
    clock.advance(32 * DAY_MS)
    await counters.keep_house()
    assert await of_days(store, NOVEMBER_MS) == {}
    await store.stop()


async def test_a_long_invocation_is_billed_on_the_day_on_which_it_began(tmp_path: Path) -> None:
    clock = ManualClock(NOVEMBER_MS + DAY_MS + 100_000)
    store = LogStore(tmp_path, clock, Settings())
    await store.start()
    counters = Counters(store, clock, no_functions)
    counters.invoked(version(), None, ended(300_000.0, 300_000))
    await counters.flush()
    assert len(await of_days(store, NOVEMBER_MS)) == 1
    assert await of_days(store, NOVEMBER_MS + DAY_MS) == {}
    await store.stop()


async def test_a_flush_that_nobody_waits_for_any_more_loses_nothing(tmp_path: Path) -> None:
    clock = ManualClock(NOVEMBER_MS + 1_000)
    store = LogStore(tmp_path, clock, Settings())
    await store.start()
    counters = Counters(store, clock, no_functions)
    await counters.start()
    gate = threading.Event()
    busy = asyncio.create_task(store.change(lambda database: gate.wait(10)))
    counters.invoked(version(), None, ended(1.0, 1))
    reading = asyncio.create_task(counters.flush())
    await eventually_async(lambda: _soon(bool(counters.totals.lines())))  # it has taken the counts, and waits to write
    reading.cancel()
    counters.invoked(version(), None, ended(1.0, 1))
    clock.advance(10_000)
    await asyncio.sleep(0)
    stopping = asyncio.create_task(counters.stop())
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(busy, stopping)
    assert (await of_days(store, NOVEMBER_MS))["hello", "$LATEST"][0] == 2
    await store.stop()


async def _soon(value: bool) -> bool:
    return value


async def of_days(store: LogStore, from_ms: int) -> dict[tuple[str, str], tuple[int, ...]]:
    """What was used on the day from then on (0: on any), by function and version."""
    before_ms = from_ms + DAY_MS if from_ms else 2**53
    rows = await store.read(
        lambda database: database.run("sum_used", account="000000000000", from_ms=from_ms, before_ms=before_ms)
    )
    return {(function, number): tuple(amounts) for _, function, number, _, *amounts in rows}


def test_provisioned_concurrency_costs_what_is_asked_for_in_steps_of_five_minutes() -> None:
    clock = ManualClock(NOVEMBER_MS)
    meter = ProvisionedMeter(clock)
    asked = [(version("f", "1"), 2)]
    meter.watch(lambda: asked)

    def kept_s() -> float:
        """Environment-seconds since the last time."""
        return sum(used.kept_mib_ms for _, _, used in meter.take()) / 1024 / 1000

    assert kept_s() == 2 * 300, "at once, and rounded up"
    clock.advance(299_999)
    assert kept_s() == 0
    clock.advance(1)
    assert kept_s() == 2 * 300
    clock.advance(100_000)
    asked[:] = [(version("f", "1"), 5)]
    assert kept_s() == 3 * 200, "three more for the rest"
    clock.advance(200_000 + 3_600_000)
    assert kept_s() == 5 * 13 * 300
    clock.jump(5 * 3_600_000)
    assert kept_s() == 0, "a clock that is set costs nothing"
    asked.clear()
    clock.advance(3_600_000)
    assert kept_s() == 0
    asked.append((version("f", "1"), 1))
    assert kept_s() == 300, "it was taken away and asked for anew"
    meter.initialized(version("f", "1"), 1500.2)
    [(account, at_ms, used)] = meter.take()
    assert (account, at_ms, used.provisioned_mib_ms) == ("000000000000", clock.time_ms(), 1501 * 1024)
