"""The pool: gives each invocation an environment of its function, starting one when none is idle.

An invocation that finds no idle environment waits, and one environment is started for it; whichever becomes available
first takes it. Starts of different functions never wait for each other. A version that changed gets new environments;
those of its former self finish what they serve and go. Provisioned environments (provisioned.py) are used first, and
stay. Nothing but the pool starts an environment.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque

from pilotlight.catalog.records import FunctionVersion
from pilotlight.environments.environment import Environment
from pilotlight.environments.invocation import Invocation, Outcome
from pilotlight.environments.provisioned import Allocation, ProvisionedEnvironments
from pilotlight.environments.state import State
from pilotlight.environments.tools import EnvironmentTools
from pilotlight.runtimes import faults

logger = logging.getLogger(__name__)

#: environments are replaced well before their twelve hours of credentials end
_MAX_AGE_S = 11 * 3600
_SWEEP_S = 5.0

VersionKey = tuple[str, str, str, str]


def version_key(version: FunctionVersion) -> VersionKey:
    return (version.account, version.region, version.name, version.version)


class VersionEnvironments:
    """The environments of one version; the owner they report to."""

    __slots__ = ("_pool", "everyone", "idle", "provisioned", "starting", "version", "waiting")

    def __init__(self, version: FunctionVersion, pool: Pool) -> None:
        self.version = version
        self._pool = pool
        self.idle: list[Environment] = []
        """Last in, first out, so that the ones not needed grow old; on-demand ones below the provisioned."""
        self.waiting: deque[Invocation] = deque()
        self.everyone: set[Environment] = set()
        self.starting = 0
        """On demand."""
        self.provisioned: ProvisionedEnvironments | None = None

    def run(self, invocation: Invocation) -> None:
        idle = self.idle
        while idle:
            environment = idle.pop()
            if environment.usable:
                environment.begin(invocation)
                return
            environment.retire()
        self.waiting.append(invocation)
        if self.starting < len(self.waiting):
            self.start_one()

    def start_one(self) -> None:
        environment = Environment(self.version, self._pool.tools, self)
        self.everyone.add(environment)
        self.starting += 1
        environment.start()

    def provision(self, count: int, *, anew: bool = False) -> None:
        """Keep `count` environments initialised from now on."""
        if self.provisioned is None:
            self.provisioned = ProvisionedEnvironments(self._start_provisioned, self._pool.tools.clock)
        self.provisioned.want(count, anew=anew)

    def _start_provisioned(self) -> Environment:
        environment = Environment(self.version, self._pool.tools, self, "provisioned-concurrency")
        self.everyone.add(environment)
        environment.start()
        return environment

    def available(self, environment: Environment) -> None:
        if environment.born_counted:
            environment.born_counted = False
            self.starting -= 1
        provisioned = self.provisioned
        if (
            self._outdated(environment)
            or time.monotonic() - environment.born > _MAX_AGE_S
            or (provisioned is not None and environment.provisioned and not provisioned.keeps(environment))
        ):
            environment.retire()
        elif self.waiting:
            environment.begin(self.waiting.popleft())
        elif provisioned is None or environment.provisioned:
            self.idle.append(environment)
        else:
            self.idle.insert(0, environment)

    def lost(self, environment: Environment) -> None:
        if environment.provisioned:
            environment.retire()

    def _outdated(self, environment: Environment) -> bool:
        return environment.version.generation != self.version.generation or self.version.state == "Deleting"

    def start_failed(self, environment: Environment, reason: str) -> None:
        if self.provisioned is not None and environment.provisioned:
            self.provisioned.failed(environment, reason)
            return
        if environment.born_counted:
            environment.born_counted = False
            self.starting -= 1
        if self.waiting:
            self.waiting.popleft().done(
                Outcome(payload=faults.error_body(faults.FAILURE, reason), error_type=faults.FAILURE, never_ran=True)
            )

    def gone(self, environment: Environment) -> None:
        if environment.born_counted:
            environment.born_counted = False
            self.starting -= 1
        self.everyone.discard(environment)
        if environment in self.idle:
            self.idle.remove(environment)
        while self.starting < len(self.waiting):
            self.start_one()
        if self.provisioned is not None:
            self.provisioned.gone(environment)
        self._pool.environment_gone(self)

    def renew(self, version: FunctionVersion) -> None:
        """Take the new value. When code or configuration changed, idle environments go now, busy ones when done."""
        changed = version.generation != self.version.generation or version.state == "Deleting"
        self.version = version
        if not changed:
            return
        if version.state == "Deleting" and self.provisioned is not None:
            self.provisioned.want(0)
        idle, self.idle = self.idle, []
        for environment in idle:
            environment.retire()


class Pool:
    def __init__(self, tools: EnvironmentTools, *, idle_s: float, max_idle: int) -> None:
        self.tools = tools
        self._idle_s = idle_s
        self._max_idle = max_idle
        self._versions: dict[VersionKey, VersionEnvironments] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._emptied = asyncio.Event()

    def start(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep_for_ever())

    async def stop(self) -> None:
        """Retire everything and wait until it is gone."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for versions in list(self._versions.values()):
            if versions.provisioned is not None:
                versions.provisioned.want(0)
            while versions.waiting:
                versions.waiting.popleft().done(
                    Outcome(
                        payload=faults.error_body(faults.FAILURE, "the node is stopping"),
                        error_type=faults.FAILURE,
                        never_ran=True,
                    )
                )
            for environment in list(versions.everyone):
                environment.retire()
        while any(versions.everyone for versions in self._versions.values()):
            self._emptied.clear()
            await self._emptied.wait()

    def run(self, version: FunctionVersion, invocation: Invocation) -> None:
        """Have `invocation` served by an environment of `version`; its `done` is called exactly once."""
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

    def sweep(self, now: float) -> None:
        """Retire environments idle for too long, and the least recently used beyond the limit."""
        everyone = [environment for versions in self._versions.values() for environment in versions.idle]
        for environment in everyone:
            if environment.provisioned and now - environment.born > _MAX_AGE_S:
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
