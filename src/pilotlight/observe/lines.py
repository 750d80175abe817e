"""The platform's own log lines, to the letter, and the parser of what a function prints.

The text lines are those of AWS (tabs, trailing newline and all), since people grep, parse and bill by them. Checked
against lines recorded from AWS in 2025 and 2026: a REPORT with a Status has no trailing tab, one without has.
A runtime process prints into one pipe, so that order is kept: awslambdaric's telemetry frames (`0xa55a00tt`, length
u32, microseconds u64, message; big-endian) and plain text, cut at newlines. `\\r` stays inside its event, as on Lambda.
"""

from __future__ import annotations

import math
import re
import struct
from datetime import UTC, datetime
from typing import Any

import msgspec

MAX_EVENT_BYTES = 1_048_576 - 26
"""CloudWatch Logs' largest event: 1 MB less the 26 bytes counted per event. A longer line goes on in the next event."""

_RUNTIME_NAME = re.compile(r"^([a-z]+)\.?(.*?)(?:\.x)?$")
"""`python3.12` is python:3.12 in the INIT_START line, `nodejs22.x` nodejs:22, `provided.al2023` provided:al2023."""

_MAGIC = b"\xa5\x5a\x00"
_HEADER = struct.Struct(">IIQ")
_MAX_FRAME_BYTES = 64 * 1024 * 1024
_LAST_TIMESTAMP_MS = 253_402_300_799_999
"""The end of the year 9999: a frame with a later time was not written by awslambdaric's clock."""

Line = tuple[int | None, str]
"""Milliseconds since the epoch, or None for "now"; the message, with its newline where it had one."""


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
) -> str:
    """`status` is empty for a success, else `timeout` or `error`, then with an `error_type`."""
    text = (
        f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\tBilled Duration: {billed_duration_ms} ms\t"
        f"Memory Size: {memory_mib} MB\tMax Memory Used: {max_memory_used_mib} MB\t"
    )
    if init_duration_ms is not None:
        text += f"Init Duration: {init_duration_ms:.2f} ms\t"
    if status:
        text += f"Status: {status}"
        if error_type:
            text += f"\tError Type: {error_type}"
    if xray is not None:
        # AWS sends both lines as one event.
        text += f"\nXRAY TraceId: {xray.trace_id}\tSegmentId: {xray.segment_id}\tSampled: {str(xray.sampled).lower()}\t"
    return text + "\n"


def init_report(init_ms: float, phase: str, status: str, error_type: str = "") -> str:
    """Closes an initialisation that failed. `phase` is `init` or `invoke`, `status` is `error` or `timeout`."""
    text = f"INIT_REPORT Init Duration: {init_ms:.2f} ms\tPhase: {phase}\tStatus: {status}"
    return f"{text}\tError Type: {error_type}\n" if error_type else f"{text}\n"


class XRayLine(msgspec.Struct, frozen=True):
    """What the REPORT of a traced invocation adds."""

    trace_id: str
    segment_id: str
    sampled: bool = True


# LogFormat JSON: the same moments as records of the Telemetry API's schema (2022-12-13).


def json_init_start(
    time_ms: int,
    runtime_version: str,
    runtime_version_arn: str,
    name: str,
    version: str,
    initialization: str = "on-demand",
) -> str:
    return _platform(
        time_ms,
        "initStart",
        {
            "initializationType": initialization,
            "phase": "init",
            "runtimeVersion": runtime_version,
            "runtimeVersionArn": runtime_version_arn,
            "functionName": name,
            "functionVersion": version,
        },
    )


def json_start(time_ms: int, request_id: str, version: str) -> str:
    return _platform(time_ms, "start", {"requestId": request_id, "version": version})


def json_init_report(
    time_ms: int, init_ms: float, phase: str, status: str, error_type: str = "", initialization: str = "on-demand"
) -> str:
    record: dict[str, Any] = {
        "initializationType": initialization,
        "phase": phase,
        "status": status,
        "metrics": {"durationMs": round(init_ms, 3)},
    }
    if error_type:
        record["errorType"] = error_type
    return _platform(time_ms, "initReport", record)


def json_report(
    time_ms: int,
    request_id: str,
    duration_ms: float,
    billed_duration_ms: int,
    memory_mib: int,
    max_memory_used_mib: int,
    init_duration_ms: float | None = None,
    status: str = "success",
    error_type: str = "",
) -> str:
    """`status` is `success`, `timeout`, `error` or `failure`."""
    metrics: dict[str, float] = {
        "durationMs": round(duration_ms, 3),
        "billedDurationMs": billed_duration_ms,
        "memorySizeMB": memory_mib,
        "maxMemoryUsedMB": max_memory_used_mib,
    }
    if init_duration_ms is not None:
        metrics["initDurationMs"] = round(init_duration_ms, 3)
    record: dict[str, Any] = {"requestId": request_id, "metrics": metrics, "status": status}
    if error_type:
        record["errorType"] = error_type
    return _platform(time_ms, "report", record)


def _platform(time_ms: int, name: str, record: dict[str, Any]) -> str:
    time = datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
    line = {"time": f"{time}{time_ms % 1000:03d}Z", "type": f"platform.{name}", "record": record}
    return msgspec.json.encode(line).decode() + "\n"


