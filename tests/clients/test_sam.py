"""AWS SAM CLI: what it builds and packages runs on a node, and its remote commands work there.

`sam deploy`, `sam sync` and `sam list` go by a CloudFormation stack, which a node does not have: here the built
template's function and layer are created as CloudFormation would, from the packages that `sam package` uploaded.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Run, place_of
from tests.support import NodeProcess, eventually

APP = Path(__file__).parent / "sam" / "app"
ROLE = "arn:aws:iam::000000000000:role/lambda-role"
RUNTIME = f"python3.{sys.version_info.minor}"


class Sam:
    def __init__(self, run: Run, directory: Path, endpoint: str) -> None:
        place = place_of("sam")
        shutil.copytree(APP, directory)
        self._run, self._directory = run, directory
        self._program = place / "bin" / "sam"
        self._environ = {
            # `sam build` looks for the runtime's interpreter, with pip, on the path.
            "PATH": f"{place / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "SAM_CLI_TELEMETRY": "0",
            "__SAM_CLI_APP_DIR": str(directory / "settings"),
        }

    def __call__(self, *words: str) -> str:
        return self._run(self._program, *words, cwd=self._directory, **self._environ).stdout


@pytest.fixture
def sam(run: Run, tmp_path: Path, node: NodeProcess) -> Sam:
    return Sam(run, tmp_path / "app", node.endpoint)


def stored(uri: str) -> dict[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return {"S3Bucket": bucket, "S3Key": key}


def create(node: NodeProcess, name: str, template: dict[str, Any]) -> str:
    """What a stack of the packaged template would have: the layer, and the function with it. The function's ARN."""
    functions = node.client("lambda")
    properties = {logical: resource["Properties"] for logical, resource in template["Resources"].items()}
    layer = functions.publish_layer_version(
        LayerName=name, Content=stored(properties["Words"]["ContentUri"]), CompatibleRuntimes=[RUNTIME]
    )
    greeter = properties["Greeter"]
    made = functions.create_function(
        FunctionName=name,
        Runtime=RUNTIME,
        Role=ROLE,
        Handler=greeter["Handler"],
        Timeout=greeter["Timeout"],
        Code=stored(greeter["CodeUri"]),
        Layers=[layer["LayerVersionArn"]],
    )
    functions.get_waiter("function_active_v2").wait(FunctionName=name)
    return made["FunctionArn"]


def test_build_package_run_and_look(sam: Sam, node: NodeProcess, unique_name: str) -> None:
    sam("build", "--parameter-overrides", f"Runtime={RUNTIME}")
    node.client("s3").create_bucket(Bucket=unique_name)
    template = json.loads(sam("package", "--s3-bucket", unique_name, "--use-json"))
    arn = create(node, unique_name, template)

    payload = json.loads(sam("remote", "invoke", arn, "--event", '{"word": "octopus"}'))
    assert payload == {"plural": "octopi", "layer": "layered"}
    whole = json.loads(sam("remote", "invoke", arn, "--event", '{"word": "ox"}', "--output", "json"))
    assert (whole["StatusCode"], json.loads(whole["Payload"])["plural"]) == (200, "oxen")
    accepted = sam(
        *("remote", "invoke", arn, "--event", '{"word": "mouse"}', "--output", "json"),
        *("--parameter", "InvocationType=Event"),
    )
    assert json.loads(accepted)["StatusCode"] == 202

    # With a URL that streams, SAM invokes by InvokeWithResponseStream.
    node.client("lambda").create_function_url_config(
        FunctionName=unique_name, AuthType="AWS_IAM", InvokeMode="RESPONSE_STREAM"
    )
    streamed = json.loads(sam("remote", "invoke", arn, "--event", '{"word": "wolf"}'))
    assert streamed["plural"] == "wolves"

    logged = eventually(
        lambda: found if "mouse" in (found := sam("logs", "--cw-log-group", f"/aws/lambda/{unique_name}")) else ""
    )
    assert "asked for octopus" in logged
    assert "REPORT RequestId" in logged
