"""Every operation of every model we serve: what botocore sends is what a handler gets, and the other way round."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from tests.wire import oracle

SERVED = oracle.operations("lambda", "logs")
CLOUDWATCH = [
    "GetMetricData",
    "GetMetricStatistics",
    "ListMetrics",
    "PutMetricData",
    "PutMetricAlarm",
    "PutInsightRule",
]
# What the protocols have and those two services do not use:
FURTHER = [
    ("apigateway", "PutRestApi"),  # a map of query parameters
    ("dataexchange", "SendApiAsset"),  # headers by prefix
    ("mediastore-data", "DescribeObject"),  # a greedy label, a timestamp in a header
    ("connect", "UpdateTestCase"),  # a timestamp in a request header
    ("kinesis", "PutRecords"),  # blobs in lists, JSON 1.1
    ("dynamodb", "GetItem"),  # a shape that contains itself, JSON 1.0
    ("scheduler", "CreateSchedule"),
    ("events", "PutEvents"),
    ("sqs", "SendMessageBatch"),
]
THOROUGH = settings(
    max_examples=8,
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def _expected(shape: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Less what no request can carry: an optional blob or string that is its whole body, and empty. For no structure
    botocore sends an empty one."""
    payload = shape.serialization.get("payload")
    if payload is None or payload in shape.required_members:
        return params
    out = {name: value for name, value in params.items() if not (name == payload and value in (b"", ""))}
    return {payload: {}, **out} if shape.members[payload].type_name == "structure" else out


def _in_each_protocol(*operations: tuple[str, str]) -> list[tuple[str, str, str]]:
    return [(service, name, protocol) for service, name in operations for protocol in oracle.protocols_of(service)]


METRICS = _in_each_protocol(*(("cloudwatch", name) for name in CLOUDWATCH))


@pytest.mark.parametrize(("service", "name", "protocol"), _in_each_protocol(*SERVED, *FURTHER) + METRICS)
def test_a_handler_gets_what_the_client_sent(service: str, name: str, protocol: str) -> None:
    operation = oracle.service_model(service).operation_model(name)
    recorder = oracle.Recorder(service)
    shape = operation.input_shape

    @THOROUGH
    @given(oracle.values(shape) if shape is not None else st.just({}))
    def run(params: dict[str, Any]) -> None:
        assume(protocol != "query" or _fits_a_form(params))
        request = oracle.serialize(operation, params, protocol=protocol)
        recorder.calls.clear()
        response = oracle.at_once(recorder.api.handle(request))
        assert response.status < 300, response.body
        (call,) = recorder.calls
        assert call.operation == name
        assert call.params == (_expected(shape, params) if shape is not None else {})

    run()


@pytest.mark.parametrize(
    ("service", "name", "protocol"),
    [case for case in _in_each_protocol(*SERVED) + METRICS if oracle.has_plain_output(*case[:2])],
)
def test_a_client_gets_what_the_handler_returned(service: str, name: str, protocol: str) -> None:
    operation = oracle.service_model(service).operation_model(name)
    shape = operation.output_shape
    renderer = oracle.Recorder(service).api._prepare(name, protocol).renderer

    @THOROUGH
    @given(oracle.values(shape))
    def run(result: dict[str, Any]) -> None:
        response = renderer.render(result, "id")
        status = next((n for n, m in shape.members.items() if m.serialization.get("location") == "statusCode"), None)
        parsed = oracle.parse(operation, response, protocol)
        if status is not None:
            assert parsed.pop(status) == result.pop(status, response.status) == response.status
        if service == "lambda" and response.status == 204:
            result = {}
        assert _without_empty_body(shape, parsed) == _without_empty_body(shape, result)

    run()


def _fits_a_form(value: Any) -> bool:
    """A form cannot hold a structure or map without members."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value != {} and all(_fits_a_form(part) for part in parts)


def _without_empty_body(shape: Any, members: dict[str, Any]) -> dict[str, Any]:
    payload = shape.serialization.get("payload")
    return {name: value for name, value in members.items() if not (name == payload and value in (b"", "", {}))}