class LogStreamParser:
    """Feed it what was read; it keeps at most one event's worth of unfinished text and one of an unfinished frame."""

    __slots__ = ("_frame", "_frame_left", "_frame_ms", "_held", "_text")

    def __init__(self) -> None:
        self._held = b""
        """The start of what may become a frame's header."""
        self._text = bytearray()
        self._frame = bytearray()
        self._frame_left = 0
        self._frame_ms: int | None = None

    def feed(self, data: bytes) -> list[Line]:
        unfinished = self._held or self._text or self._frame_left
        if not unfinished and data.endswith(b"\n") and _MAGIC[0] not in data and len(data) <= MAX_EVENT_BYTES:
            # What nearly every read of printed text is: whole lines.
            return [(None, line + "\n") for line in data.decode("utf-8", "replace").split("\n")[:-1]]
        if not unfinished and data.startswith(_MAGIC) and len(data) > _HEADER.size:
            # And of logged text: one frame.
            kind, length, microseconds = _HEADER.unpack_from(data)
            if kind & 2 and length == len(data) - _HEADER.size <= MAX_EVENT_BYTES:
                return [(_milliseconds(microseconds), data[_HEADER.size :].decode("utf-8", "replace"))]
        lines: list[Line] = []
        if self._held:
            data, self._held = self._held + data, b""
        position = 0
        if self._frame_left:
            position = self._take_frame(data, 0, lines)
        if not self._frame_left:
            self._take_mixed(data, position, lines)
        return lines

    def flush(self) -> list[Line]:
        """What is unfinished, as events, when the process has gone or its output has to be complete."""
        lines: list[Line] = []
        if self._frame:
            lines.append((self._frame_ms, _text_of(self._frame)))
            self._frame = bytearray()
        self._frame_left = 0
        self._text += self._held
        self._held = b""
        if self._text:
            lines.append((None, _text_of(self._text)))
            self._text = bytearray()
        return lines

    def _take_mixed(self, data: bytes, position: int, lines: list[Line]) -> None:
        """Text with frames in it, from `position` on."""
        search = position
        while True:
            found = data.find(_MAGIC, search)
            if found < 0:
                self._take_text(self._without_held_tail(data, position), lines)
                return
            # Inside a UTF-8 character 0xa5 is a continuation byte ("¥Z\0"): then it is text.
            before = data[found - 1] if found > position else (self._text[-1] if self._text else 0)
            if before >= 0x80:
                search = found + 1
                continue
            if len(data) - found < _HEADER.size:
                self._take_text(data[position:found], lines)
                self._held = data[found:]
                return
            kind, length, microseconds = _HEADER.unpack_from(data, found)
            if not kind & 2 or length > _MAX_FRAME_BYTES:
                search = found + 1
                continue
            self._take_text(data[position:found], lines)
            self._frame_ms = _milliseconds(microseconds)
            self._frame_left = length
            position = search = self._take_frame(data, found + _HEADER.size, lines)
            if self._frame_left:
                return

    def _take_frame(self, data: bytes, position: int, lines: list[Line]) -> int:
        """Take what `data` has of the frame being read; returns where the rest of `data` begins."""
        available = min(self._frame_left, len(data) - position)
        self._frame_left -= available
        if not self._frame and not self._frame_left and available <= MAX_EVENT_BYTES:
            if available:
                lines.append((self._frame_ms, data[position : position + available].decode("utf-8", "replace")))
            return position + available
        self._frame += data[position : position + available]
        self._cut(self._frame, lines, self._frame_ms)
        if not self._frame_left and self._frame:
            lines.append((self._frame_ms, _text_of(self._frame)))
            self._frame = bytearray()
        return position + available

    def _take_text(self, data: bytes, lines: list[Line]) -> None:
        last_newline = data.rfind(b"\n")
        if last_newline < 0:
            self._text += data
            self._cut(self._text, lines, None)
            return
        whole = data[: last_newline + 1]
        if self._text:
            whole = bytes(self._text) + whole
        self._text = bytearray(data[last_newline + 1 :])
        if len(whole) <= MAX_EVENT_BYTES:
            # One decoding for many lines: this is where a chatty function's output goes.
            lines += [(None, line + "\n") for line in whole.decode("utf-8", "replace").split("\n")[:-1]]
        else:
            for line in whole.split(b"\n")[:-1]:
                rest = bytearray(line + b"\n")
                self._cut(rest, lines, None)
                if rest:
                    lines.append((None, _text_of(rest)))
        self._cut(self._text, lines, None)

    @staticmethod
    def _cut(buffer: bytearray, lines: list[Line], timestamp_ms: int | None) -> None:
        """Move full events off the front of `buffer`, never in the middle of a character."""
        while len(buffer) > MAX_EVENT_BYTES:
            end = MAX_EVENT_BYTES
            while end > MAX_EVENT_BYTES - 4 and buffer[end] & 0xC0 == 0x80:
                end -= 1
            lines.append((timestamp_ms, _text_of(buffer[:end])))
            del buffer[:end]

    def _without_held_tail(self, data: bytes, position: int) -> bytes:
        """`data` from `position`, less a last byte or two that may be the start of a frame."""
        for length in (2, 1):
            if len(data) - position >= length and data.endswith(_MAGIC[:length]):
                self._held = data[-length:]
                return data[position:-length]
        return data[position:]


def _text_of(data: bytearray) -> str:
    return data.decode("utf-8", "replace")


def _milliseconds(microseconds: int) -> int | None:
    timestamp_ms = microseconds // 1000
    return timestamp_ms if timestamp_ms <= _LAST_TIMESTAMP_MS else None
