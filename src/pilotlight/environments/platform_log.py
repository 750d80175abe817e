"""The platform's log lines of one environment, in its function's log format.

Text lines are strings built once per event from `observe.lines`; with LogFormat JSON the same moments are records of
the Telemetry API's schema, END has none, and SystemLogLevel decides which are written. Source: developer guide,
"Log-level filtering" (system log level event mapping).
"""

from __future__ import annotations

from pilotlight.catalog.records import FunctionVersion
from pilotlight.environments.invocation import Initialization, Outcome
from pilotlight.observe import lines

RUNTIME_VERSION = "v1"


class PlatformLog:
    """Makes messages; each method gives what is to be logged, "" for nothing. Times are epoch milliseconds."""

    __slots__ = ("_initialization", "_json", "_memory_mib", "_only_warnings", "_version", "notice")

    def __init__(self, version: FunctionVersion, initialization: Initialization = "on-demand") -> None:
        self._version = version
        self._initialization = initialization
        self._memory_mib = version.memory_mib
        self._json = version.log_format == "JSON"
        self._only_warnings = self._json and version.system_log_level == "WARN"
        self.notice = ""
        """Added to each START: which interpreter runs, when it is not the one asked for."""

    def init_start(self, at_ms: int) -> str:
        version = self._version
        if self._only_warnings:
            return ""
        arn = version.runtime_version_arn
        if self._json:
            family = f"{version.runtime.replace('python', 'python:')}.{RUNTIME_VERSION}"
            return lines.json_init_start(at_ms, family, arn, version.name, version.version, self._initialization)
        return lines.init_start(version.runtime, RUNTIME_VERSION, version.region, arn.rpartition(":")[2])

    def init_report(self, at_ms: int, init_ms: float, phase: str, status: str, error_type: str) -> str:
        if self._json:
            return lines.json_init_report(at_ms, init_ms, phase, status, error_type, self._initialization)
        return lines.init_report(init_ms, phase, status, error_type)

    def start(self, at_ms: int, request_id: str) -> str:
        if self._json:
            return "" if self._only_warnings else lines.json_start(at_ms, request_id, self._version.version)
        text = lines.start(request_id, self._version.version)
        return f"{text[:-1]} {self.notice}\n" if self.notice else text

    def end(self, request_id: str) -> str:
        return "" if self._json else lines.end(request_id)

    def report(self, at_ms: int, request_id: str, outcome: Outcome, status: str) -> str:
        """`status` is "" for an invocation whose runtime lives on, else `error` or `timeout`."""
        error_type = outcome.error_type if status == "error" else ""
        if self._json:
            status = status or ("error" if outcome.function_error else "success")
            if self._only_warnings and status == "success":
                return ""
            return lines.json_report(
                at_ms,
                request_id,
                outcome.duration_ms,
                outcome.billed_ms,
                self._memory_mib,
                outcome.max_memory_mib,
                outcome.init_ms,
                status,
                error_type,
            )
        return lines.report(
            request_id,
            outcome.duration_ms,
            outcome.billed_ms,
            self._memory_mib,
            outcome.max_memory_mib,
            outcome.init_ms,
            status,
            error_type,
        )
