"""TagResource, UntagResource and ListTags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.operations.conftest import Create
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import UNVALIDATED, arn

LAMBDA = "arn:aws:lambda:us-east-1:000000000000"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:jobs"
NO_RESOURCE = "The resource you requested does not exist."
FURTHER = {"tag_resource": {"Tags": {"a": "b"}}, "untag_resource": {"TagKeys": ["a"]}, "list_tags": {}}

MakeTagged = Callable[[str, dict[str, str]], str]
"""(kind, tags) -> ARN of a new resource of that kind."""


@pytest.fixture
def tagged(client: Any, create: Create, unique_name: str) -> MakeTagged:
    def make(kind: str, tags: dict[str, str]) -> str:
        if kind == "function":
            return create(Tags=tags)["FunctionArn"]
        if kind == "event-source-mapping":
            create()
            made = client.create_event_source_mapping(FunctionName=unique_name, EventSourceArn=QUEUE, Tags=tags)
            return made["EventSourceMappingArn"]
        if kind == "code-signing-config":
            profiles = {"SigningProfileVersionArns": ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/p"]}
            made = client.create_code_signing_config(AllowedPublishers=profiles, Tags=tags)["CodeSigningConfig"]
            return made["CodeSigningConfigArn"]
        made = client.create_capacity_provider(
            CapacityProviderName=unique_name,
            VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": []},
            PermissionsConfig={"CapacityProviderOperatorRoleArn": "arn:aws:iam::000000000000:role/operator"},
            Tags=tags,
        )
        return made["CapacityProvider"]["CapacityProviderArn"]

    return make


@pytest.mark.parametrize("kind", ["function", "event-source-mapping", "code-signing-config", "capacity-provider"])
def test_whatever_has_tags(client: Any, tagged: MakeTagged, kind: str) -> None:
    resource = tagged(kind, {"a": "1", "b": "2"})
    assert client.list_tags(Resource=resource)["Tags"] == {"a": "1", "b": "2"}
    answer = client.tag_resource(Resource=resource, Tags={"b": "3", "c": ""})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.list_tags(Resource=resource)["Tags"] == {"a": "1", "b": "3", "c": ""}
    answer = client.untag_resource(Resource=resource, TagKeys=["a", "never there"])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.list_tags(Resource=resource)["Tags"] == {"b": "3", "c": ""}
    with refused("InvalidParameterValueException", "Number of tags exceeds resource tag limit."):
        client.tag_resource(Resource=resource, Tags={f"k{number}": "v" for number in range(49)})
    message = "aws: prefixed tag key names are not allowed for external use."
    with refused("InvalidParameterValueException", message):
        client.tag_resource(Resource=resource, Tags={"AWS:a": "b"})
    with refused("InvalidParameterValueException", "An error occurred and the request cannot be processed."):
        client.tag_resource(Resource=resource, Tags={})


def test_lifecycle(create: Create, client: Any, unique_name: str) -> None:
    create(Tags={"key_a": "value_a", "key_b": "value_b"})
    resource = arn(unique_name)

    def revision() -> str:
        return client.get_function_configuration(FunctionName=unique_name)["RevisionId"]

    revisions = [revision()]
    answer = client.tag_resource(Resource=resource, Tags={"key_b": "other", "key c": "wert/ü"})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    revisions.append(revision())
    assert client.list_tags(Resource=resource)["Tags"] == {"key_a": "value_a", "key_b": "other", "key c": "wert/ü"}
    answer = client.untag_resource(Resource=resource, TagKeys=["key_a", "key c", "never there"])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    revisions.append(revision())
    assert client.get_function(FunctionName=unique_name)["Tags"] == {"key_b": "other"}
    client.untag_resource(Resource=resource, TagKeys=["key_b"])
    assert client.list_tags(Resource=resource)["Tags"] == {}
    assert "Tags" not in client.get_function(FunctionName=unique_name)
    assert len(set(revisions)) == 3


def test_fifty_and_no_more(create: Create, client: Any, unique_name: str) -> None:
    create(Tags={f"k{number}": "v" for number in range(50)})
    client.tag_resource(Resource=arn(unique_name), Tags={"k1": "other"})
    with refused("InvalidParameterValueException", "Number of tags exceeds resource tag limit."):
        client.tag_resource(Resource=arn(unique_name), Tags={"k50": "v"})


def test_refused(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    with refused("InvalidParameterValueException", "An error occurred and the request cannot be processed."):
        client.tag_resource(Resource=arn(unique_name), Tags={})
    message = "Tags on function aliases and versions are not supported. Please specify a function ARN."
    with refused("InvalidParameterValueException", message):
        client.tag_resource(Resource=arn(unique_name, "1"), Tags={"a": "b"})
    message = "aws: prefixed tag key names are not allowed for external use."
    with refused("InvalidParameterValueException", message):
        client.tag_resource(Resource=arn(unique_name), Tags={"aws:a": "b"})


@pytest.mark.parametrize("operation", FURTHER)
def test_not_found(client: Any, unique_name: str, operation: str) -> None:
    with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name)}", 404):
        getattr(client, operation)(Resource=arn(unique_name), **FURTHER[operation])
    for resource in (
        "event-source-mapping:00000000-0000-0000-0000-000000000000",
        "code-signing-config:csc-00000000000000000",
        "capacity-provider:none",
        "network-connector:none",
    ):
        with refused("ResourceNotFoundException", NO_RESOURCE, 404):
            getattr(client, operation)(Resource=f"{LAMBDA}:{resource}", **FURTHER[operation])


@pytest.mark.parametrize("operation", FURTHER)
def test_in_another_region_there_is_nothing(plane: Plane, client: Any, tagged: MakeTagged, operation: str) -> None:
    resource = tagged("capacity-provider", {})
    elsewhere = plane.client(region="eu-west-1")
    with refused("ResourceNotFoundException", NO_RESOURCE, 404):
        getattr(elsewhere, operation)(Resource=resource, **FURTHER[operation])


def test_layers_have_no_tags(plane: Plane) -> None:
    with pytest.raises(ClientError) as caught:
        plane.client(config=UNVALIDATED).list_tags(Resource=f"{LAMBDA}:layer:l")
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith(
        f"1 validation error detected: Value '{LAMBDA}:layer:l' at 'resource' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: arn:(aws"
    )


def test_qualified_functions_are_refused_before_they_are_looked_up(client: Any, unique_name: str) -> None:
    message = "Tags on function aliases and versions are not supported. Please specify a function ARN."
    for qualifier in ("1", "prod", "$LATEST"):
        with refused("InvalidParameterValueException", message):
            client.list_tags(Resource=arn(unique_name, qualifier))


def test_keys_must_be_given(plane: Plane, create: Create, unique_name: str) -> None:
    create()
    message = (
        "1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: Member must not be null"
    )
    with refused("ValidationException", message):
        plane.client().untag_resource(Resource=arn(unique_name), TagKeys=[])
