"""The platform's lines to the letter, and what the parser makes of a runtime's output, however it is cut."""

from __future__ import annotations

import json
import math
import os
import time
from itertools import pairwise

import pytest
from awslambdaric.bootstrap import FramedTelemetryLogSink
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.observe import lines
from pilotlight.observe.lines import MAX_EVENT_BYTES, LogStreamParser

REQUEST = "13222b1e-f16b-4550-89df-869ab0a9806d"


def frame(message: str, microseconds: int = 1_700_000_000_123_456, kind: int = 0xA55A0003) -> bytes:
    body = message.encode()
    return kind.to_bytes(4, "big") + len(body).to_bytes(4, "big") + microseconds.to_bytes(8, "big") + body


def parsed(*pieces: bytes) -> list[tuple[int | None, str]]:
    parser = LogStreamParser()
    found = [line for piece in pieces for line in parser.feed(piece)]
    return found + parser.flush()


def test_lines_are_those_of_aws() -> None:
    # Each as recorded from AWS, ids aside.
    assert lines.init_start("python3.12", "v89", "us-east-2", "644f") == (
        "INIT_START Runtime Version: python:3.12.v89\tRuntime Version ARN: arn:aws:lambda:us-east-2::runtime:644f\n"
    )
    assert lines.start(REQUEST, "$LATEST") == f"START RequestId: {REQUEST} Version: $LATEST\n"
    assert lines.end(REQUEST) == f"END RequestId: {REQUEST}\n"
    assert lines.report(REQUEST, 26.73, 27, 128, 75) == (
        f"REPORT RequestId: {REQUEST}\tDuration: 26.73 ms\tBilled Duration: 27 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 75 MB\t\n"
    )
    assert lines.report(REQUEST, 20.992, 124, 128, 73, 102.5) == (
        f"REPORT RequestId: {REQUEST}\tDuration: 20.99 ms\tBilled Duration: 124 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 73 MB\tInit Duration: 102.50 ms\t\n"
    )
    assert lines.report(REQUEST, 3000, 3000, 1024, 64, status="timeout") == (
        f"REPORT RequestId: {REQUEST}\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 1024 MB\t"
        "Max Memory Used: 64 MB\tStatus: timeout\n"
    )
    crashed = lines.report(REQUEST, 5, 5, 128, 33, status="error", error_type="Runtime.ExitError")
    assert crashed.endswith("Max Memory Used: 33 MB\tStatus: error\tError Type: Runtime.ExitError\n")
    traced = lines.report(REQUEST, 5, 5, 128, 33, xray=lines.XRayLine("1-5e34a614-10bd", "07f5"))
    assert traced.endswith("\t\nXRAY TraceId: 1-5e34a614-10bd\tSegmentId: 07f5\tSampled: true\t\n")


def test_a_failed_initialisation_has_a_report() -> None:
    assert lines.init_report(1236.041, "init", "timeout") == (
        "INIT_REPORT Init Duration: 1236.04 ms\tPhase: init\tStatus: timeout\n"
    )
    assert lines.init_report(3.0, "invoke", "error", "Runtime.ExitError").endswith(
        "\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError\n"
    )
    record = json.loads(lines.json_init_report(0, 3.0, "init", "error", "Runtime.ExitError"))
    assert (record["type"], record["record"]["errorType"]) == ("platform.initReport", "Runtime.ExitError")


@pytest.mark.parametrize(
    ("runtime", "shown"),
    [
        ("python3.14", "python:3.14.v1"),
        ("nodejs22.x", "nodejs:22.v1"),
        ("java21", "java:21.v1"),
        ("provided.al2023", "provided:al2023.v1"),
    ],
)
def test_runtimes_are_named_as_aws_names_them(runtime: str, shown: str) -> None:
    assert lines.init_start(runtime, "v1", "us-east-1", "0").startswith(f"INIT_START Runtime Version: {shown}\t")


def test_billing_rounds_up_to_a_millisecond_and_has_the_initialisation_in_it() -> None:
    assert lines.billed_ms(0.0) == 1
    assert lines.billed_ms(1.0) == 1
    assert lines.billed_ms(1.004) == 1, "printed as 1.00 ms"
    assert lines.billed_ms(1.01) == 2
    assert lines.billed_ms(900_000.0, 479.6) == 900_480, "a REPORT recorded from AWS"


@given(
    st.floats(0, 900_000) | st.integers(0, 90_000_000).map(lambda hundredths: hundredths / 100), st.floats(0, 10_000)
)
def test_the_bill_is_the_printed_duration_rounded_up(duration_ms: float, init_ms: float) -> None:
    for init in (0.0, init_ms):
        assert lines.billed_ms(duration_ms, init) == max(1, math.ceil(float(f"{duration_ms + init:.2f}")))


def test_json_records_follow_the_telemetry_schema() -> None:
    at = 1_710_356_184_046
    assert json.loads(lines.json_start(at, REQUEST, "$LATEST")) == {
        "time": "2024-03-13T18:56:24.046Z",
        "type": "platform.start",
        "record": {"requestId": REQUEST, "version": "$LATEST"},
    }
    report = json.loads(lines.json_report(at, REQUEST, 1.234567, 102, 128, 36, 100.1, "timeout", "Sandbox.Timedout"))
    assert report["record"] == {
        "requestId": REQUEST,
        "metrics": {
            "durationMs": 1.235,
            "billedDurationMs": 102,
            "memorySizeMB": 128,
            "maxMemoryUsedMB": 36,
            "initDurationMs": 100.1,
        },
        "status": "timeout",
        "errorType": "Sandbox.Timedout",
    }
    start = json.loads(lines.json_init_start(at, "python:3.12.v1", "arn", "hello", "$LATEST"))
    assert (start["type"], start["record"]["functionName"]) == ("platform.initStart", "hello")


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
