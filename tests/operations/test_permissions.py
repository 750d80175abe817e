"""AddPermission, RemovePermission and GetPolicy: statements letter by letter."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.operations.conftest import Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import UNVALIDATED, arn

STALE = (
    "The Revision Id provided does not match the latest Revision Id. "
    "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
)
S3 = {"StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}


def test_a_statement_as_aws_writes_it(create: Create, client: Any, unique_name: str) -> None:
    create()
    answer = client.add_permission(
        FunctionName=unique_name, **S3, SourceArn="arn:aws:s3:::photos", SourceAccount="123456789012"
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert answer["Statement"] == (
        '{"Sid":"s3","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction",'
        f'"Resource":"{arn(unique_name)}","Condition":{{"StringEquals":{{"AWS:SourceAccount":"123456789012"}},'
        '"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::photos"}}}'
    )
    policy = client.get_policy(FunctionName=unique_name)
    assert policy["Policy"] == f'{{"Version":"2012-10-17","Id":"default","Statement":[{answer["Statement"]}]}}'
    assert policy["RevisionId"] == client.get_function_configuration(FunctionName=unique_name)["RevisionId"]


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("events.amazonaws.com", {"Service": "events.amazonaws.com"}),
        ("logs.eu-west-1.amazonaws.com", {"Service": "logs.eu-west-1.amazonaws.com"}),
        ("alexa-appkit.amazon.com", {"Service": "alexa-appkit.amazon.com"}),
        ("123456789012", {"AWS": "arn:aws:iam::123456789012:root"}),
        ("arn:aws:iam::123456789012:user/ann", {"AWS": "arn:aws:iam::123456789012:user/ann"}),
        ("*", "*"),
    ],
)
def test_principals(create: Create, client: Any, unique_name: str, principal: str, expected: Any) -> None:
    create()
    answer = client.add_permission(FunctionName=unique_name, **{**S3, "Principal": principal})
    assert json.loads(answer["Statement"])["Principal"] == expected


@pytest.mark.parametrize(
    ("given", "condition"),
    [
        ({"EventSourceToken": "token"}, {"StringEquals": {"lambda:EventSourceToken": "token"}}),
        ({"PrincipalOrgID": "o-1234567890"}, {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}}),
        (
            {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
            {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
        ),
        (
            {"SourceAccount": "1" * 12, "PrincipalOrgID": "o-1234567890", "SourceArn": "arn:aws:s3:::photos"},
            {
                "StringEquals": {"AWS:SourceAccount": "1" * 12, "aws:PrincipalOrgID": "o-1234567890"},
                "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::photos"},
            },
        ),
        ({"InvokedViaFunctionUrl": True}, {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}),
        ({}, None),
    ],
)
def test_conditions(create: Create, client: Any, unique_name: str, given: dict[str, Any], condition: Any) -> None:
    create()
    answer = client.add_permission(FunctionName=unique_name, **{**S3, **given})
    assert json.loads(answer["Statement"]).get("Condition") == condition


def test_a_version_has_a_policy_of_its_own(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    client.add_permission(FunctionName=unique_name, **S3)
    answer = client.add_permission(FunctionName=unique_name, Qualifier="1", **S3)
    assert json.loads(answer["Statement"])["Resource"] == arn(unique_name, "1")
    of_version = client.get_policy(FunctionName=f"{unique_name}:1")
    assert len(json.loads(of_version["Policy"])["Statement"]) == 1
    assert of_version["RevisionId"] == client.get_function_configuration(FunctionName=f"{unique_name}:1")["RevisionId"]
    client.remove_permission(FunctionName=unique_name, Qualifier="1", StatementId="s3")
    assert "s3" in client.get_policy(FunctionName=unique_name)["Policy"]
    with refused("ResourceNotFoundException", "The resource you requested does not exist.", 404):
        client.get_policy(FunctionName=unique_name, Qualifier="1")


def test_removing(create: Create, client: Any, unique_name: str) -> None:
    create()
    for sid in ("a", "b"):
        client.add_permission(FunctionName=unique_name, **{**S3, "StatementId": sid})
    answer = client.remove_permission(FunctionName=unique_name, StatementId="a")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    left = json.loads(client.get_policy(FunctionName=unique_name)["Policy"])["Statement"]
    assert [statement["Sid"] for statement in left] == ["b"]
    with refused("ResourceNotFoundException", "Statement a is not found in resource policy.", 404):
        client.remove_permission(FunctionName=unique_name, StatementId="a")
    client.remove_permission(FunctionName=unique_name, StatementId="b")
    with refused("ResourceNotFoundException", "The resource you requested does not exist.", 404):
        client.get_policy(FunctionName=unique_name)
    with refused("ResourceNotFoundException", "No policy is associated with the given resource.", 404):
        client.remove_permission(FunctionName=unique_name, StatementId="b")


def test_every_change_has_a_revision(create: Create, client: Any, unique_name: str) -> None:
    create()
    client.add_permission(FunctionName=unique_name, **S3)
    first = client.get_policy(FunctionName=unique_name)["RevisionId"]
    client.add_permission(FunctionName=unique_name, **{**S3, "StatementId": "b"}, RevisionId=first)
    second = client.get_policy(FunctionName=unique_name)["RevisionId"]
    assert first != second
    with refused("PreconditionFailedException", STALE, 412):
        client.add_permission(FunctionName=unique_name, **{**S3, "StatementId": "c"}, RevisionId=first)
    with refused("PreconditionFailedException", STALE, 412):
        client.remove_permission(FunctionName=unique_name, StatementId="b", RevisionId=first)
    client.remove_permission(FunctionName=unique_name, StatementId="b", RevisionId=second)


def test_statements_added_at_once_are_all_there(create: Create, client: Any, unique_name: str) -> None:
    create()
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda n: client.add_permission(FunctionName=unique_name, **{**S3, "StatementId": f"s{n}"}), range(16)
            )
        )
    statements = json.loads(client.get_policy(FunctionName=unique_name)["Policy"])["Statement"]
    assert {statement["Sid"] for statement in statements} == {f"s{n}" for n in range(16)}


def test_a_policy_has_20_kb(create: Create, client: Any, unique_name: str) -> None:
    create()
    size = 0
    with refused("PolicyLengthExceededException", "The final policy size (20498) is bigger than the limit (20480)."):
        for number in range(1000):
            filler = "x" * (1000 if size < 18_000 else 20_498 - size - _overhead(unique_name))
            client.add_permission(
                FunctionName=unique_name, **{**S3, "StatementId": f"s{number:03}"}, SourceArn=f"arn:aws:s3:::{filler}"
            )
            size = len(client.get_policy(FunctionName=unique_name)["Policy"])
    assert len(client.get_policy(FunctionName=unique_name)["Policy"]) == size, "nothing was added"


def _overhead(name: str) -> int:
    """Bytes of a further statement besides the filler, with the comma before it."""
    statement = {
        "Sid": "s000",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": arn(name),
        "Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::"}},
    }
    return len(json.dumps(statement, separators=(",", ":"))) + 1


def test_refused(create: Create, client: Any, plane: Plane, unique_name: str) -> None:
    create()
    client.add_permission(FunctionName=unique_name, **S3)
    message = (
        "The statement id (s3) provided already exists. "
        "Please provide a new statement id, or remove the existing statement."
    )
    with refused("ResourceConflictException", message, 409):
        client.add_permission(FunctionName=unique_name, **S3)
    with refused("InvalidParameterValueException", "We currently do not support adding policies for $LATEST."):
        client.add_permission(FunctionName=unique_name, Qualifier="$LATEST", **S3)
    message = (
        "1 validation error detected: Value 'example.com' at 'statementId' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)"
    )
    with refused("ValidationException", message):
        plane.client(config=UNVALIDATED).add_permission(
            FunctionName=unique_name, **{**S3, "StatementId": "example.com"}
        )


INVALID = "The provided principal was invalid. Please check the principal and try again."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Principal": "invalid.nonaws.com"}, INVALID),
        ({"Principal": "ann"}, INVALID),
        (
            {"Principal": "arn:aws:iam:000000000000:role/xxxx"},
            "The provided input'arn:aws:iam:000000000000:role/xxxx'was invalid. Member must satisfy expression: "
            r"[\w+=,.@-]* Please check your input and try again.",
        ),
        (
            {"FunctionUrlAuthType": "NONE"},
            "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
        ),
        (
            {"Action": "lambda:InvokeFunctionUrl", "InvokedViaFunctionUrl": True},
            "InvokedViaFunctionUrl is only supported for lambda:InvokeFunction action",
        ),
    ],
)
def test_what_does_not_go_together(
    create: Create, client: Any, unique_name: str, changes: dict[str, Any], message: str
) -> None:
    create()
    with refused("InvalidParameterValueException", message):
        client.add_permission(FunctionName=unique_name, **{**S3, **changes})
    with refused("ResourceNotFoundException", "The resource you requested does not exist.", 404):
        client.get_policy(FunctionName=unique_name)


def test_an_alias_has_a_policy_and_a_revision_of_its_own(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    before = client.create_alias(FunctionName=unique_name, Name="prod", FunctionVersion="1")["RevisionId"]
    answer = client.add_permission(FunctionName=f"{unique_name}:prod", **S3, RevisionId=before)
    assert json.loads(answer["Statement"])["Resource"] == arn(unique_name, "prod")
    policy = client.get_policy(FunctionName=unique_name, Qualifier="prod")
    alias = client.get_alias(FunctionName=unique_name, Name="prod")
    assert policy["RevisionId"] == alias["RevisionId"] != before
    assert alias["FunctionVersion"] == "1"
    with refused("PreconditionFailedException", STALE, 412):
        client.remove_permission(FunctionName=unique_name, Qualifier="prod", StatementId="s3", RevisionId=before)
    for qualifier in (None, "1"):
        with refused("ResourceNotFoundException", "The resource you requested does not exist.", 404):
            client.get_policy(FunctionName=unique_name, **({"Qualifier": qualifier} if qualifier else {}))
    client.remove_permission(FunctionName=unique_name, Qualifier="prod", StatementId="s3")
    with refused("ResourceNotFoundException", "No policy is associated with the given resource.", 404):
        client.remove_permission(FunctionName=unique_name, Qualifier="prod", StatementId="s3")


def test_statements_stand_in_the_order_they_came(create: Create, client: Any, unique_name: str) -> None:
    create()
    for sid in ("b", "c", "a"):
        client.add_permission(FunctionName=unique_name, **{**S3, "StatementId": sid})
    statements = json.loads(client.get_policy(FunctionName=unique_name)["Policy"])["Statement"]
    assert [statement["Sid"] for statement in statements] == ["b", "c", "a"]


def test_a_policy_outlives_a_restart(held_plane: Plane) -> None:
    client = held_plane.client()
    client.create_function(**function_params("f", Publish=True))
    client.create_alias(FunctionName="f", Name="prod", FunctionVersion="1")
    for name in ("f", "f:1", "f:prod"):
        client.add_permission(FunctionName=name, **S3)
    before = {name: client.get_policy(FunctionName=name)["Policy"] for name in ("f", "f:1", "f:prod")}
    held_plane.restart()
    assert {name: client.get_policy(FunctionName=name)["Policy"] for name in before} == before


@pytest.mark.parametrize(
    ("qualifier", "missing"),
    [
        ("42", "Function not found"),
        ("alias-doesnotexist", "Cannot find alias arn"),
        ("valid-with-$-but-doesnotexist", "Function not found"),
    ],
)
def test_a_qualifier_that_is_not_there(
    create: Create, client: Any, unique_name: str, qualifier: str, missing: str
) -> None:
    create()
    with refused("ResourceNotFoundException", f"{missing}: {arn(unique_name, qualifier)}", 404):
        client.add_permission(FunctionName=unique_name, Qualifier=qualifier, **S3)
    with refused("ResourceNotFoundException", f"{missing}: {arn(unique_name, qualifier)}", 404):
        client.remove_permission(FunctionName=unique_name, Qualifier=qualifier, StatementId="s3")
    with refused("ResourceNotFoundException", "The resource you requested does not exist.", 404):
        client.get_policy(FunctionName=unique_name, Qualifier=qualifier)


def test_no_function(client: Any, unique_name: str) -> None:
    with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name)}", 404):
        client.add_permission(FunctionName=unique_name, **S3)
    with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name)}", 404):
        client.get_policy(FunctionName=unique_name)
    with refused("ResourceNotFoundException", f"No policy found for: {arn(unique_name)}", 404):
        client.remove_permission(FunctionName=unique_name, StatementId="s3")
