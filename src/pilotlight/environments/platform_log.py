"""The platform's log lines of one environment, in its function's log format.

Text lines are strings built once per event from `observe.lines`; with LogFormat JSON the same moments are records of
the Telemetry API's schema (`observe.platform_events`), and SystemLogLevel decides which are built at all: what is
decided by the moment alone is decided when the environment is made.
"""

from __future__ import annotations

from pilotlight.catalog.records import FunctionVersion
from pilotlight.environments.invocation import Initialization, Outcome
from pilotlight.observe import lines, platform_events
from pilotlight.observe.platform_events import LEVELS, Span, Tracing, level
from pilotlight.observe.trace import Trace

RUNTIME_VERSION = "v1"


class PlatformLog:
    """Makes messages; each method gives what is to be logged, "" for nothing. Times are epoch milliseconds."""

    __slots__ = ("_initialization", "_json", "_least", "_memory_mib", "_starts", "_version", "notice")

    def __init__(self, version: FunctionVersion, initialization: Initialization = "on-demand") -> None:
        self._version = version
        self._initialization = initialization
        self._memory_mib = version.memory_mib
        self._json = version.log_format == "JSON"
        self._least = LEVELS[version.system_log_level or "INFO"] if self._json else 0
        self._starts = level("start") >= self._least
        self.notice = ""
        """Added to each START: which interpreter runs, when it is not the one asked for."""

    def init_start(self, at_ms: int, phase: str = "init") -> str:
        version = self._version
        arn = version.runtime_version_arn
        if not self._json:
            return lines.init_start(version.runtime, RUNTIME_VERSION, version.region, arn.rpartition(":")[2])
        if level("initStart") < self._least:
            return ""
        family = f"{version.runtime.replace('python', 'python:')}.{RUNTIME_VERSION}"
        return platform_events.init_start(
            at_ms, family, arn, version.name, version.version, self._initialization, phase
        )

    def initialized(
        self, at_ms: int, init_ms: float, phase: str, status: str = "success", error_type: str = ""
    ) -> list[str]:
        """The end of an initialisation, however it came. Text has a line only of one that failed, or that was made
        ahead of any invocation."""
        if not self._json:
            if status == "success" and (self._initialization == "on-demand" or phase == "invoke"):
                return []
            return [lines.init_report(init_ms, phase, status, error_type)]
        kind = self._initialization
        found: list[str] = []
        if level("initRuntimeDone", status) >= self._least:
            found.append(platform_events.init_runtime_done(at_ms, phase, status, error_type, kind))
        if level("initReport", status, initialization=kind) >= self._least:
            found.append(platform_events.init_report(at_ms, init_ms, phase, status, error_type, kind))
        return found

    def start(self, at_ms: int, request_id: str, trace: Trace | None) -> str:
        if self._json:
            if not self._starts:
                return ""
            return platform_events.start(at_ms, request_id, self._version.version, _tracing(trace))
        text = lines.start(request_id, self._version.version)
        return f"{text[:-1]} {self.notice}\n" if self.notice else text

    def end(self, at_ms: int, request_id: str, outcome: Outcome, status: str) -> str:
        """END, or in JSON that the runtime is done. `status` as in `report`."""
        if not self._json:
            return lines.end(request_id)
        answered = not status
        status = status or ("error" if outcome.function_error else "success")
        if level("runtimeDone", status) < self._least:
            return ""
        return platform_events.runtime_done(
            at_ms,
            request_id,
            status,
            outcome.duration_ms,
            _produced_bytes(outcome) if answered else outcome.streamed_bytes or 0,
            _error_type(outcome, status),
            _spans(at_ms, outcome) if answered else (),
            _tracing(outcome.trace),
        )

    def report(self, at_ms: int, request_id: str, outcome: Outcome, status: str) -> str:
        """`status` is "" for an invocation whose runtime lives on, else `error` or `timeout`."""
        trace = outcome.trace
        if not self._json:
            return lines.report(
                request_id,
                outcome.duration_ms,
                outcome.billed_ms,
                self._memory_mib,
                outcome.max_memory_mib,
                outcome.init_ms,
                status,
                outcome.error_type if status == "error" else "",
                None if trace is None else lines.XRayLine(trace.header.root, trace.span_id),
            )
        status = status or ("error" if outcome.function_error else "success")
        if level("report", status) < self._least:
            return ""
        return platform_events.report(
            at_ms,
            request_id,
            outcome.duration_ms,
            outcome.billed_ms,
            self._memory_mib,
            outcome.max_memory_mib,
            outcome.init_ms,
            status,
            _error_type(outcome, status),
            tracing=_tracing(trace),
        )


def _spans(at_ms: int, outcome: Outcome) -> tuple[Span, Span]:
    """Until the response began, which for one that is not streamed is its end, and from there to its end."""
    latency_ms = outcome.duration_ms if outcome.first_byte_ms is None else outcome.first_byte_ms
    return (
        Span("responseLatency", at_ms - round(outcome.duration_ms), latency_ms),
        Span("responseDuration", at_ms - round(outcome.duration_ms - latency_ms), outcome.duration_ms - latency_ms),
    )


def _produced_bytes(outcome: Outcome) -> int:
    return len(outcome.payload) if outcome.streamed_bytes is None else outcome.streamed_bytes


def _tracing(trace: Trace | None) -> Tracing | None:
    return None if trace is None else Tracing(str(trace.header), trace.span_id)


def _error_type(outcome: Outcome, status: str) -> str:
    return platform_events.platform_error_type(outcome.error_type) if status == "error" else ""
