"""Counters and prices."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight.catalog.records import FunctionVersion
from pilotlight.clock import ManualClock
from pilotlight.environments.invocation import Outcome
from pilotlight.observe import billing
from pilotlight.observe.counters import Counters, Use
from pilotlight.observe.logs import LogStore
from pilotlight.settings import Settings
from tests.support.waiting import eventually_async

MINUTE_MS = 60_000


def no_functions(account: str, region: str, name: str) -> None:
    """A catalog without functions."""


def version(name: str = "hello", number: str = "$LATEST", memory_mib: int = 1024) -> FunctionVersion:
    return FunctionVersion(
        account="000000000000",
        region="us-east-1",
        name=name,
        version=number,
        runtime="python3.12",
        handler="app.handler",
        role="arn:aws:iam::000000000000:role/r",
        memory_mib=memory_mib,
        code_blob="",
        code_sha256="",
        code_size=0,
    )


def ended(duration_ms: float, billed_ms: int, *, failed: bool = False, cold: bool = False) -> Outcome:
    error = "Unhandled" if failed else ""
    return Outcome(b"", error, duration_ms=duration_ms, billed_ms=billed_ms, init_ms=9.0 if cold else None)


async def test_counts_are_summed_by_version_and_minute_and_outlive_the_node(tmp_path: Path) -> None:
    clock = ManualClock()
    store = LogStore(tmp_path, clock, Settings())
    await store.start()
    counters = Counters(store, clock, no_functions)
    await counters.start()
    counters.invoked(version(), None, ended(12.5, 113, cold=True))
    counters.invoked(version(), "live", ended(2.5, 3, failed=True))
    counters.throttled(version(), None)
    same = version()
    counters.invoked(same, None, ended(0.0, 0))
    counters.invoked(same, None, ended(0.0, 0))
    counters.invoked(version("other", "3", 512), "3", ended(1.0, 1))

    async def written() -> bool:
        clock.advance(1_000)
        everything = {"account": "000000000000", "region": "us-east-1", "function": "", "since_ms": 0}
        return bool(await store.read(lambda database: database.run("sum_uses", **everything)))

    await eventually_async(written)
    since_ms = clock.time_ms()
    counters.invoked(version(), None, ended(1.0, 1))
    await counters.stop()
    counters = Counters(store, clock, no_functions)
    hello, other = await counters.uses("000000000000", "us-east-1")
    assert hello == Use("hello", "$LATEST", 5, 1, 1, 1, 16.0, 12.5, 117, 117 * 1024)
    assert (other.function, other.version, other.invocations) == ("other", "3", 1)
    assert hello.gb_seconds == pytest.approx(0.117)
    clock.advance(MINUTE_MS)
    counters.invoked(version(), None, ended(1.0, 1))
    (recent,) = await counters.uses("000000000000", "us-east-1", "hello", since_ms + MINUTE_MS - 1)
    assert recent.invocations >= 1
    assert await counters.uses("111111111111", "us-east-1") == []
    await store.stop()


async def test_minutes_are_kept_for_63_days(tmp_path: Path) -> None:
    clock = ManualClock()
    store = LogStore(tmp_path, clock, Settings())
    await store.start()
    counters = Counters(store, clock, no_functions)
    counters.invoked(version(), None, ended(1.0, 1))
    await counters.flush()
    clock.advance(64 * 86_400_000)
    await counters.keep_house()
    assert await counters.uses("000000000000", "us-east-1") == []
    await store.stop()


async def test_a_long_invocation_counts_in_the_minute_in_which_it_began(tmp_path: Path) -> None:
    clock = ManualClock()
    store = LogStore(tmp_path, clock, Settings())
    await store.start()
    counters = Counters(store, clock, no_functions)
    clock.advance(10 * MINUTE_MS)
    counters.invoked(version(), None, ended(300_000.0, 300_000))
    begun_ms = clock.time_ms() - 300_000
    assert len(await counters.uses("000000000000", "us-east-1", since_ms=begun_ms)) == 1
    assert await counters.uses("000000000000", "us-east-1", since_ms=begun_ms + MINUTE_MS) == []
    await store.stop()


def test_prices_are_those_of_the_first_tier() -> None:
    cost = billing.cost(3_000_000, 500_000)
    assert cost.requests == pytest.approx(0.60)
    assert cost.compute == pytest.approx(8.33335)
    assert cost.total == pytest.approx(8.93335)
    assert billing.gb_seconds(1024, 1000) == 1.0
    assert billing.gb_seconds(128, 100) == pytest.approx(0.0125)


def test_a_month_gives_a_million_requests_and_400_000_gb_seconds_away() -> None:
    assert billing.cost(1_000_000, 400_000, free_tier=True).total == 0
    assert billing.cost(1_000_001, 400_001, free_tier=True).total == pytest.approx(0.20e-6 + 0.0000166667)
