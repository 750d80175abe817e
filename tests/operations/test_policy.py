"""Which statements let whom do what: principals, actions, resources, conditions, and that a Deny wins."""

from __future__ import annotations

from typing import Any

import pytest

from pilotlight.catalog import policy

BUCKET = "arn:aws:s3:::photos"
OWNER = "123456789012"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
ANN = f"arn:aws:iam::{OWNER}:user/ann"
SESSION = f"arn:aws:sts::{OWNER}:assumed-role/deployer/session"


def statement(**changes: Any) -> policy.Statement:
    given = {
        "Sid": "s3",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": FUNCTION,
        **changes,
    }
    return {element: value for element, value in given.items() if value is not None}


def condition(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {"Condition": {operator: {key: value}}}


def s3_may_invoke(*statements: policy.Statement, source_account: str = OWNER, resource: str = FUNCTION) -> bool:
    return policy.may_invoke(statements, "s3.amazonaws.com", BUCKET, source_account, resource)


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, True),
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"Service": ["sns.amazonaws.com", "s3.amazonaws.com"]}}, True),
        ({"Principal": {"Service": "sns.amazonaws.com"}}, False),
        ({"Principal": {"AWS": "arn:aws:iam::123456789012:root"}}, False),
        ({"Principal": "s3.amazonaws.com"}, False),
        ({"Principal": None, "NotPrincipal": {"Service": "sns.amazonaws.com"}}, False),
        ({"Effect": "Deny"}, False),
        ({"Effect": "Maybe"}, False),
        ({"Action": "lambda:*"}, True),
        ({"Action": "*"}, True),
        ({"Action": "LAMBDA:invoke?unction"}, True),
        ({"Action": ["lambda:GetFunction", "lambda:Invoke*"]}, True),
        ({"Action": "lambda:InvokeFunctionUrl"}, False),
        ({"Action": []}, False),
        ({"Action": None, "NotAction": "lambda:Get*"}, True),
        ({"Action": None, "NotAction": ["lambda:Get*", "lambda:InvokeFunction"]}, False),
        ({"Action": None}, False),
        ({"Resource": f"{FUNCTION}:1"}, False),
        ({"Resource": f"{FUNCTION}:*"}, False),
        ({"Resource": ["arn:aws:lambda:*:*:function:f", "arn:aws:s3:::photos"]}, True),
        ({"Resource": None, "NotResource": f"{FUNCTION}:*"}, True),
        ({"Resource": None, "NotResource": FUNCTION}, False),
        (condition("ArnLike", "AWS:SourceArn", BUCKET), True),
        (condition("ArnLike", "AWS:SourceArn", "arn:aws:s3:::pho*"), True),
        (condition("ArnEquals", "AWS:SourceArn", ["arn:aws:s3:::other", "arn:aws:s3:::pho*"]), True),
        (condition("ArnLike", "AWS:SourceArn", "arn:aws:s3:::other"), False),
        (condition("ArnLike", "AWS:SourceArn", "arn:*"), False),
        (condition("ArnNotLike", "AWS:SourceArn", "arn:aws:s3:::other"), True),
        (condition("ArnNotEquals", "AWS:SourceArn", ["arn:aws:s3:::other", BUCKET]), False),
        (condition("StringLike", "AWS:SourceArn", "arn:*photos"), True),
        (condition("StringNotLike", "AWS:SourceArn", "arn:*photos"), False),
        (condition("StringEquals", "AWS:SourceAccount", OWNER), True),
        (condition("StringEquals", "AWS:SourceAccount", ["9" * 12, OWNER]), True),
        (condition("StringEquals", "AWS:SourceAccount", "999999999999"), False),
        (condition("StringEquals", "AWS:SourceAccount", []), False),
        (condition("StringNotEquals", "aws:sourceaccount", "999999999999"), True),
        (condition("StringEqualsIgnoreCase", "AWS:SourceArn", BUCKET.upper()), True),
        (condition("StringEquals", "AWS:SourceArn", BUCKET.upper()), False),
        (condition("Bool", "lambda:InvokedViaFunctionUrl", "true"), False),
        (condition("Bool", "lambda:InvokedViaFunctionUrl", False), True),
        (condition("StringEquals", "lambda:EventSourceToken", "token"), False),
        (condition("StringEqualsIfExists", "lambda:EventSourceToken", "token"), True),
        (condition("StringEqualsIfExists", "AWS:SourceAccount", "999999999999"), False),
        (condition("Null", "lambda:EventSourceToken", "true"), True),
        (condition("Null", "lambda:EventSourceToken", False), False),
        (condition("Null", "AWS:SourceArn", "false"), True),
        (condition("NotAnOperator", "AWS:SourceArn", BUCKET), False),
        (condition("IpAddress", "aws:SourceIp", "0.0.0.0/0"), False),
        (condition("ForAnyValue:StringEquals", "AWS:SourceArn", BUCKET), False),
        (condition("NullIfExists", "AWS:SourceArn", "false"), False),
        (condition("StringEquals", "aws:PrincipalOrgID", "o-abcdefghij"), False),
        (condition("StringNotEquals", "aws:PrincipalOrgID", "o-abcdefghij"), False),
        (condition("StringEqualsIfExists", "aws:PrincipalOrgID", "o-abcdefghij"), False),
        (condition("Null", "aws:PrincipalOrgID", "true"), False),
        (condition("StringNotEquals", "AWS:SourceAccount", "${aws:PrincipalAccount}"), False),
        ({"Condition": "none"}, False),
        ({"Condition": {"StringEquals": "none"}}, False),
        (
            {"Condition": {"ArnLike": {"AWS:SourceArn": BUCKET}, "StringEquals": {"AWS:SourceAccount": "9" * 12}}},
            False,
        ),
    ],
)
def test_may_invoke(changes: dict[str, Any], allowed: bool) -> None:
    assert s3_may_invoke(statement(**changes)) is allowed


