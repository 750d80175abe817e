"""The provisioned environments of one version: so many are initialised ahead of any invocation and kept.

One that dies or is lost is made again, at once when it had worked for a while, else with a back-off: a version whose
init fails must not fork for ever, but may mend (its database comes back). Source: developer guide, "Configuring
provisioned concurrency"; FUNCTION_ERROR_INIT_FAILURE is what AWS gives for a failed init.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from pilotlight.clock import Clock
from pilotlight.environments.environment import Environment
from pilotlight.environments.pace import Pace
from pilotlight.environments.room import NoRoom
from pilotlight.environments.state import State

INIT_FAILURE = "FUNCTION_ERROR_INIT_FAILURE"
#: how many are being made at once for one version: invocations of others need the machine too
AT_ONCE = 4
#: and how many are made in a second (AWS: 6,000 a minute for a function)
ALLOCATED_PER_S = 100.0
#: one that died younger than this had not worked
_SETTLED_MS = 10_000
_FIRST_WAIT_MS = 1_000
_LAST_WAIT_MS = 300_000
#: at most, after one that had been initialised and died
_DIED_WAIT_MS = 10_000

Status = Literal["IN_PROGRESS", "READY", "FAILED"]


class Allocation(msgspec.Struct, frozen=True):
    """How far the provisioned concurrency of a version, or of a qualifier, has come."""

    allocated: int
    status: Status
    reason: str = ""
    """Why it failed."""


class ProvisionedEnvironments:
    """Belongs to the environments of one version, which tell it what becomes of them."""

    def __init__(
        self,
        start_one: Callable[[], Environment],
        clock: Clock,
        on_allocated: Callable[[int], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`start_one` may raise NoRoom; `on_allocated` hears how many are ready, whenever that may have changed."""
        self.wanted = 0
        self._start_one = start_one
        self._clock = clock
        self._on_allocated = on_allocated
        self._monotonic = monotonic
        self._pace = Pace(ALLOCATED_PER_S, 1.0)
        self._resume: asyncio.TimerHandle | None = None
        self._starting: set[Environment] = set()
        self._ready: dict[Environment, int] = {}
        """Initialised, idle or busy -> since when (epoch ms)."""
        self._failures = 0
        """In a row."""
        self._reason = ""
        self._pause: asyncio.Task[None] | None = None

    @property
    def allocation(self) -> Allocation:
        ready = min(len(self._ready), self.wanted)
        if ready == self.wanted:
            return Allocation(ready, "READY")
        return Allocation(ready, "FAILED", self._reason) if self._reason else Allocation(ready, "IN_PROGRESS")

    def want(self, count: int, *, anew: bool = False) -> None:
        """Keep `count` from now on. `anew`: somebody asked again, so what failed is tried at once."""
        if anew or not count:
            self._failures, self._reason = 0, ""
            self._end_pause()
        self.wanted = count
        for environment in [environment for environment in self._ready if environment.state is State.IDLE]:
            if len(self._ready) <= count:
                break
            del self._ready[environment]
            environment.retire()
        self._start()

    def keeps(self, environment: Environment) -> bool:
        """It can take an invocation, or its init or an invocation ended it; whether it stays."""
        if environment.state is State.RESETTING:
            if environment in self._starting:
                self.failed(environment, INIT_FAILURE)
            return False
        if environment in self._starting:
            self._starting.remove(environment)
            self._ready[environment] = self._clock.time_ms()
            self._reason = ""
            self._start()
        if len(self._ready) > self.wanted:
            del self._ready[environment]
            return False
        return True

    def failed(self, environment: Environment, reason: str) -> None:
        self._starting.discard(environment)
        self._failed(reason)

    def gone(self, environment: Environment) -> None:
        self._starting.discard(environment)
        since_ms = self._ready.pop(environment, None)
        if since_ms is not None:
            if self._clock.time_ms() - since_ms >= _SETTLED_MS:
                self._failures = 0
            elif self._failures:
                self._failed("")
            else:
                self._failures = 1
        self._start()

    def _failed(self, reason: str) -> None:
        self._failures += 1
        self._reason = reason
        if self._pause is None:
            longest_ms = _LAST_WAIT_MS if reason else _DIED_WAIT_MS
            wait_ms = min(_FIRST_WAIT_MS << min(self._failures - 1, 20), longest_ms)
            self._pause = asyncio.create_task(self._wait(self._clock.time_ms() + wait_ms))

    async def _wait(self, until_ms: int) -> None:
        await self._clock.sleep_until(until_ms)
        self._pause = None
        self._start()

    def _end_pause(self) -> None:
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.cancel()

    def _start(self) -> None:
        self._on_allocated(self.allocation.allocated)
        while (
            self._pause is None
            and len(self._starting) < AT_ONCE
            and len(self._starting) + len(self._ready) < self.wanted
        ):
            if not self._pace.take(self._monotonic()):
                if self._resume is None:
                    self._resume = asyncio.get_running_loop().call_later(1 / ALLOCATED_PER_S, self._go_on)
                return
            try:
                self._starting.add(self._start_one())
            except NoRoom as error:
                self._failed(str(error))

    def _go_on(self) -> None:
        self._resume = None
        self._start()
