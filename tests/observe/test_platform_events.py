"""Platform events in JSON: AWS's schema and its level mapping, row for row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilotlight.observe import platform_events
from pilotlight.observe.platform_events import DEBUG, INFO, WARN, Span, Tracing, level, platform_error_type

AT = 1_710_356_184_046
REQUEST = "13222b1e-f16b-4550-89df-869ab0a9806d"


def record(message: str, kind: str) -> dict[str, Any]:
    assert message.endswith("\n")
    event = json.loads(message)
    assert list(event) == ["time", "type", "record"]
    assert (event["time"], event["type"]) == ("2024-03-13T18:56:24.046Z", f"platform.{kind}")
    return event["record"]


def test_records_are_those_that_aws_writes() -> None:
    # Each as recorded from AWS in 2024 and 2026, ids and figures aside; the order of members is part of it.
    assert platform_events.start(AT, REQUEST, "$LATEST") == (
        f'{{"time":"2024-03-13T18:56:24.046Z","type":"platform.start","record":{{"requestId":"{REQUEST}",'
        '"version":"$LATEST"}}\n'
    )
    done = platform_events.runtime_done(
        AT, REQUEST, "success", 11.1849, 40, spans=(Span("responseLatency", AT - 11, 2.215),)
    )
    assert list(record(done, "runtimeDone").items()) == [
        ("requestId", REQUEST),
        ("status", "success"),
        ("spans", [{"name": "responseLatency", "start": "2024-03-13T18:56:24.035Z", "durationMs": 2.215}]),
        ("metrics", {"durationMs": 11.185, "producedBytes": 40}),
    ]
    assert record(platform_events.runtime_done(AT, REQUEST, "timeout", 5001.182, 0), "runtimeDone") == {
        "requestId": REQUEST,
        "status": "timeout",
        "metrics": {"durationMs": 5001.182, "producedBytes": 0},
    }
    report = platform_events.report(AT, REQUEST, 11.642, 12, 128, 67, 174.055)
    assert list(record(report, "report").items()) == [
        ("requestId", REQUEST),
        (
            "metrics",
            {
                "durationMs": 11.642,
                "billedDurationMs": 12,
                "memorySizeMB": 128,
                "maxMemoryUsedMB": 67,
                "initDurationMs": 174.055,
            },
        ),
        ("status", "success"),
    ]


def test_the_initialisation() -> None:
    started = platform_events.init_start(AT, "python:3.12.v1", "arn", "hello", "$LATEST")
    assert record(started, "initStart") == {
        "initializationType": "on-demand",
        "phase": "init",
        "runtimeVersion": "python:3.12.v1",
        "runtimeVersionArn": "arn",
        "functionName": "hello",
        "functionVersion": "$LATEST",
    }
    unversioned = platform_events.init_start(AT, "", "", "hello", "1", "provisioned-concurrency", "invoke")
    assert record(unversioned, "initStart") == {
        "initializationType": "provisioned-concurrency",
        "phase": "invoke",
        "functionName": "hello",
        "functionVersion": "1",
    }
    done = platform_events.init_runtime_done(AT, "init", "error", "Runtime.ExitError")
    assert record(done, "initRuntimeDone") == {
        "initializationType": "on-demand",
        "phase": "init",
        "status": "error",
        "errorType": "Runtime.ExitError",
    }
    report = platform_events.init_report(AT, 173.7777, "init", "success")
    assert record(report, "initReport") == {
        "initializationType": "on-demand",
        "phase": "init",
        "status": "success",
        "metrics": {"durationMs": 173.778},
    }


def test_a_restored_snapshot() -> None:
    started = platform_events.restore_start(AT, "python:3.12.v1", "arn", "hello", "7")
    assert record(started, "restoreStart")["functionVersion"] == "7"
    assert record(platform_events.restore_runtime_done(AT, "error", "Runtime.ExitError"), "restoreRuntimeDone") == {
        "status": "error",
        "errorType": "Runtime.ExitError",
    }
    assert record(platform_events.restore_report(AT, 70.877, "success"), "restoreReport") == {
        "status": "success",
        "metrics": {"durationMs": 70.877},
    }
    report = platform_events.report(AT, REQUEST, 1, 1, 128, 64, restore_ms=(70.87, 12))
    metrics = record(report, "report")["metrics"]
    assert (metrics["restoreDurationMs"], metrics["billedRestoreDurationMs"]) == (70.87, 12)


def test_a_traced_invocation_says_so() -> None:
    header = "Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=1"
    traced = Tracing(header, "54565fb41ac79632")
    expected = {"spanId": "54565fb41ac79632", "type": "X-Amzn-Trace-Id", "value": header}
    assert record(platform_events.start(AT, REQUEST, "1", traced), "start")["tracing"] == expected
    done = platform_events.runtime_done(AT, REQUEST, "success", 1, 2, tracing=traced)
    assert record(done, "runtimeDone")["tracing"] == expected
    report = platform_events.report(AT, REQUEST, 1, 1, 128, 64, tracing=Tracing(header))
    assert record(report, "report")["tracing"] == {"type": "X-Amzn-Trace-Id", "value": header}


def test_what_was_dropped() -> None:
    assert record(platform_events.logs_dropped(AT, 123, 12345, "too fast"), "logsDropped") == {
        "droppedBytes": 12345,
        "droppedRecords": 123,
        "reason": "too fast",
    }


@pytest.mark.parametrize(
    ("event", "conditions", "expected"),
    [
        ("initStart", {"versioned": True}, INFO),
        ("initStart", {"versioned": False}, DEBUG),
        ("initRuntimeDone", {"status": "success"}, DEBUG),
        ("initRuntimeDone", {"status": "error"}, WARN),
        ("initReport", {"initialization": "provisioned-concurrency"}, INFO),
        ("initReport", {"initialization": "on-demand"}, DEBUG),
        ("initReport", {"initialization": "on-demand", "status": "timeout"}, WARN),
        ("initReport", {"initialization": "provisioned-concurrency", "status": "error"}, WARN),
        ("restoreStart", {"versioned": True}, INFO),
        ("restoreStart", {"versioned": False}, DEBUG),
        ("restoreRuntimeDone", {"status": "success"}, DEBUG),
        ("restoreRuntimeDone", {"status": "error"}, WARN),
        ("restoreReport", {"status": "success"}, INFO),
        ("restoreReport", {"status": "timeout"}, WARN),
        ("start", {}, INFO),
        ("runtimeDone", {"status": "success"}, DEBUG),
        ("runtimeDone", {"status": "failure"}, WARN),
        ("report", {"status": "success"}, INFO),
        ("report", {"status": "error"}, WARN),
        ("extension", {"status": "success"}, INFO),
        ("extension", {"status": "failure"}, WARN),
        ("logsSubscription", {}, INFO),
        ("telemetrySubscription", {}, INFO),
        ("logsDropped", {}, WARN),
    ],
)
def test_levels_are_those_of_the_developer_guide(event: str, conditions: dict[str, Any], expected: int) -> None:
    assert level(event, **conditions) == expected


def test_an_errors_type_is_the_platforms() -> None:
    assert platform_error_type("Runtime.ExitError") == "Runtime.ExitError"
    assert platform_error_type("Function.ResponseSizeTooLarge") == "Function.ResponseSizeTooLarge"
    assert platform_error_type("Function.x") == "Function.Unknown"
    assert platform_error_type("ValueError") == platform_error_type("") == "Runtime.Unknown"