@pytest.mark.parametrize(
    ("changes", "denied"),
    [
        ({}, True),
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"Service": "sns.amazonaws.com"}}, False),
        ({"Principal": None, "NotPrincipal": {"Service": "sns.amazonaws.com"}}, True),
        ({"Principal": None, "NotPrincipal": {"Service": "s3.amazonaws.com"}}, False),
        ({"Action": "lambda:Get*"}, False),
        ({"Action": None, "NotAction": "lambda:Get*"}, True),
        ({"Resource": f"{FUNCTION}:*"}, False),
        (condition("ArnLike", "AWS:SourceArn", BUCKET), True),
        (condition("ArnLike", "AWS:SourceArn", "arn:aws:s3:::other"), False),
        (condition("StringNotEquals", "AWS:SourceAccount", OWNER), False),
        (condition("StringNotEquals", "lambda:EventSourceToken", "token"), True),
        # What cannot be judged here denies.
        (condition("NotAnOperator", "AWS:SourceArn", "arn:aws:s3:::other"), True),
        (condition("IpAddress", "aws:SourceIp", "192.0.2.0"), True),
        (condition("ForAllValues:StringNotLike", "aws:PrincipalOrgPaths", "o-a/*"), True),
        (condition("StringEquals", "aws:PrincipalOrgID", "o-abcdefghij"), True),
        (condition("StringEquals", "AWS:SourceAccount", "${aws:PrincipalAccount}"), True),
        # ... unless another condition, that can be, is not met.
        (
            {
                "Condition": {
                    "IpAddress": {"aws:SourceIp": "192.0.2.0"},
                    "StringEquals": {"aws:SourceAccount": "9" * 12},
                }
            },
            False,
        ),
    ],
)
def test_a_deny_wins(changes: dict[str, Any], denied: bool) -> None:
    deny = statement(Effect="Deny", **changes)
    for statements in ((statement(), deny), (deny, statement())):
        assert s3_may_invoke(*statements) is not denied


def test_one_statement_of_several_is_enough() -> None:
    assert s3_may_invoke(statement(Principal={"Service": "sns.amazonaws.com"}), statement(Sid="other"))
    assert not s3_may_invoke()


def test_a_condition_on_a_source_the_service_did_not_name_is_not_met() -> None:
    named = statement(**condition("StringEquals", "AWS:SourceAccount", OWNER))
    assert not s3_may_invoke(named, source_account="")


def test_a_resource_is_asked_about_where_it_is_known() -> None:
    assert not s3_may_invoke(statement(), resource=f"{FUNCTION}:1")
    assert s3_may_invoke(statement(Resource=f"{FUNCTION}:*"), resource=f"{FUNCTION}:1")
    assert s3_may_invoke(statement(), resource="")


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
        ("arn:aws:s3:::*aab*", "arn:aws:s3:::aaaab", True),
        ("arn:aws:s3:::a*a", "arn:aws:s3:::a", False),
        ("arn:aws:s3:::a**?", "arn:aws:s3:::ab", True),
        pytest.param(f"arn:aws:s3:::{'*a' * 60}*b", f"arn:aws:s3:::{'a' * 120}", False, id="takes no ages"),
    ],
)
def test_arn_like(pattern: str, arn: str, matches: bool) -> None:
    assert policy.arn_like(pattern, arn) is matches


