"""Status, headers and body of results and errors, per protocol; and what happens to a handler that gets it wrong."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from pilotlight import errors
from pilotlight.wire import Call, ServiceApi, WireRequest, WireResponse
from pilotlight.wire.models import load_model
from pilotlight.wire.render import OperationRenderer
from tests.wire import oracle

ROUTES = {
    "GetFunction": ("GET", "/2015-03-31/functions/f"),
    "DeleteFunction": ("DELETE", "/2015-03-31/functions/f"),
    "Invoke": ("POST", "/2015-03-31/functions/f/invocations"),
    "GetEventSourceMapping": ("GET", "/2015-03-31/event-source-mappings/14e0db71-5d35-4eb5-b481-8945cf9d10c2"),
    "RemovePermission": ("DELETE", "/2015-03-31/functions/f/policy/s"),
    "PublishVersion": ("POST", "/2015-03-31/functions/f/versions"),
}


async def respond(name: str, outcome: Any, service: str = "lambda") -> WireResponse:
    """The response when the operation's handler returns, or raises, `outcome`."""

    async def handler(call: Call) -> dict[str, Any] | None:
        assert call.operation == name
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    method, path = ROUTES.get(name, ("POST", "/"))
    request = WireRequest(
        method, path, "", {"x-amz-target": f"Logs_20140328.{name}"}, b"{}", "111122223333", "eu-west-1", "the-request"
    )
    return await ServiceApi(service, {name: handler}).handle(request)


def document(response: WireResponse) -> Any:
    assert isinstance(response.body, bytes)
    return msgspec.json.decode(response.body)


async def test_a_result_of_a_rest_service() -> None:
    response = await respond("GetFunction", {"Configuration": {"FunctionName": "f", "MemorySize": 128}, "Tags": None})
    assert response.status == 200
    assert response.headers == {"x-amzn-RequestId": "the-request", "Content-Type": "application/json"}
    assert response.body == b'{"Configuration":{"FunctionName":"f","MemorySize":128}}'


async def test_a_result_of_a_json_service() -> None:
    response = await respond("DescribeLogGroups", {"logGroups": [{"creationTime": 5}]}, "logs")
    assert response.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert document(response) == {"logGroups": [{"creationTime": 5}]}
    assert (await respond("DescribeLogGroups", None, "logs")).body == b"{}"


async def test_the_status_is_the_models_or_the_results() -> None:
    assert (await respond("PublishVersion", {})).status == 201
    assert (await respond("Invoke", {"StatusCode": 202})).status == 202
    removed = await respond("RemovePermission", None)
    assert (removed.status, removed.body, "Content-Type" in removed.headers) == (204, b"", False)


async def test_delete_function_is_a_204_although_the_model_says_200() -> None:
    response = await respond("DeleteFunction", None)
    assert (response.status, response.body) == (204, b"")
    assert (await respond("DeleteFunction", {"StatusCode": 202})).status == 202


async def test_header_members_and_a_blob_as_the_body() -> None:
    response = await respond(
        "Invoke", {"StatusCode": 200, "FunctionError": "Unhandled", "ExecutedVersion": "$LATEST", "Payload": b"\xff{"}
    )
    assert response.headers["X-Amz-Function-Error"] == "Unhandled"
    assert response.headers["X-Amz-Executed-Version"] == "$LATEST"
    assert response.headers["Content-Type"] == "application/json"
    assert response.body == b"\xff{"


async def test_a_streaming_blob_is_passed_on_as_it_comes() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    response = await respond("Invoke", {"Payload": pieces()})
    assert not isinstance(response.body, bytes)
    assert [piece async for piece in response.body] == [b"a", b"b"]


