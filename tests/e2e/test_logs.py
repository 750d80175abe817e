"""What functions and the platform log, as a client of CloudWatch Logs reads it: formats, levels, groups, tails."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from tests.e2e.functions import create, invoke, invoke_failing
from tests.support import NodeProcess, eventually

LOGS = """
import logging, os, sys
print('loading')
log = logging.getLogger()
def handler(event, context):
    if event == 'fail':
        raise ValueError('no')
    if event == 'exit':
        print('the last words', end='')
        os._exit(3)
    log.setLevel(logging.DEBUG)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(level, 'logged')
    print('printed')
    for level in ('trace', 'debug', 'info', 'warn', 'error', 'fatal'):
        print('{"level": "%s", "message": "structured", "timestamp": "2024-11-02T16:51:31.587199Z"}' % level)
    return 1
"""


def messages(node: NodeProcess, group: str) -> list[str]:
    pages = node.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return [event["message"] for page in pages for event in page["events"]]


def records(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines if line.startswith("{")]


def types(lines: list[str]) -> list[str]:
    return [record["type"].removeprefix("platform.") for record in records(lines) if "type" in record]


def tail_of(answer: dict[str, Any]) -> list[str]:
    return base64.b64decode(answer["LogResult"]).decode().splitlines()


@pytest.mark.parametrize(
    ("level", "cold", "warm", "failing"),
    [
        (
            "DEBUG",
            ["initStart", "initRuntimeDone", "initReport", "start", "runtimeDone", "report"],
            ["start", "runtimeDone", "report"],
            ["start", "runtimeDone", "report"],
        ),
        ("INFO", ["initStart", "start", "report"], ["start", "report"], ["start", "runtimeDone", "report"]),
        ("WARN", [], [], ["runtimeDone", "report"]),
    ],
)
def test_the_system_log_level_decides_which_platform_events_are_written(
    node: NodeProcess, unique_name: str, level: str, cold: list[str], warm: list[str], failing: list[str]
) -> None:
    client = node.client("lambda")
    create(client, unique_name, LOGS, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": level})
    for event, expected in (("", cold), ("", warm), ("fail", failing)):
        answer = client.invoke(FunctionName=unique_name, Payload=json.dumps(event), LogType="Tail")
        assert types(tail_of(answer)) == expected
    assert types(messages(node, f"/aws/lambda/{unique_name}")) == cold + warm + failing


def test_platform_events_tell_how_an_invocation_went(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, LOGS, Timeout=1, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "DEBUG"})
    assert invoke(client, unique_name) == 1
    invoke_failing(client, unique_name, "fail")
    invoke_failing(client, unique_name, "exit")
    found = {kind: [] for kind in ("initStart", "initReport", "start", "runtimeDone", "report")}
    for event in records(messages(node, f"/aws/lambda/{unique_name}")):
        found.get(event.get("type", "").removeprefix("platform."), []).append(event.get("record"))
    (started,) = found["initStart"]
    assert (started["functionName"], started["functionVersion"]) == (unique_name, "$LATEST")
    assert started["runtimeVersion"].startswith("python:3.")
    (initialised,) = found["initReport"]
    assert (initialised["status"], initialised["phase"]) == ("success", "init")
    assert [record["status"] for record in found["runtimeDone"]] == ["success", "error", "error"]
    assert [record.get("errorType") for record in found["runtimeDone"]] == [
        None,
        "Runtime.Unknown",
        "Runtime.ExitError",
    ]
    assert found["runtimeDone"][0]["metrics"]["producedBytes"] == 1
    assert [span["name"] for span in found["runtimeDone"][0]["spans"]] == ["responseLatency", "responseDuration"]
    assert found["runtimeDone"][2]["metrics"]["producedBytes"] == 0 and "spans" not in found["runtimeDone"][2]
    assert [record["status"] for record in found["report"]] == ["success", "error", "error"]
    assert "initDurationMs" in found["report"][0]["metrics"] and "initDurationMs" not in found["report"][1]["metrics"]
    ids = [record["requestId"] for record in found["start"]]
    assert ids == [record["requestId"] for record in found["report"]] and len(set(ids)) == 3


def test_a_timeout_is_reported_to_the_millisecond(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    source = "import time\ndef handler(e, c):\n    time.sleep(60)\n"
    create(client, f"{unique_name}-t", source, Timeout=1)
    create(client, f"{unique_name}-j", source, Timeout=1, LoggingConfig={"LogFormat": "JSON"})
    text, structured = (
        tail_of(client.invoke(FunctionName=f"{unique_name}-{letter}", Payload=b"1", LogType="Tail")) for letter in "tj"
    )
    assert re.search(r"\tDuration: 1000\.00 ms\tBilled Duration: \d+ ms\t.*\tStatus: timeout$", text[-1])
    done, report = records(structured)[-2:]
    assert (done["type"], done["record"]["status"]) == ("platform.runtimeDone", "timeout")
    assert done["record"]["metrics"]["producedBytes"] == 0 and "spans" not in done["record"]
    assert report["record"]["status"] == "timeout" and report["record"]["metrics"]["durationMs"] == 1000
    assert "errorType" not in done["record"] and "errorType" not in report["record"]


def test_a_sampled_invocation_says_so(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    root = "1-5759e988-bd862e3fe1be46a994272793"
    client.meta.events.register(
        "before-sign.lambda.Invoke",
        lambda request, **_: request.headers.add_header("X-Amzn-Trace-Id", f"Root={root};Sampled=1"),
    )
    for letter, members in (("t", {}), ("j", {"LoggingConfig": {"LogFormat": "JSON"}})):
        create(client, f"{unique_name}-{letter}", "def handler(e, c):\n    return 1\n", **members)
    text, structured = (
        tail_of(client.invoke(FunctionName=f"{unique_name}-{letter}", Payload=b"1", LogType="Tail")) for letter in "tj"
    )
    assert re.fullmatch(rf"XRAY TraceId: {root}\tSegmentId: [0-9a-f]{{16}}\tSampled: true\t", text[-1])
    assert text[-2].startswith("REPORT RequestId: ")
    start, report = records(structured)[-2:]
    for event in (start, report):
        tracing = event["record"]["tracing"]
        assert tracing["type"] == "X-Amzn-Trace-Id" and tracing["value"].startswith(f"Root={root};Parent=")
        assert tracing["spanId"] in tracing["value"]


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("TRACE", ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]),
        ("DEBUG", ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"]),
        ("INFO", ["INFO", "WARN", "ERROR", "FATAL"]),
        ("WARN", ["WARN", "ERROR", "FATAL"]),
        ("ERROR", ["ERROR", "FATAL"]),
        ("FATAL", ["FATAL"]),
    ],
)
def test_the_application_log_level_filters_what_is_logged_and_printed(
    node: NodeProcess, unique_name: str, level: str, kept: list[str]
) -> None:
    """Whatever level the code sets; plain text counts as INFO; an uncaught exception is an ERROR."""
    client = node.client("lambda")
    create(client, unique_name, LOGS, LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": level})
    invoke(client, unique_name)
    invoke_failing(client, unique_name, "fail")
    found = messages(node, f"/aws/lambda/{unique_name}")
    logged = [record["level"] for record in records(found) if record.get("message") == "logged"]
    python_names = {"WARN": "WARNING", "FATAL": "CRITICAL"}
    assert logged == [python_names.get(name, name) for name in kept if name != "TRACE"]
    structured = [record["level"].upper() for record in records(found) if record.get("message") == "structured"]
    assert structured == kept
    assert ("printed\n" in found, "loading\n" in found) == ("INFO" in kept, "INFO" in kept)
    uncaught = [record for record in records(found) if record.get("errorType") == "ValueError"]
    assert [record["level"] for record in uncaught] == ["ERROR"] * ("ERROR" in kept)
    assert all("stackTrace" in record and "requestId" in record for record in uncaught)


def test_a_changed_logging_configuration_is_that_of_the_next_environment(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, "def handler(e, c):\n    print('printed')\n    return c.log_stream_name\n")
    first = invoke(client, unique_name)
    client.update_function_configuration(
        FunctionName=unique_name, LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "ERROR"}
    )
    client.get_waiter("function_updated_v2").wait(FunctionName=unique_name, WaiterConfig={"Delay": 0.05})
    second = invoke(client, unique_name)
    assert first != second
    events = node.client("logs").get_log_events
    group = f"/aws/lambda/{unique_name}"
    text = [event["message"] for event in events(logGroupName=group, logStreamName=first)["events"]]
    assert "printed\n" in text and text[-1].startswith("REPORT RequestId: ")
    structured = [event["message"] for event in events(logGroupName=group, logStreamName=second)["events"]]
    assert types(structured) == ["initStart", "start", "report"] and "printed\n" not in structured


def test_several_functions_log_into_one_group(node: NodeProcess, unique_name: str) -> None:
    client, logs = node.client("lambda"), node.client("logs")
    group = f"/shared/{unique_name}"
    source = (
        "import os\ndef handler(e, c):\n    print('by', c.function_name)\n"
        "    return [c.log_group_name, c.log_stream_name, os.environ['AWS_LAMBDA_LOG_GROUP_NAME']]\n"
    )
    names = [f"{unique_name}-{letter}" for letter in "ab"]
    for name in names:
        create(client, name, source, LoggingConfig={"LogGroup": group})
        told, stream, environ = invoke(client, name)
        assert told == environ == group
        assert re.fullmatch(rf"\d{{4}}/\d\d/\d\d/{name}\[\$LATEST\]\[[0-9a-f]{{32}}\]", stream)
        mine = logs.filter_log_events(logGroupName=group, logStreamNames=[stream])["events"]
        assert f"by {name}\n" in [event["message"] for event in mine]
    assert {f"by {name}\n" for name in names} <= set(messages(node, group))
    assert not logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{unique_name}")["logGroups"]


def test_a_group_deleted_under_a_running_function_is_made_again(node: NodeProcess, unique_name: str) -> None:
    client, logs = node.client("lambda"), node.client("logs")
    group = f"/aws/lambda/{unique_name}"
    create(client, unique_name, "def handler(e, c):\n    print('event', e)\n    return c.log_stream_name\n")
    stream = invoke(client, unique_name, 1)
    assert "event 1\n" in messages(node, group)
    logs.delete_log_group(logGroupName=group)
    assert invoke(client, unique_name, 2) == stream, "the environment stays"
    found = messages(node, group)
    assert "event 2\n" in found and "event 1\n" not in found


def test_a_failed_init_phase_is_in_the_tail_of_the_invocation_that_tries_again(
    node: NodeProcess, unique_name: str
) -> None:
    client = node.client("lambda")
    create(client, unique_name, "import nothing_of_that_name\n")
    tail = tail_of(client.invoke(FunctionName=unique_name, Payload=b"1", LogType="Tail"))
    phases = [line.split("\t")[1] for line in tail if line.startswith("INIT_REPORT ")]
    assert phases == ["Phase: init", "Phase: invoke"]
    assert tail[-1].startswith("REPORT ")


def test_a_cold_starts_tail_opens_with_its_init_and_a_warm_ones_does_not(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, "print('loading')\ndef handler(e, c):\n    print('running')\n")
    words = [
        [line.split(" ")[0] for line in tail_of(client.invoke(FunctionName=unique_name, Payload=b"1", LogType="Tail"))]
        for _ in range(2)
    ]
    assert words == [
        ["INIT_START", "loading", "START", "running", "END", "REPORT"],
        ["START", "running", "END", "REPORT"],
    ]


def test_a_tail_is_the_last_4_kb_whatever_is_printed(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, "def handler(e, c):\n    for n in range(e):\n        print('line', n, 'x' * 100)\n")
    answer = client.invoke(FunctionName=unique_name, Payload=b"20000", LogType="Tail")
    tail = base64.b64decode(answer["LogResult"])
    assert len(tail) == 4096
    lines = tail.decode().splitlines()
    assert lines[-1].startswith("REPORT ") and lines[-3].startswith("line 19999 ")


def test_provisioned_environments_report_their_init(node: NodeProcess, unique_name: str) -> None:
    client, group = node.client("lambda"), f"/aws/lambda/{unique_name}"
    node.client("logs").create_log_group(logGroupName=group)
    create(client, unique_name, "def handler(e, c):\n    return 1\n")
    client.publish_version(FunctionName=unique_name)
    client.put_provisioned_concurrency_config(
        FunctionName=unique_name, Qualifier="1", ProvisionedConcurrentExecutions=1
    )
    report = re.compile(r"INIT_REPORT Init Duration: \d+\.\d\d ms\n")
    eventually(lambda: any(map(report.fullmatch, messages(node, group))), what="its INIT_REPORT")
