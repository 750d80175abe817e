"""What the parser makes of a runtime's output, however it is cut, and what an application log level leaves of it."""

from __future__ import annotations

import json
import logging
import os
import time
from itertools import pairwise
from pathlib import Path

import pytest
from awslambdaric.bootstrap import FramedTelemetryLogSink
from awslambdaric.lambda_runtime_log_utils import _JSON_FRAME_TYPES, _TEXT_FRAME_TYPES
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.observe.output import MAX_EVENT_BYTES, LogStreamParser
from pilotlight.observe.platform_events import LEVELS

REQUEST = "13222b1e-f16b-4550-89df-869ab0a9806d"


def frame(message: str, microseconds: int = 1_700_000_000_123_456, kind: int = 0xA55A0003) -> bytes:
    body = message.encode()
    return kind.to_bytes(4, "big") + len(body).to_bytes(4, "big") + microseconds.to_bytes(8, "big") + body


def parsed(*pieces: bytes, level: str = "") -> list[tuple[int | None, str]]:
    parser = LogStreamParser(LEVELS[level] if level else 0)
    found = [line for piece in pieces for line in parser.feed(piece)]
    return found + parser.flush()


def test_text_is_cut_at_newlines_only() -> None:
    assert parsed(b"one\ntwo\rstill two\r\n\nlast") == [
        (None, "one\n"),
        (None, "two\rstill two\r\n"),
        (None, "\n"),
        (None, "last"),
    ]


def test_frames_keep_their_time_and_their_newlines() -> None:
    assert parsed(b"a\n" + frame("[ERROR] no\nTraceback\n") + b"b\n" + frame("", 5) + frame("x", 5_000)) == [
        (None, "a\n"),
        (1_700_000_000_123, "[ERROR] no\nTraceback\n"),
        (None, "b\n"),
        (5, "x"),
    ]


def test_a_frame_in_the_middle_of_a_line_does_not_cut_it() -> None:
    """print() writes its text and its newline apart, and another thread may log in between."""
    assert parsed(b"printed", frame("logged"), b"\n") == [(1_700_000_000_123, "logged"), (None, "printed\n")]


def test_what_awslambdaric_writes_is_understood() -> None:
    read_end, write_end = os.pipe()
    with FramedTelemetryLogSink(write_end) as sink:
        sink.log("[INFO]\tmessage\n")
        sink.log_error(["[ERROR] ValueError: no", "Traceback (most recent call last):"])
        sink.log('{"level": "INFO"}', frame_type=b"\xa5\x5a\x00\x0e")
    with os.fdopen(read_end, "rb") as stream:
        found = parsed(stream.read())
    assert [message for _, message in found] == [
        "[INFO]\tmessage\n",
        "[ERROR] ValueError: no\nTraceback (most recent call last):",
        '{"level": "INFO"}',
    ]
    assert all(at and abs(at / 1000 - time.time()) < 60 for at, _ in found)


def test_yen_and_z_are_no_frame() -> None:
    text = "price: ¥Z\0\3 and more ¥"
    assert parsed(text.encode() + b"\n") == [(None, text + "\n")]
    assert parsed(*[bytes([byte]) for byte in text.encode()]) == [(None, text)]


def test_what_only_looks_like_a_frame_is_text() -> None:
    endless = b"\xa5\x5a\x00\x03" + b"\xff" * 4 + b"\0" * 8
    found = parsed(endless + b"hello\nworld\n")
    assert found[-1] == (None, "world\n")
    assert "".join(message for _, message in found).endswith("hello\nworld\n")


def test_a_frame_from_the_far_future_gets_the_time_it_is_read() -> None:
    assert parsed(frame("x", 2**64 - 1)) == [(None, "x")]


def test_a_frame_that_stops_short_is_not_lost() -> None:
    whole = frame("the whole message")
    assert parsed(whole[:-4]) == [(1_700_000_000_123, "the whole mes")]
    assert parsed(b"a\n" + whole[:9])[0] == (None, "a\n")


