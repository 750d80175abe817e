"""Every form in which AWS takes a function's name, and what it answers to those it does not take."""

from __future__ import annotations

import pytest

from pilotlight.catalog import names
from pilotlight.errors import (
    AwsError,
    InvalidParameterValueException,
    ResourceNotFoundException,
    ValidationException,
)

HERE = ("123456789012", "eu-west-1")


@pytest.mark.parametrize(
    ("reference", "qualifier", "expected"),
    [
        ("thumb", None, ("123456789012", "thumb", None)),
        ("thumb:3", None, ("123456789012", "thumb", "3")),
        ("thumb:prod", None, ("123456789012", "thumb", "prod")),
        ("thumb:$LATEST", None, ("123456789012", "thumb", "$LATEST")),
        ("thumb", "7", ("123456789012", "thumb", "7")),
        ("thumb:7", "7", ("123456789012", "thumb", "7")),
        ("function:thumb", None, ("123456789012", "thumb", None)),
        ("123456789012:function:thumb", None, ("123456789012", "thumb", None)),
        ("123456789012:function:thumb:prod", None, ("123456789012", "thumb", "prod")),
        ("210987654321:function:thumb", None, ("210987654321", "thumb", None)),
        ("eu-west-1:123456789012:function:thumb", None, ("123456789012", "thumb", None)),
        ("arn:aws:lambda:eu-west-1:123456789012:function:thumb", None, ("123456789012", "thumb", None)),
        ("arn:aws:lambda:eu-west-1:123456789012:function:thumb:$LATEST", None, ("123456789012", "thumb", "$LATEST")),
        ("arn:aws:lambda:eu-west-1:210987654321:function:a.b_c-d:9", "9", ("210987654321", "a.b_c-d", "9")),
    ],
)
def test_forms(reference: str, qualifier: str | None, expected: tuple[str, str, str | None]) -> None:
    name = names.parse(reference, qualifier, *HERE)
    assert (name.account, name.name, name.qualifier) == expected
    assert name.region == "eu-west-1"


@pytest.mark.parametrize(
    ("reference", "qualifier", "error", "message"),
    [
        (
            "arn:aws:lambda:us-east-2:123456789012:function:thumb",
            None,
            ResourceNotFoundException,
            "Functions from 'us-east-2' are not reachable in this region ('eu-west-1')",
        ),
        (
            "thumb:1",
            "2",
            InvalidParameterValueException,
            "The derived qualifier from the function name does not match the specified qualifier.",
        ),
        (
            "arn:aws:lambda:eu-west-1:123456789012@function:myfn",
            None,
            ValidationException,
            "1 validation error detected: Value 'arn:aws:lambda:eu-west-1:123456789012@function:myfn' at "
            f"'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: "
            f"{names.FUNCTION_PATTERN}",
        ),
        (
            "x" * 257,
            None,
            ValidationException,
            f"1 validation error detected: Value '{'x' * 257}' at 'functionName' failed to satisfy constraint: "
            "Member must have length less than or equal to 256",
        ),
        (
            "thumb",
            "what?",
            ValidationException,
            "1 validation error detected: Value 'what?' at 'qualifier' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {names.QUALIFIER_PATTERN}",
        ),
    ],
)
def test_refused(reference: str, qualifier: str | None, error: type[AwsError], message: str) -> None:
    with pytest.raises(error) as caught:
        names.parse(reference, qualifier, *HERE)
    assert caught.value.message == message


def test_arns_are_in_the_partition_of_their_region() -> None:
    assert names.function_arn("1" * 12, "us-east-1", "f") == "arn:aws:lambda:us-east-1:111111111111:function:f"
    assert names.function_arn("1" * 12, "cn-north-1", "f", "2") == (
        "arn:aws-cn:lambda:cn-north-1:111111111111:function:f:2"
    )
    assert names.partition("us-gov-west-1") == "aws-us-gov"


