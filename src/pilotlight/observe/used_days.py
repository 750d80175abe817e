"""What functions used that AWS would bill: sums by day (UTC) in the log database, kept for sixteen months, so that a
year can be compared with the one before. What invocations use is counted by counters.py, provisioned concurrency here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from pilotlight.catalog.records import FunctionVersion
from pilotlight.clock import Clock
from pilotlight.observe.billing import Used
from pilotlight.observe.database import LogDatabase

_DAY_MS = 86_400_000
_KEPT_MS = 16 * 31 * _DAY_MS
#: AWS rounds the time up to this
_BLOCK_MS = 300_000

Row = tuple[str, int, Used]
"""(account, a moment of the day, what was used)."""
Provisioned = Callable[[], Iterable[tuple[FunctionVersion, int]]]
"""The versions that have provisioned concurrency, and how much is asked for."""


def add(database: LogDatabase, rows: Iterable[Row]) -> None:
    for account, at_ms, used in rows:
        day_ms = at_ms - at_ms % _DAY_MS
        database.run("add_used", account=account, day_ms=day_ms, **msgspec.structs.asdict(used))


def drop_old(database: LogDatabase, now_ms: int) -> None:
    database.run("delete_old_used", before_ms=now_ms - _KEPT_MS)


def used_by(version: FunctionVersion, **amounts: int) -> Used:
    return Used(
        region=version.region,
        function=version.name,
        version=version.version,
        architecture=version.architecture,
        **amounts,
    )


class _Block(msgspec.Struct):
    until_ms: int
    count: int = 0


class ProvisionedMeter:
    """Provisioned concurrency costs what is asked for from the moment it is, in steps of five minutes, used or not; and
    initialising its environments costs what running on it does. What a node does not run costs nothing.

    Source: https://aws.amazon.com/lambda/pricing/, "Provisioned Concurrency Pricing".
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._provisioned: Provisioned = tuple
        self._blocks: dict[tuple[str, str, str, str], _Block] = {}
        """What is counted already."""
        self._rows: list[Row] = []

    def watch(self, provisioned: Provisioned) -> None:
        self._provisioned = provisioned

    def initialized(self, version: FunctionVersion, init_ms: float) -> None:
        """One of its environments was."""
        mib_ms = max(1, -int(-init_ms // 1)) * version.memory_mib
        self._rows.append((version.account, self._clock.time_ms(), used_by(version, provisioned_mib_ms=mib_ms)))

    def take(self) -> list[Row]:
        """What has been used since the last time; to be asked again and again."""
        now_ms = self._clock.steady_ms()
        blocks: dict[tuple[str, str, str, str], _Block] = {}
        for version, count in self._provisioned():
            key = (version.account, version.region, version.name, version.version)
            block = blocks[key] = self._blocks.get(key) or _Block(now_ms)
            kept_ms = 0
            if count > block.count and now_ms < block.until_ms:
                kept_ms = (count - block.count) * (block.until_ms - now_ms)
                block.count = count
            while block.until_ms <= now_ms:
                kept_ms += count * _BLOCK_MS
                block.until_ms += _BLOCK_MS
                block.count = count
            if kept_ms:
                used = used_by(version, kept_mib_ms=kept_ms * version.memory_mib)
                self._rows.append((version.account, self._clock.time_ms(), used))
        self._blocks = blocks
        rows, self._rows = self._rows, []
        return rows
