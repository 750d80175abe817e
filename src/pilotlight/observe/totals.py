"""What each function did since the node started: counters that only grow, for Prometheus.

Only functions that did something are in it. The lines of a function are written once and kept until it does something
again, so that a scrape of ten thousand functions of which few are busy costs little. Counts are added in the thread
that flushes them and read in the one that answers a scrape, under a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cache

from pilotlight.observe.exposition import Lines, labels
from pilotlight.observe.histogram import Histogram, value_of
from pilotlight.observe.metrics import Distribution

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300)
"""Of the buckets of durations. What falls into which is known to 1 % of the duration."""

FunctionKey = tuple[str, str, str]

#: rarer metrics of Lambda -> the counter of them
EVENT_COUNTERS = {
    "AsyncEventsReceived": "pilotlight_async_events_received_total",
    "AsyncEventsDropped": "pilotlight_async_events_dropped_total",
    "DeadLetterErrors": "pilotlight_dead_letter_errors_total",
    "DestinationDeliveryFailures": "pilotlight_destination_delivery_failures_total",
    "RecursiveInvocationsDropped": "pilotlight_recursive_invocations_dropped_total",
    "UrlRequestCount": "pilotlight_url_requests_total",
    "Url4xxCount": "pilotlight_url_4xx_total",
    "Url5xxCount": "pilotlight_url_5xx_total",
}
#: rarer metrics of Lambda in milliseconds -> the summary of them
EVENT_SUMMARIES = {
    "AsyncEventAge": "pilotlight_async_event_age_seconds",
    "UrlRequestLatency": "pilotlight_url_request_latency_seconds",
}
DURATION = "pilotlight_duration_seconds"


class _Total:
    __slots__ = (
        "cold_starts",
        "durations",
        "errors",
        "events",
        "invocations",
        "lines",
        "slots",
        "throttles",
    )

    def __init__(self) -> None:
        self.invocations = self.errors = self.throttles = self.cold_starts = 0
        self.durations = 0.0
        """In seconds, all together."""
        self.slots = [0.0] * (len(BOUNDS_S) + 1)
        """How many durations are up to each bound, and beyond the last."""
        self.events: dict[str, tuple[float, float]] = {}
        """Metric -> sum, and how many."""
        self.lines: Lines | None = None


class Totals:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._functions: dict[FunctionKey, _Total] = {}

    def ended(
        self,
        key: FunctionKey,
        *,
        invocations: int,
        errors: int,
        throttles: int,
        cold_starts: int,
        duration_ms: float,
        durations: Histogram,
    ) -> None:
        with self._lock:
            total = self._of(key)
            total.invocations += invocations
            total.errors += errors
            total.throttles += throttles
            total.cold_starts += cold_starts
            total.durations += duration_ms / 1000
            for index, count in durations.items():
                total.slots[_slot(index)] += count

    def happened(self, key: FunctionKey, metric: str, values: Distribution) -> None:
        with self._lock:
            total = self._of(key)
            together, count = total.events.get(metric, (0.0, 0.0))
            total.events[metric] = (together + values.sum, count + values.count)

    def lines(self) -> Lines:
        """Family -> its lines, of all functions."""
        together: Lines = {}
        with self._lock:
            for key, total in self._functions.items():
                if total.lines is None:
                    total.lines = _written(key, total)
                for family, lines in total.lines.items():
                    together.setdefault(family, []).extend(lines)
        return together

    def _of(self, key: FunctionKey) -> _Total:
        total = self._functions.get(key)
        if total is None:
            total = self._functions[key] = _Total()
        total.lines = None
        return total


@cache
def _slot(index: int) -> int:
    """Which bucket of Prometheus's a bucket of ours falls into."""
    seconds = value_of(index) / 1000
    return next((slot for slot, bound in enumerate(BOUNDS_S) if seconds <= bound), len(BOUNDS_S))


def _written(key: FunctionKey, total: _Total) -> Lines:
    account, region, function = key
    inside = labels(account=account, region=region, function=function)
    found: Lines = {
        f"pilotlight_{name}_total": [f"pilotlight_{name}_total{{{inside}}} {count}"] for name, count in _counts(total)
    }
    if total.invocations:
        found[DURATION] = list(_buckets(inside, total))
    for metric, (together, count) in total.events.items():
        if family := EVENT_COUNTERS.get(metric):
            found[family] = [f"{family}{{{inside}}} {together:.15g}"]
        elif family := EVENT_SUMMARIES.get(metric):
            found[family] = [
                f"{family}_sum{{{inside}}} {together / 1000}",
                f"{family}_count{{{inside}}} {count:.15g}",
            ]
    return found


def _counts(total: _Total) -> Iterable[tuple[str, int]]:
    yield "invocations", total.invocations
    yield "errors", total.errors
    yield "throttles", total.throttles
    yield "cold_starts", total.cold_starts


def _buckets(inside: str, total: _Total) -> Iterable[str]:
    seen = 0
    for bound, count in zip((*BOUNDS_S, "+Inf"), total.slots, strict=True):
        seen += int(count)
        yield f'{DURATION}_bucket{{{inside},le="{bound}"}} {seen}'
    yield f"{DURATION}_sum{{{inside}}} {total.durations}"
    yield f"{DURATION}_count{{{inside}}} {seen}"
