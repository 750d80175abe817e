"""The one recorder of what functions do: invocations, errors, throttles, durations, what was billed, and rarer things.

Recording adds to a few numbers in memory, for each version as it was called (unqualified, by version, by alias). Every
ten seconds of the clock the sums go to the log database: metrics by the minute in which invocations began, as
CloudWatch keeps them, what would be billed by the day (used_days.py). A killed node loses the last ten seconds of
counts, no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Sequence
from math import ceil, log
from typing import Protocol

from pilotlight.catalog.records import FunctionVersion
from pilotlight.clock import Clock
from pilotlight.observe import metric_store, used_days
from pilotlight.observe.billing import FREE_STREAMED_BYTES, FREE_TMP_MIB, Used
from pilotlight.observe.database import LogDatabase
from pilotlight.observe.histogram import BUCKETS_PER_E, ZERO, Histogram
from pilotlight.observe.lambda_metrics import Functions, LambdaMetrics, Peak
from pilotlight.observe.logs import LogStore
from pilotlight.observe.metric_store import SeriesIds
from pilotlight.observe.metrics import METRICS, Distribution, Series
from pilotlight.observe.totals import Totals
from pilotlight.observe.used_days import ProvisionedMeter

_FLUSH_EVERY_MS = 10_000
_KEEP_HOUSE_EVERY_MS = 3_600_000
_MINUTE_MS = 60_000
_LONG_MS = 1000
"""What took longer is counted in the minute in which it began; what was shorter, in the one in which it ended."""

_log = logging.getLogger(__name__)


class Ended(Protocol):
    """What is counted of an invocation that has ended: an `environments.invocation.Outcome`."""

    @property
    def function_error(self) -> str: ...
    @property
    def duration_ms(self) -> float: ...
    @property
    def billed_ms(self) -> int: ...
    @property
    def init_ms(self) -> float | None: ...
    @property
    def provisioned(self) -> bool: ...
    @property
    def streamed_bytes(self) -> int | None: ...


class _Counts:
    """What one value of a function version, called by one qualifier, did since the last flush."""

    __slots__ = (
        "billed_ms",
        "cold_starts",
        "duration_ms",
        "durations",
        "errors",
        "invocations",
        "max_duration_ms",
        "min_duration_ms",
        "minute_ms",
        "provisioned",
        "provisioned_ms",
        "qualifier",
        "streamed_bytes",
        "throttles",
        "version",
    )

    def __init__(self, version: FunctionVersion, qualifier: str | None, minute_ms: int) -> None:
        self.version = version
        self.qualifier = qualifier
        self.minute_ms = minute_ms
        """When they were started; 0 for since the last flush."""
        self.invocations = self.errors = self.throttles = self.cold_starts = self.billed_ms = 0
        self.provisioned = self.provisioned_ms = 0
        """Of the invocations and of what is billed, what ran on provisioned concurrency."""
        self.streamed_bytes = 0
        """Of those that are billed."""
        self.duration_ms = self.max_duration_ms = 0.0
        self.min_duration_ms = math.inf
        self.durations: Histogram = {}

    def measure(self, metrics: LambdaMetrics) -> None:
        durations = Distribution(
            self.invocations, self.duration_ms, self.min_duration_ms, self.max_duration_ms, self.durations
        )
        metrics.invocations(
            self.version,
            self.qualifier,
            invocations=self.invocations,
            errors=self.errors,
            throttles=self.throttles,
            durations=durations,
            minute_ms=self.minute_ms,
        )

    def add_to(self, totals: Totals) -> None:
        totals.ended(
            (self.version.account, self.version.region, self.version.name),
            invocations=self.invocations,
            errors=self.errors,
            throttles=self.throttles,
            cold_starts=self.cold_starts,
            duration_ms=self.duration_ms,
            durations=self.durations,
        )

    def used(self) -> Used:
        version = self.version
        return used_days.used_by(
            version,
            requests=self.invocations - self.provisioned,
            mib_ms=(self.billed_ms - self.provisioned_ms) * version.memory_mib,
            provisioned_requests=self.provisioned,
            provisioned_mib_ms=self.provisioned_ms * version.memory_mib,
            tmp_mib_ms=self.billed_ms * (version.tmp_mib - FREE_TMP_MIB),
            streamed_bytes=self.streamed_bytes,
        )


_Key = int | tuple[int, str] | tuple[int, str | None, int]


class Counters:
    """All on the event loop's thread. `log_store` is running from before `start` until after `stop`.

    A `qualifier` is what the caller named: an alias, a version, or None.
    """

    def __init__(self, log_store: LogStore, clock: Clock, functions: Functions) -> None:
        self._store = log_store
        self._clock = clock
        self._functions = functions
        self.provisioned = ProvisionedMeter(clock)
        self._counts: dict[_Key, _Counts] = {}
        """By the identity of the version's value, which its _Counts keeps alive: the cheapest key there is."""
        self._events: dict[tuple[int, str | None, str], tuple[FunctionVersion, Distribution]] = {}
        self._take_peaks: Callable[[], Sequence[Peak]] = tuple
        self.totals = Totals()
        """Since this was made; what is not flushed yet is not in it."""
        self._series_ids = SeriesIds()
        self._one_flush = asyncio.Lock()
        self._kept_until_ms = 0

    async def start(self) -> None:
        self._flushing = asyncio.create_task(self._flush_by_the_clock())

    async def stop(self) -> None:
        self._flushing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._flushing
        await self.flush()

    def invoked(self, version: FunctionVersion, qualifier: str | None, outcome: Ended) -> None:
        """One invocation has ended: it ran, whatever came of it. A function error counts as one, a timeout too."""
        duration_ms = outcome.duration_ms
        if duration_ms > _LONG_MS:
            counts = self._of_its_minute(version, qualifier, duration_ms)
        else:
            key = id(version) if qualifier is None else (id(version), qualifier)
            counts = self._counts.get(key) or self._of(key, version, qualifier)
        counts.invocations += 1
        counts.duration_ms += duration_ms
        counts.billed_ms += outcome.billed_ms
        if duration_ms > counts.max_duration_ms:
            counts.max_duration_ms = duration_ms
        if duration_ms < counts.min_duration_ms:
            counts.min_duration_ms = duration_ms
        # histogram.index_of, written out
        index = ceil(log(duration_ms) * BUCKETS_PER_E) if duration_ms > 0 else ZERO
        durations = counts.durations
        durations[index] = durations.get(index, 0) + 1
        if outcome.function_error:
            counts.errors += 1
        if outcome.init_ms is not None:
            counts.cold_starts += 1
        if outcome.provisioned:
            counts.provisioned += 1
            counts.provisioned_ms += outcome.billed_ms
        if outcome.streamed_bytes is not None and outcome.streamed_bytes > FREE_STREAMED_BYTES:
            counts.streamed_bytes += outcome.streamed_bytes - FREE_STREAMED_BYTES

    def throttled(self, version: FunctionVersion, qualifier: str | None) -> None:
        """One request was refused for want of concurrency; it is no invocation."""
        key = id(version) if qualifier is None else (id(version), qualifier)
        (self._counts.get(key) or self._of(key, version, qualifier)).throttles += 1

    def count(self, metric: str, version: FunctionVersion, qualifier: str | None, value: float = 1) -> None:
        """One of the rarer things that metrics.METRICS names happened to a function: a dead letter not delivered ..."""
        self.observe(metric, version, qualifier, value)

    def observe(self, metric: str, version: FunctionVersion, qualifier: str | None, value: float) -> None:
        """One value of a metric that has a distribution, in the metric's unit: how old an event was ..."""
        if metric not in METRICS:
            raise ValueError(f"Lambda has no metric {metric}")
        key = (id(version), qualifier, metric)
        found = self._events.get(key)
        if found is None:
            found = self._events[key] = (version, Distribution())
        found[1].record(value)

    def watch(self, take_peaks: Callable[[], Sequence[Peak]]) -> None:
        """Have `take_peaks` asked at each flush what ran at once since the last."""
        self._take_peaks = take_peaks

    def _of(self, key: _Key, version: FunctionVersion, qualifier: str | None, minute_ms: int = 0) -> _Counts:
        found = self._counts[key] = _Counts(version, qualifier, minute_ms)
        return found

    def _of_its_minute(self, version: FunctionVersion, qualifier: str | None, duration_ms: float) -> _Counts:
        """Where to count what began so long ago that it may have been in an earlier minute."""
        began_ms = self._clock.time_ms() - int(duration_ms)
        minute_ms = began_ms - began_ms % _MINUTE_MS
        key = (id(version), qualifier, minute_ms)
        return self._counts.get(key) or self._of(key, version, qualifier, minute_ms)

    async def flush(self, due_ms: int | None = None) -> None:
        """Add what was counted since the last time to the minute that it was counted in. What others are adding just
        now is there, too, when this returns. `due_ms`: when this was to be done, if that was a moment ago.

        Whoever waits for it may be cancelled, by a stop or with its client: what was taken to be written is written.
        """
        await asyncio.shield(asyncio.create_task(self._flush(due_ms)))

    async def _flush(self, due_ms: int | None) -> None:
        async with self._one_flush:
            now_ms = self._clock.time_ms()
            # A flush at the full minute brings what was counted before it, also when it comes a little late.
            minute_ms = ((now_ms if due_ms is None else min(now_ms, due_ms)) - 1) // _MINUTE_MS * _MINUTE_MS
            counted, self._counts = self._counts, {}
            events, self._events = self._events, {}
            peaks = [peak for peak in self._take_peaks() if peak.peak or peak.set_aside or peak.provisioned]
            used = self.provisioned.take()
            used += [
                (counts.version.account, counts.minute_ms or minute_ms, counts.used())
                for counts in counted.values()
                if counts.invocations
            ]
            if not (counted or events or peaks or used):
                return

            def total() -> None:
                for counts in counted.values():
                    counts.add_to(self.totals)
                for (_, _, metric), (version, values) in events.items():
                    self.totals.happened((version.account, version.region, version.name), metric, values)

            def write(database: LogDatabase) -> dict[Series, int]:
                new: dict[Series, int] = {}
                metrics = LambdaMetrics(self._functions, minute_ms)
                for counts in counted.values():
                    counts.measure(metrics)
                    metric_store.write(database, metrics.take(), self._series_ids, new)
                for (_, qualifier, metric), (version, values) in events.items():
                    metrics.events(version, qualifier, metric, values)
                metrics.peaks(peaks)
                metric_store.write(database, metrics.take_all(), self._series_ids, new)
                used_days.add(database, used)
                return new

            await asyncio.to_thread(total)  # whether or not there is room on the disk
            self._series_ids.learn(await self._store.change(write))

    async def write(self, batch: metric_store.Batch) -> None:
        """Add metrics that others report: a function of itself, a program of what it likes."""

        def write(database: LogDatabase) -> dict[Series, int]:
            new: dict[Series, int] = {}
            metric_store.write(database, batch, self._series_ids, new)
            return new

        async with self._one_flush:
            self._series_ids.learn(await self._store.change(write))

    async def keep_house(self) -> None:
        """Roll up what has grown old, drop what is too old: a little at a time, so that nothing waits for it."""
        now_ms = self._clock.time_ms()
        await self._store.change(lambda database: used_days.drop_old(database, now_ms))
        while await self._store.change(lambda database: metric_store.roll_up(database, now_ms // 1000)):
            pass
        async with self._one_flush:
            await self._store.change(lambda database: database.run("delete_empty_series"))
            self._series_ids.forget()

    async def _flush_by_the_clock(self) -> None:
        while True:
            now_ms = self._clock.time_ms()
            due_ms = now_ms - now_ms % _FLUSH_EVERY_MS + _FLUSH_EVERY_MS
            await self._clock.sleep_until(due_ms)
            try:
                await self.flush(due_ms)
            except Exception:
                _log.exception("counts of the last ten seconds could not be stored and are lost")
            try:
                if now_ms - self._kept_until_ms > _KEEP_HOUSE_EVERY_MS:
                    self._kept_until_ms = now_ms
                    await self.keep_house()
            except Exception:
                _log.exception("old metrics could not be rolled up; the next round tries again")
