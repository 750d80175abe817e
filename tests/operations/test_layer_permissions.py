"""AddLayerVersionPermission, RemoveLayerVersionPermission and GetLayerVersionPolicy, and what they let others do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.operations.conftest import function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import UNVALIDATED, UUID, without_metadata
from tests.operations.test_layers import layer_arn, publish

STALE = (
    "The Revision Id provided does not match the latest Revision Id. "
    "Call the GetLayerPolicy API to retrieve the latest Revision Id"
)
NO_POLICY = "No policy is associated with the given resource."
STRANGER = "111122223333"


def add(client: Any, name: str, sid: str = "s1", **changes: Any) -> dict[str, Any]:
    given = {
        "LayerName": name,
        "VersionNumber": 1,
        "StatementId": sid,
        "Action": "lambda:GetLayerVersion",
        "Principal": "*",
        **changes,
    }
    return client.add_layer_version_permission(**given)


def remove(client: Any, name: str, sid: str = "s1", **changes: Any) -> dict[str, Any]:
    given = {"LayerName": name, "VersionNumber": 1, "StatementId": sid, **changes}
    return client.remove_layer_version_permission(**given)


def read(client: Any, name: str, version: int = 1) -> dict[str, Any]:
    return without_metadata(client.get_layer_version_policy(LayerName=name, VersionNumber=version))


# -- statements ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "principal", "condition"),
    [
        ({"Principal": "*"}, '"*"', ""),
        ({"Principal": "111122223333"}, '{"AWS":"arn:aws:iam::111122223333:root"}', ""),
        ({"Principal": "arn:aws:iam::111122223333:root"}, '{"AWS":"arn:aws:iam::111122223333:root"}', ""),
        (
            {"Principal": "*", "OrganizationId": "o-t194hfs8cz"},
            '"*"',
            ',"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-t194hfs8cz"}}',
        ),
    ],
)
def test_a_statement_as_aws_writes_it(
    client: Any, unique_name: str, given: dict[str, str], principal: str, condition: str
) -> None:
    publish(client, unique_name)
    answer = add(client, unique_name, **given)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    statement = (
        f'{{"Sid":"s1","Effect":"Allow","Principal":{principal},"Action":"lambda:GetLayerVersion",'
        f'"Resource":"{layer_arn(unique_name, 1)}"{condition}}}'
    )
    assert without_metadata(answer) == {"Statement": statement, "RevisionId": answer["RevisionId"]}
    assert read(client, unique_name) == {
        "Policy": f'{{"Version":"2012-10-17","Id":"default","Statement":[{statement}]}}',
        "RevisionId": answer["RevisionId"],
    }


def test_a_policy_has_revisions_of_its_own(tmp_path: Path) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        publish(client, "l")
        first = add(client, "l", "s1")["RevisionId"]
        second = add(client, layer_arn("l"), "s2", RevisionId=first)["RevisionId"]
        assert first != second
        assert re.fullmatch(UUID, second)
        plane.restart()
        policy = read(client, "l")
        assert policy["RevisionId"] == second
        assert [statement["Sid"] for statement in json.loads(policy["Policy"])["Statement"]] == ["s1", "s2"]
        with refused("PreconditionFailedException", STALE, 412):
            add(client, "l", "s3", RevisionId=first)
        with refused("PreconditionFailedException", STALE, 412):
            remove(client, "l", "s2", RevisionId=first)
        assert remove(client, "l", "s2", RevisionId=second)["ResponseMetadata"]["HTTPStatusCode"] == 204
        third = read(client, "l")
        assert third["RevisionId"] not in (first, second)
        assert [statement["Sid"] for statement in json.loads(third["Policy"])["Statement"]] == ["s1"]


def test_a_revision_where_there_is_no_policy(client: Any, unique_name: str) -> None:
    publish(client, unique_name)
    with refused("PreconditionFailedException", STALE, 412):
        add(client, unique_name, RevisionId="1f5a1d4e-5b8b-4c1e-8d5a-0a2d7d8c9b3f")


def test_a_statement_id_twice(client: Any, unique_name: str) -> None:
    publish(client, unique_name)
    add(client, unique_name)
    message = (
        "The statement id (s1) provided already exists. "
        "Please provide a new statement id, or remove the existing statement."
    )
    with refused("ResourceConflictException", message, 409):
        add(client, unique_name, Principal=STRANGER)


def test_policies_of_versions_are_apart(client: Any, unique_name: str) -> None:
    publish(client, unique_name)
    publish(client, unique_name)
    add(client, unique_name)
    with refused("ResourceNotFoundException", NO_POLICY, 404):
        read(client, unique_name, 2)
    add(client, unique_name, VersionNumber=2)
    remove(client, unique_name)
    with refused("ResourceNotFoundException", NO_POLICY, 404):
        read(client, unique_name)
    assert layer_arn(unique_name, 2) in read(client, unique_name, 2)["Policy"]


def test_removing_what_is_not_there(client: Any, unique_name: str) -> None:
    publish(client, unique_name)
    with refused("ResourceNotFoundException", NO_POLICY, 404):
        remove(client, unique_name)
    add(client, unique_name)
    with refused("ResourceNotFoundException", "Statement other is not found in resource policy.", 404):
        remove(client, unique_name, "other")


def test_layers_and_versions_that_are_not_there(client: Any, unique_name: str) -> None:
    publish(client, unique_name)
    for name, number in ((unique_name, 2), (f"{unique_name}-x", 1)):
        message = f"Layer version {layer_arn(name, number)} does not exist."
        for call in (
            lambda name=name, number=number: add(client, name, VersionNumber=number),
            lambda name=name, number=number: remove(client, name, VersionNumber=number),
            lambda name=name, number=number: read(client, name, number),
        ):
            with refused("ResourceNotFoundException", message, 404):
                call()
    for call in (
        lambda: add(client, unique_name, VersionNumber=0),
        lambda: remove(client, unique_name, VersionNumber=0),
        lambda: read(client, unique_name, 0),
    ):
        with refused("InvalidParameterValueException", "Layer Version Cannot be less than 1"):
            call()


@pytest.mark.parametrize(
    ("given", "value", "member", "constraint"),
    [
        ({"Action": "*"}, "*", "action", "lambda:GetLayerVersion"),
        ({"Principal": "s3.amazonaws.com"}, "s3.amazonaws.com", "principal", None),
        ({"Principal": "arn:aws:iam::111122223333:user/ann"}, "arn:aws:iam::111122223333:user/ann", "principal", None),
        ({"StatementId": "a.b"}, "a.b", "statementId", "([a-zA-Z0-9-_]+)"),
        ({"OrganizationId": "org"}, "org", "organizationId", "o-[a-z0-9]{10,32}"),
    ],
)
def test_members_that_are_refused(
    plane: Plane, unique_name: str, given: dict[str, str], value: str, member: str, constraint: str | None
) -> None:
    client = plane.client(config=UNVALIDATED)
    publish(client, unique_name)
    pattern = constraint or r"\d{12}|\*|arn:(aws[a-zA-Z-]*):iam::\d{12}:root"
    message = (
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {pattern}"
    )
    with refused("ValidationException", message):
        add(client, unique_name, **given)


def test_an_organization_and_an_account(client: Any, unique_name: str) -> None:
    publish(client, unique_name)
    with refused("InvalidParameterValueException", "OrganizationId can be given with the principal * only."):
        add(client, unique_name, Principal=STRANGER, OrganizationId="o-t194hfs8cz")


def test_a_policy_that_is_too_long(client: Any, unique_name: str) -> None:
    publish(client, unique_name)
    with pytest.raises(ClientError) as caught:
        for n in range(200):
            add(client, unique_name, f"{n:03}{'x' * 97}")
    error = caught.value.response["Error"]
    assert error["Code"] == "PolicyLengthExceededException"
    assert error["Message"].endswith("is bigger than the limit (20480).")
    assert len(read(client, unique_name)["Policy"]) <= 20480


# -- what they let others do -----------------------------------------------------------------------------------------


def _denied(arn: str, account: str = STRANGER) -> str:
    return (
        f"User: arn:aws:iam::{account}:root is not authorized to perform: lambda:GetLayerVersion on resource: {arn} "
        "because no resource-based policy allows the lambda:GetLayerVersion action"
    )


@pytest.mark.parametrize("principal", ["*", STRANGER, f"arn:aws:iam::{STRANGER}:root"])
def test_another_account_may_use_what_is_shared(plane: Plane, client: Any, unique_name: str, principal: str) -> None:
    arn = publish(client, unique_name)["LayerVersionArn"]
    publish(client, unique_name)
    stranger = plane.client(account=STRANGER)
    params = function_params(unique_name, Layers=[arn], Role=f"arn:aws:iam::{STRANGER}:role/r")
    for call in (
        lambda: stranger.create_function(**params),
        lambda: stranger.get_layer_version_by_arn(Arn=arn),
        lambda: stranger.get_layer_version(LayerName=layer_arn(unique_name), VersionNumber=1),
    ):
        with refused("AccessDeniedException", _denied(arn), 403):
            call()
    add(client, unique_name, Principal=principal)
    assert stranger.create_function(**params)["Layers"][0]["Arn"] == arn
    assert stranger.get_layer_version_by_arn(Arn=arn)["LayerVersionArn"] == arn
    assert stranger.get_layer_version(LayerName=layer_arn(unique_name), VersionNumber=1)["LayerArn"] == arn[:-2]
    with refused("AccessDeniedException", _denied(layer_arn(unique_name, 2)), 403):
        stranger.get_layer_version_by_arn(Arn=layer_arn(unique_name, 2))
    remove(client, unique_name)
    with refused("AccessDeniedException", _denied(arn), 403):
        stranger.get_layer_version_by_arn(Arn=arn)
    assert stranger.get_function_configuration(FunctionName=unique_name)["Layers"][0]["Arn"] == arn


def test_sharing_with_one_account_or_an_organization_is_not_sharing_with_all(
    plane: Plane, client: Any, unique_name: str
) -> None:
    arn = publish(client, unique_name)["LayerVersionArn"]
    add(client, unique_name, "one", Principal=STRANGER)
    add(client, unique_name, "organization", OrganizationId="o-t194hfs8cz")
    with refused("AccessDeniedException", _denied(arn, "222233334444"), 403):
        plane.client(account="222233334444").get_layer_version_by_arn(Arn=arn)


def test_what_is_shared_is_not_to_be_changed_by_others(plane: Plane, client: Any, unique_name: str) -> None:
    publish(client, unique_name)
    add(client, unique_name)
    stranger, arn = plane.client(account=STRANGER), layer_arn(unique_name)
    for call in (
        lambda: stranger.delete_layer_version(LayerName=arn, VersionNumber=1),
        lambda: add(stranger, arn, "s2"),
        lambda: remove(stranger, arn),
        lambda: read(stranger, arn),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_what_is_shared_is_shared_in_its_region(plane: Plane, client: Any, unique_name: str) -> None:
    arn = publish(client, unique_name)["LayerVersionArn"]
    add(client, unique_name)
    with refused("AccessDeniedException", _denied(arn), 403):
        plane.client(account=STRANGER, region="eu-west-1").get_layer_version_by_arn(Arn=arn)
