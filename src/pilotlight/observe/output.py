"""What a runtime process prints, cut into log events, and which of them its function's application log level keeps.

A runtime prints into one pipe, so that order is kept: awslambdaric's telemetry frames (`0xa55a00tt`, length u32,
microseconds u64, message; big-endian; tt: level << 2, 2 for a frame, 1 for text) and plain text, cut at newlines. `\\r`
stays inside its event, as on Lambda.
"""

from __future__ import annotations

import struct
from datetime import datetime

import msgspec

from pilotlight.observe.platform_events import INFO, LEVELS

MAX_EVENT_BYTES = 1_048_576 - 26
"""CloudWatch Logs' largest event: 1 MB less the 26 bytes counted per event. A longer line goes on in the next event."""

_MAGIC = b"\xa5\x5a\x00"
_HEADER = struct.Struct(">IIQ")
_MAX_FRAME_BYTES = 64 * 1024 * 1024
_LAST_TIMESTAMP_MS = 253_402_300_799_999
"""The end of the year 9999: a frame with a later time was not written by awslambdaric's clock."""

Line = tuple[int | None, str]
"""Milliseconds since the epoch, or None for "now"; the message, with its newline where it had one."""


class LogStreamParser:
    """Feed it what was read; it keeps at most one event's worth of unfinished text and one of an unfinished frame.

    Events below `least_level` are left out (`platform_events.LEVELS`; 0, for LogFormat Text, leaves out none).
    """

    __slots__ = ("_frame", "_frame_left", "_frame_ms", "_frame_unwanted", "_held", "_least_level", "_text")

    def __init__(self, least_level: int = 0) -> None:
        self._least_level = least_level
        self._held = b""
        """The start of what may become a frame's header."""
        self._text = bytearray()
        self._frame = bytearray()
        self._frame_left = 0
        self._frame_ms: int | None = None
        self._frame_unwanted = False

    def feed(self, data: bytes) -> list[Line]:
        unfinished = self._held or self._text or self._frame_left
        if not unfinished and data.endswith(b"\n") and _MAGIC[0] not in data and len(data) <= MAX_EVENT_BYTES:
            # What nearly every read of printed text is: whole lines.
            return self._wanted([(None, line + "\n") for line in data.decode("utf-8", "replace").split("\n")[:-1]])
        lines: list[Line] = []
        position = 0
        if not unfinished and data.startswith(_MAGIC):
            # And of logged text: whole frames.
            position = self._take_whole_frames(data, lines)
            if position == len(data):
                return lines
        if self._held:
            data, self._held = self._held + data, b""
        if self._frame_left:
            position = self._take_frame(data, 0, lines)
        if not self._frame_left:
            self._take_mixed(data, position, lines)
        return lines

    def _take_whole_frames(self, data: bytes, lines: list[Line]) -> int:
        """The frames that `data` begins with; returns where what is something else begins."""
        position, end, least_level = 0, len(data), self._least_level
        while data.startswith(_MAGIC, position) and end - position >= _HEADER.size:
            kind, length, microseconds = _HEADER.unpack_from(data, position)
            body = position + _HEADER.size
            if not kind & 2 or length > MAX_EVENT_BYTES or body + length > end:
                break
            position = body + length
            if length and (not least_level or (kind >> 2 & 7 or INFO) >= least_level):
                lines.append((_milliseconds(microseconds), data[body:position].decode("utf-8", "replace")))
        return position

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
            lines += self._wanted([(None, _text_of(self._text))])
            self._text = bytearray()
        return lines

    def _wanted(self, lines: list[Line]) -> list[Line]:
        """Of printed text."""
        if not self._least_level:
            return lines
        return [line for level, line in map(leveled, lines) if level >= self._least_level]

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
            self._frame_unwanted = (kind >> 2 & 7 or INFO) < self._least_level
            position = search = self._take_frame(data, found + _HEADER.size, lines)
            if self._frame_left:
                return

    def _take_frame(self, data: bytes, position: int, lines: list[Line]) -> int:
        """Take what `data` has of the frame being read; returns where the rest of `data` begins."""
        available = min(self._frame_left, len(data) - position)
        self._frame_left -= available
        if self._frame_unwanted:
            return position + available
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

    def _take_text(self, data: bytes, into: list[Line]) -> None:
        lines: list[Line] = []
        last_newline = data.rfind(b"\n")
        if last_newline < 0:
            self._text += data
            self._cut(self._text, lines, None)
            into += self._wanted(lines)
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
        into += self._wanted(lines)

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


class _Structured(msgspec.Struct):
    """What counts of a JSON line for its level. Runtimes call the time `timestamp` (Python, Node, Java), or `time`."""

    level: str
    timestamp: datetime | None = None
    time: datetime | None = None


_structured = msgspec.json.Decoder(_Structured)

_LEVELS = LEVELS | {"WARNING": LEVELS["WARN"], "CRITICAL": LEVELS["FATAL"]}
"""With the names that Python's logging and Powertools use."""


def leveled(line: Line) -> tuple[int, Line]:
    """The level of printed text, and the line with the time that it tells itself.

    As AWS documents it ("Log-level filtering"): a level counts in a JSON object that has a `level` and a valid RFC 3339
    time; all else is INFO.
    """
    message = line[1]
    if not message.startswith("{") or '"level"' not in message:
        return INFO, line
    try:
        found = _structured.decode(message)
        time = found.timestamp or found.time
        if time is None or time.tzinfo is None:
            return INFO, line
        return _LEVELS.get(found.level.upper(), INFO), (round(time.timestamp() * 1000), message)
    except (msgspec.DecodeError, OverflowError, RecursionError):
        return INFO, line
