"""Broken constraints, in AWS's words, and every constraint of every operation broken once."""

from __future__ import annotations

import copy
import random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from pilotlight.wire import WireRequest
from tests.wire import oracle

ROLE = "arn:aws:iam::111122223333:role/lambda"
ONCE = settings(
    max_examples=1,
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def answer(service: str, name: str, params: dict[str, Any]) -> tuple[int, str, str]:
    """Status, error code and message for parameters that botocore did not check."""
    recorder = oracle.Recorder(service)
    operation = oracle.service_model(service).operation_model(name)
    response = oracle.at_once(recorder.api.handle(oracle.serialize(operation, params, validate=False)))
    if response.status < 300:
        return response.status, "", ""
    assert not recorder.calls
    error = oracle.parse(operation, response)["Error"]
    return response.status, error["Code"], error["Message"]


def message(name: str, service: str = "lambda", **params: Any) -> str:
    status, code, text = answer(service, name, params)
    assert (status, code) == (400, "ValidationException"), text
    return text


def create(**changes: Any) -> dict[str, Any]:
    params = {"FunctionName": "photos", "Role": ROLE, "Runtime": "python3.12", "Handler": "app.handler"}
    return {**params, "Code": {"ZipFile": b"PK"}, **changes}


FUNCTION_PATTERN = oracle.service_model("lambda").shape_for("NamespacedFunctionName").metadata["pattern"]


def test_a_pattern() -> None:
    assert message("GetFunction", FunctionName="no spaces") == (
        "1 validation error detected: Value 'no spaces' at 'functionName' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {FUNCTION_PATTERN}"
    )


def test_a_trailing_newline_does_not_slip_through_a_pattern() -> None:
    assert "at 'functionName'" in message("GetFunction", FunctionName="photos\n")


def test_a_range() -> None:
    assert message("CreateFunction", **create(MemorySize=127)) == (
        "1 validation error detected: Value '127' at 'memorySize' failed to satisfy constraint: "
        "Member must have value greater than or equal to 128"
    )
    assert message("CreateFunction", **create(Timeout=10**9)).endswith(
        "Member must have value less than or equal to 5400"
    )


def test_a_length() -> None:
    assert message("CreateFunction", **create(Description="x" * 257)) == (
        f"1 validation error detected: Value '{'x' * 257}' at 'description' failed to satisfy constraint: "
        "Member must have length less than or equal to 256"
    )


def test_what_is_missing() -> None:
    params = create()
    del params["Role"]
    assert message("CreateFunction", **params) == (
        "1 validation error detected: Value null at 'role' failed to satisfy constraint: Member must not be null"
    )
    assert message("UntagResource", Resource="arn:aws:lambda:eu-west-1:111122223333:function:a", TagKeys=[]).startswith(
        "1 validation error detected: Value null at 'tagKeys'"
    )


def test_an_enum_inside_a_structure() -> None:
    assert message("CreateFunction", **create(TracingConfig={"Mode": "Sometimes"})) == (
        "1 validation error detected: Value 'Sometimes' at 'tracingConfig.mode' failed to satisfy constraint: "
        "Member must satisfy enum value set: [Active, PassThrough]"
    )


def test_an_enum_inside_a_list_is_reported_on_the_list() -> None:
    """Recorded from AWS, the doubled "Member must satisfy" included."""
    assert message("CreateFunction", **create(Architectures=["x86_65"])) == (
        "1 validation error detected: Value '[x86_65]' at 'architectures' failed to satisfy constraint: "
        "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]"
    )


def test_map_keys_and_values_are_reported_on_the_map() -> None:
    """Recorded from AWS."""
    weights = {"FunctionName": "f", "Name": "live", "FunctionVersion": "1"}
    assert message("CreateAlias", **weights, RoutingConfig={"AdditionalVersionWeights": {"one": 0.5}}) == (
        "1 validation error detected: Value '{one=0.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy "
        "constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 1024, "
        "Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+, "
        "Member must not be null]"
    )
    assert message("CreateAlias", **weights, RoutingConfig={"AdditionalVersionWeights": {"1": 2}}) == (
        "1 validation error detected: Value '{1=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy "
        "constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must "
        "have value greater than or equal to 0.0, Member must not be null]"
    )


def test_sensitive_values_are_not_echoed() -> None:
    text = message("CreateFunction", **create(Environment={"Variables": {"9SECRET": "hunter2"}}))
    assert text == (
        "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map keys must "
        "satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+, "
        "Member must not be null]"
    )


def test_a_member_inside_a_list_of_structures_has_its_place_in_the_path() -> None:
    configs = [{"Arn": "arn:aws:elasticfilesystem:x", "LocalMountPath": "/srv/a"}]
    text = message("CreateFunction", **create(FileSystemConfigs=configs))
    assert text.startswith("2 validation errors detected: ")
    assert "Value '/srv/a' at 'fileSystemConfigs.1.member.localMountPath' failed to satisfy constraint" in text


def test_several_are_joined_and_counted_and_no_more_than_ten_shown() -> None:
    text = message("CreateFunction", **create(MemorySize=1, Handler="a b", Role="me"))
    head, _, rest = text.partition(": ")
    assert head == "3 validation errors detected"
    assert [part.split("' at '")[1].split("'")[0] for part in rest.split("; ")] == ["role", "handler", "memorySize"]
    filters = [{"Pattern": "x" * 5000}] * 30
    assert message("CreateEventSourceMapping", FunctionName="f", FilterCriteria={"Filters": filters}).startswith(
        "10 validation errors detected: "
    )


def test_an_unknown_runtime_is_left_to_the_service() -> None:
    """As AWS's frontend leaves it; what the service says of it is tested with CreateFunction."""
    assert "runtime" not in message("CreateFunction", **create(Runtime="cobol85", MemorySize=1))
    assert "at 'compatibleRuntime'" in message("ListLayers", CompatibleRuntime="cobol85")


def test_cloudwatch_logs_calls_it_invalid_parameter() -> None:
    assert answer("logs", "CreateLogGroup", {"logGroupName": "a b"}) == (
        400,
        "InvalidParameterException",
        "1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+",
    )


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"Architectures": [null]}', "Value '[null]' at 'architectures'"),
        (b'{"Tags": {"a": null}}', "Value '{a=null}' at 'tags'"),
        (b'{"VpcConfig": {"SubnetIds": ["subnet-1", null]}}', "Value '[subnet-1, null]' at 'vpcConfig.subnetIds'"),
        (b'{"FileSystemConfigs": [null]}', "Value '[null]' at 'fileSystemConfigs'"),
    ],
)
def test_null_inside_a_collection_is_refused(body: bytes, path: str) -> None:
    document = {"FunctionName": "f", "Role": ROLE, "Code": {}, **msgspec.json.decode(body)}
    request = WireRequest(
        "POST", "/2015-03-31/functions", "", {}, msgspec.json.encode(document), "111122223333", "eu-west-1", "id"
    )
    response = oracle.at_once(oracle.Recorder("lambda").api.handle(request))
    assert isinstance(response.body, bytes)
    text = msgspec.json.decode(response.body)["message"]
    assert f"1 validation error detected: {path} failed to satisfy constraint: " in text
    assert "Member must not be null]" in text


