"""What the end-to-end tests need again and again: a function made from a few lines of Python, and its answer."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any

from tests.support import NodeProcess, make_zip

#: source of a function that a test holds: its `wait()` returns when the function `gate` has been deleted
WAIT = """
import os, time, urllib.error, urllib.request
GATE = os.environ["AWS_ENDPOINT_URL"] + "/2015-03-31/functions/gate"
def wait():
    while True:
        try:
            urllib.request.urlopen(GATE).close()
        except urllib.error.HTTPError:
            break
        time.sleep(0.02)
"""
ROLE = "arn:aws:iam::000000000000:role/lambda-role"


def create(client: Any, name: str, source: str | dict[str, str | bytes], **members: Any) -> dict[str, Any]:
    """Create `name` from the text of app.py (or several files) and wait until it can be invoked."""
    made = client.create_function(
        FunctionName=name,
        Runtime=members.pop("Runtime", "python3.11"),
        Role=ROLE,
        Handler=members.pop("Handler", "app.handler"),
        Code={"ZipFile": make_zip(source)},
        **members,
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200})
    return made


def invoke(client: Any, name: str, event: Any = None, **members: Any) -> Any:
    """Invoke and decode the answer; a function error is an AssertionError."""
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event), **members)
    body = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, body
    return body


def invoke_failing(client: Any, name: str, event: Any = None) -> dict[str, Any]:
    """Invoke a function that is to fail; the error document it answers."""
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event))
    body = json.loads(answer["Payload"].read())
    assert answer["StatusCode"] == 200
    assert answer["FunctionError"] == "Unhandled", body
    return body


def health(node: NodeProcess) -> dict[str, Any]:
    """What the node says of itself."""
    with urllib.request.urlopen(f"{node.endpoint}/_pilotlight/health", timeout=5) as answer:
        return json.load(answer)


def descendants(pid: int) -> list[int]:
    """The pids of every process under `pid`, now."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    parent = int(stat.read().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found
