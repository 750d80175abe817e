"""`invoke` and `functions` against a real node, as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pilotlight.cli.functions import functions
from tests.support import NodeProcess, make_zip

RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"
SOURCE = """
import sys
def handler(event, context):
    print("seen", event)
    if event == "raise":
        raise ValueError("as asked")
    return {"event": event, "version": context.function_version, "é": "ü"}
"""


def pilotlight(node: NodeProcess, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pilotlight", *arguments],
        capture_output=True,
        text=True,
        input=stdin,
        timeout=60,
        env={**os.environ, "PILOTLIGHT_ENDPOINT": node.endpoint},
    )


@pytest.fixture(scope="module")
def echo(node: NodeProcess) -> str:
    client = node.client("lambda")
    client.create_function(
        FunctionName="cli-echo",
        Runtime=RUNTIME,
        Role="arn:aws:iam::000000000000:role/r",
        Handler="app.handler",
        Code={"ZipFile": make_zip(SOURCE)},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="cli-echo", WaiterConfig={"Delay": 1})
    return "cli-echo"


def test_invoke_prints_the_answer_and_nothing_else(node: NodeProcess, echo: str) -> None:
    result = pilotlight(node, "invoke", echo, "-p", '{"a": [1]}')
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {"event": {"a": [1]}, "version": "$LATEST", "é": "ü"}
    assert result.stderr == ""


def test_payload_from_a_file_and_from_standard_input(node: NodeProcess, echo: str, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text('"from a file"')
    result = pilotlight(node, "invoke", echo, "-p", f"@{tmp_path / 'event.json'}")
    assert json.loads(result.stdout)["event"] == "from a file"
    result = pilotlight(node, "invoke", echo, "-p", "-", stdin='"from stdin"')
    assert json.loads(result.stdout)["event"] == "from stdin"
    result = pilotlight(node, "invoke", echo, "-p", "@/nowhere/event.json")
    assert result.returncode == 1
    assert "/nowhere/event.json" in result.stderr


def test_tail_shows_the_log_on_stderr(node: NodeProcess, echo: str) -> None:
    result = pilotlight(node, "invoke", echo, "-p", '"hello"', "--tail")
    assert "seen hello" in result.stderr
    assert "REPORT RequestId:" in result.stderr
    assert "seen" not in result.stdout


def test_function_error_has_its_own_exit_status(node: NodeProcess, echo: str) -> None:
    result = pilotlight(node, "invoke", echo, "-p", '"raise"')
    assert result.returncode == 3
    assert json.loads(result.stdout)["errorType"] == "ValueError"
    assert "The function failed (Unhandled)." in result.stderr


def test_json_has_everything(node: NodeProcess, echo: str) -> None:
    result = pilotlight(node, "invoke", echo, "-p", '"x"', "--tail", "--json", "--qualifier", "$LATEST")
    answer: dict[str, Any] = json.loads(result.stdout)
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert answer["FunctionError"] is None
    assert answer["Payload"]["event"] == "x"
    assert any(line.startswith("START RequestId: " + answer["RequestId"]) for line in answer["Log"])
    assert answer["DurationMs"] > 0


def test_async_is_queued(node: NodeProcess, echo: str) -> None:
    result = pilotlight(node, "invoke", echo, "-p", '"later"', "--async")
    assert result.returncode == 0
    assert result.stdout == ""
    assert "Queued as" in result.stderr
    assert pilotlight(node, "invoke", echo, "--async", "--tail").returncode == 2


def test_refusals_are_aws_errors_in_one_line(node: NodeProcess) -> None:
    result = pilotlight(node, "invoke", "not-there")
    assert result.returncode == 1
    assert "ResourceNotFoundException: Function not found" in result.stderr
    assert "Traceback" not in result.stderr


def test_malformed_payload_is_refused_by_the_node(node: NodeProcess, echo: str) -> None:
    result = pilotlight(node, "invoke", echo, "-p", "{oops")
    assert result.returncode == 1
    assert "InvalidRequestContentException" in result.stderr


def test_no_node_there_is_a_sentence() -> None:
    result = CliRunner().invoke(functions, ["--endpoint", "http://127.0.0.1:9"])
    assert result.exit_code == 1
    assert "No node answers at http://127.0.0.1:9" in result.output


def test_endpoint_that_is_no_address_is_a_sentence() -> None:
    result = CliRunner().invoke(functions, ["--endpoint", "somewhere"])
    assert result.exit_code == 1
    assert "somewhere" in result.output


def test_functions_lists_them(node: NodeProcess, echo: str) -> None:
    result = pilotlight(node, "functions")
    assert result.returncode == 0, result.stderr
    head, *rows = result.stdout.splitlines()
    assert head.split()[:3] == ["NAME", "RUNTIME", "HANDLER"]
    row = next(row for row in rows if row.startswith(echo))
    assert RUNTIME in row and "app.handler" in row and "128 MB" in row and "Active" in row
    listed = json.loads(pilotlight(node, "functions", "--json").stdout)
    assert echo in {function["FunctionName"] for function in listed}


def test_functions_of_an_empty_region(node: NodeProcess) -> None:
    result = pilotlight(node, "functions", "--region", "af-south-1")
    assert result.returncode == 0
    assert result.stdout == ""
    assert "No functions in af-south-1" in result.stderr
