"""Capacity providers: what they hold, their states, and the functions on them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.operations.conftest import Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import arn
from tests.support import eventually

ROLE = "arn:aws:iam::000000000000:role/operator"
KEY = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555"
POLICY = {"PredefinedMetricType": "LambdaCapacityProviderAverageCPUUtilization", "TargetValue": 70.0}
USUAL_SCALING = {"MaxVCpuCount": 400, "ScalingMode": "Auto"}


def provider_arn(name: str) -> str:
    return f"arn:aws:lambda:us-east-1:000000000000:capacity-provider:{name}"


def params(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "CapacityProviderName": name,
        "VpcConfig": {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
        "PermissionsConfig": {"CapacityProviderOperatorRoleArn": ROLE},
        **changes,
    }


def make(client: Any, name: str, **changes: Any) -> dict[str, Any]:
    return client.create_capacity_provider(**params(name, **changes))["CapacityProvider"]


def get(client: Any, name: str) -> dict[str, Any]:
    return client.get_capacity_provider(CapacityProviderName=name)["CapacityProvider"]


def on(name: str, **changes: Any) -> dict[str, Any]:
    """What puts a function on the provider `name`."""
    config = {"LambdaManagedInstancesCapacityProviderConfig": {"CapacityProviderArn": provider_arn(name)}}
    return {"Runtime": "python3.13", "MemorySize": 2048, "CapacityProviderConfig": config, **changes}


def not_found(name: str) -> str:
    return f"Capacity provider not found: {provider_arn(name)}"


def busy(state: str) -> str:
    return (
        "The operation cannot be performed at this time. "
        f"The capacity provider is currently in the following state: {state}"
    )


def test_creating_one_with_what_must_be_given(client: Any, unique_name: str) -> None:
    answer = client.create_capacity_provider(**params(unique_name))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    made = answer["CapacityProvider"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", made["LastModified"])
    assert made == {
        "CapacityProviderArn": provider_arn(unique_name),
        "State": "Pending",
        "VpcConfig": {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
        "PermissionsConfig": {"CapacityProviderOperatorRoleArn": ROLE},
        "InstanceRequirements": {"Architectures": ["x86_64"]},
        "CapacityProviderScalingConfig": USUAL_SCALING,
        "LastModified": made["LastModified"],
    }
    assert get(client, unique_name) == {**made, "State": "Active"}
    assert get(client, provider_arn(unique_name)) == get(client, unique_name)


def test_every_member_is_held_and_outlives_a_restart(held_plane: Plane) -> None:
    client = held_plane.client()
    members = {
        "InstanceRequirements": {"Architectures": ["arm64"], "AllowedInstanceTypes": ["m7g.large", "c7g.*"]},
        "CapacityProviderScalingConfig": {"MaxVCpuCount": 16, "ScalingMode": "Manual", "ScalingPolicies": [POLICY]},
        "KmsKeyArn": KEY,
        "PropagateTags": {"Mode": "Explicit", "ExplicitTags": {"team": "a"}},
        "TelemetryConfig": {"LoggingConfig": {"SystemLogLevel": "WARN", "LogGroup": "/ours"}},
    }
    made = make(client, "p", Tags={"cost": "b"}, **members)
    assert {member: made[member] for member in members} == members
    held_plane.restart()
    assert get(client, "p") == {**made, "State": "Active"}
    assert client.list_tags(Resource=provider_arn("p"))["Tags"] == {"cost": "b"}


def test_it_may_be_named_by_its_arn(client: Any, unique_name: str) -> None:
    assert make(client, provider_arn(unique_name))["CapacityProviderArn"] == provider_arn(unique_name)


def test_states_move_with_the_clock(held_plane: Plane) -> None:
    client = held_plane.client()
    make(client, "p")
    assert get(client, "p")["State"] == "Pending"
    with refused("ResourceConflictException", busy("Pending"), 409):
        client.update_capacity_provider(CapacityProviderName="p")
    held_plane.advance(100)
    eventually(lambda: get(client, "p")["State"] == "Active")
    answer = client.delete_capacity_provider(CapacityProviderName="p")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["CapacityProvider"]["State"] == "Deleting"
    assert get(client, "p")["State"] == "Deleting"
    for operation in ("update_capacity_provider", "delete_capacity_provider"):
        with refused("ResourceConflictException", busy("Deleting"), 409):
            getattr(client, operation)(CapacityProviderName="p")
    held_plane.advance(100)
    eventually(lambda: client.list_capacity_providers()["CapacityProviders"] == [])
    with refused("ResourceNotFoundException", not_found("p"), 404):
        client.get_capacity_provider(CapacityProviderName="p")


def test_a_stopped_node_leaves_nothing_pending(held_plane: Plane) -> None:
    client = held_plane.client()
    make(client, "pending")
    make(client, "deleting")
    client.delete_capacity_provider(CapacityProviderName="deleting")
    held_plane.restart()
    listed = client.list_capacity_providers()["CapacityProviders"]
    assert [(one["CapacityProviderArn"], one["State"]) for one in listed] == [(provider_arn("pending"), "Active")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"InstanceRequirements": {"AllowedInstanceTypes": ["a"], "ExcludedInstanceTypes": ["b"]}},
            "You can specify only one of AllowedInstanceTypes or ExcludedInstanceTypes.",
        ),
        (
            {"CapacityProviderScalingConfig": {"ScalingPolicies": [POLICY]}},
            "ScalingPolicies can be specified only when ScalingMode is Manual.",
        ),
        (
            {"CapacityProviderScalingConfig": {"ScalingMode": "Manual"}},
            "ScalingPolicies must be specified when ScalingMode is Manual.",
        ),
        (
            {"PropagateTags": {"Mode": "None", "ExplicitTags": {"a": "b"}}},
            "ExplicitTags can be specified only when Mode is Explicit.",
        ),
        (
            {"PropagateTags": {"Mode": "Explicit", "ExplicitTags": {"aws:a": "b"}}},
            "aws: prefixed tag key names are not allowed for external use.",
        ),
        ({"Tags": {"aws:a": "b"}}, "aws: prefixed tag key names are not allowed for external use."),
        ({"Tags": {str(n): "" for n in range(51)}}, "Number of tags exceeds resource tag limit."),
    ],
)
def test_refused(client: Any, unique_name: str, changes: dict[str, Any], message: str) -> None:
    with refused("InvalidParameterValueException", message):
        make(client, unique_name, **changes)
    with refused("ResourceNotFoundException", not_found(unique_name), 404):
        client.get_capacity_provider(CapacityProviderName=unique_name)


def test_names(client: Any) -> None:
    with refused(
        "InvalidParameterValueException",
        f"1 validation error detected: Value '{'x' * 65}' at 'capacityProviderName' failed to satisfy constraint: "
        "Member must have length less than or equal to 64",
    ):
        make(client, "x" * 65)
    elsewhere = "arn:aws:lambda:eu-west-1:000000000000:capacity-provider:p"
    not_reachable = "Capacity providers from 'eu-west-1' are not reachable in this region ('us-east-1')"
    with refused("ResourceNotFoundException", not_reachable, 404):
        client.get_capacity_provider(CapacityProviderName=elsewhere)


def test_a_name_is_taken_once(plane: Plane, client: Any, unique_name: str) -> None:
    make(client, unique_name)
    with refused("ResourceConflictException", f"Capacity provider already exists: {provider_arn(unique_name)}", 409):
        make(client, unique_name)
    make(plane.client(region="eu-west-1"), unique_name)
    make(plane.client(account="123456789012"), unique_name)


def test_an_account_has_so_many(tmp_path: Any) -> None:
    with Plane(tmp_path, max_capacity_providers=2) as plane:
        client = plane.client()
        make(client, "a")
        make(client, "b")
        with refused(
            "CapacityProviderLimitExceededException",
            "The maximum number of capacity providers for your account has been exceeded.",
        ):
            make(client, "c")
        make(plane.client(region="eu-west-1"), "c")


def test_updating(client: Any, unique_name: str) -> None:
    made = make(client, unique_name, TelemetryConfig={"LoggingConfig": {"LogGroup": "/ours"}})
    same = client.update_capacity_provider(CapacityProviderName=unique_name)
    assert same["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert {**same["CapacityProvider"], "LastModified": ""} == {**made, "State": "Active", "LastModified": ""}

    def update(**members: Any) -> dict[str, Any]:
        answer = client.update_capacity_provider(CapacityProviderName=unique_name, **members)["CapacityProvider"]
        assert get(client, unique_name) == answer
        return answer

    scaled = update(CapacityProviderScalingConfig={"ScalingMode": "Manual", "ScalingPolicies": [POLICY]})
    assert scaled["CapacityProviderScalingConfig"] == {
        "MaxVCpuCount": 400,
        "ScalingMode": "Manual",
        "ScalingPolicies": [POLICY],
    }
    fewer = update(CapacityProviderScalingConfig={"MaxVCpuCount": 8})
    assert fewer["CapacityProviderScalingConfig"]["ScalingPolicies"] == [POLICY]
    auto = update(CapacityProviderScalingConfig={"ScalingMode": "Auto"})
    assert auto["CapacityProviderScalingConfig"] == {"MaxVCpuCount": 8, "ScalingMode": "Auto"}
    propagated = {"Mode": "Explicit", "ExplicitTags": {"a": "b"}}
    assert update(PropagateTags=propagated)["PropagateTags"] == propagated
    assert update(PropagateTags={"Mode": "None"})["PropagateTags"] == {"Mode": "None"}
    quiet = update(TelemetryConfig={"LoggingConfig": {"SystemLogLevel": "WARN"}})
    assert quiet["TelemetryConfig"] == {"LoggingConfig": {"SystemLogLevel": "WARN"}}
    assert quiet["VpcConfig"] == made["VpcConfig"]


@pytest.mark.parametrize(
    "operation",
    [
        "get_capacity_provider",
        "update_capacity_provider",
        "delete_capacity_provider",
        "list_function_versions_by_capacity_provider",
    ],
)
def test_not_found(client: Any, unique_name: str, operation: str) -> None:
    for reference in (unique_name, provider_arn(unique_name)):
        with refused("ResourceNotFoundException", not_found(unique_name), 404):
            getattr(client, operation)(CapacityProviderName=reference)


def test_listing(tmp_path: Any) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        assert client.list_capacity_providers()["CapacityProviders"] == []
        for name in "cab":
            make(client, name)
        listed = client.list_capacity_providers()["CapacityProviders"]
        assert listed == [get(client, name) for name in "abc"]
        assert client.list_capacity_providers(State="Active")["CapacityProviders"] == listed
        assert client.list_capacity_providers(State="Failed")["CapacityProviders"] == []
        pages = list(client.get_paginator("list_capacity_providers").paginate(PaginationConfig={"PageSize": 2}))
        assert [len(page["CapacityProviders"]) for page in pages] == [2, 1]
        assert [one for page in pages for one in page["CapacityProviders"]] == listed


def test_the_function_versions_on_one(client: Any, create: Create, unique_name: str) -> None:
    make(client, unique_name)
    create(**on(unique_name, Publish=True))
    listed = client.list_function_versions_by_capacity_provider(CapacityProviderName=unique_name)
    assert listed["CapacityProviderArn"] == provider_arn(unique_name)
    states = {
        number: client.get_function_configuration(FunctionName=unique_name, Qualifier=number)["State"]
        for number in ("$LATEST", "1")
    }
    assert listed["FunctionVersions"] == [
        {"FunctionArn": arn(unique_name, number), "State": state} for number, state in states.items()
    ]
    pages = client.get_paginator("list_function_versions_by_capacity_provider").paginate(
        CapacityProviderName=unique_name, PaginationConfig={"PageSize": 1}
    )
    assert [one for page in pages for one in page["FunctionVersions"]] == listed["FunctionVersions"]


def test_one_in_use_stays(client: Any, create: Create, unique_name: str) -> None:
    make(client, unique_name)
    create(**on(unique_name, Publish=True))
    with refused(
        "ResourceConflictException",
        "The capacity provider is currently in use by 1 functions. "
        f"To delete this capacity provider, first remove its association with {provider_arn(unique_name)}.",
        409,
    ):
        client.delete_capacity_provider(CapacityProviderName=unique_name)
    client.delete_function(FunctionName=unique_name)
    client.delete_capacity_provider(CapacityProviderName=unique_name)


def test_another_accounts_is_not_passed_on(plane: Plane, client: Any, unique_name: str) -> None:
    make(client, unique_name)
    stranger = plane.client(account="123456789012")
    with refused("AccessDeniedException", "", 403):
        stranger.create_function(**function_params(unique_name, **on(unique_name)))
