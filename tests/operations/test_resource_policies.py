"""PutResourcePolicy, GetResourcePolicy and DeleteResourcePolicy: whole documents, kept as given."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.operations.conftest import Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import arn

STALE = (
    "The Revision Id provided does not match the latest Revision Id. "
    "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
)
NO_POLICY = "The resource you requested does not exist."
UUID = "11111111-2222-3333-4444-555555555555"


def compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))


def statement(resource: str, **changes: Any) -> dict[str, Any]:
    given = {
        "Sid": "s3",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": resource,
        **changes,
    }
    return {element: value for element, value in given.items() if value is not None}


def document(*statements: dict[str, Any], **head: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", **head, "Statement": list(statements)}


def test_a_document_is_kept_as_given(create: Create, client: Any, unique_name: str) -> None:
    create()
    given = document(
        statement(arn(unique_name), Condition={"StringEquals": {"aws:SourceAccount": ["1" * 12, "2" * 12]}}),
        statement(
            f"{arn(unique_name)}:*",
            Sid=None,
            Effect="Deny",
            Principal=None,
            NotPrincipal={"AWS": ["arn:aws:iam::111111111111:role/r", "222222222222"]},
            Action=None,
            NotAction=["lambda:Get*", "lambda:List*"],
            Condition={"Bool": {"aws:SecureTransport": False}, "NumericLessThan": {"aws:MultiFactorAuthAge": 300}},
        ),
        Id="ours",
    )
    put = client.put_resource_policy(ResourceArn=arn(unique_name), Policy=json.dumps(given, indent=2))
    assert put["Policy"] == compact(given)
    got = client.get_resource_policy(ResourceArn=arn(unique_name))
    shown = client.get_policy(FunctionName=unique_name)
    for answer in (got, shown):
        assert (answer["Policy"], answer["RevisionId"]) == (compact(given), put["RevisionId"])
    assert client.get_function_configuration(FunctionName=unique_name)["RevisionId"] == put["RevisionId"]


def test_it_replaces_what_add_permission_made(create: Create, client: Any, unique_name: str) -> None:
    create()
    s3 = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    client.add_permission(FunctionName=unique_name, StatementId="old", **s3)
    client.put_resource_policy(ResourceArn=arn(unique_name), Policy=compact(document(statement(arn(unique_name)))))
    client.add_permission(FunctionName=unique_name, StatementId="new", **s3)
    now = json.loads(client.get_resource_policy(ResourceArn=arn(unique_name))["Policy"])
    assert now.keys() == {"Version", "Statement"}
    assert [one["Sid"] for one in now["Statement"]] == ["s3", "new"]
    for sid in ("s3", "new"):
        client.remove_permission(FunctionName=unique_name, StatementId=sid)
    client.add_permission(FunctionName=unique_name, StatementId="again", **s3)
    again = json.loads(client.get_resource_policy(ResourceArn=arn(unique_name))["Policy"])
    assert (again["Id"], [one["Sid"] for one in again["Statement"]]) == ("default", ["again"])


def test_versions_and_aliases_have_policies_of_their_own(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    client.create_alias(FunctionName=unique_name, Name="prod", FunctionVersion="1")
    for qualifier in ("1", "prod"):
        with refused("ResourceNotFoundException", NO_POLICY, 404):
            client.get_resource_policy(ResourceArn=arn(unique_name, qualifier))
        given = document(statement(arn(unique_name, qualifier), Sid=qualifier))
        put = client.put_resource_policy(ResourceArn=arn(unique_name, qualifier), Policy=compact(given))
        assert client.get_policy(FunctionName=unique_name, Qualifier=qualifier)["Policy"] == compact(given)
        revised = client.get_function_configuration(FunctionName=unique_name, Qualifier="1")["RevisionId"]
        if qualifier == "prod":
            revised = client.get_alias(FunctionName=unique_name, Name="prod")["RevisionId"]
        assert put["RevisionId"] == revised
    with refused("ResourceNotFoundException", NO_POLICY, 404):
        client.get_resource_policy(ResourceArn=arn(unique_name))


def test_deleting(create: Create, client: Any, unique_name: str) -> None:
    create()
    client.put_resource_policy(ResourceArn=arn(unique_name), Policy=compact(document(statement(arn(unique_name)))))
    answer = client.delete_resource_policy(ResourceArn=arn(unique_name))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("ResourceNotFoundException", NO_POLICY, 404):
        client.get_resource_policy(ResourceArn=arn(unique_name))
    with refused("ResourceNotFoundException", NO_POLICY, 404):
        client.get_policy(FunctionName=unique_name)
    with refused("ResourceNotFoundException", "No policy is associated with the given resource.", 404):
        client.delete_resource_policy(ResourceArn=arn(unique_name))


def test_revisions(create: Create, client: Any, unique_name: str) -> None:
    create()
    policy = compact(document(statement(arn(unique_name))))
    first = client.put_resource_policy(ResourceArn=arn(unique_name), Policy=policy)["RevisionId"]
    second = client.put_resource_policy(ResourceArn=arn(unique_name), Policy=policy, RevisionId=first)["RevisionId"]
    assert first != second
    for stale in (first, UUID):
        with refused("PreconditionFailedException", STALE, 412):
            client.put_resource_policy(ResourceArn=arn(unique_name), Policy=policy, RevisionId=stale)
        with refused("PreconditionFailedException", STALE, 412):
            client.delete_resource_policy(ResourceArn=arn(unique_name), RevisionId=stale)
    client.delete_resource_policy(ResourceArn=arn(unique_name), RevisionId=second)


def test_what_is_not_there(create: Create, client: Any, unique_name: str) -> None:
    create()
    policy = compact(document(statement("*")))
    for qualifier, message in (
        ("7", f"Function not found: {arn(unique_name, '7')}"),
        ("gone", f"Cannot find alias arn: {arn(unique_name, 'gone')}"),
    ):
        with refused("ResourceNotFoundException", message, 404):
            client.put_resource_policy(ResourceArn=arn(unique_name, qualifier), Policy=policy)
        with refused("ResourceNotFoundException", message, 404):
            client.delete_resource_policy(ResourceArn=arn(unique_name, qualifier))
    none = f"{unique_name}-none"
    for operation, further in (
        ("put_resource_policy", {"Policy": policy}),
        ("get_resource_policy", {}),
        ("delete_resource_policy", {}),
    ):
        with refused("ResourceNotFoundException", f"Function not found: {arn(none)}", 404):
            getattr(client, operation)(ResourceArn=arn(none), **further)
        runtime = "arn:aws:lambda:us-east-1:000000000000:runtime/mine"
        with refused("ResourceNotFoundException", NO_POLICY, 404):
            getattr(client, operation)(ResourceArn=runtime, **further)
        elsewhere = "arn:aws:lambda:eu-west-1:000000000000:function:f"
        not_reachable = "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"
        with refused("ResourceNotFoundException", not_reachable, 404):
            getattr(client, operation)(ResourceArn=elsewhere, **further)
    with refused("InvalidParameterValueException", "We currently do not support adding policies for $LATEST."):
        client.put_resource_policy(ResourceArn=arn(unique_name, "$LATEST"), Policy=policy)


INVALID_PRINCIPAL = "The provided principal was invalid. Please check the principal and try again."
F = arn("f")


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("{", "Policies must be valid JSON and the first byte must be '{'"),
        ("[]", "Policies must be valid JSON and the first byte must be '{'"),
        ("[" * 9000, "Policies must be valid JSON and the first byte must be '{'"),
        (
            compact(document(statement(F, Condition={"NumericEquals": {"k": 10**30}}))),
            "Policy has an invalid condition",
        ),
        ('"policy"', "Policies must be valid JSON and the first byte must be '{'"),
        (compact({"Version": "2012-10-17"}), "Missing required field Statement"),
        (compact(document()), "Missing required field Statement"),
        (compact({"Version": "2012-10-17", "Statement": "s"}), "Statement must be an object or a list of objects"),
        (
            compact({**document(statement(F)), "Version": "2024"}),
            "The policy must contain a valid version string",
        ),
        (compact({**document(statement(F)), "Id": 7}), "Id must be a string"),
        (compact({**document(statement(F)), "Statements": []}), "Unknown field Statements"),
        (compact(document(statement(F, Actions="*"))), "Unknown field Actions"),
        (compact(document(statement(F, Sid=1))), "Sid must be a string"),
        (compact(document(statement(F), statement(F))), "Statement IDs (SID) in a single policy must be unique."),
        (compact(document(statement(F, Effect=None))), "Missing required field Effect"),
        (compact(document(statement(F, Effect="allow"))), "Invalid effect: allow"),
        (compact(document(statement(F, Principal=None))), "Missing required field Principal"),
        (compact(document(statement(F, NotPrincipal="*"))), "Only one of Principal and NotPrincipal may be given"),
        (
            compact(document(statement(F, Principal=None, NotPrincipal={"AWS": "111111111111"}))),
            "Allow with NotPrincipal is not allowed.",
        ),
        (compact(document(statement(F, Principal="s3.amazonaws.com"))), INVALID_PRINCIPAL),
        (compact(document(statement(F, Principal={}))), INVALID_PRINCIPAL),
        (compact(document(statement(F, Principal={"Service": "example.com"}))), INVALID_PRINCIPAL),
        (compact(document(statement(F, Principal={"AWS": []}))), INVALID_PRINCIPAL),
        (compact(document(statement(F, Principal={"AWS": ["*", "ann"]}))), INVALID_PRINCIPAL),
        (compact(document(statement(F, Principal={"Everyone": "*"}))), INVALID_PRINCIPAL),
        (compact(document(statement(F, Action=None))), "Missing required field Action"),
        (compact(document(statement(F, Action="s3:GetObject"))), "Policy has invalid action"),
        (compact(document(statement(F, Action=["lambda:Get*", "Invoke"]))), "Policy has invalid action"),
        (compact(document(statement(F, Action=[]))), "Policy has invalid action"),
        (compact(document(statement(F, Resource=None))), "Missing required field Resource"),
        (compact(document(statement(arn("other")))), "Policy has invalid resource"),
        (compact(document(statement(F, Resource=[F, "arn:aws:s3:::photos"]))), "Policy has invalid resource"),
        (compact(document(statement(f"{F}:${{aws:username}}", Effect="Deny"))), "Policy has invalid resource"),
        (compact(document(statement(F, Condition="Bool"))), "Policy has an invalid condition"),
        (compact(document(statement(F, Condition={"Bool": "true"}))), "Policy has an invalid condition"),
        (compact(document(statement(F, Condition={"Bool": {"aws:x": {}}}))), "Policy has an invalid condition"),
    ],
)
def test_bad_documents(client: Any, policy: str, message: str) -> None:
    with refused("InvalidParameterValueException", message):
        client.put_resource_policy(ResourceArn=F, Policy=policy)


def test_resources_that_are_about_it(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    for resource in (
        arn(unique_name),
        f"{arn(unique_name)}:*",
        arn(unique_name, "1"),
        "*",
        f"{arn(unique_name)[:-3]}*",
    ):
        policy = compact(document(statement(resource)))
        client.put_resource_policy(ResourceArn=arn(unique_name), Policy=policy)
    with refused("InvalidParameterValueException", "Policy has invalid resource"):
        policy = compact(document(statement(arn(unique_name))))
        client.put_resource_policy(ResourceArn=arn(unique_name, "1"), Policy=policy)


def test_one_statement_needs_no_list(create: Create, client: Any, unique_name: str) -> None:
    create()
    policy = compact({"Statement": statement(arn(unique_name))})
    put = client.put_resource_policy(ResourceArn=arn(unique_name), Policy=policy)
    assert json.loads(put["Policy"]) == {"Statement": [statement(arn(unique_name))]}


def test_twenty_kilobytes(create: Create, client: Any, unique_name: str) -> None:
    create()

    def policy(sid: str) -> str:
        return json.dumps(document(statement(arn(unique_name), Sid=sid)), separators=(",", ":"), ensure_ascii=False)

    room = 20_480 - len(policy(""))
    client.put_resource_policy(ResourceArn=arn(unique_name), Policy=policy("a" * room))
    with refused("PolicyLengthExceededException", "The final policy size (20481) is bigger than the limit (20480)."):
        client.put_resource_policy(ResourceArn=arn(unique_name), Policy=policy("a" * (room - 1) + "é"))


def test_public_policies_where_they_are_blocked(tmp_path: Any) -> None:
    refusal = "Lambda prevented your policy from being created because it would grant public access to your function."
    with Plane(tmp_path, block_public_policies=True) as plane:
        client = plane.client()

        client.create_function(**function_params("f"))
        public = statement(F, Principal="*")
        with refused("PublicPolicyException", refusal):
            client.put_resource_policy(ResourceArn=F, Policy=compact(document(public)))
        with refused("PublicPolicyException", refusal):
            client.add_permission(FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="*")
        organization = {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}}
        client.put_resource_policy(ResourceArn=F, Policy=compact(document({**public, **organization})))


def test_policies_may_be_public_unless_blocked(create: Create, client: Any, unique_name: str) -> None:
    create()
    policy = compact(document(statement(arn(unique_name), Principal={"AWS": "*"})))
    assert client.put_resource_policy(ResourceArn=arn(unique_name), Policy=policy)["Policy"] == policy


def test_it_outlives_a_restart(held_plane: Plane) -> None:

    client = held_plane.client()
    client.create_function(**function_params("f"))
    held_plane.advance(100)
    given = compact(document(statement(F), Id="ours"))
    put = client.put_resource_policy(ResourceArn=F, Policy=given)
    held_plane.restart()
    got = client.get_resource_policy(ResourceArn=F)
    assert (got["Policy"], got["RevisionId"]) == (given, put["RevisionId"])


def test_a_deny_keeps_a_service_out(plane: Plane, create: Create, client: Any, unique_name: str) -> None:
    create()
    bucket = "arn:aws:s3:::photos"
    version = plane.catalog.resolve("000000000000", "us-east-1", unique_name, None)

    def may_invoke(qualifier: str | None = None) -> bool:
        return plane.catalog.may_invoke(version, qualifier, "s3.amazonaws.com", bucket, "000000000000")

    allow = statement(arn(unique_name))
    client.put_resource_policy(ResourceArn=arn(unique_name), Policy=compact(document(allow)))
    assert may_invoke()
    assert not may_invoke("1")
    deny = statement(
        arn(unique_name), Sid="not", Effect="Deny", Condition={"ArnLike": {"aws:SourceArn": "arn:aws:s3:::pho*"}}
    )
    client.put_resource_policy(ResourceArn=arn(unique_name), Policy=compact(document(allow, deny)))
    assert not may_invoke()


def test_a_functions_policy_may_be_about_its_versions(
    plane: Plane, create: Create, client: Any, unique_name: str
) -> None:
    create(Publish=True)
    version = plane.catalog.resolve("000000000000", "us-east-1", unique_name, "1")
    allow = statement(f"{arn(unique_name)}:*")
    client.put_resource_policy(ResourceArn=arn(unique_name), Policy=compact(document(allow)))
    ask = ("s3.amazonaws.com", "arn:aws:s3:::photos", "000000000000")
    assert plane.catalog.may_invoke(version, "1", *ask)
    assert not plane.catalog.may_invoke(version, None, *ask)
