"""The clock: what a watch shows may jump; what waits are counted by may not."""

from __future__ import annotations

import asyncio
import time

import pytest

from pilotlight.clock import ManualClock, SystemClock


async def _waits(clock: ManualClock, until_ms: int) -> asyncio.Task[None]:
    task = asyncio.create_task(clock.sleep_until(until_ms))
    await asyncio.sleep(0)
    return task


async def _ends(task: asyncio.Task[None]) -> bool:
    await asyncio.sleep(0)
    return task.done()


async def test_a_jump_moves_the_time_of_day_alone() -> None:
    clock = ManualClock(1000)
    clock.jump(-500)
    assert (clock.time_ms(), clock.steady_ms()) == (500, 1000)
    clock.advance(10)
    assert (clock.time_ms(), clock.steady_ms()) == (510, 1010)


async def test_nobody_waits_longer_for_a_clock_that_is_set_back() -> None:
    clock = ManualClock(1_000_000)
    task = await _waits(clock, 1_000_100)
    clock.jump(-900_000)
    assert not await _ends(task)
    clock.advance(99)
    assert not await _ends(task)
    clock.advance(1)
    assert await _ends(task)


async def test_a_clock_that_is_set_forward_ends_a_wait() -> None:
    clock = ManualClock(1_000_000)
    task = await _waits(clock, 1_000_100)
    clock.jump(900_000)
    assert await _ends(task)


async def test_the_machines_clock() -> None:
    clock = SystemClock()
    assert abs(clock.time_ms() - time.time() * 1000) < 1000
    assert abs(clock.steady_ms() - clock.time_ms()) < 1000
    before = clock.steady_ms()
    await clock.sleep_until(clock.time_ms() + 20)
    assert clock.steady_ms() - before >= 19
    await asyncio.wait_for(clock.sleep_until(0), 1)


@pytest.mark.parametrize("jump_ms", [-3_600_000, 3_600_000])
async def test_a_wait_on_the_machines_clock_that_is_set_meanwhile(jump_ms: int) -> None:
    class Set(SystemClock):
        ahead_ms = 0

        def time_ms(self) -> int:
            return super().time_ms() + self.ahead_ms

    clock = Set()
    task = asyncio.create_task(clock.sleep_until(clock.time_ms() + 50))
    await asyncio.sleep(0)
    clock.ahead_ms = jump_ms
    await asyncio.wait_for(task, 5)
