"""The pool: gives each invocation an environment of its function, starting one when none is idle.

An invocation that finds no idle environment waits, and one environment is started for it, if there is room (room.py);
whichever becomes available first takes it. Starts of different functions never wait for each other. A version that
changed gets new environments; those of its former self finish what they serve and go (versions.py). Provisioned
environments (provisioned.py) are used first, and stay. Nothing but the pool starts an environment.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from pilotlight.catalog.records import FunctionVersion
from pilotlight.environments.environment import Environment
from pilotlight.environments.invocation import Invocation
from pilotlight.environments.machine_memory import Footprint, footprint
from pilotlight.environments.provisioned import Allocation
from pilotlight.environments.room import Room
from pilotlight.environments.state import State
from pilotlight.environments.tools import EnvironmentTools
from pilotlight.environments.versions import MAX_AGE_S, VersionEnvironments

logger = logging.getLogger(__name__)

_SWEEP_S = 5.0
#: how long after a version's first environment it is measured: not while its first invocation needs the machine
_MEASURE_AFTER_S = 0.25
#: environments measured at a time, and how old a measurement may become
_MEASURED_AT_ONCE = 100
_MEASURE_AGAIN_S = 300.0

VersionKey = tuple[str, str, str, str]


def version_key(version: FunctionVersion) -> VersionKey:
    return (version.account, version.region, version.name, version.version)


class Pool:
    def __init__(
        self,
        tools: EnvironmentTools,
        *,
        idle_s: float,
        max_idle: int,
        scaling_rate: float,
        memory_mib: float,
        available_mib: Callable[[], float],
        on_allocated: Callable[[FunctionVersion, int], None],
    ) -> None:
        """`on_allocated` hears how many provisioned environments a version has, whenever that changes."""
        self.tools = tools
        self.on_allocated = on_allocated
        self._idle_s = idle_s
        self._max_idle = max_idle
        self._versions: dict[VersionKey, VersionEnvironments] = {}
        self.room = Room(
            self._versions.values, scaling_rate=scaling_rate, budget_mib=memory_mib, available_mib=available_mib
        )
        self._sweeper: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._emptied = asyncio.Event()

    def start(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep_for_ever())

    async def stop(self) -> None:
        """Retire everything and wait until it is gone."""
        tasks = [task for task in (self._sweeper, self._measuring) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for versions in list(self._versions.values()):
            versions.stop()
        while any(versions.everyone for versions in self._versions.values()):
            self._emptied.clear()
            await self._emptied.wait()

    def run(self, version: FunctionVersion, invocation: Invocation) -> None:
        """Have `invocation` served by an environment of `version`; its `done` is called exactly once. Raises NoRoom."""
        self.of(version).run(invocation)

    def of(self, version: FunctionVersion) -> VersionEnvironments:
        key = (version.account, version.region, version.name, version.version)
        versions = self._versions.get(key)
        if versions is None:
            versions = self._versions[key] = VersionEnvironments(version, self)
        elif versions.version is not version:
            versions.renew(version)
        return versions

    def provision(self, version: FunctionVersion, count: int, *, anew: bool = False) -> None:
        """Keep `count` environments of `version` initialised from now on. `anew`: what failed is tried at once."""
        if count or version_key(version) in self._versions:
            self.of(version).provision(count, anew=anew)

    def allocation(self, version: FunctionVersion) -> Allocation:
        """How far the provisioned environments of `version` have come."""
        versions = self._versions.get(version_key(version))
        if versions is None or versions.provisioned is None:
            return Allocation(0, "IN_PROGRESS")
        return versions.provisioned.allocation

    def changed(self, version: FunctionVersion) -> None:
        """The catalog has a new value of this version, or it is gone."""
        versions = self._versions.get(version_key(version))
        if versions is None:
            return
        versions.renew(version)
        if version.state == "Deleting" and not versions.everyone:
            del self._versions[version_key(version)]

    def environment_gone(self, versions: VersionEnvironments) -> None:
        if not versions.everyone:
            self._emptied.set()
            if versions.version.state == "Deleting":
                self._versions.pop(version_key(versions.version), None)

    def statistics(self) -> dict[str, int]:
        """How many environments are in each state, over all versions."""
        counts = {state.value: 0 for state in State}
        for versions in self._versions.values():
            for environment in versions.everyone:
                counts[environment.state.value] += 1
        return counts

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self.sweep(time.monotonic())
            self.measure_soon(0)

    def sweep(self, now: float) -> None:
        """Retire environments idle for too long, and the least recently used beyond the limit."""
        self.room.forget()
        everyone = [environment for versions in self._versions.values() for environment in versions.idle]
        for environment in everyone:
            if environment.provisioned and now - environment.born > MAX_AGE_S:
                environment.retire()  # another takes its place
        idle = sorted(
            (environment for environment in everyone if not environment.provisioned),
            key=lambda environment: environment.idle_since,
        )
        surplus = len(idle) - self._max_idle
        for position, environment in enumerate(idle):
            if position < surplus or now - environment.idle_since > self._idle_s:
                self._versions[version_key(environment.version)].idle.remove(environment)
                environment.retire()

    # -- what environments take ----------------------------------------------------------------------------------------

    def measure_soon(self, after_s: float = _MEASURE_AFTER_S) -> None:
        """Look how much memory environments take that have worked since they were last looked at."""
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.create_task(self._measure(after_s))

    async def _measure(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        now = time.monotonic()
        due = [
            (versions, environment)
            for versions in self._versions.values()
            for environment in versions.everyone
            if environment.runtime_pid and _to_be_measured(environment, now)
        ][:_MEASURED_AT_ONCE]
        pids = [environment.runtime_pid for _, environment in due]
        found = await asyncio.to_thread(lambda: [footprint(pid) for pid in pids])
        for (versions, environment), pid, taken in zip(due, pids, found, strict=True):
            if environment.runtime_pid == pid:  # it may have ended meanwhile
                _take_in(versions, environment, taken, now)


def _to_be_measured(environment: Environment, now: float) -> bool:
    if environment.state is State.BUSY:
        return now - environment.measured_at > _SWEEP_S
    if environment.state is not State.IDLE:
        return False
    return environment.measured_at < environment.idle_since or now - environment.measured_at > _MEASURE_AGAIN_S


def _take_in(versions: VersionEnvironments, environment: Environment, taken: Footprint | None, now: float) -> None:
    environment.measured_at = now
    if taken is None:  # where it may not be looked at, its resident size is all that is known
        taken = Footprint(environment.peak_rss_mib, 0.0)
    environment.memory_mib = taken.mib
    if environment.version.generation == versions.version.generation:
        most_mib = max(taken.mib, environment.peak_rss_mib - taken.shared_mib)
        versions.expected_mib = max(versions.expected_mib, most_mib) if versions.measured else most_mib
        versions.measured = True