@pytest.mark.parametrize(
    ("principal", "caller", "allowed"),
    [
        ({"AWS": f"arn:aws:iam::{OWNER}:root"}, "", True),
        ({"AWS": f"arn:aws:iam::{OWNER}:root"}, ANN, True),
        ({"AWS": OWNER}, "", True),
        ({"AWS": ["arn:aws:iam::999999999999:root", f"arn:aws:iam::{OWNER}:root"]}, "", True),
        ({"AWS": "*"}, "", True),
        ("*", "", True),
        ({"AWS": ANN}, "", False),
        ({"AWS": ANN}, ANN, True),
        ({"AWS": ANN}, f"arn:aws:iam::{OWNER}:user/ben", False),
        ({"AWS": f"arn:aws:iam::{OWNER}:role/deployer"}, SESSION, True),
        ({"AWS": f"arn:aws:iam::{OWNER}:role/teams/a/deployer"}, SESSION, True),
        ({"AWS": f"arn:aws:iam::{OWNER}:role/other"}, SESSION, False),
        ({"AWS": "arn:aws:iam::999999999999:role/deployer"}, SESSION, False),
        ({"AWS": SESSION}, SESSION, True),
        ({"AWS": "arn:aws:iam::999999999999:root"}, "", False),
        ({"AWS": "999999999999"}, "", False),
        ({"Service": "s3.amazonaws.com"}, "", False),
    ],
)
def test_account_may(principal: Any, caller: str, allowed: bool) -> None:
    invoke = statement(Principal=principal)
    assert policy.account_may([invoke], "lambda:InvokeFunction", OWNER, FUNCTION, caller) is allowed
    assert not policy.account_may([invoke], "lambda:GetFunction", OWNER, FUNCTION, caller)


def test_the_principal_arn_of_a_session_is_its_roles() -> None:
    named = statement(
        Principal="*", **condition("ArnEquals", "aws:PrincipalArn", f"arn:aws:iam::{OWNER}:role/deployer")
    )
    assert policy.account_may([named], "lambda:InvokeFunction", OWNER, FUNCTION, SESSION)
    assert not policy.account_may([named], "lambda:InvokeFunction", OWNER, FUNCTION, ANN)
    assert not policy.account_may([named], "lambda:InvokeFunction", OWNER, FUNCTION)


@pytest.mark.parametrize(
    ("changes", "public"),
    [
        ({}, False),
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": ["123456789012", "*"]}}, True),
        ({"Principal": {"AWS": "123456789012"}}, False),
        ({"Principal": "*", "Effect": "Deny"}, False),
        ({"Principal": "*", **condition("StringEquals", "aws:PrincipalOrgID", "o-abcdefghij")}, False),
        ({"Principal": "*", **condition("StringLike", "aws:SourceArn", "*")}, True),
        ({"Principal": "*", **condition("StringNotEquals", "aws:SourceAccount", OWNER)}, True),
        ({"Principal": "*", **condition("StringEqualsIfExists", "aws:SourceAccount", OWNER)}, True),
        ({"Principal": "*", **condition("ForAllValues:StringEquals", "aws:PrincipalOrgPaths", "o-abcdefghij/*")}, True),
        ({"Principal": "*", **condition("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-abcdefghij/*")}, False),
        ({"Principal": "*", **condition("Null", "aws:SourceArn", "false")}, True),
        ({"Principal": "*", **condition("StringEquals", "lambda:FunctionUrlAuthType", "NONE")}, True),
    ],
)
def test_is_public(changes: dict[str, Any], public: bool) -> None:
    assert policy.is_public(statement(**changes)) is public


def test_the_document_is_compact_json_in_order() -> None:
    statements = [{"Sid": "a", "Effect": "Allow"}]
    assert policy.document(statements) == (
        '{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"a","Effect":"Allow"}]}'
    )
    assert policy.document(statements, {"Id": "ours"}) == '{"Id":"ours","Statement":[{"Sid":"a","Effect":"Allow"}]}'
