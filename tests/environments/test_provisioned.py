"""Keeping so many environments: what is made again at once, what after a while, and what the state says meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from pilotlight.clock import ManualClock
from pilotlight.environments.environment import Environment
from pilotlight.environments.provisioned import AT_ONCE, INIT_FAILURE, Allocation, ProvisionedEnvironments
from pilotlight.environments.room import NoRoom
from pilotlight.environments.state import State
from tests.support import eventually_async


class Slot:
    """An environment as far as keeping it goes: it has a state and can be retired."""

    def __init__(self) -> None:
        self.state = State.STARTING

    def retire(self) -> None:
        self.state = State.RETIRING


class Kept:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.now_s = 0.0
        self.made: list[Slot] = []
        self.told: list[int] = []
        self.full = False
        self.environments = ProvisionedEnvironments(self._make, self.clock, self.told.append, lambda: self.now_s)

    def _make(self) -> Environment:
        if self.full:
            raise NoRoom("no memory")
        self.made.append(Slot())
        return cast(Any, self.made[-1])

    @property
    def allocation(self) -> Allocation:
        return self.environments.allocation

    def initialised(self, slot: Slot) -> bool:
        slot.state = State.IDLE
        return self.environments.keeps(cast(Any, slot))

    def init_failed(self, slot: Slot) -> None:
        slot.state = State.RESETTING
        assert not self.environments.keeps(cast(Any, slot))
        self.environments.gone(cast(Any, slot))

    def died(self, slot: Slot) -> None:
        slot.state = State.GONE
        self.environments.gone(cast(Any, slot))

    async def advance(self, milliseconds: int) -> None:
        await asyncio.sleep(0)
        self.clock.advance(milliseconds)
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
async def kept() -> Kept:
    return Kept()


async def test_a_few_at_a_time(kept: Kept) -> None:
    kept.environments.want(AT_ONCE + 2)
    assert len(kept.made) == AT_ONCE
    assert kept.allocation == Allocation(0, "IN_PROGRESS")
    assert kept.initialised(kept.made[0])
    assert len(kept.made) == AT_ONCE + 1
    for slot in kept.made[1:]:
        assert kept.initialised(slot)
    assert kept.initialised(kept.made[-1])
    assert len(kept.made) == AT_ONCE + 2
    assert kept.allocation == Allocation(AT_ONCE + 2, "READY")


async def test_fewer_are_wanted(kept: Kept) -> None:
    kept.environments.want(3)
    for slot in kept.made[:2]:
        assert kept.initialised(slot)
    kept.made[0].state = State.BUSY
    kept.environments.want(0)
    assert kept.made[1].state is State.RETIRING
    assert not kept.initialised(kept.made[0]), "the busy one goes when it has finished"
    assert not kept.initialised(kept.made[2]), "and the one being made when it is"
    for slot in kept.made:
        kept.died(slot)
    assert len(kept.made) == 3


async def test_one_that_had_worked_is_replaced_at_once(kept: Kept) -> None:
    kept.environments.want(1)
    for made in range(1, 5):
        assert kept.initialised(kept.made[-1])
        kept.clock.advance(10_000)
        kept.died(kept.made[-1])
        assert len(kept.made) == made + 1
        assert kept.allocation == Allocation(0, "IN_PROGRESS")


async def test_one_that_dies_young_again_and_again_waits(kept: Kept) -> None:
    kept.environments.want(1)
    kept.initialised(kept.made[-1])
    kept.died(kept.made[-1])
    assert len(kept.made) == 2, "once is an accident"
    for wait_ms in (2_000, 4_000):
        kept.initialised(kept.made[-1])
        made = len(kept.made)
        kept.died(kept.made[-1])
        await kept.advance(wait_ms - 1)
        assert len(kept.made) == made
        await kept.advance(1)
        assert len(kept.made) == made + 1


async def test_an_init_that_fails_waits_longer_each_time(kept: Kept) -> None:
    kept.environments.want(1)
    for wait_ms in (1_000, 2_000, 4_000):
        made = len(kept.made)
        kept.init_failed(kept.made[-1])
        assert kept.allocation == Allocation(0, "FAILED", INIT_FAILURE)
        await kept.advance(wait_ms - 1)
        assert len(kept.made) == made
        await kept.advance(1)
        assert len(kept.made) == made + 1
        assert kept.allocation.status == "FAILED", "until one has been initialised"
    kept.initialised(kept.made[-1])
    assert kept.allocation == Allocation(1, "READY")


async def test_asked_anew_it_is_tried_at_once(kept: Kept) -> None:
    kept.environments.want(1)
    kept.init_failed(kept.made[-1])
    kept.environments.want(1, anew=True)
    assert len(kept.made) == 2
    assert kept.allocation == Allocation(0, "IN_PROGRESS")
    kept.environments.failed(cast(Any, kept.made[-1]), "no process could be made")
    assert kept.allocation == Allocation(0, "FAILED", "no process could be made")
    kept.environments.want(0)
    await kept.advance(600_000)
    assert len(kept.made) == 2


async def test_it_tells_how_many_are_allocated(kept: Kept) -> None:
    kept.environments.want(2)
    assert kept.initialised(kept.made[0])
    assert kept.initialised(kept.made[1])
    kept.died(kept.made[0])
    assert kept.told[-1] == 1
    kept.environments.want(0)
    assert kept.told[-1] == 0
    assert max(kept.told) == 2


async def test_when_there_is_no_room_it_says_so_and_tries_again(kept: Kept) -> None:
    kept.full = True
    kept.environments.want(1)
    assert kept.allocation == Allocation(0, "FAILED", "no memory")
    kept.full = False
    await kept.advance(1_000)
    assert kept.initialised(kept.made[0])
    assert kept.allocation == Allocation(1, "READY")


async def test_a_hundred_a_second(kept: Kept) -> None:
    kept.environments.want(150)
    while len(kept.made) < 100:
        assert kept.initialised(kept.made[-AT_ONCE])
    for slot in kept.made[-AT_ONCE:]:
        if slot.state is State.STARTING:
            assert kept.initialised(slot)
    assert len(kept.made) == 100
    kept.now_s += 0.02
    await eventually_async(lambda: len(kept.made) == 102)
