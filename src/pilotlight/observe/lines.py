"""The platform's own log lines with LogFormat Text, to the letter.

They are those of AWS (tabs, trailing newline and all), since people grep, parse and bill by them. Checked against
lines recorded from AWS in 2023 to 2026: a REPORT with a Status has no trailing tab, one without has. With LogFormat
JSON the same moments are the records of platform_events.py.
"""

from __future__ import annotations

import math
import re

import msgspec

_RUNTIME_NAME = re.compile(r"^([a-z]+)\.?(.*?)(?:\.x)?$")
"""`python3.12` is python:3.12 in the INIT_START line, `nodejs22.x` nodejs:22, `provided.al2023` provided:al2023."""


def init_start(runtime: str, runtime_version: str, region: str, version_hash: str) -> str:
    """Opens each initialisation. `runtime` is `python3.12`, `runtime_version` like `v1`; the hash: 64 hex digits."""
    family, number = _RUNTIME_NAME.sub(r"\1 \2", runtime).split(" ")
    return (
        f"INIT_START Runtime Version: {family}:{number}.{runtime_version}\t"
        f"Runtime Version ARN: arn:aws:lambda:{region}::runtime:{version_hash}\n"
    )


def start(request_id: str, version: str) -> str:
    return f"START RequestId: {request_id} Version: {version}\n"


def end(request_id: str) -> str:
    return f"END RequestId: {request_id}\n"


def billed_ms(duration_ms: float, init_duration_ms: float = 0.0) -> int:
    """Whole milliseconds billed: rounded up, at least 1, with the initialisation (as AWS since August 2025)."""
    total_ms = duration_ms + init_duration_ms
    whole_ms = int(total_ms)
    if total_ms - whole_ms > 0.006:  # nearly always: this is four times as fast, and done for each invocation
        return whole_ms + 1
    # Rounded to the printed hundredths first, so that the printed sum and the printed bill never disagree.
    return max(1, math.ceil(round(total_ms, 2)))


def report(
    request_id: str,
    duration_ms: float,
    billed_duration_ms: int,
    memory_mib: int,
    max_memory_used_mib: int,
    init_duration_ms: float | None = None,
    status: str = "",
    error_type: str = "",
    xray: XRayLine | None = None,
    restore_ms: tuple[float, int] | None = None,
) -> str:
    """`status` is empty for a success, else `timeout` or `error`, then with an `error_type`; `restore_ms` the time that
    restoring a snapshot took and what of it is billed."""
    text = (
        f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\tBilled Duration: {billed_duration_ms} ms\t"
        f"Memory Size: {memory_mib} MB\tMax Memory Used: {max_memory_used_mib} MB\t"
    )
    if init_duration_ms is not None:
        text += f"Init Duration: {init_duration_ms:.2f} ms\t"
    if restore_ms is not None:
        text += f"Restore Duration: {restore_ms[0]:.2f} ms\tBilled Restore Duration: {restore_ms[1]} ms\t"
    if status:
        text += f"Status: {status}"
        if error_type:
            text += f"\tError Type: {error_type}"
    if xray is not None:
        # AWS sends both lines as one event.
        text += f"\nXRAY TraceId: {xray.trace_id}\tSegmentId: {xray.segment_id}\tSampled: {str(xray.sampled).lower()}\t"
    return text + "\n"


def init_report(init_ms: float, phase: str, status: str, error_type: str = "") -> str:
    """Closes an initialisation that failed, or one ahead of any invocation (provisioned, or for a snapshot). `phase` is
    `init` or `invoke`, `status` is `success`, `error` or `timeout`."""
    if status == "success":
        return f"INIT_REPORT Init Duration: {init_ms:.2f} ms\n"
    text = f"INIT_REPORT Init Duration: {init_ms:.2f} ms\tPhase: {phase}\tStatus: {status}"
    return f"{text}\tError Type: {error_type}\n" if error_type else f"{text}\n"


def restore_start(runtime: str, runtime_version: str, region: str, version_hash: str) -> str:
    """Opens the restoring of a snapshot, in the words of `init_start`."""
    return "RESTORE" + init_start(runtime, runtime_version, region, version_hash).removeprefix("INIT")


def restore_report(restore_ms: float, status: str = "success", error_type: str = "") -> str:
    """Closes the restoring of a snapshot."""
    text = f"RESTORE_REPORT Restore Duration: {restore_ms:.2f} ms"
    if status != "success":
        text += f"\tStatus: {status}"
    return f"{text}\tError Type: {error_type}\n" if error_type else f"{text}\n"


class XRayLine(msgspec.Struct, frozen=True):
    """What the REPORT of a traced invocation adds."""

    trace_id: str
    segment_id: str
    sampled: bool = True
