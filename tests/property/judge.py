"""What every answer of the API must be, whatever was asked: an AWS error the model knows, or what the model says."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

import botocore.parsers
from botocore.awsrequest import HeadersDict
from botocore.model import OperationModel, Shape
from botocore.validate import ParamValidator

from pilotlight.wire.quirks import QUIRKS
from tests.property.requests import Answer, Request

#: what AWS's frontend answers whatever the operation, with its status
COMMON_ERRORS = {
    "AccessDeniedException": 403,
    "RequestEntityTooLargeException": 413,
    "SerializationException": 400,
    "UnknownOperationException": 404,
    "ValidationException": 400,
}

#: what an operation answers besides: a model from before what it is asked of
FURTHER_ERRORS = {"InvokeAsync": {"InvalidParameterValueException": 400}}
#: enums the service goes beyond: a function that is being created gives Creating as the reason of its update as well
OPEN_ENUMS = frozenset({"LastUpdateStatusReasonCode"})
#: operations whose answers may be empty although the model requires members
MAY_BE_EMPTY = frozenset({"GetFunctionCodeSigningConfig"})

#: operation -> "200" or the error's code -> how many
counts: defaultdict[str, Counter[str]] = defaultdict(Counter)


def judge(operation: OperationModel, request: Request, answer: Answer) -> dict[str, Any]:
    """The answer as botocore parses it; AssertionError, with the request, when it is not as it must be."""
    try:
        parsed = _error(operation, answer) if answer.status >= 300 else _success(operation, answer)
    except (AssertionError, ValueError, KeyError, botocore.parsers.ResponseParserError) as wrong:
        raise AssertionError(f"{operation.name}: {wrong}\n  asked: {request}\n  got: {answer}") from wrong
    counts[operation.name][parsed["Error"]["Code"] if answer.status >= 300 else "200"] += 1
    return parsed


def _error(operation: OperationModel, answer: Answer) -> dict[str, Any]:
    assert answer.status < 500, f"{answer.status} is the service's own fault"
    assert answer.headers.get("x-amzn-requestid"), "no request id"
    code = answer.headers.get("x-amzn-errortype", "")
    modelled = {shape.name: shape for shape in operation.error_shapes}
    shape = modelled.get(code)
    if shape is not None:
        expected = shape.metadata["error"]["httpStatusCode"]
    else:
        known = COMMON_ERRORS | FURTHER_ERRORS.get(operation.name, {})
        assert code in known, f"{code} is no error of this operation"
        expected = known[code]
    assert answer.status == expected, f"{code} is a {expected}"
    body = json.loads(answer.body)
    assert isinstance(body, dict)
    messages = {name for name in body if name.lower() == "message"}
    assert len(messages) == 1, "one message"
    assert "Type" not in body or body["Type"] in ("User", "Service")
    if shape is not None:
        inside = {name for name, member in shape.members.items() if not member.serialization.get("location")}
        assert set(body) <= inside, f"{code} has no {set(body) - inside}"
    parsed = _parsed(operation, answer, operation.output_shape)
    assert parsed["Error"]["Code"] == code
    return parsed


def _success(operation: OperationModel, answer: Answer) -> dict[str, Any]:
    expected = {operation.http.get("responseCode", 200), QUIRKS["lambda"].statuses.get(operation.name)}
    if operation.name.startswith("Invoke"):
        expected |= {200, 202, 204}
    assert answer.status in expected, f"{answer.status} is not {expected}"
    shape = operation.output_shape
    if shape is None or operation.has_streaming_output or operation.has_event_stream_output:
        return {}
    if answer.body and "payload" not in shape.serialization:
        document = json.loads(answer.body)
        _within(document, shape, operation.name)
    parsed = _parsed(operation, answer, shape)
    parsed.pop("ResponseMetadata")
    if not parsed and operation.name in MAY_BE_EMPTY:
        return parsed
    report = ParamValidator().validate(parsed, shape)
    assert not report.has_errors(), report.generate_report()
    return parsed


def _parsed(operation: OperationModel, answer: Answer, shape: Shape | None) -> dict[str, Any]:
    parser = botocore.parsers.create_parser(operation.service_model.protocol)
    response = {"status_code": answer.status, "headers": HeadersDict(answer.headers), "body": answer.body}
    return parser.parse(response, shape)


def _within(value: Any, shape: Shape, path: str) -> None:
    """A JSON document has no member the model does not have, no null, and no enum value it does not know."""
    assert value is not None, f"{path} is null"
    if shape.type_name == "structure":
        names = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
        assert set(value) <= set(names), f"{path} has no {set(value) - set(names)}"
        for wire_name, inside in value.items():
            _within(inside, names[wire_name][1], f"{path}.{wire_name}")
    elif shape.type_name == "list":
        for at, inside in enumerate(value):
            _within(inside, shape.member, f"{path}[{at}]")
    elif shape.type_name == "map":
        for key, inside in value.items():
            _within(inside, shape.value, f"{path}[{key}]")
    elif shape.type_name == "string" and shape.enum and shape.name not in OPEN_ENUMS:
        assert value in shape.enum, f"{path} is {value}"


def table() -> str:
    """How far the requests came: accepted, and by what refused."""
    lines = []
    for operation, answers in sorted(counts.items()):
        refused = ", ".join(f"{code} {number}" for code, number in answers.most_common() if code != "200")
        lines.append(f"{operation:42} {answers['200']:5} accepted; {refused}")
    total = sum(answers.total() for answers in counts.values())
    return "\n".join([*lines, f"{total} requests, {sum(answers['200'] for answers in counts.values())} accepted"])
