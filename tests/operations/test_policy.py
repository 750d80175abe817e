"""Which statements let a service invoke: principals, actions, conditions, ArnLike's wildcards."""

from __future__ import annotations

from typing import Any

import pytest

from pilotlight.catalog import policy

BUCKET = "arn:aws:s3:::photos"
OWNER = "123456789012"


def statement(**changes: Any) -> policy.Statement:
    return {
        "Sid": "s3",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": "arn:aws:lambda:us-east-1:123456789012:function:f",
        **changes,
    }


def condition(operator: str, key: str, value: str) -> dict[str, Any]:
    return {"Condition": {operator: {key: value}}}


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, True),
        ({"Principal": "*"}, True),
        ({"Principal": {"Service": ["sns.amazonaws.com", "s3.amazonaws.com"]}}, True),
        ({"Principal": {"Service": "sns.amazonaws.com"}}, False),
        ({"Principal": {"AWS": "arn:aws:iam::123456789012:root"}}, False),
        ({"Effect": "Deny"}, False),
        ({"Action": "lambda:*"}, True),
        ({"Action": "*"}, True),
        ({"Action": "lambda:InvokeFunctionUrl"}, False),
        (condition("ArnLike", "AWS:SourceArn", BUCKET), True),
        (condition("ArnLike", "AWS:SourceArn", "arn:aws:s3:::pho*"), True),
        (condition("ArnLike", "AWS:SourceArn", "arn:aws:s3:::other"), False),
        (condition("ArnLike", "AWS:SourceArn", "arn:*"), False),
        (condition("StringEquals", "AWS:SourceAccount", OWNER), True),
        (condition("StringEquals", "AWS:SourceAccount", "999999999999"), False),
        (condition("StringEquals", "aws:PrincipalOrgID", "o-abcdefghij"), False),
        (condition("StringEquals", "lambda:EventSourceToken", "token"), False),
        (condition("Bool", "lambda:InvokedViaFunctionUrl", "true"), False),
        (condition("NotAnOperator", "AWS:SourceArn", BUCKET), False),
        (
            {"Condition": {"ArnLike": {"AWS:SourceArn": BUCKET}, "StringEquals": {"AWS:SourceAccount": "9" * 12}}},
            False,
        ),
    ],
)
def test_may_invoke(changes: dict[str, Any], allowed: bool) -> None:
    assert policy.may_invoke([statement(**changes)], "s3.amazonaws.com", BUCKET, OWNER) is allowed


def test_one_statement_of_several_is_enough() -> None:
    statements = [statement(Principal={"Service": "sns.amazonaws.com"}), statement(Sid="other")]
    assert policy.may_invoke(statements, "s3.amazonaws.com", BUCKET, OWNER)
    assert not policy.may_invoke([], "s3.amazonaws.com", BUCKET, OWNER)


def test_a_condition_on_a_source_the_service_did_not_name_is_not_met() -> None:
    assert not policy.may_invoke(
        [statement(**condition("StringEquals", "AWS:SourceAccount", OWNER))], "s3.amazonaws.com", BUCKET, ""
    )


@pytest.mark.parametrize(
    ("pattern", "arn", "matches"),
    [
        ("arn:aws:events:us-east-1:123456789012:rule/*", "arn:aws:events:us-east-1:123456789012:rule/nightly", True),
        ("arn:aws:events:*:*:rule/night?y", "arn:aws:events:us-east-1:123456789012:rule/nightly", True),
        ("arn:aws:events:us-east-1:*:rule/*", "arn:aws:events:eu-west-1:123456789012:rule/nightly", False),
        ("arn:aws:logs:*:*:log-group:/a/b:*", "arn:aws:logs:us-east-1:123456789012:log-group:/a/b:c:d", True),
        ("arn:aws:s3:::*", "arn:aws:s3:::photos/with/slashes", True),
        ("arn:aws:s3:::a.b", "arn:aws:s3:::aXb", False),
        ("*", "arn:aws:s3:::photos", False),
    ],
)
def test_arn_like(pattern: str, arn: str, matches: bool) -> None:
    assert policy.arn_like(pattern, arn) is matches


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        ({"AWS": f"arn:aws:iam::{OWNER}:root"}, True),
        ({"AWS": ["arn:aws:iam::999999999999:root", f"arn:aws:iam::{OWNER}:root"]}, True),
        ({"AWS": "*"}, True),
        ("*", True),
        ({"AWS": f"arn:aws:iam::{OWNER}:user/ann"}, False),
        ({"AWS": "arn:aws:iam::999999999999:root"}, False),
        ({"Service": "s3.amazonaws.com"}, False),
    ],
)
def test_account_may_invoke(principal: Any, allowed: bool) -> None:
    assert policy.account_may_invoke([statement(Principal=principal)], OWNER) is allowed


def test_the_document_is_compact_json_in_order() -> None:
    assert policy.document([{"Sid": "a", "Effect": "Allow"}]) == (
        '{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"a","Effect":"Allow"}]}'
    )