# --- every constraint there is ---


def _breakages(shape: Any, params: dict[str, Any]) -> list[tuple[str, Any]]:
    """(top-level member, a value for it that breaks one of its own constraints), as the model has them."""
    broken: list[tuple[str, Any]] = []
    for name, member in shape.members.items():
        low, high = member.metadata.get("min"), member.metadata.get("max")
        location = member.serialization.get("location")
        text = member.type_name == "string"
        if text and high is not None and high < 10_000:
            broken.append((name, "a" * (int(high) + 1)))
        if text and low and location not in ("uri", "querystring") and low > 1:
            broken.append((name, "a" * (int(low) - 1)))
        if text and member.enum and name != "Runtime":
            broken.append((name, "NoSuchValue"))
        if member.type_name in ("integer", "long"):
            broken += [(name, int(low) - 1)] if low is not None else []
            broken += [(name, int(high) + 1)] if high is not None and high < 2**31 - 1 else []
        if member.type_name == "list" and high is not None and high <= 300 and params.get(name):
            broken.append((name, params[name][:1] * (int(high) + 1)))
        if name in shape.required_members and location is None and name != shape.serialization.get("payload"):
            broken.append((name, None))
    return broken


@pytest.mark.parametrize(("service", "name"), oracle.operations("lambda", "logs"))
def test_a_broken_constraint_names_its_member(service: str, name: str) -> None:
    shape = oracle.service_model(service).operation_model(name).input_shape
    if shape is None:
        return

    @ONCE
    @given(oracle.values(shape))
    def run(params: dict[str, Any]) -> None:
        breakages = _breakages(shape, params)
        for member, value in random.Random(name).sample(breakages, min(6, len(breakages))):
            changed = copy.deepcopy(params)
            changed[member] = value
            if value is None:
                del changed[member]
            status, code, text = answer(service, name, changed)
            assert (status, code) in ((400, "ValidationException"), (400, "InvalidParameterException")), text
            assert f"at '{member[0].lower()}{member[1:]}" in text

    run()
