"""The AWS CLI v2 drives a node as it drives AWS: functions, invocations, policies, tags, logs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import NodeProcess, eventually, make_zip


def _cli_v2() -> str | None:
    for path in ("/usr/bin/aws", "/usr/local/bin/aws", shutil.which("aws")):
        if path and os.path.exists(path):
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if version.startswith("aws-cli/2"):
                return path
    return None


CLI = _cli_v2()
pytestmark = pytest.mark.skipif(CLI is None, reason="no AWS CLI v2 (Debian: apt install awscli)")


class Aws:
    def __init__(self, node: NodeProcess, home: Path) -> None:
        self._base = [str(CLI), "--endpoint-url", node.endpoint, "--region", "us-east-1", "--output", "json"]
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_PAGER": "",
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._base, *words], capture_output=True, text=True, env=self.environ, timeout=60, check=False
        )

    def __call__(self, *words: str) -> Any:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def tail(self, group: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._base, "logs", "tail", group, "--follow", "--since", "1h", "--format", "short"],
            stdout=subprocess.PIPE,
            text=True,
            env=self.environ | {"PYTHONUNBUFFERED": "1"},
        )


@pytest.fixture
def aws(node: NodeProcess, tmp_path: Path) -> Aws:
    return Aws(node, tmp_path)


def test_a_function_from_create_to_delete(aws: Aws, unique_name: str, tmp_path: Path) -> None:
    package = tmp_path / "code.zip"
    package.write_bytes(make_zip("def handler(e, c):\n    print('seen', e['n'])\n    return e['n'] * 2\n"))
    role = "arn:aws:iam::000000000000:role/r"
    made = aws(
        *("lambda", "create-function", "--function-name", unique_name, "--runtime", "python3.11"),
        *("--role", role, "--handler", "app.handler", "--zip-file", f"fileb://{package}", "--tags", "team=a"),
    )
    assert made["FunctionName"] == unique_name
    aws("lambda", "wait", "function-active-v2", "--function-name", unique_name)
    out = tmp_path / "out.json"
    answer = aws(
        *("lambda", "invoke", "--function-name", unique_name, "--payload", '{"n": 21}'),
        *("--cli-binary-format", "raw-in-base64-out", "--log-type", "Tail", str(out)),
    )
    assert answer["StatusCode"] == 200
    assert out.read_text() == "42"
    assert aws("lambda", "get-function", "--function-name", unique_name)["Tags"] == {"team": "a"}
    updated = aws("lambda", "update-function-configuration", "--function-name", unique_name, "--timeout", "9")
    assert updated["Timeout"] == 9
    aws("lambda", "wait", "function-updated-v2", "--function-name", unique_name)
    assert aws("lambda", "publish-version", "--function-name", unique_name)["Version"] == "1"
    listed = aws("lambda", "list-versions-by-function", "--function-name", unique_name)["Versions"]
    assert [version["Version"] for version in listed] == ["$LATEST", "1"]
    aws(
        *("lambda", "add-permission", "--function-name", unique_name, "--statement-id", "s1"),
        *("--action", "lambda:InvokeFunction", "--principal", "s3.amazonaws.com"),
    )
    policy = json.loads(aws("lambda", "get-policy", "--function-name", unique_name)["Policy"])
    assert policy["Statement"][0]["Principal"] == {"Service": "s3.amazonaws.com"}
    functions = aws("lambda", "list-functions")["Functions"]
    assert unique_name in {function["FunctionName"] for function in functions}
    assert "AccountLimit" in aws("lambda", "get-account-settings")
    aws("lambda", "delete-function", "--function-name", unique_name)
    gone = aws.run("lambda", "get-function", "--function-name", unique_name)
    assert gone.returncode == 254
    assert "ResourceNotFoundException" in gone.stderr


def test_logs(aws: Aws, node: NodeProcess, unique_name: str) -> None:
    from tests.e2e.functions import create, invoke

    client = node.client("lambda")
    create(client, unique_name, "def handler(e, c):\n    print('hello', e)\n")
    invoke(client, unique_name, "first")
    group = f"/aws/lambda/{unique_name}"
    tail = aws.tail(group)
    try:
        assert tail.stdout is not None
        seen = ""
        while "hello first" not in seen:
            line = tail.stdout.readline()
            assert line, "aws logs tail ended"
            seen += line
        invoke(client, unique_name, "second")
        while "hello second" not in seen:
            seen += tail.stdout.readline()
        assert "INIT_START" in seen and "START RequestId" in seen and "REPORT RequestId" in seen
    finally:
        tail.kill()
        tail.communicate()
    assert group in {g["logGroupName"] for g in aws("logs", "describe-log-groups")["logGroups"]}
    streams = aws("logs", "describe-log-streams", "--log-group-name", group)["logStreams"]
    assert len(streams) == 1
    events = eventually(
        lambda: [
            event["message"]
            for event in aws(
                *("logs", "get-log-events", "--log-group-name", group, "--start-from-head"),
                *("--log-stream-name", streams[0]["logStreamName"]),
            )["events"]
            if "hello" in event["message"]
        ]
    )
    assert [message.strip() for message in events] == ["hello first", "hello second"]
    found = aws("logs", "filter-log-events", "--log-group-name", group, "--filter-pattern", "second")["events"]
    assert [event["message"].strip() for event in found] == ["hello second"]
