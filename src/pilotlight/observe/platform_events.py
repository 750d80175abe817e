"""The platform's log events with LogFormat JSON: records of the Telemetry API's schema (2022-12-13), and their levels.

Order of members and what is left out are those of lines recorded from AWS in 2024 and 2026 (no `tracing` without
sampling, no `errorType` on a timeout). Levels are the developer guide's "System log level event mapping". A builder is
only called when its event is to be written: see `environments/platform_log.py`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

DEBUG, INFO, WARN = 2, 3, 4
"""As awslambdaric numbers levels in its frames, from TRACE (1) to FATAL (6)."""

LEVELS = {"TRACE": 1, "DEBUG": DEBUG, "INFO": INFO, "WARN": WARN, "ERROR": 5, "FATAL": 6}

_OWN_ERROR_TYPE = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")


def level(event: str, status: str = "success", *, initialization: str = "on-demand", versioned: bool = True) -> int:
    """The mapping, row for row. `status` is an extension's state for `extension`; `versioned`: the runtime has a
    version to tell (container images have none)."""
    match event:
        case "initStart" | "restoreStart":
            return INFO if versioned else DEBUG
        case "initReport" if status == "success":
            return DEBUG if initialization == "on-demand" else INFO
        case "initRuntimeDone" | "restoreRuntimeDone" | "runtimeDone" if status == "success":
            return DEBUG
        case "restoreReport" | "report" | "extension" if status == "success":
            return INFO
        case "start" | "telemetrySubscription" | "logsSubscription":
            return INFO
        case _:  # logsDropped, and whatever did not succeed
            return WARN


def platform_error_type(error_type: str) -> str:
    """How the platform names an error that a runtime reported: only `Runtime.Xxx` and `Function.Xxx` keep their names.

    Source: the Runtime Interface Emulator, `fatalerror.GetValidRuntimeOrFunctionErrorType`.
    """
    if _OWN_ERROR_TYPE.search(error_type):
        return error_type
    return "Function.Unknown" if error_type.startswith("Function.") else "Runtime.Unknown"


class Span(msgspec.Struct, frozen=True):
    """A part of an invocation: `responseLatency` (until the response began) or `responseDuration` (until its end)."""

    name: str
    start_ms: int
    duration_ms: float


class Tracing(msgspec.Struct, frozen=True):
    """Of an invocation that is traced. `value` is the X-Ray header as the function was given it."""

    value: str
    span_id: str = ""


def init_start(
    time_ms: int,
    runtime_version: str,
    runtime_version_arn: str,
    name: str,
    version: str,
    initialization: str = "on-demand",
    phase: str = "init",
) -> str:
    record = {
        "initializationType": initialization,
        "phase": phase,
        "runtimeVersion": runtime_version,
        "runtimeVersionArn": runtime_version_arn,
        "functionName": name,
        "functionVersion": version,
    }
    if not runtime_version:
        del record["runtimeVersion"], record["runtimeVersionArn"]
    return _event(time_ms, "initStart", record)


def init_runtime_done(time_ms: int, phase: str, status: str, error_type: str = "", initialization: str = "") -> str:
    record: dict[str, Any] = {"initializationType": initialization or "on-demand", "phase": phase, "status": status}
    return _event(time_ms, "initRuntimeDone", _with_error(record, error_type))


def init_report(
    time_ms: int, init_ms: float, phase: str, status: str, error_type: str = "", initialization: str = "on-demand"
) -> str:
    record = _with_error({"initializationType": initialization, "phase": phase, "status": status}, error_type)
    record["metrics"] = {"durationMs": round(init_ms, 3)}
    return _event(time_ms, "initReport", record)


def start(time_ms: int, request_id: str, version: str, tracing: Tracing | None = None) -> str:
    return _event(time_ms, "start", _with_tracing({"requestId": request_id, "version": version}, tracing))


def runtime_done(
    time_ms: int,
    request_id: str,
    status: str,
    duration_ms: float,
    produced_bytes: int,
    error_type: str = "",
    spans: tuple[Span, ...] = (),
    tracing: Tracing | None = None,
) -> str:
    record = _with_error({"requestId": request_id, "status": status}, error_type)
    _with_tracing(record, tracing)
    if spans:
        record["spans"] = [
            {"name": span.name, "start": iso_time(span.start_ms), "durationMs": round(span.duration_ms, 3)}
            for span in spans
        ]
    record["metrics"] = {"durationMs": round(duration_ms, 3), "producedBytes": produced_bytes}
    return _event(time_ms, "runtimeDone", record)


def report(
    time_ms: int,
    request_id: str,
    duration_ms: float,
    billed_duration_ms: int,
    memory_mib: int,
    max_memory_used_mib: int,
    init_duration_ms: float | None = None,
    status: str = "success",
    error_type: str = "",
    restore_ms: tuple[float, int] | None = None,
    tracing: Tracing | None = None,
) -> str:
    """`status` is `success`, `timeout`, `error` or `failure`; `restore_ms` the restore's time and what of it is
    billed."""
    metrics: dict[str, float] = {
        "durationMs": round(duration_ms, 3),
        "billedDurationMs": billed_duration_ms,
        "memorySizeMB": memory_mib,
        "maxMemoryUsedMB": max_memory_used_mib,
    }
    if init_duration_ms is not None:
        metrics["initDurationMs"] = round(init_duration_ms, 3)
    if restore_ms is not None:
        metrics["restoreDurationMs"] = round(restore_ms[0], 3)
        metrics["billedRestoreDurationMs"] = restore_ms[1]
    record = _with_tracing({"requestId": request_id, "metrics": metrics}, tracing)
    record["status"] = status
    return _event(time_ms, "report", _with_error(record, error_type))


def restore_start(time_ms: int, runtime_version: str, runtime_version_arn: str, name: str, version: str) -> str:
    record = {
        "runtimeVersion": runtime_version,
        "runtimeVersionArn": runtime_version_arn,
        "functionName": name,
        "functionVersion": version,
    }
    return _event(time_ms, "restoreStart", record)


def restore_runtime_done(time_ms: int, status: str, error_type: str = "") -> str:
    return _event(time_ms, "restoreRuntimeDone", _with_error({"status": status}, error_type))


def restore_report(time_ms: int, restore_ms: float, status: str, error_type: str = "") -> str:
    record = _with_error({"status": status}, error_type)
    record["metrics"] = {"durationMs": round(restore_ms, 3)}
    return _event(time_ms, "restoreReport", record)


def logs_dropped(time_ms: int, records: int, size_bytes: int, reason: str) -> str:
    record = {"droppedBytes": size_bytes, "droppedRecords": records, "reason": reason}
    return _event(time_ms, "logsDropped", record)


def iso_time(time_ms: int) -> str:
    """As AWS writes the `time` of an event: `2024-03-13T18:56:24.046Z`."""
    return f"{_second(time_ms // 1000)}.{time_ms % 1000:03d}Z"


@lru_cache(maxsize=4)
def _second(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _with_error(record: dict[str, Any], error_type: str) -> dict[str, Any]:
    if error_type:
        record["errorType"] = error_type
    return record


def _with_tracing(record: dict[str, Any], tracing: Tracing | None) -> dict[str, Any]:
    if tracing is not None:
        spanned = {"spanId": tracing.span_id} if tracing.span_id else {}
        record["tracing"] = {**spanned, "type": "X-Amzn-Trace-Id", "value": tracing.value}
    return record


def _event(time_ms: int, name: str, record: dict[str, Any]) -> str:
    line = {"time": iso_time(time_ms), "type": f"platform.{name}", "record": record}
    return msgspec.json.encode(line).decode() + "\n"
