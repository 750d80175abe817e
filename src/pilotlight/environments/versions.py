"""The environments of one version: which one takes an invocation, who waits, and what becomes of those that are out of
date.

An invocation that was let in is answered whatever becomes of its version. What has begun ends on the code it began on;
what still waits when code or configuration change is begun on the new; when the version itself is deleted, on the last.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from pilotlight.catalog.records import FunctionVersion
from pilotlight.environments.environment import Environment
from pilotlight.environments.invocation import Invocation, Outcome
from pilotlight.environments.provisioned import ProvisionedEnvironments
from pilotlight.environments.room import UNKNOWN_MIB
from pilotlight.runtimes import faults

if TYPE_CHECKING:
    from pilotlight.environments.pool import Pool

#: environments are replaced well before their twelve hours of credentials end
MAX_AGE_S = 11 * 3600


class VersionEnvironments:
    """The environments of one version; the owner they report to."""

    __slots__ = (
        "_pool",
        "everyone",
        "expected_mib",
        "idle",
        "measured",
        "provisioned",
        "starting",
        "version",
        "waiting",
    )

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
        self.expected_mib = UNKNOWN_MIB
        """The most memory that one of this code and configuration was seen to take."""
        self.measured = False

    def run(self, invocation: Invocation) -> None:
        """Raises NoRoom when it would take one more environment and there is no room for one."""
        idle = self.idle
        while idle:
            environment = idle.pop()
            if environment.usable:
                environment.begin(invocation)
                return
            environment.retire()
        if self.starting <= len(self.waiting):
            self._pool.room.scale(self)
            self.waiting.append(invocation)
            self.start_one()
        else:
            self.waiting.append(invocation)

    def start_one(self) -> None:
        environment = Environment(self.version, self._pool.tools, self)
        self.everyone.add(environment)
        self.starting += 1
        environment.start()

    def provision(self, count: int, *, anew: bool = False) -> None:
        """Keep `count` environments initialised from now on."""
        if self.provisioned is None:
            self.provisioned = ProvisionedEnvironments(
                self._start_provisioned,
                self._pool.tools.clock,
                lambda allocated: self._pool.on_allocated(self.version, allocated),
            )
        self.provisioned.want(count, anew=anew)

    def _start_provisioned(self) -> Environment:
        self._pool.room.fit(self)
        environment = Environment(self.version, self._pool.tools, self, "provisioned-concurrency")
        self.everyone.add(environment)
        environment.start()
        return environment

    def available(self, environment: Environment) -> None:
        if environment.born_counted:
            environment.born_counted = False
            self.starting -= 1
        if not self.measured:
            self._pool.measure_soon()
        provisioned = self.provisioned
        if (
            environment.version.generation != self.version.generation
            or (self.version.state == "Deleting" and not self.waiting)
            or time.monotonic() - environment.born > MAX_AGE_S
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

    def start_failed(self, environment: Environment, reason: str) -> None:
        if self.provisioned is not None and environment.provisioned:
            self.provisioned.failed(environment, reason)
            return
        if environment.born_counted:
            environment.born_counted = False
            self.starting -= 1
        if self.waiting:
            self._refuse(self.waiting.popleft(), reason)

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
        another = version.generation != self.version.generation
        self.version = version
        if another:
            self.expected_mib, self.measured = UNKNOWN_MIB, False
        elif version.state != "Deleting":
            return
        if version.state == "Deleting" and self.provisioned is not None:
            self.provisioned.want(0)
        idle, self.idle = self.idle, []
        for environment in idle:
            environment.retire()

    def stop(self) -> None:
        """The node is stopping: nobody waits any longer, and everything goes."""
        if self.provisioned is not None:
            self.provisioned.want(0)
        while self.waiting:
            self._refuse(self.waiting.popleft(), "the node is stopping")
        for environment in list(self.everyone):
            environment.retire()

    def _refuse(self, invocation: Invocation, reason: str) -> None:
        invocation.done(
            Outcome(payload=faults.error_body(faults.FAILURE, reason), error_type=faults.FAILURE, never_ran=True)
        )
