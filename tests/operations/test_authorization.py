"""Every operation names its IAM action and its resource, and nobody gets at another account's things."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pilotlight.operations.api import OPERATIONS
from pilotlight.operations.authorization import GRANTABLE, REQUIRED, needs
from pilotlight.wire.messages import Call
from pilotlight.wire.models import load_model
from tests.operations.conftest import CODE, ROLE, Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import arn

OTHER = "123456789012"
ME = f"arn:aws:iam::{OTHER}:root"

#: what the operation's name is not the action of; InvokeAsync has one of its own
_OTHERWISE = {
    "GetLayerVersionByArn": "lambda:GetLayerVersion",
    "Invoke": "lambda:InvokeFunction",
    "InvokeWithResponseStream": "lambda:InvokeFunction",
}
_NAMED_BY = {
    "function": {"FunctionName", "ResourceArn"},
    "layer": {"LayerName"},
    "layer-version": {"LayerName", "Arn"},
    "event-source-mapping": {"UUID"},
    "code-signing-config": {"CodeSigningConfigArn"},
    "capacity-provider": {"CapacityProviderName"},
    "durable-execution": {"DurableExecutionArn", "CallbackId"},
    "tagged": {"Resource"},
}


def test_every_operation_of_the_model_has_its_action() -> None:
    assert REQUIRED.keys() == set(load_model("lambda").operation_names)
    assert OPERATIONS.keys() <= REQUIRED.keys()
    for operation, required in REQUIRED.items():
        assert required.action == _OTHERWISE.get(operation, f"lambda:{operation}")


def test_every_resource_is_named_by_a_member() -> None:
    model = load_model("lambda")
    for operation, required in REQUIRED.items():
        shape = model.operation(operation).input
        members = shape.members.keys() if shape else set[str]()
        if required.resource != "*":
            assert members & _NAMED_BY[required.resource], operation


def test_what_a_policy_can_grant_exists() -> None:
    assert {required.action for required in REQUIRED.values()} >= GRANTABLE


def call(operation: str, **params: Any) -> Call:
    return Call(operation, params, OTHER, "us-east-1", "request")


LAMBDA = f"arn:aws:lambda:us-east-1:{OTHER}"
UUID = "11111111-2222-3333-4444-555555555555"
CSC = f"{LAMBDA}:code-signing-config:csc-0123456789abcdef0"
PROVIDER = f"{LAMBDA}:capacity-provider:p"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (call("GetFunction", FunctionName="f"), [("lambda:GetFunction", f"{LAMBDA}:function:f")]),
        (
            call("GetFunction", FunctionName="f", Qualifier="prod"),
            [("lambda:GetFunction", f"{LAMBDA}:function:f:prod")],
        ),
        (call("ListFunctions"), [("lambda:ListFunctions", "*")]),
        (call("PublishLayerVersion", LayerName="l"), [("lambda:PublishLayerVersion", f"{LAMBDA}:layer:l")]),
        (
            call("GetLayerVersion", LayerName="l", VersionNumber=3),
            [("lambda:GetLayerVersion", f"{LAMBDA}:layer:l:3")],
        ),
        (
            call("GetLayerVersionByArn", Arn=f"{LAMBDA}:layer:l:3"),
            [("lambda:GetLayerVersion", f"{LAMBDA}:layer:l:3")],
        ),
        (
            call("DeleteEventSourceMapping", UUID=UUID),
            [("lambda:DeleteEventSourceMapping", f"{LAMBDA}:event-source-mapping:{UUID}")],
        ),
        (call("GetCodeSigningConfig", CodeSigningConfigArn=CSC), [("lambda:GetCodeSigningConfig", CSC)]),
        (call("GetCapacityProvider", CapacityProviderName="p"), [("lambda:GetCapacityProvider", PROVIDER)]),
        (call("GetCapacityProvider", CapacityProviderName=PROVIDER), [("lambda:GetCapacityProvider", PROVIDER)]),
        (call("TagResource", Resource=CSC, Tags={"a": "b"}), [("lambda:TagResource", CSC)]),
        (
            call("PutResourcePolicy", ResourceArn=f"{LAMBDA}:function:f", Policy="{}"),
            [
                ("lambda:PutResourcePolicy", f"{LAMBDA}:function:f"),
                ("lambda:AddPermission", f"{LAMBDA}:function:f"),
                ("lambda:RemovePermission", f"{LAMBDA}:function:f"),
            ],
        ),
        (
            call(
                "CreateFunction",
                FunctionName="f",
                Role=ROLE,
                Layers=[f"{LAMBDA}:layer:l:3"],
                Tags={"a": "b"},
                CapacityProviderConfig={
                    "LambdaManagedInstancesCapacityProviderConfig": {"CapacityProviderArn": PROVIDER}
                },
            ),
            [
                ("lambda:CreateFunction", f"{LAMBDA}:function:f"),
                ("iam:PassRole", ROLE),
                ("lambda:GetLayerVersion", f"{LAMBDA}:layer:l:3"),
                ("lambda:PassCapacityProvider", PROVIDER),
                ("lambda:TagResource", f"{LAMBDA}:function:f"),
            ],
        ),
        (
            call("SendDurableExecutionCallbackHeartbeat", CallbackId="bm90aGluZw=="),
            [("lambda:SendDurableExecutionCallbackHeartbeat", "*")],
        ),
    ],
)
def test_what_a_call_needs(plane: Plane, made: Call, expected: list[tuple[str, str]]) -> None:
    assert needs(plane.catalog, made) == expected


@pytest.fixture(scope="module")
def stranger(plane: Plane) -> Any:
    return plane.client(account=OTHER)


def denied(action: str, resource: str) -> str:
    return (
        f"User: {ME} is not authorized to perform: {action} on resource: {resource} "
        f"because no resource-based policy allows the {action} action"
    )


MINE = "arn:aws:lambda:us-east-1:000000000000"


@pytest.mark.parametrize(
    ("operation", "resource", "params"),
    [
        ("get_function", f"{MINE}:function:f", {"FunctionName": f"{MINE}:function:f"}),
        ("get_function", f"{MINE}:function:f", {"FunctionName": "000000000000:function:f"}),
        ("delete_function", f"{MINE}:function:f:1", {"FunctionName": f"{MINE}:function:f:1"}),
        ("list_tags", f"{MINE}:function:f", {"Resource": f"{MINE}:function:f"}),
        ("get_resource_policy", f"{MINE}:function:f", {"ResourceArn": f"{MINE}:function:f"}),
        ("delete_resource_policy", f"{MINE}:function:f", {"ResourceArn": f"{MINE}:function:f"}),
        ("get_resource_policy", f"{MINE}:runtime/r", {"ResourceArn": f"{MINE}:runtime/r"}),
        (
            "get_code_signing_config",
            f"{MINE}:code-signing-config:csc-0123456789abcdef0",
            {"CodeSigningConfigArn": f"{MINE}:code-signing-config:csc-0123456789abcdef0"},
        ),
        (
            "delete_code_signing_config",
            f"{MINE}:code-signing-config:csc-0123456789abcdef0",
            {"CodeSigningConfigArn": f"{MINE}:code-signing-config:csc-0123456789abcdef0"},
        ),
        (
            "get_capacity_provider",
            f"{MINE}:capacity-provider:p",
            {"CapacityProviderName": f"{MINE}:capacity-provider:p"},
        ),
        (
            "delete_capacity_provider",
            f"{MINE}:capacity-provider:p",
            {"CapacityProviderName": f"{MINE}:capacity-provider:p"},
        ),
        (
            "list_tags",
            f"{MINE}:event-source-mapping:{UUID}",
            {"Resource": f"{MINE}:event-source-mapping:{UUID}"},
        ),
        (
            "get_durable_execution",
            f"{MINE}:function:f:1/durable-execution/n/i",
            {"DurableExecutionArn": f"{MINE}:function:f:1/durable-execution/n/i"},
        ),
        ("get_layer_version_by_arn", f"{MINE}:layer:l:1", {"Arn": f"{MINE}:layer:l:1"}),
        (
            "publish_layer_version",
            f"{MINE}:layer:l",
            {"LayerName": f"{MINE}:layer:l", "Content": {"ZipFile": CODE}},
        ),
    ],
)
def test_other_accounts_are_denied(stranger: Any, operation: str, resource: str, params: dict[str, Any]) -> None:
    """Whether or not there is such a thing: nobody learns that from it."""
    action = {"get_layer_version_by_arn": "GetLayerVersion"}.get(
        operation, "".join(word.capitalize() for word in operation.split("_"))
    )
    with refused("AccessDeniedException", denied(f"lambda:{action}", resource), 403):
        getattr(stranger, operation)(**params)


@pytest.mark.parametrize(
    ("operation", "further"),
    [
        ("add_permission", {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}),
        ("remove_permission", {"StatementId": "s"}),
        ("update_function_configuration", {"Timeout": 5}),
        ("create_function", {key: value for key, value in function_params("f").items() if key != "FunctionName"}),
    ],
)
def test_where_aws_says_no_more_than_denied(stranger: Any, operation: str, further: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(stranger, operation)(FunctionName=f"{MINE}:function:f", **further)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    assert caught.value.response["Error"].get("Message", "") == ""
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_qualifier_that_does_not_fit_hides_nothing(create: Create, stranger: Any, unique_name: str) -> None:
    create()
    for operation in ("get_function", "get_function_url_config", "get_policy"):
        with pytest.raises(ClientError) as caught:
            getattr(stranger, operation)(FunctionName=arn(unique_name, "a"), Qualifier="b")
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException", operation


def test_a_resource_policy_shares_what_it_names(
    plane: Plane, create: Create, client: Any, stranger: Any, unique_name: str
) -> None:
    create()
    client.add_permission(
        FunctionName=unique_name, StatementId="see", Action="lambda:GetFunctionConfiguration", Principal=OTHER
    )
    client.add_permission(FunctionName=unique_name, StatementId="tag", Action="lambda:TagResource", Principal=OTHER)
    shown = stranger.get_function_configuration(FunctionName=arn(unique_name))
    assert shown["FunctionArn"] == arn(unique_name)
    stranger.tag_resource(Resource=arn(unique_name), Tags={"by": "stranger"})
    assert client.list_tags(Resource=arn(unique_name))["Tags"] == {"by": "stranger"}
    with refused("AccessDeniedException", denied("lambda:ListTags", arn(unique_name)), 403):
        stranger.list_tags(Resource=arn(unique_name))
    with refused("AccessDeniedException", denied("lambda:GetFunctionConfiguration", arn(unique_name, "1")), 403):
        stranger.get_function_configuration(FunctionName=arn(unique_name, "1"))
    third = plane.client(account="999999999999")
    with pytest.raises(ClientError):
        third.get_function_configuration(FunctionName=arn(unique_name))


def test_what_a_resource_policy_cannot_share(create: Create, client: Any, stranger: Any, unique_name: str) -> None:
    create()
    client.add_permission(FunctionName=unique_name, StatementId="all", Action="*", Principal=OTHER)
    stranger.get_function(FunctionName=arn(unique_name))
    with refused("AccessDeniedException", denied("lambda:GetResourcePolicy", arn(unique_name)), 403):
        stranger.get_resource_policy(ResourceArn=arn(unique_name))
    with pytest.raises(ClientError):
        stranger.update_function_configuration(FunctionName=arn(unique_name), Timeout=9)
    assert client.get_function_configuration(FunctionName=unique_name)["Timeout"] == 3


def test_a_deny_wins(create: Create, client: Any, stranger: Any, unique_name: str) -> None:
    create()
    allow = {"Effect": "Allow", "Principal": "*", "Action": "lambda:Get*", "Resource": arn(unique_name)}
    deny = {"Effect": "Deny", "Principal": {"AWS": OTHER}, "NotAction": "lambda:GetAlias", "Resource": arn(unique_name)}
    policy = {"Version": "2012-10-17", "Statement": [allow]}
    client.put_resource_policy(ResourceArn=arn(unique_name), Policy=json.dumps(policy))
    stranger.get_function(FunctionName=arn(unique_name))
    policy["Statement"] = [allow, deny]
    client.put_resource_policy(ResourceArn=arn(unique_name), Policy=json.dumps(policy))
    with refused("AccessDeniedException", denied("lambda:GetFunction", arn(unique_name)), 403):
        stranger.get_function(FunctionName=arn(unique_name))
