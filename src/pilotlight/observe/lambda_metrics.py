"""What was counted of functions, as metrics of the namespace AWS/Lambda: which series each count is part of.

Every count is in four series at most: all functions of the account (no dimension), the function, the function as it
was called (Resource: `name`, `name:alias` or `name:version`), and, called by an alias that divides its calls, the
version that ran (ExecutedVersion). Source: developer guide, "Viewing metrics for Lambda functions".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from pilotlight.catalog.provisioning import provisioned_of
from pilotlight.catalog.records import FunctionVersion
from pilotlight.catalog.views import FunctionView
from pilotlight.observe.histogram import Histogram, index_of
from pilotlight.observe.metric_store import Batch
from pilotlight.observe.metrics import (
    DURATION,
    ERRORS,
    INVOCATIONS,
    METRICS,
    NAMESPACE,
    THROTTLES,
    URL_LATENCY,
    URL_REQUESTS,
    Dimensions,
    Distribution,
    Period,
    Series,
)

Functions = Callable[[str, str, str], FunctionView | None]
"""By account, region and name; None: it has gone."""

_ZERO, _ONE = index_of(0), index_of(1)


class Peak(Protocol):
    """What ran at once since the last time: an `invoke.admission.Peak`."""

    @property
    def account(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def function(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def running(self) -> int: ...
    @property
    def peak(self) -> int: ...
    @property
    def unreserved_peak(self) -> int: ...
    @property
    def set_aside(self) -> int: ...
    @property
    def provisioned(self) -> int: ...
    @property
    def invocations(self) -> int: ...
    @property
    def spillovers(self) -> int: ...


class LambdaMetrics:
    """Gathers one batch; `minute_ms` (epoch) is the minute that it is of, unless said otherwise. What is of all
    functions gathers until the end, the rest can be taken away in between, so that it never is all in memory."""

    def __init__(self, functions: Functions, minute_ms: int) -> None:
        self._functions = functions
        self._period = Period(minute_ms // 1000)
        self._of_functions: Batch = {}
        self._of_accounts: Batch = {}

    def take(self) -> Batch:
        """What was gathered of functions since the last time."""
        taken, self._of_functions = self._of_functions, {}
        return taken

    def take_all(self) -> Batch:
        """What was gathered and not taken."""
        return {**self.take(), **self._of_accounts}

    def invocations(
        self,
        version: FunctionVersion,
        qualifier: str | None,
        *,
        invocations: int,
        errors: int,
        throttles: int,
        durations: Distribution,
        minute_ms: int = 0,
    ) -> None:
        """What came of one version's invocations by one qualifier; `durations` in milliseconds."""
        measured = [(THROTTLES, _yes_or_no(throttles, invocations + throttles))]
        if invocations:
            measured.append((INVOCATIONS, _yes_or_no(invocations, invocations)))
            measured.append((ERRORS, _yes_or_no(errors, invocations)))
            measured.append((DURATION, durations))
        period = Period(minute_ms // 1000) if minute_ms else self._period
        for dimensions in self._dimensions(version, qualifier):
            for name, values in measured:
                self._add(version.account, version.region, name, dimensions, period, values)

    def events(self, version: FunctionVersion, qualifier: str | None, metric: str, values: Distribution) -> None:
        measured = [(metric, values)]
        if metric == URL_LATENCY:
            measured.append((URL_REQUESTS, _yes_or_no(values.count, values.count)))
        for dimensions in self._dimensions(version, qualifier, executed=not metric.startswith("Url")):
            for name, of_name in measured:
                self._add(version.account, version.region, name, dimensions, self._period, of_name)

    def peaks(self, peaks: Iterable[Peak]) -> None:
        for peak in peaks:
            if peak.version:
                self._provisioned(peak)
            elif peak.function:
                if peak.peak:
                    self._level(peak, "ConcurrentExecutions", (("FunctionName", peak.function),), peak.peak)
            elif peak.peak or peak.set_aside:
                self._level(peak, "ConcurrentExecutions", (), peak.peak)
                self._level(peak, "UnreservedConcurrentExecutions", (), peak.unreserved_peak)
                self._level(peak, "ClaimedAccountConcurrency", (), peak.unreserved_peak + peak.set_aside)

    def _provisioned(self, peak: Peak) -> None:
        name = peak.function
        by_function: Dimensions = (("FunctionName", name),)
        found: list[Dimensions] = [by_function]
        view = self._functions(peak.account, peak.region, name)
        for qualifier in view.function.provisioned if view else ():
            if view is not None and peak.version in provisioned_of(view.function, qualifier):
                found.append((*by_function, ("Resource", f"{name}:{qualifier}")))
        for dimensions in found:
            if peak.provisioned:
                self._level(peak, "ProvisionedConcurrentExecutions", dimensions, peak.peak)
                self._level(peak, "ProvisionedConcurrencyUtilization", dimensions, peak.peak / peak.provisioned)
            for metric, count in (
                ("ProvisionedConcurrencyInvocations", peak.invocations),
                ("ProvisionedConcurrencySpilloverInvocations", peak.spillovers),
            ):
                if count:
                    self._add(peak.account, peak.region, metric, dimensions, self._period, _yes_or_no(count, count))

    def _level(self, peak: Peak, metric: str, dimensions: Dimensions, value: float) -> None:
        values = Distribution()
        values.record(value)
        self._add(peak.account, peak.region, metric, dimensions, self._period, values)

    def _add(
        self, account: str, region: str, metric: str, dimensions: Dimensions, period: Period, values: Distribution
    ) -> None:
        key = (Series(account, region, NAMESPACE, metric, dimensions, METRICS[metric].unit), period)
        batch = self._of_functions if dimensions else self._of_accounts
        known = batch.get(key)
        if known is None:
            known = batch[key] = Distribution()
        known.merge(values)

    def _dimensions(
        self, version: FunctionVersion, qualifier: str | None, *, executed: bool = True
    ) -> list[Dimensions]:
        name = version.name
        resource = f"{name}:{qualifier}" if qualifier else name
        found: list[Dimensions] = [
            (),
            (("FunctionName", name),),
            (("FunctionName", name), ("Resource", resource)),
        ]
        if executed and qualifier and self._divides(version, qualifier):
            found.append((("ExecutedVersion", version.version), ("FunctionName", name), ("Resource", resource)))
        return found

    def _divides(self, version: FunctionVersion, qualifier: str) -> bool:
        view = self._functions(version.account, version.region, version.name)
        alias = view.function.aliases.get(qualifier) if view else None
        return alias is not None and bool(alias.weights)


def _yes_or_no(yes: float, count: float) -> Distribution:
    """`yes` ones among `count` values, the rest zeros: how AWS counts what an invocation came to."""
    histogram: Histogram = {_ONE: yes} if yes else {}
    if yes < count:
        histogram[_ZERO] = count - yes
    return Distribution(count, yes, 1.0 if yes == count else 0.0, 1.0 if yes else 0.0, histogram)
