"""The AWS SDK for JavaScript v3 drives a node: `javascript/scenario.mjs` acts, here is what it must have seen."""

from __future__ import annotations

import json
from pathlib import Path

from tests.clients.conftest import Run, place_of
from tests.support import make_zip

SCENARIO = Path(__file__).parent / "javascript" / "scenario.mjs"
SOURCE = """
import os, words

def handler(event, context):
    if isinstance(event, list):
        raise ValueError(event)
    print("greeting", event["name"] if event else "nobody")
    return os.environ["GREETING"] + " " + event["name"] + words.MARK if event else None
"""


def test_the_life_of_a_function(run: Run, tmp_path: Path, unique_name: str) -> None:
    modules = place_of("javascript")
    package, layer = tmp_path / "package.zip", tmp_path / "layer.zip"
    package.write_bytes(make_zip(SOURCE))
    layer.write_bytes(make_zip({"python/words.py": "MARK = '!'\n"}))
    seen = json.loads(run("node", SCENARIO, modules, package, unique_name, layer).stdout)
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{unique_name}"
    assert seen == {
        "made": {"state": "Pending", "layers": [True]},
        "active": "SUCCESS",
        "answer": {"status": 200, "version": "$LATEST", "payload": "hello node!"},
        "tail": True,
        "failed": {"error": "Unhandled", "type": "ValueError"},
        "statuses": [202, 204],
        "streamed": {"chunks": '"hello stream!"', "completed": 1},
        "updated": "SUCCESS",
        "aliased": {"version": "1", "payload": "good day alias!"},
        "versions": [["$LATEST"], ["1"]],
        "listed": 1,
        "reserved": 3,
        "got": {"reserved": 3, "code": "S3"},
        "download": True,
        "conflict": {
            "name": "ResourceConflictException",
            "message": f"Function already exist: {unique_name}",
            "type": "User",
            "status": 409,
            "isClass": True,
        },
        "gone": {
            "name": "ResourceNotFoundException",
            "message": f"Function not found: {arn}",
            "type": "User",
            "status": 404,
            "isClass": True,
        },
    }
