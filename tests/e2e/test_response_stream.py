"""InvokeWithResponseStream: buffered answers as events, errors before and at the end of the stream."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.e2e.functions import create
from tests.operations.errors import refused
from tests.support import NodeProcess

ECHO = "def handler(event, context):\n    print('here')\n    return event\n"


def _stream(client: Any, name: str, event: Any = None, **members: Any) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
    """Payload, InvokeComplete, and the answer's own members."""
    answer = client.invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event), **members)
    events = list(answer.pop("EventStream"))
    assert all(list(event) == ["PayloadChunk"] for event in events[:-1])
    assert list(events[-1]) == ["InvokeComplete"]
    payload = b"".join(event["PayloadChunk"]["Payload"] for event in events[:-1])
    return payload, events[-1]["InvokeComplete"], answer


def test_an_answer_comes_in_chunks(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, ECHO, Publish=True)
    payload, complete, answer = _stream(client, unique_name, {"a": "ü"})
    assert json.loads(payload) == {"a": "ü"}
    assert complete == {}
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
    large = "x" * 3_000_000
    assert json.loads(_stream(client, unique_name, large, Qualifier="1")[0]) == large
    assert _stream(client, f"{unique_name}:1")[2]["ExecutedVersion"] == "1"
    assert json.loads(_stream(client, unique_name)[0]) is None


def test_the_log_comes_at_the_end(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, ECHO)
    complete = _stream(client, unique_name, 1, LogType="Tail")[1]
    log = base64.b64decode(complete["LogResult"]).decode()
    assert "here\n" in log
    assert log.splitlines()[-1].startswith("REPORT RequestId: ")


def test_a_function_error_is_told_at_the_end(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, "def handler(e, c):\n    raise ValueError('no')\n")
    payload, complete, answer = _stream(client, unique_name)
    assert payload == b""
    assert complete["ErrorCode"] == "Unhandled"
    details = json.loads(complete["ErrorDetails"])
    assert (details["errorType"], details["errorMessage"]) == ("ValueError", "no")
    assert answer["StatusCode"] == 200


def test_dry_run(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, ECHO)
    answer = client.invoke_with_response_stream(FunctionName=unique_name, InvocationType="DryRun")
    assert answer["StatusCode"] == 204
    answer["EventStream"].close()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client.invoke_with_response_stream(FunctionName=unique_name + "-not", InvocationType="DryRun")


def test_what_is_wrong_before_the_stream_is_an_ordinary_error(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda", config=Config(parameter_validation=False))
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{unique_name}"
    call = client.invoke_with_response_stream
    with refused("ResourceNotFoundException", f"Function not found: {arn}", 404):
        call(FunctionName=unique_name)
    create(client, unique_name, ECHO)
    with refused("ResourceNotFoundException", f"Function not found: {arn}:nobody", 404):
        call(FunctionName=unique_name, Qualifier="nobody")
    with pytest.raises(ClientError, match="InvalidRequestContentException.*Could not parse request body into json"):
        call(FunctionName=unique_name, Payload=b"{")
    with refused(
        "RequestEntityTooLargeException",
        "Request must be smaller than 6291456 bytes for the InvokeWithResponseStream operation",
        413,
    ):
        call(FunctionName=unique_name, Payload=b'"' + b"x" * 6_291_456 + b'"')
    with refused(
        "ValidationException",
        "1 validation error detected: Value 'Event' at 'invocationType' failed to satisfy constraint: "
        "Member must satisfy enum value set: [RequestResponse, DryRun]",
    ):
        call(FunctionName=unique_name, InvocationType="Event")
    with refused("InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object."):
        call(FunctionName=unique_name, ClientContext="!")
    with refused(
        "InvalidParameterValueException",
        "The invoked function is not enabled with tenancy configuration. "
        "Remove the tenant ID from your request and try again.",
    ):
        call(FunctionName=unique_name, TenantId="blue")
    client.put_function_concurrency(FunctionName=unique_name, ReservedConcurrentExecutions=0)
    with refused("TooManyRequestsException", "Rate Exceeded.", 429):
        call(FunctionName=unique_name)


def test_context(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    source = "def handler(e, c):\n    return [c.aws_request_id, c.client_context.custom, c.invoked_function_arn]\n"
    create(client, unique_name, source, Publish=True)
    client.create_alias(FunctionName=unique_name, Name="live", FunctionVersion="1")
    client_context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    payload, _, answer = _stream(client, unique_name, Qualifier="live", ClientContext=client_context)
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{unique_name}:live"
    assert json.loads(payload) == [answer["ResponseMetadata"]["RequestId"], {"k": "v"}, arn]
    assert answer["ExecutedVersion"] == "1"