def test_what_a_qualifier_could_be() -> None:
    assert names.is_version("12")
    assert not names.is_version("$LATEST")
    assert names.is_alias("prod")
    assert names.is_alias("2024-01-02")
    assert not names.is_alias("12")
    assert not names.is_alias("valid-with-$-though")


LAMBDA = "arn:aws:lambda:eu-west-1:123456789012"
UUID = "11111111-2222-3333-4444-555555555555"


def test_the_arns_of_everything_else() -> None:
    assert names.layer_arn(*HERE, "l") == f"{LAMBDA}:layer:l"
    assert names.layer_version_arn(*HERE, "l", 3) == f"{LAMBDA}:layer:l:3"
    assert names.event_source_mapping_arn(*HERE, UUID) == f"{LAMBDA}:event-source-mapping:{UUID}"
    assert names.code_signing_config_arn(*HERE, "csc-0") == f"{LAMBDA}:code-signing-config:csc-0"
    assert names.capacity_provider_arn(*HERE, "p") == f"{LAMBDA}:capacity-provider:p"
    assert names.durable_execution_arn(*HERE, "f", "1", "order", "id") == (
        f"{LAMBDA}:function:f:1/durable-execution/order/id"
    )
    assert names.layer_arn("1" * 12, "cn-north-1", "l") == "arn:aws-cn:lambda:cn-north-1:111111111111:layer:l"


@pytest.mark.parametrize(
    ("arn", "kind", "id"),
    [
        (f"{LAMBDA}:function:f:1", "function", "f:1"),
        (f"{LAMBDA}:layer:l:3", "layer", "l:3"),
        (f"{LAMBDA}:event-source-mapping:{UUID}", "event-source-mapping", UUID),
        (f"{LAMBDA}:capacity-provider:p", "capacity-provider", "p"),
        (f"{LAMBDA}:runtime/mine", "runtime", "mine"),
        (
            f"{LAMBDA}:function:f:1/durable-execution/order/id",
            "durable-execution",
            "f:1/durable-execution/order/id",
        ),
    ],
)
def test_any_arn(arn: str, kind: str, id: str) -> None:
    parsed = names.parse_arn(arn)
    assert parsed == names.Arn("eu-west-1", "123456789012", kind, id)


@pytest.mark.parametrize("text", ["f", "arn:aws:s3:::photos", "arn:aws:lambda:eu-west-1:1234:function:f", LAMBDA, ""])
def test_what_is_no_arn(text: str) -> None:
    assert names.parse_arn(text) is None


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("l", ("123456789012", "eu-west-1", "l", None)),
        (f"{LAMBDA}:layer:l", ("123456789012", "eu-west-1", "l", None)),
        (f"{LAMBDA}:layer:l:3", ("123456789012", "eu-west-1", "l", 3)),
        ("arn:aws:lambda:us-east-1:999999999999:layer:l:3", ("999999999999", "us-east-1", "l", 3)),
        ("l:3", None),
        (f"{LAMBDA}:function:l", None),
        ("what?", None),
    ],
)
def test_layers(reference: str, expected: tuple[str, str, str, int | None] | None) -> None:
    name = names.parse_layer(reference, *HERE)
    assert name == (names.LayerName(*expected) if expected else None)
    if name is not None and reference.startswith("arn:"):
        assert name.arn == reference


def test_capacity_providers() -> None:
    name = names.CapacityProviderName(*HERE, "p")
    assert names.parse_capacity_provider("p", *HERE) == name
    assert names.parse_capacity_provider(name.arn, "999999999999", "us-east-1") == name


def test_durable_executions() -> None:
    arn = f"{LAMBDA}:function:f:$LATEST/durable-execution/order/id"
    assert names.parse_durable_execution(arn) == names.DurableExecutionName(*HERE, "f", "$LATEST", "order", "id")
    assert names.parse_durable_execution(f"{LAMBDA}:function:f:prod/durable-execution/order/id") is None
    assert names.parse_durable_execution(f"{LAMBDA}:function:f:1") is None
