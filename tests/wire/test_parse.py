"""What clients can get wrong before any constraint is looked at, and what is forgiven."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilotlight.wire import WireRequest, WireResponse
from tests.wire import oracle

CREATE = {"FunctionName": "f", "Role": "arn:aws:iam::111122223333:role/r", "Code": {}}


def send(
    service: str, path: str, body: bytes = b"", *, method: str = "POST", query: str = "", **headers: str
) -> tuple[WireResponse, dict[str, Any]]:
    """The response, and the parameters the handler got ({} when it was not called)."""
    recorder = oracle.Recorder(service)
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    request = WireRequest(method, path, query, lines, body, "111122223333", "eu-west-1", "the-request")
    response = oracle.at_once(recorder.api.handle(request))
    return response, recorder.calls[0].params if recorder.calls else {}


def refusal(response: WireResponse) -> tuple[int, str, str]:
    assert isinstance(response.body, bytes)
    body = msgspec.json.decode(response.body)
    code = response.headers.get("x-amzn-ErrorType") or body["__type"]
    return response.status, code, body.get("message") or body.get("Message")


def create(**members: Any) -> tuple[WireResponse, dict[str, Any]]:
    return send("lambda", "/2015-03-31/functions", msgspec.json.encode({**CREATE, **members}))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"Timeout": "3"}, "STRING_VALUE can not be converted to an Integer"),
        ({"Timeout": True}, "TRUE_VALUE can not be converted to an Integer"),
        ({"Timeout": False}, "FALSE_VALUE can not be converted to an Integer"),
        ({"Timeout": [3]}, "Start of list found where not expected"),
        ({"Timeout": {}}, "Start of structure or map found where not expected."),
        ({"Description": 5}, "NUMBER_VALUE can not be converted to a String"),
        ({"Description": True}, "TRUE_VALUE can not be converted to a String"),
        ({"Publish": "yes"}, "STRING_VALUE can not be converted to a Boolean"),
        ({"Publish": 1}, "NUMBER_VALUE can not be converted to a Boolean"),
        ({"Layers": "a"}, "Expected list or null"),
        ({"Layers": {}}, "Start of structure or map found where not expected."),
        ({"Layers": [1]}, "NUMBER_VALUE can not be converted to a String"),
        ({"Tags": "a"}, "Expected map or null"),
        ({"Tags": []}, "Start of list found where not expected"),
        ({"Tags": {"a": 1}}, "NUMBER_VALUE can not be converted to a String"),
        ({"VpcConfig": "a"}, "Expected null"),
        ({"VpcConfig": []}, "Start of list found where not expected"),
        ({"Environment": {"Variables": {"AB": None, "CD": 4}}}, "NUMBER_VALUE can not be converted to a String"),
        ({"Code": {"ZipFile": 5}}, "NUMBER_VALUE can not be converted to a Blob"),
        (
            {"Code": {"ZipFile": "23456"}},
            "'23456' can not be converted to a Blob: "
            "Base64 encoded length is expected a multiple of 4 bytes but found: 5",
        ),
    ],
)
def test_a_wrong_json_type_is_a_serialization_exception(members: dict[str, Any], message: str) -> None:
    response, params = create(**members)
    assert refusal(response) == (400, "SerializationException", message)
    assert params == {}


@pytest.mark.parametrize("text", ["!!!!", "AA=A", "AAA\n", "=AAA", "A" * 200 + "*" * 4])
def test_broken_base64_is_refused_without_echoing_all_of_it(text: str) -> None:
    status, code, message = refusal(create(Code={"ZipFile": text})[0])
    assert (status, code) == (400, "SerializationException")
    assert "can not be converted to a Blob: " in message
    assert len(message) < 250


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'a': 1}",
        b'{"FunctionName": "f",}',
        b"PK\x03\x04",
        b'"\xff"',
        b'{"FunctionName": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"NaN",
        b'{"Timeout": 1e999}',
        b"1" * 10_000,
        b"\xef\xbb\xbf{}",
    ],
)
@pytest.mark.parametrize("service", ["lambda", "logs"])
def test_what_is_no_json_is_a_serialization_exception(service: str, body: bytes) -> None:
    path = "/2015-03-31/functions" if service == "lambda" else "/"
    response, params = send(service, path, body, x_amz_target="Logs_20140328.CreateLogGroup")
    status, code, message = refusal(response)
    assert (status, code, params) == (400, "SerializationException", {})
    assert message.startswith("Could not parse request body into json: ")


@pytest.mark.parametrize(
    ("body", "message"), [(b"[]", "Start of list found where not expected"), (b"5", "Expected null")]
)
def test_json_of_another_kind_than_an_object_is_refused(body: bytes, message: str) -> None:
    assert refusal(send("lambda", "/2015-03-31/functions", body)[0]) == (400, "SerializationException", message)
    logs = send("logs", "/", body, x_amz_target="Logs_20140328.CreateLogGroup")[0]
    assert refusal(logs) == (400, "SerializationException", message)


def test_a_missing_body_is_an_empty_one_where_aws_takes_it_so() -> None:
    response, params = send("lambda", "/2015-03-31/functions/f/versions")
    assert (response.status, params) == (201, {"FunctionName": "f"})
    assert refusal(send("logs", "/", x_amz_target="Logs_20140328.DescribeLogGroups")[0])[1] == "SerializationException"
    assert refusal(send("logs", "/", b"null", x_amz_target="Logs_20140328.DescribeLogGroups")[0])[0] == 400


def test_unknown_and_null_members_are_ignored_at_every_depth() -> None:
    response, params = create(Nonsense=1, Description=None, VpcConfig={"Nonsense": [], "SubnetIds": None})
    assert response.status == 201
    assert params == {**CREATE, "VpcConfig": {}}


def test_numbers_that_do_not_fit_are_saturated_and_fractions_dropped() -> None:
    assert create(Timeout=7.9)[1]["Timeout"] == 7
    for huge in (10**12, 1e300, 10**30):
        assert "Value '2147483647' at 'timeout'" in refusal(create(Timeout=huge)[0])[2]
    assert "Value '-2147483648' at 'timeout'" in refusal(create(Timeout=-(10**12))[0])[2]


def test_blobs_arrive_as_bytes() -> None:
    content = bytes(range(256)) * 100
    assert create(Code={"ZipFile": base64.b64encode(content).decode()})[1]["Code"] == {"ZipFile": content}


def test_a_streaming_payload_is_the_body_as_it_is() -> None:
    path = "/2015-03-31/functions/f/invocations"
    headers = {"x_amz_invocation_type": "Event", "x_amz_client_context": "e30="}
    assert send("lambda", path, b"not json \xff", **headers)[1] == {
        "FunctionName": "f",
        "InvocationType": "Event",
        "ClientContext": "e30=",
        "Payload": b"not json \xff",
    }
    assert send("lambda", path)[1] == {"FunctionName": "f"}


def test_a_structure_payload_is_the_whole_body() -> None:
    path = "/2025-12-01/durable-execution-callbacks/QUJD/fail"
    _, params = send("lambda", path, b'{"ErrorType": "E", "StackTrace": ["a"]}')
    assert params == {"CallbackId": "QUJD", "Error": {"ErrorType": "E", "StackTrace": ["a"]}}
    assert send("lambda", path, b"null")[1] == send("lambda", path)[1] == {"CallbackId": "QUJD"}


def test_a_query_has_numbers_booleans_lists_and_timestamps() -> None:
    arn = "arn%3Aaws%3Alambda%3Aeu-west-1%3A111122223333%3Afunction%3Af"
    _, tags = send("lambda", f"/2017-03-31/tags/{arn}", method="DELETE", query="tagKeys=a&tagKeys=b%20c&other=1")
    assert tags["TagKeys"] == ["a", "b c"]
    path = "/2025-12-01/functions/f/durable-executions"
    _, listed = send(
        "lambda", path, method="GET", query="MaxItems=5&ReverseOrder=TRUE&StartedAfter=2026-11-21T03:32:00Z"
    )
    moment = datetime(2026, 11, 21, 3, 32, tzinfo=UTC)
    assert listed == {"FunctionName": "f", "MaxItems": 5, "ReverseOrder": True, "StartedAfter": moment}
    for text in ("1795231920", "Sat,%2021%20Nov%202026%2003:32:00%20GMT"):
        assert send("lambda", path, method="GET", query=f"StartedAfter={text}")[1]["StartedAfter"] == moment


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/2015-03-31/functions", "MaxItems=ten"),
        ("/2015-03-31/functions", "MaxItems="),
        ("/2015-03-31/functions", "MaxItems=1_0"),
        ("/2015-03-31/functions", "MaxItems=%D9%A3"),
        ("/2015-03-31/functions", "MaxItems=" + "9" * 5000),
        ("/2018-10-31/layers/l/versions/one", ""),
        ("/2025-12-01/functions/f/durable-executions", "ReverseOrder=maybe"),
        ("/2025-12-01/functions/f/durable-executions", "StartedAfter=soon"),
    ],
)
def test_text_that_is_not_of_its_type_is_a_serialization_exception(path: str, query: str) -> None:
    status, code, message = refusal(send("lambda", path, method="GET", query=query)[0])
    assert (status, code) == (400, "SerializationException")
    assert message.startswith("STRING_VALUE can not be converted to ")


def test_timestamps_in_bodies_are_epoch_seconds() -> None:
    path = "/2015-03-31/event-source-mappings"
    body = {"FunctionName": "f", "StartingPositionTimestamp": 1795231920.5}
    _, params = send("lambda", path, msgspec.json.encode(body))
    assert params["StartingPositionTimestamp"] == datetime(2026, 11, 21, 3, 32, 0, 500_000, tzinfo=UTC)
    for wrong in ("2026-11-21", 1e300, True):
        body["StartingPositionTimestamp"] = wrong
        status, code, message = refusal(send("lambda", path, msgspec.json.encode(body))[0])
        assert (status, code) == (400, "SerializationException")
        assert message.endswith("can not be converted to milliseconds since epoch")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PATHS = st.lists(
    st.sampled_from(
        ["2015-03-31", "2018-10-31", "functions", "layers", "f", "%", "%ff", "%00", "..", "", "a b", "aliases"]
    )
    | st.text(max_size=4),
    max_size=5,
).map(lambda parts: "/" + "/".join(parts))


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", ""]),
    PATHS,
    st.text(max_size=20),
    st.binary(max_size=20) | JSON.map(msgspec.json.encode),
    st.sampled_from(oracle.service_model("lambda").operation_names),
    st.data(),
)
def test_nothing_a_client_sends_is_our_fault(
    method: str, path: str, query: str, body: bytes, name: str, data: st.DataObject
) -> None:
    """Any path and body; and any JSON in the members of an operation: refused or accepted, never a 500."""
    response, _ = send("lambda", path, body, method=method, query=query)
    assert response.status < 500, response.body
    operation = oracle.service_model("lambda").operation_model(name)
    shape = operation.input_shape
    members = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(shape.members if shape else (), JSON)))
    filled = operation.http["requestUri"].partition("?")[0].replace("{", "").replace("}", "")
    response, _ = send("lambda", filled, msgspec.json.encode(members), method=operation.http["method"], query=query)
    assert response.status < 500, response.body
