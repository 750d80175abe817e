"""Whether there is room for one more environment: how fast a function may grow, and what memory is left.

An environment counts for what it takes, not for its MemorySize, which is a ceiling: a thousand idle ones of 128 MB take
three gigabytes and not a hundred and twenty-eight. Idle ones count for what was measured of them; those that start or
run for the most that any of their version was seen to take, and for a guess until one was. What such counts cannot see
(a function that grows after it was let in, other programs) the machine's own account does: nothing is started that
would leave less than a reserve. When one does not fit, the least recently used idle ones make way, provisioned ones
never. Growth of what runs is stopped by nothing but the kernel, which then kills a function before the node.

Source of the scaling rate: developer guide, "Lambda scaling behavior".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pilotlight.environments.pace import Pace
from pilotlight.environments.state import State

if TYPE_CHECKING:
    from pilotlight.environments.environment import Environment
    from pilotlight.environments.versions import VersionEnvironments

#: what an environment counts for while nothing is known of its version: an interpreter with a few modules
UNKNOWN_MIB = 16.0
#: of an automatic budget: so much of what is available when the node starts
BUDGET_SHARE = 0.8
#: what is to stay available, unless the machine had less than twice as much when the node started
RESERVE_MIB = 256.0
#: the scaling rate is a number of environments in this time, which may also come at once
SCALING_PERIOD_S = 10.0
#: how long a sum or a reading is used again: environments start by the hundred
_FRESH_S = 0.05

FunctionKey = tuple[str, str, str]


class NoRoom(Exception):
    """There is no room for one more; the message says of what."""


class Room:
    """`scaling_rate`: environments of one function in ten seconds, 0 for any number. `budget_mib`: 0 takes most of what
    is available now."""

    def __init__(
        self,
        versions: Callable[[], Iterable[VersionEnvironments]],
        *,
        scaling_rate: float,
        budget_mib: float,
        available_mib: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._versions = versions
        self._scaling_rate = scaling_rate
        self._available_mib = available_mib
        self._monotonic = monotonic
        available_mib_now = available_mib()
        self.budget_mib = budget_mib or available_mib_now * BUDGET_SHARE
        self._reserve_mib = min(RESERVE_MIB, available_mib_now / 2)
        self._paces: dict[FunctionKey, Pace] = {}
        self._summed_at_s = float("-inf")
        self._used_mib = 0.0
        self._left_mib = 0.0
        """What was available when it was summed, less what has been let in since."""

    def scale(self, version: VersionEnvironments) -> None:
        """One more environment on demand. Raises NoRoom when the function grows too fast, or memory is short."""
        if self._scaling_rate:
            of = version.version
            key = (of.account, of.region, of.name)
            pace = self._paces.get(key)
            if pace is None:
                pace = self._paces[key] = Pace(self._scaling_rate / SCALING_PERIOD_S, SCALING_PERIOD_S)
            if not pace.take(self._monotonic()):
                raise NoRoom(f"{of.name} may start {self._scaling_rate:g} environments in {SCALING_PERIOD_S:g} s")
        self.fit(version)

    def fit(self, version: VersionEnvironments) -> None:
        """One more environment in memory, when necessary in place of idle ones. Raises NoRoom."""
        mib = version.expected_mib
        now_s = self._monotonic()
        if now_s - self._summed_at_s > _FRESH_S:
            self._used_mib = self.used_mib()
            self._left_mib = self._available_mib()
            self._summed_at_s = now_s
        # The first of all may start whatever the budget: one too small for anything is a mistake, not a limit.
        over_mib = self._used_mib + mib - self.budget_mib if self._used_mib else 0.0
        short_mib = max(over_mib, self._reserve_mib + mib - self._left_mib)
        if short_mib > 0:
            freed_mib = self._evict(short_mib)
            self._used_mib -= freed_mib
            self._left_mib += freed_mib
        self._used_mib += mib
        self._left_mib -= mib

    def used_mib(self) -> float:
        """What all environments count for."""
        return sum(counted_mib(each, versions) for versions in self._versions() for each in versions.everyone)

    def forget(self) -> None:
        """Let go of what is remembered of functions that have not grown for a while."""
        now_s = self._monotonic()
        for key in [key for key, pace in self._paces.items() if pace.is_full(now_s)]:
            del self._paces[key]

    def _evict(self, short_mib: float) -> float:
        """Retire idle environments, the least recently used first, until so much is free: all of it or nothing."""
        idle = sorted(
            ((each, versions) for versions in self._versions() for each in versions.idle if not each.provisioned),
            key=lambda found: found[0].idle_since,
        )
        freed_mib = 0.0
        going: list[tuple[Environment, VersionEnvironments]] = []
        for environment, versions in idle:
            if freed_mib >= short_mib:
                break
            freed_mib += counted_mib(environment, versions)
            going.append((environment, versions))
        if freed_mib < short_mib:
            raise NoRoom(f"This node has no memory for another environment (memory_mib is {self.budget_mib:.0f})")
        for environment, versions in going:
            versions.idle.remove(environment)
            environment.retire()
        return freed_mib


def counted_mib(environment: Environment, versions: VersionEnvironments) -> float:
    state = environment.state
    if state is State.RETIRING or state is State.GONE:
        return 0.0
    measured_mib = environment.memory_mib
    if state is State.IDLE or state is State.RESETTING:
        return versions.expected_mib if measured_mib is None else measured_mib
    return max(versions.expected_mib, measured_mib or 0.0)
