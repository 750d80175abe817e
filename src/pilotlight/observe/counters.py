"""What each version of each function did: invocations, errors, throttles, durations, what was billed.

Counting adds to a few numbers in memory; every ten seconds of the clock the sums go to the log database, by minute, as
CloudWatch keeps them. A killed node loses the last ten seconds of counts, no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import msgspec

from pilotlight.catalog.records import FunctionVersion
from pilotlight.clock import Clock
from pilotlight.observe import billing
from pilotlight.observe.database import LogDatabase
from pilotlight.observe.logs import LogStore

_FLUSH_EVERY_MS = 10_000
_MINUTE_MS = 60_000
_KEPT_MS = 63 * 86_400_000
"""CloudWatch keeps periods of a few minutes for 63 days."""

_log = logging.getLogger(__name__)


class Use(msgspec.Struct, frozen=True):
    """Sums over a time, of one function version."""

    function: str
    version: str
    invocations: int = 0
    errors: int = 0
    throttles: int = 0
    cold_starts: int = 0
    duration_ms: float = 0.0
    max_duration_ms: float = 0.0
    billed_ms: int = 0
    mib_ms: int = 0
    """Memory times billed duration."""

    @property
    def gb_seconds(self) -> float:
        return self.mib_ms / 1_024_000

    def cost(self, *, free_tier: bool = False) -> billing.Cost:
        """What AWS would charge for it."""
        return billing.cost(self.invocations, self.gb_seconds, free_tier=free_tier)


class _Counts:
    """What one value of a function version did since the last flush."""

    __slots__ = (
        "billed_ms",
        "cold_starts",
        "duration_ms",
        "errors",
        "invocations",
        "max_duration_ms",
        "throttles",
        "version",
    )

    def __init__(self, version: FunctionVersion) -> None:
        self.version = version
        self.invocations = self.errors = self.throttles = self.cold_starts = self.billed_ms = 0
        self.duration_ms = self.max_duration_ms = 0.0

    def values(self) -> dict[str, Any]:
        """By the columns of the table `uses`, but the minute."""
        version = self.version
        counted = {name: getattr(self, name) for name in self.__slots__ if name != "version"}
        return counted | {
            "account": version.account,
            "region": version.region,
            "function": version.name,
            "version": version.version,
            "mib_ms": self.billed_ms * version.memory_mib,
        }


class Counters:
    """All on the event loop's thread. `log_store` is running from before `start` until after `stop`."""

    def __init__(self, log_store: LogStore, clock: Clock) -> None:
        self._store = log_store
        self._clock = clock
        self._counts: dict[int, _Counts] = {}
        """By the identity of the version's value, which its _Counts keeps alive: the cheapest key there is."""
        self._dropped_until_ms = 0

    async def start(self) -> None:
        self._flushing = asyncio.create_task(self._flush_by_the_clock())

    async def stop(self) -> None:
        self._flushing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._flushing
        await self.flush()

    def invoked(
        self, version: FunctionVersion, duration_ms: float, billed_ms: int, failed: bool, cold: bool = False
    ) -> None:
        """One invocation has ended. `failed` is a function error, a timeout included."""
        counts = self._counts.get(id(version)) or self._of(version)
        counts.invocations += 1
        counts.duration_ms += duration_ms
        counts.billed_ms += billed_ms
        if duration_ms > counts.max_duration_ms:
            counts.max_duration_ms = duration_ms
        if failed:
            counts.errors += 1
        if cold:
            counts.cold_starts += 1

    def throttled(self, version: FunctionVersion) -> None:
        """One request was refused for want of concurrency; it is no invocation."""
        self._of(version).throttles += 1

    def _of(self, version: FunctionVersion) -> _Counts:
        found = self._counts.get(id(version))
        if found is None:
            found = self._counts[id(version)] = _Counts(version)
        return found

    async def uses(self, account: str, region: str, function: str = "", since_ms: int = 0) -> list[Use]:
        """Sums by function and version, of the minutes from `since_ms` (epoch) on; one function's, or all."""
        await self.flush()
        rows = await self._store.read(
            lambda database: database.run(
                "sum_uses",
                account=account,
                region=region,
                function=function,
                since_ms=since_ms - since_ms % _MINUTE_MS,
            )
        )
        return [Use(*row) for row in rows]

    async def flush(self) -> None:
        """Add what was counted since the last time to the minute that it was counted in."""
        now_ms = self._clock.time_ms()
        # A flush at the full minute brings what was counted before it.
        minute_ms = (now_ms - 1) // _MINUTE_MS * _MINUTE_MS
        counted, self._counts = self._counts, {}
        drop = now_ms - self._dropped_until_ms > 3_600_000

        def write(database: LogDatabase) -> None:
            for counts in counted.values():
                database.run("add_use", minute_ms=minute_ms, **counts.values())
            if drop:
                database.run("delete_old_uses", before_ms=now_ms - _KEPT_MS)

        if counted or drop:
            self._dropped_until_ms = now_ms if drop else self._dropped_until_ms
            await self._store.change(write)

    async def _flush_by_the_clock(self) -> None:
        while True:
            now_ms = self._clock.time_ms()
            await self._clock.sleep_until(now_ms - now_ms % _FLUSH_EVERY_MS + _FLUSH_EVERY_MS)
            try:
                await self.flush()
            except Exception:
                _log.exception("counts of the last ten seconds could not be stored and are lost")
