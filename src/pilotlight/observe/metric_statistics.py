"""CloudWatch's statistics, computed of a distribution: sums and extremes exactly, percentiles and trimmed statistics
from the histogram, whose values are RELATIVE_ERROR off at most.

Source: Amazon CloudWatch user guide, "CloudWatch statistics definitions": percentiles (p), trimmed mean (tm), count
(tc) and sum (ts), winsorized mean (wm), the interquartile mean (IQM) and the percentile rank (PR). Bounds are ranks
when they are in per cent and values otherwise; the lower one is outside of the range and the upper one in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

from pilotlight.observe.histogram import value_of
from pilotlight.observe.metrics import Distribution

Statistic = Callable[[Distribution], float | None]
"""None: not to be had of this distribution, which is then left out, as CloudWatch does."""

_SHORT = re.compile(r"(p|tm|tc|ts|wm)(\d{1,3}(?:\.\d{1,10})?)", re.IGNORECASE)
_RANGE = re.compile(r"(TM|TC|TS|WM|PR)\((\d+(?:\.\d{1,10})?%?)?:(\d+(?:\.\d{1,10})?%?)?\)", re.IGNORECASE)

#: GetMetricStatistics' `Statistics`
SIMPLE: dict[str, Callable[[Distribution], float]] = {
    "SampleCount": lambda values: values.count,
    "Sum": lambda values: values.sum,
    "Average": lambda values: values.sum / values.count,
    "Minimum": lambda values: values.minimum,
    "Maximum": lambda values: values.maximum,
}


def statistic(name: str) -> Statistic | None:
    """The statistic of that name, GetMetricData's `Stat`; None when there is none."""
    simple = SIMPLE.get(name)
    return simple if simple is not None else extended(name)


def extended(name: str) -> Statistic | None:
    """One of `ExtendedStatistics`."""
    if name.upper() == "IQM":
        return _within("TM", 25, 75)
    if short := _SHORT.fullmatch(name):
        kind, percent = short[1].upper(), float(short[2])
        if percent > 100:
            return None
        if kind == "P":
            return _complete(lambda values: percentile(values, percent))
        return _within(kind, 0, percent)
    if not (ranged := _RANGE.fullmatch(name)):
        return None
    kind, low, high = ranged[1].upper(), ranged[2], ranged[3]
    if not (low or high):
        return None
    in_percent = {bound.endswith("%") for bound in (low, high) if bound}
    if len(in_percent) > 1 or (kind == "PR" and in_percent == {True}):
        return None
    if in_percent == {True}:
        from_percent, to_percent = float(low[:-1]) if low else 0.0, float(high[:-1]) if high else 100.0
        return _within(kind, from_percent, to_percent) if from_percent < to_percent <= 100 else None
    from_value, to_value = float(low) if low else -math.inf, float(high) if high else math.inf
    return _between(kind, from_value, to_value) if from_value < to_value else None


def percentile(values: Distribution, percent: float) -> float:
    """The smallest value that `percent` of all values do not exceed (nearest rank)."""
    rank = max(values.count * percent / 100, 1e-9)
    seen = 0.0
    for value, count in _in_order(values):
        seen += count
        if seen >= rank - 1e-9:
            return value
    return values.maximum


def _complete(compute: Statistic) -> Statistic:
    return lambda values: compute(values) if values.complete else None


def _within(kind: str, low: float, high: float) -> Statistic:
    """Of the values that rank behind `low` per cent and up to `high` per cent."""

    def compute(values: Distribution) -> float | None:
        begin, end = values.count * low / 100, values.count * high / 100
        count = total = seen = 0.0
        lowest = highest = None
        for value, times in _in_order(values):
            inside = min(seen + times, end) - max(seen, begin)
            seen += times
            if inside > 0:
                count += inside
                total += inside * value
                lowest = value if lowest is None else lowest
                highest = value
        return _result(kind, values, count, total, (lowest, begin), (highest, values.count - end))

    return _complete(compute)


def _between(kind: str, low: float, high: float) -> Statistic:
    """Of the values above `low` and up to `high`."""

    def compute(values: Distribution) -> float | None:
        count = total = below = above = 0.0
        for value, times in _in_order(values):
            if value <= low:
                below += times
            elif value > high:
                above += times
            else:
                count += times
                total += times * value
        return _result(kind, values, count, total, (low, below), (high, above))

    return _complete(compute)


def _result(
    kind: str,
    values: Distribution,
    count: float,
    total: float,
    below: tuple[float | None, float],
    above: tuple[float | None, float],
) -> float | None:
    """`below` and `above`: the value that stands for those outside the range, and how many they are."""
    if kind == "TC":
        return count
    if kind == "TS":
        return total
    if kind == "PR":
        return 100 * count / values.count
    if kind == "WM":
        for value, times in (below, above):
            if times > 0 and value is not None and math.isfinite(value):
                count += times
                total += times * value
    return total / count if count else None


def _in_order(values: Distribution) -> Iterator[tuple[float, float]]:
    """(value, how often), from the smallest on; no value beyond the extremes, which are known exactly."""
    for index in sorted(values.histogram):
        yield min(max(value_of(index), values.minimum), values.maximum), values.histogram[index]
