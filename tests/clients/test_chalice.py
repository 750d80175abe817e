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
        self._run, self._directory = run, directory

    def __call__(self, *words: str, input: str = "") -> str:
        return self._run(self._program, *words, cwd=self._directory, input=input).stdout

    def append(self, source: str) -> None:
        """Add to the application's code."""
        with (self._directory / "app.py").open("a") as app:
            app.write(source)


@pytest.fixture
def chalice(run: Run, tmp_path: Path) -> Chalice:
    return Chalice(run, tmp_path / "app")


def test_deploy_again_and_delete(chalice: Chalice, node: NodeProcess) -> None:
    node.client("sqs").create_queue(QueueName="words", Attributes={"VisibilityTimeout": "60"})
    functions = node.client("lambda")

    assert "Creating lambda function: greeter-dev-plural" in chalice("deploy")
    made = functions.get_function(FunctionName="greeter-dev-plural")
    assert made["Tags"]["team"] == "a"
    layers = [layer["Arn"].split(":", 6)[6] for layer in made["Configuration"]["Layers"]]
    assert layers == ["greeter-dev-managed-layer:1"]
    mappings = functions.list_event_source_mappings(FunctionName="greeter-dev-on_word")["EventSourceMappings"]
    assert [(mapping["BatchSize"], mapping["State"]) for mapping in mappings] == [(3, "Enabled")]
    assert chalice("invoke", "--name", "plural", input='{"word": "octopus"}').strip() == '"octopi!"'
    assert eventually(lambda: "asked for octopus" in chalice("logs", "--name", "plural"))

    chalice.append('\n\n@app.lambda_function(name="length")\ndef length(event, context):\n    return len(event)\n')
    again = chalice("deploy")
    assert "Updating lambda function: greeter-dev-plural" in again
    assert "Creating lambda function: greeter-dev-length" in again
    assert chalice("invoke", "--name", "length", input="[1, 2]").strip() == "2"
    assert chalice("invoke", "--name", "plural", input='{"word": "ox"}').strip() == '"oxen!"'

    chalice("delete")
    left = [function["FunctionName"] for function in functions.list_functions()["Functions"]]
    assert not [name for name in left if name.startswith("greeter-dev")]
    assert functions.list_layer_versions(LayerName="greeter-dev-managed-layer")["LayerVersions"] == []