async def test_timestamps_in_bodies_are_epoch_seconds() -> None:
    moment = datetime(2026, 11, 21, 3, 32, tzinfo=UTC)
    assert document(await respond("GetEventSourceMapping", {"LastModified": moment})) == {"LastModified": 1795231920}


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("GetFunction", {"Nonsense": 1}),
        ("GetFunction", {"Configuration": {"nonsense": 1}}),
        ("GetFunction", {"Configuration": {"MemorySize": "128"}}),
        ("GetFunction", {"Configuration": {"FunctionName": 5}}),
        ("GetFunction", {"Configuration": "f"}),
        ("GetFunction", {"Configuration": {"Architectures": "x86_64"}}),
        ("GetFunction", {"Tags": ["a"]}),
        ("GetFunction", "text"),
        ("GetEventSourceMapping", {"LastModified": 5}),
        ("Invoke", {"Payload": "a" and 5}),
        ("Invoke", {"FunctionError": "a\r\nSet-Cookie: b"}),
        ("Invoke", {"FunctionError": "é"}),
    ],
)
async def test_a_result_that_does_not_fit_the_model_is_a_500_with_its_cause_in_the_log(
    name: str, result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = await respond(name, result)
    assert response.status == 500
    assert document(response) == {"Type": "Service", "Message": "An internal error occurred."}
    assert "the-request" in caplog.text


def test_timestamps_and_prefixed_maps_in_headers() -> None:
    """No Lambda operation has them; the protocol does."""
    moment = datetime(2026, 11, 21, 3, 32, tzinfo=UTC)
    described = renderer("mediastore-data", "DescribeObject").render({"LastModified": moment, "ETag": "e"}, "id")
    assert described.headers["Last-Modified"] == "Sat, 21 Nov 2026 03:32:00 GMT"
    assert described.headers["ETag"] == "e"
    sent = renderer("dataexchange", "SendApiAsset").render({"ResponseHeaders": {"a": "b"}, "Body": "text"}, "id")
    assert (sent.headers["a"], sent.body) == ("b", b"text")


def renderer(service: str, name: str) -> OperationRenderer:
    model = load_model(service)
    return OperationRenderer(model, model.operation(name), model.protocols[0])


# --- errors ---


async def test_a_modelled_error_has_the_members_of_its_shape() -> None:
    response = await respond("GetFunction", errors.ResourceNotFoundException("Function not found: arn"))
    assert response.status == 404
    assert response.headers["x-amzn-ErrorType"] == "ResourceNotFoundException"
    assert response.headers["x-amzn-RequestId"] == "the-request"
    assert document(response) == {"Type": "User", "Message": "Function not found: arn"}
    lower = await respond("GetFunction", errors.InvalidParameterValueException("no"))
    assert document(lower) == {"Type": "User", "message": "no"}


async def test_further_members_of_an_error_go_where_the_model_says() -> None:
    error = errors.TooManyRequestsException(
        "Rate Exceeded.", Reason="ReservedFunctionConcurrentInvocationLimitExceeded", retryAfterSeconds="3"
    )
    response = await respond("GetFunction", error)
    assert (response.status, response.headers["Retry-After"]) == (429, "3")
    assert document(response) == {
        "Type": "User",
        "message": "Rate Exceeded.",
        "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
    }


async def test_an_error_the_model_does_not_have_is_a_message_alone() -> None:
    response = await respond("GetFunction", errors.ValidationException("1 validation error detected: ..."))
    assert (response.status, document(response)) == (400, {"message": "1 validation error detected: ..."})
    assert response.headers["x-amzn-ErrorType"] == "ValidationException"


async def test_errors_of_a_json_service() -> None:
    response = await respond("DescribeLogGroups", errors.LogsResourceNotFoundException("The group"), "logs")
    assert (response.status, response.headers["Content-Type"]) == (400, "application/x-amz-json-1.1")
    assert document(response) == {"__type": "ResourceNotFoundException", "message": "The group"}
    # Whatever status a class has elsewhere: to a json service all the client's faults are 400.
    assert (await respond("DescribeLogGroups", errors.AccessDeniedException("no"), "logs")).status == 400
    assert (await respond("DescribeLogGroups", errors.ServiceUnavailableException("no"), "logs")).status == 503


async def test_every_error_class_renders_and_botocore_reads_it_back() -> None:
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.AwsError)]
    assert len(classes) > 30
    for service, name in (("lambda", "GetFunction"), ("logs", "DescribeLogGroups")):
        operation = oracle.service_model(service).operation_model(name)
        for error in classes:
            parsed = oracle.parse(operation, await respond(name, error("the message"), service))["Error"]
            assert (parsed["Code"], parsed["Message"]) == (error.code, "the message")


@pytest.mark.parametrize("service", ["lambda", "logs"])
async def test_an_operation_without_handler_says_which(service: str) -> None:
    headers = {"x-amz-target": "Logs_20140328.CreateLogGroup"}
    path = "/2015-03-31/functions" if service == "lambda" else "/"
    response = await ServiceApi(service, {}).handle(WireRequest("POST", path, "", headers, b"{}", "1", "r", "id"))
    name = "CreateFunction" if service == "lambda" else "CreateLogGroup"
    body = document(response)
    assert (response.status, body["message"]) == (501, f"The operation {name} is not implemented.")
    assert "NotImplementedException" in (response.headers.get("x-amzn-ErrorType"), body.get("__type"))


async def test_an_unknown_operation() -> None:
    rest = await ServiceApi("lambda", {}).handle(WireRequest("GET", "/nowhere", "", {}, b"", "1", "r", "id"))
    assert (rest.status, rest.headers["x-amzn-ErrorType"]) == (404, "UnknownOperationException")
    assert "GET /nowhere" in document(rest)["message"]
    for method in ("POST", "GET"):
        request = WireRequest(method, "/", "", {"x-amz-target": "Logs_20140328.Nothing"}, b"{}", "1", "r", "id")
        rpc = await ServiceApi("logs", {}).handle(request)
        assert (rpc.status, document(rpc)["__type"]) == (400, "UnknownOperationException")


async def test_an_unforeseen_exception_is_a_500_that_tells_the_client_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        response = await respond("GetFunction", RuntimeError("a secret path"))
    assert (response.status, response.headers["x-amzn-ErrorType"]) == (500, "ServiceException")
    assert isinstance(response.body, bytes) and b"secret" not in response.body
    assert "a secret path" in caplog.text


def test_route_names_the_operation_without_reading_a_body() -> None:
    api = ServiceApi("lambda", {})
    assert api.route("GET", "/2015-03-31/functions/f", {}) == "GetFunction"
    assert api.route("GET", "/2018-10-31/layers", {}, "find=LayerVersion") == "GetLayerVersionByArn"
    assert api.route("GET", "/nowhere", {}) is None
    assert ServiceApi("logs", {}).route("POST", "/", {"x-amz-target": "Logs_20140328.GetLogEvents"}) == "GetLogEvents"
