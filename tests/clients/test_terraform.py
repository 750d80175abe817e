"""Terraform (or OpenTofu) and the AWS provider manage every Lambda resource they know, and then see nothing to change.

A plan compares each member of what the API answers with what was asked for and with what AWS is known to answer for
what was left out: an empty plan after an apply says that none differs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Run, place_of
from tests.support import NodeProcess, make_zip

PROJECT = Path(__file__).parent / "terraform" / "project"
HANDLER = "import os, words\n\ndef handler(event, context):\n    return f\"{os.environ['GREETING']} {words.WHOM}%s\"\n"
NOTHING_TO_CHANGE, CHANGES = 0, 2


class Terraform:
    """A copy of the project, and commands on it."""

    def __init__(self, run: Run, directory: Path, provider: Path, **variables: str) -> None:
        program = shutil.which("terraform") or shutil.which("tofu") or provider / "tofu"
        settings = directory / "terraform.rc"
        settings.write_text(
            f'provider_installation {{\n  dev_overrides {{ "hashicorp/aws" = "{provider}" }}\n  direct {{}}\n}}\n'
        )
        shutil.copytree(PROJECT, directory, dirs_exist_ok=True)
        (directory / "first.zip").write_bytes(make_zip(HANDLER % "!"))
        (directory / "second.zip").write_bytes(make_zip(HANDLER % "?"))
        (directory / "layer.zip").write_bytes(make_zip({"python/words.py": "WHOM = 'world'\n"}))
        self._run, self._program, self._directory = run, program, directory
        self._environ = {"TF_CLI_CONFIG_FILE": str(settings), "CHECKPOINT_DISABLE": "1"}
        self._environ |= {f"TF_VAR_{name}": value for name, value in variables.items()}

    def __call__(self, *words: str, status: int = 0) -> str:
        command = [self._program, *words, "-no-color"]
        return self._run(*command, cwd=self._directory, status=status, **self._environ).stdout

    def apply(self, **variables: str) -> dict[str, Any]:
        self("apply", "-auto-approve", "-input=false", *self._given(variables))
        return {name: output["value"] for name, output in json.loads(self("output", "-json")).items()}

    def plan(self, *, status: int, **variables: str) -> str:
        return self("plan", "-detailed-exitcode", "-input=false", *self._given(variables), status=status)

    @staticmethod
    def _given(variables: dict[str, str]) -> list[str]:
        return [f"-var={name}={value}" for name, value in variables.items()]


@pytest.fixture
def neighbours(node: NodeProcess, unique_name: str) -> dict[str, str]:
    """ARNs of what functions read from and write to, made beforehand: they are not what is tested."""
    queues = node.client("sqs")
    for use in ("source", "failed"):
        queues.create_queue(QueueName=f"{unique_name}-{use}", Attributes={"VisibilityTimeout": "60"})
    streams = node.client("kinesis")
    streams.create_stream(StreamName=unique_name, ShardCount=1)
    table = node.client("dynamodb").create_table(
        TableName=unique_name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    return {
        "source_queue": f"arn:aws:sqs:us-east-1:000000000000:{unique_name}-source",
        "failed_queue": f"arn:aws:sqs:us-east-1:000000000000:{unique_name}-failed",
        "source_stream": streams.describe_stream(StreamName=unique_name)["StreamDescription"]["StreamARN"],
        "source_table": table["TableDescription"]["LatestStreamArn"],
    }


@pytest.fixture
def terraform(run: Run, tmp_path: Path, neighbours: dict[str, str], unique_name: str) -> Terraform:
    return Terraform(run, tmp_path, place_of("terraform"), name=unique_name, **neighbours)


# The provider waits five seconds for each function and concurrency, however soon it is there.
@pytest.mark.timeout(400)
def test_apply_change_take_away_and_destroy(terraform: Terraform, node: NodeProcess, unique_name: str) -> None:
    functions = node.client("lambda")
    first = terraform.apply(stage="1")
    assert first == {"answer": "hello world!", "looked_up": {"version": "1", "layer": 1}}
    terraform.plan(status=NOTHING_TO_CHANGE, stage="1")

    terraform.plan(status=CHANGES, stage="2")
    terraform.apply(stage="2")
    terraform.plan(status=NOTHING_TO_CHANGE, stage="2")
    changed = functions.get_function_configuration(FunctionName=unique_name)
    assert (changed["Description"], changed["Timeout"], changed["MemorySize"]) == ("second", 20, 256)
    weights = functions.get_alias(FunctionName=unique_name, Name="live")["RoutingConfig"]
    assert weights == {"AdditionalVersionWeights": {"2": 0.5}}

    terraform.apply(stage="3")
    terraform.plan(status=NOTHING_TO_CHANGE, stage="3")
    bare = functions.get_function(FunctionName=unique_name)
    assert bare["Configuration"].keys().isdisjoint({"Environment", "DeadLetterConfig", "Layers"})
    assert "Concurrency" not in bare
    assert "RoutingConfig" not in functions.get_alias(FunctionName=unique_name, Name="live")

    terraform("destroy", "-auto-approve", "-input=false", "-var=stage=3")
    left = [function["FunctionName"] for function in functions.list_functions()["Functions"]]
    assert not [name for name in left if name.startswith(unique_name)]
