"""Prometheus's text format (0.0.4): every family a node shows, and how a page of them is written.

The format is a dozen lines of code, and what is shown comes ready from elsewhere: no client library is in between.
Every family has its paragraph in docs/metrics.md, and a test says so. Source:
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from typing import Literal

import msgspec

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Lines = dict[str, list[str]]
"""Family -> its lines, without the two that introduce it."""


class Family(msgspec.Struct, frozen=True):
    kind: Literal["counter", "gauge", "histogram", "summary"]
    help: str


FAMILIES: dict[str, Family] = {
    "pilotlight_info": Family("gauge", "The version of the node, as a label."),
    "pilotlight_invocations_total": Family("counter", "Invocations that ran, since the node started."),
    "pilotlight_errors_total": Family("counter", "Invocations that ended in a function error, timeouts included."),
    "pilotlight_throttles_total": Family("counter", "Requests refused for want of concurrency."),
    "pilotlight_cold_starts_total": Family("counter", "Invocations that an environment was initialised for."),
    "pilotlight_duration_seconds": Family("histogram", "How long functions ran, as Lambda's Duration."),
    "pilotlight_async_events_received_total": Family("counter", "Events accepted for asynchronous invocation."),
    "pilotlight_async_events_dropped_total": Family("counter", "Events given up without having been run to success."),
    "pilotlight_async_event_age_seconds": Family("summary", "How old events were when they were run."),
    "pilotlight_dead_letter_errors_total": Family("counter", "Events that could not be sent to a dead-letter queue."),
    "pilotlight_destination_delivery_failures_total": Family("counter", "Results that no destination took."),
    "pilotlight_recursive_invocations_dropped_total": Family("counter", "Invocations stopped as part of a loop."),
    "pilotlight_url_requests_total": Family("counter", "Requests to function URLs."),
    "pilotlight_url_4xx_total": Family("counter", "Requests to function URLs that were answered with 400 to 499."),
    "pilotlight_url_5xx_total": Family("counter", "Requests to function URLs that were answered with 500 to 599."),
    "pilotlight_url_request_latency_seconds": Family("summary", "How long requests to function URLs took."),
    "pilotlight_concurrent_executions": Family("gauge", "Invocations running now."),
    "pilotlight_environments": Family("gauge", "Execution environments, by state."),
    "pilotlight_environments_memory_bytes": Family("gauge", "Memory that environments use, as last measured."),
    "pilotlight_environments_memory_limit_bytes": Family("gauge", "Memory that environments may use in all."),
    "pilotlight_async_queue_events": Family("gauge", "Events on the queue of a function, running ones included."),
    "pilotlight_deliveries_waiting": Family("gauge", "Results and events on their way to a target, by target."),
    "pilotlight_log_events_stored_total": Family("counter", "Log events written."),
    "pilotlight_log_events_dropped_total": Family("counter", "Log events lost: faster than they could be written."),
    "pilotlight_log_waiting_bytes": Family("gauge", "Log text handed over and not yet written."),
    "process_cpu_seconds_total": Family("counter", "User and system time of the node's own process."),
    "process_open_fds": Family("gauge", "Open file descriptors of the node's own process."),
    "process_resident_memory_bytes": Family("gauge", "Resident memory of the node's own process."),
    "process_start_time_seconds": Family("gauge", "When the node's process started, in seconds since the epoch."),
}

Gauge = tuple[str, dict[str, str], float]
"""Family, labels, value."""

_STARTED_S = time.time()


def labels(**values: str) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items())


def line(family: str, values: dict[str, str], number: float) -> str:
    inside = f"{{{labels(**values)}}}" if values else ""
    return f"{family}{inside} {number:.15g}"


def page(functions: Lines, gauges: Iterable[Gauge]) -> bytes:
    """The whole answer to a scrape."""
    together = dict(functions)
    for family, values, number in (*gauges, *_process()):
        together.setdefault(family, []).append(line(family, values, number))
    pieces: list[str] = []
    for name, family in FAMILIES.items():
        if lines := together.pop(name, None):
            pieces.append(f"# HELP {name} {family.help}\n# TYPE {name} {family.kind}\n")
            pieces += [text + "\n" for text in lines]
    assert not together, f"families that are not declared: {', '.join(together)}"
    return "".join(pieces).encode()


def _process() -> Iterable[Gauge]:
    times = os.times()
    yield "process_cpu_seconds_total", {}, times.user + times.system
    yield "process_start_time_seconds", {}, _STARTED_S
    with contextlib.suppress(OSError):  # elsewhere than on Linux
        yield "process_open_fds", {}, float(len(os.listdir("/proc/self/fd")))
        with open("/proc/self/statm") as file:
            yield "process_resident_memory_bytes", {}, float(int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE"))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