@pytest.mark.parametrize("framed", [True, False])
def test_a_long_line_goes_on_in_the_next_event_and_no_character_is_cut(framed: bool) -> None:
    text = "€" * (MAX_EVENT_BYTES * 2 // 3 + 7)
    data = frame(text) if framed else text.encode() + b"\n"
    found = parsed(*[data[begin : begin + 65_536] for begin in range(0, len(data), 65_536)])
    assert len(found) == 3
    assert "".join(message for _, message in found) == text + ("" if framed else "\n")
    assert all(len(message.encode()) <= MAX_EVENT_BYTES for _, message in found)
    assert parsed(data) == found, "however it was read"


def test_unfinished_output_is_bounded() -> None:
    parser = LogStreamParser()
    for _ in range(64):
        parser.feed(b"x" * 65_536)
    ((_, rest),) = parser.flush()
    assert len(rest) <= MAX_EVENT_BYTES


PRINTED = st.text(max_size=20).map(lambda text: (None, text + "\n"))
LOGGED = st.text(min_size=1, max_size=20).map(lambda text: (7, text))


@given(st.lists(PRINTED | LOGGED), st.lists(st.integers(0, 400), max_size=6))
def test_any_cutting_gives_the_same_events(events: list[tuple[int | None, str]], cuts: list[int]) -> None:
    expected: list[tuple[int | None, str]] = []
    data = b""
    for at, message in events:
        if at is None:
            data += message.encode()
            expected += [(None, line + "\n") for line in message.split("\n")[:-1]]
        else:
            data += frame(message, at * 1000)
            expected.append((at, message))
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    assert parsed(*[data[a:b] for a, b in pairwise(places)]) == expected


# Application log levels


@pytest.mark.parametrize("least", LEVELS)
def test_frames_below_the_level_are_left_out(least: str, tmp_path: Path) -> None:
    with FramedTelemetryLogSink(os.open(tmp_path / "written", os.O_WRONLY | os.O_CREAT)) as sink:
        for types in (_JSON_FRAME_TYPES, _TEXT_FRAME_TYPES):
            for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
                sink.log(f"{level}\n", frame_type=types[level])
            sink.log("x" * 2_000_000, frame_type=types[logging.DEBUG])
            sink.log("none\n")
    written = (tmp_path / "written").read_bytes()
    names = {"10\n": "DEBUG", "20\n": "INFO", "30\n": "WARN", "40\n": "ERROR", "50\n": "FATAL", "none\n": "INFO"}
    expected = [text for text, level in names.items() if LEVELS[level] >= LEVELS[least]] * 2
    for pieces in ([written], [written[i : i + 4099] for i in range(0, len(written), 4099)]):
        assert [text for _, text in parsed(*pieces, level=least) if "x" not in text] == expected
    assert any("x" in text for _, text in parsed(written, level=least)) == (LEVELS[least] <= LEVELS["DEBUG"])


TIME = "2024-11-02T16:51:31.587199Z"


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (f'{{"level": "debug", "msg": "m", "timestamp": "{TIME}"}}', "DEBUG"),
        (f'{{"level": "TRACE", "time": "{TIME}"}}', "TRACE"),
        (f'{{"level": "WARNING", "timestamp": "{TIME}", "deep": {{"level": "FATAL"}}}}', "WARN"),
        (f'{{"level": "CRITICAL", "timestamp": "{TIME}"}}', "FATAL"),
        (f'{{"level": "loud", "timestamp": "{TIME}"}}', "INFO"),
        (f'{{"level": 40, "timestamp": "{TIME}"}}', "INFO"),
        (f'{{"message": "no level", "timestamp": "{TIME}"}}', "INFO"),
        ('{"level": "ERROR", "message": "no time"}', "INFO"),
        ('{"level": "ERROR", "timestamp": "2021-05-03 10:20:19,650+0000"}', "INFO"),
        ('{"level": "ERROR", "timestamp": ', "INFO"),
        ('["level", "ERROR"]', "INFO"),
        ("plain text", "INFO"),
        ("", "INFO"),
        ('{"level":' * 5_000, "INFO"),
    ],
)
def test_the_level_of_printed_text(line: str, level: str) -> None:
    kept = [least for least in LEVELS if parsed(f"{line}\n".encode(), level=least)]
    assert kept == [least for least in LEVELS if LEVELS[least] <= LEVELS[level]]
    assert parsed(f"{line}\n".encode()) == [(None, f"{line}\n")], "LogFormat Text leaves everything as it is"
    # ... and however it comes: without its newline, behind a frame, byte by byte
    for pieces in (
        [line.encode()],
        [frame("f", kind=0xA55A001A), line.encode() + b"\n"],
        [b"%c" % b for b in line.encode()],
    ):
        found = [text for _, text in parsed(*pieces, level=level) if text != "f"]
        assert found == ([line + "\n" * pieces[-1].endswith(b"\n")] if line or len(pieces) == 2 else [])


def test_a_printed_line_has_the_time_it_tells() -> None:
    line = json.dumps({"level": "INFO", "timestamp": TIME})
    assert parsed(f"{line}\n".encode(), level="INFO") == [(1_730_566_291_587, f"{line}\n")]
