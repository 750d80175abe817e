"""The AWS CLI v2 drives a node as it drives AWS: Lambda's resources in its own parameter forms, its waits, and logs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Run
from tests.e2e.functions import create, invoke
from tests.support import NodeProcess, eventually, make_zip

ROLE = "arn:aws:iam::000000000000:role/r"
SOURCE = "def handler(e, c):\n    print('seen', e['n'])\n    return e['n'] * 2\n"


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
    """`aws(*words)` is what the command answers; `refused(*words)` what it says when it fails."""

    def __init__(self, run: Run, node: NodeProcess, environ: dict[str, str]) -> None:
        # By flag and not by variable: Debian's is older than AWS_ENDPOINT_URL.
        self._run, self._environ = run, environ
        self._base = [str(CLI), "--endpoint-url", node.endpoint, "--output", "json"]

    def __call__(self, *words: str | Path) -> Any:
        answer = self._run(*self._base, *words).stdout
        return json.loads(answer) if answer.strip() else None

    def refused(self, *words: str | Path) -> str:
        return self._run(*self._base, *words, status=254).stderr

    def tail(self, group: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._base, "logs", "tail", group, "--follow", "--since", "1h", "--format", "short"],
            stdout=subprocess.PIPE,
            text=True,
            env=self._environ | {"PYTHONUNBUFFERED": "1"},
        )


@pytest.fixture
def aws(run: Run, node: NodeProcess, environ: dict[str, str]) -> Aws:
    return Aws(run, node, environ)


@pytest.fixture
def function(aws: Aws, unique_name: str, tmp_path: Path) -> str:
    """A function that answers twice `n`, made by the command line."""
    package = tmp_path / "code.zip"
    package.write_bytes(make_zip(SOURCE))
    aws(
        *("lambda", "create-function", "--function-name", unique_name, "--runtime", "python3.11", "--role", ROLE),
        *("--handler", "app.handler", "--zip-file", f"fileb://{package}"),
    )
    aws("lambda", "wait", "function-active-v2", "--function-name", unique_name)
    return unique_name


def test_a_function_from_create_to_delete(aws: Aws, unique_name: str, tmp_path: Path) -> None:
    package = tmp_path / "code.zip"
    package.write_bytes(make_zip(SOURCE))
    made = aws(
        *("lambda", "create-function", "--function-name", unique_name, "--runtime", "python3.11"),
        *("--role", ROLE, "--handler", "app.handler", "--zip-file", f"fileb://{package}", "--tags", "team=a"),
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
    assert "ResourceNotFoundException" in aws.refused("lambda", "get-function", "--function-name", unique_name)


def test_requests_from_a_file_and_their_skeletons(aws: Aws, unique_name: str, tmp_path: Path) -> None:
    skeleton = aws("lambda", "create-function", "--generate-cli-skeleton")
    assert {"FunctionName", "Role", "Code", "Layers", "Environment"} <= set(skeleton)
    package, request = tmp_path / "code.zip", tmp_path / "request.json"
    package.write_bytes(make_zip(SOURCE))
    filled = {
        "FunctionName": unique_name,
        "Runtime": "python3.11",
        "Role": ROLE,
        "Handler": "app.handler",
        "Environment": {"Variables": {"MODE": "a,b=c"}},
        "Tags": {"team": "a"},
    }
    assert set(filled) <= set(skeleton)
    request.write_text(json.dumps(filled))
    made = aws(
        *("lambda", "create-function", "--cli-input-json", f"file://{request}"),
        *("--zip-file", f"fileb://{package}", "--memory-size", "256"),
    )
    assert (made["Environment"], made["MemorySize"]) == (filled["Environment"], 256)
    updated = aws(
        *("lambda", "update-function-configuration", "--function-name", unique_name),
        *("--environment", "Variables={ONE=1,TWO=2}", "--ephemeral-storage", "Size=1024"),
        *("--tracing-config", "Mode=Active"),
    )
    assert updated["Environment"] == {"Variables": {"ONE": "1", "TWO": "2"}}
    assert updated["EphemeralStorage"] == {"Size": 1024}
    assert updated["TracingConfig"] == {"Mode": "Active"}


def test_code_updates_and_their_dry_run(aws: Aws, function: str, tmp_path: Path) -> None:
    package, out = tmp_path / "other.zip", tmp_path / "out"
    package.write_bytes(make_zip("def handler(e, c):\n    return 'other'\n"))
    before = aws("lambda", "get-function-configuration", "--function-name", function)
    update = ("lambda", "update-function-code", "--function-name", function, "--zip-file", f"fileb://{package}")
    tried = aws(*update, "--dry-run")
    assert tried["CodeSha256"] != before["CodeSha256"]
    assert aws("lambda", "get-function-configuration", "--function-name", function) == before
    stale = aws.refused(*update, "--revision-id", "0a1b2c3d-0000-4000-8000-000000000000")
    assert "PreconditionFailedException" in stale
    updated = aws(*update, "--revision-id", before["RevisionId"], "--publish")
    assert (updated["Version"], updated["CodeSha256"]) == ("1", tried["CodeSha256"])
    aws("lambda", "wait", "published-version-active", "--function-name", function, "--qualifier", "1")
    aws("lambda", "invoke", "--function-name", f"{function}:1", out)
    assert out.read_text() == '"other"'


def test_aliases(aws: Aws, function: str, tmp_path: Path) -> None:
    of = ("--function-name", function)
    for description in ("one", "two"):
        aws("lambda", "update-function-configuration", *of, "--description", description)
        aws("lambda", "publish-version", *of)
    made = aws("lambda", "create-alias", *of, "--name", "live", "--function-version", "1")
    assert made["AliasArn"].endswith(f":{function}:live")
    updated = aws(
        *("lambda", "update-alias", *of, "--name", "live"),
        *("--routing-config", "AdditionalVersionWeights={2=0.25}"),
    )
    assert updated["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.25}}
    assert aws("lambda", "get-alias", *of, "--name", "live") == updated
    aws("lambda", "update-alias", *of, "--name", "live", "--routing-config", "AdditionalVersionWeights={}")
    payload = tmp_path / "event.json"
    payload.write_text('{"n": 4}')
    answer = aws(
        *("lambda", "invoke", *of, "--qualifier", "live", "--payload", f"fileb://{payload}", tmp_path / "out"),
    )
    assert (answer["ExecutedVersion"], (tmp_path / "out").read_text()) == ("1", "8")
    listed = aws("lambda", "list-aliases", *of, "--function-version", "1")["Aliases"]
    assert [alias["Name"] for alias in listed] == ["live"]
    aws("lambda", "delete-alias", *of, "--name", "live")
    assert aws("lambda", "list-aliases", *of)["Aliases"] == []


def test_layers(aws: Aws, function: str, unique_name: str, tmp_path: Path) -> None:
    package = tmp_path / "layer.zip"
    package.write_bytes(make_zip({"python/words.py": "WORD = 'layered'\n"}))
    layer = f"{unique_name}-layer"
    published = aws(
        *("lambda", "publish-layer-version", "--layer-name", layer, "--zip-file", f"fileb://{package}"),
        *("--compatible-runtimes", "python3.11", "python3.12", "--license-info", "MIT", "--description", "words"),
    )
    arn = published["LayerVersionArn"]
    assert (published["Version"], published["CompatibleRuntimes"]) == (1, ["python3.11", "python3.12"])
    by_arn = aws("lambda", "get-layer-version-by-arn", "--arn", arn)
    assert by_arn["Content"]["CodeSha256"] == published["Content"]["CodeSha256"]
    aws(
        *("lambda", "add-layer-version-permission", "--layer-name", layer, "--version-number", "1"),
        *("--statement-id", "all", "--action", "lambda:GetLayerVersion", "--principal", "*"),
    )
    policy = aws("lambda", "get-layer-version-policy", "--layer-name", layer, "--version-number", "1")
    assert json.loads(policy["Policy"])["Statement"][0]["Resource"] == arn
    code = tmp_path / "code.zip"
    code.write_bytes(make_zip("import words\n\ndef handler(e, c):\n    return words.WORD\n"))
    aws("lambda", "update-function-configuration", "--function-name", function, "--layers", arn)
    aws("lambda", "update-function-code", "--function-name", function, "--zip-file", f"fileb://{code}")
    aws("lambda", "delete-layer-version", "--layer-name", layer, "--version-number", "1")
    assert aws("lambda", "list-layer-versions", "--layer-name", layer)["LayerVersions"] == []
    aws("lambda", "invoke", "--function-name", function, tmp_path / "out")
    assert (tmp_path / "out").read_text() == '"layered"'


def test_event_source_mappings(aws: Aws, function: str, unique_name: str) -> None:
    queue = aws("sqs", "create-queue", "--queue-name", unique_name)["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:000000000000:{queue.rsplit('/')[-1]}"
    made = aws(
        *("lambda", "create-event-source-mapping", "--function-name", function, "--event-source-arn", arn),
        *("--batch-size", "5", "--no-enabled", "--function-response-types", "ReportBatchItemFailures"),
        *("--filter-criteria", json.dumps({"Filters": [{"Pattern": json.dumps({"body": {"kind": ["a"]}})}]})),
        *("--scaling-config", "MaximumConcurrency=4"),
    )
    of = ("--uuid", made["UUID"])
    got = aws("lambda", "get-event-source-mapping", *of)
    assert (got["State"], got["BatchSize"], got["ScalingConfig"]) == ("Disabled", 5, {"MaximumConcurrency": 4})
    updated = aws("lambda", "update-event-source-mapping", *of, "--batch-size", "7")
    assert updated["BatchSize"] == 7
    listed = aws("lambda", "list-event-source-mappings", "--function-name", function, "--event-source-arn", arn)
    assert [mapping["UUID"] for mapping in listed["EventSourceMappings"]] == [made["UUID"]]
    aws("lambda", "delete-event-source-mapping", *of)
    assert "ResourceNotFoundException" in aws.refused("lambda", "get-event-source-mapping", *of)


def test_what_is_set_beside_a_function(aws: Aws, function: str) -> None:
    """Each `put` or `create` with what reads it back, and then its `delete`."""
    of = ("--function-name", function)
    aws("lambda", "publish-version", *of)
    reserved = aws("lambda", "put-function-concurrency", *of, "--reserved-concurrent-executions", "4")
    assert aws("lambda", "get-function-concurrency", *of) == reserved == {"ReservedConcurrentExecutions": 4}
    aws("lambda", "delete-function-concurrency", *of)
    assert not aws("lambda", "get-function-concurrency", *of)

    invoke_config = aws(
        *("lambda", "put-function-event-invoke-config", *of, "--maximum-retry-attempts", "1"),
        *("--destination-config", '{"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:failed"}}'),
    )
    read = aws("lambda", "get-function-event-invoke-config", *of)
    assert read["DestinationConfig"] == invoke_config["DestinationConfig"]
    aws("lambda", "delete-function-event-invoke-config", *of)

    url = aws(
        *("lambda", "create-function-url-config", *of, "--auth-type", "NONE"),
        *("--cors", "AllowOrigins=https://example.org,MaxAge=60"),
    )
    assert aws("lambda", "get-function-url-config", *of)["FunctionUrl"] == url["FunctionUrl"]
    aws("lambda", "delete-function-url-config", *of)

    provisioned = ("--qualifier", "1", "--provisioned-concurrent-executions", "1")
    aws("lambda", "put-provisioned-concurrency-config", *of, *provisioned)
    listed = aws("lambda", "list-provisioned-concurrency-configs", *of)["ProvisionedConcurrencyConfigs"]
    assert [config["RequestedProvisionedConcurrentExecutions"] for config in listed] == [1]
    aws("lambda", "delete-provisioned-concurrency-config", *of, "--qualifier", "1")

    signing = aws(
        *("lambda", "create-code-signing-config", "--allowed-publishers"),
        "SigningProfileVersionArns=arn:aws:signer:us-east-1:000000000000:/signing-profiles/ours/abcdefghij",
    )["CodeSigningConfig"]["CodeSigningConfigArn"]
    aws("lambda", "put-function-code-signing-config", *of, "--code-signing-config-arn", signing)
    assert aws("lambda", "get-function-code-signing-config", *of)["CodeSigningConfigArn"] == signing
    assert "ResourceConflictException" in aws.refused(
        "lambda", "delete-code-signing-config", "--code-signing-config-arn", signing
    )
    aws("lambda", "delete-function-code-signing-config", *of)
    aws("lambda", "delete-code-signing-config", "--code-signing-config-arn", signing)


def test_pages(aws: Aws, function: str) -> None:
    """The command line pages by itself; its own tokens carry on where it was told to stop."""
    for number in range(3):
        aws("lambda", "update-function-configuration", "--function-name", function, "--description", str(number))
        aws("lambda", "publish-version", "--function-name", function)
    list_versions = ("lambda", "list-versions-by-function", "--function-name", function)

    def numbers(answer: dict[str, Any]) -> list[str]:
        return [version["Version"] for version in answer["Versions"]]

    assert numbers(aws(*list_versions, "--page-size", "1")) == ["$LATEST", "1", "2", "3"]
    begun = aws(*list_versions, "--max-items", "2")
    assert numbers(begun) == ["$LATEST", "1"]
    assert numbers(aws(*list_versions, "--starting-token", begun["NextToken"])) == ["2", "3"]


def test_logs(aws: Aws, node: NodeProcess, unique_name: str) -> None:
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


def test_metrics_are_read_and_reported(aws: Aws, function: str, unique_name: str, tmp_path: Path) -> None:
    """Debian's CLI speaks the query protocol to CloudWatch."""
    invocation = ("lambda", "invoke", "--function-name", function, "--payload", '{"n": 1}')
    aws(*invocation, "--cli-binary-format", "raw-in-base64-out", str(tmp_path / "out.json"))
    span = ("--start-time", "2020-01-01T00:00:00Z", "--end-time", "2099-01-01T00:00:00Z", "--period", "36000000")
    dimension = ("--dimensions", f"Name=FunctionName,Value={function}")
    metric = ("--namespace", "AWS/Lambda", "--metric-name", "Invocations")
    read = aws("cloudwatch", "get-metric-statistics", *metric, *dimension, *span, "--statistics", "Sum")
    assert sum(point["Sum"] for point in read["Datapoints"]) == 1
    aws("cloudwatch", "put-metric-data", "--namespace", unique_name, "--metric-name", "sold", "--value", "7")
    listed = aws("cloudwatch", "list-metrics", "--namespace", unique_name)
    assert [metric["MetricName"] for metric in listed["Metrics"]] == ["sold"]
