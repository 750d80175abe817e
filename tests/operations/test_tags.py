"""TagResource, UntagResource and ListTags."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operations.conftest import Create
from tests.operations.errors import refused
from tests.operations.test_functions import arn


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


@pytest.mark.parametrize("operation", ["tag_resource", "untag_resource", "list_tags"])
def test_not_found(client: Any, unique_name: str, operation: str) -> None:
    further = {"tag_resource": {"Tags": {"a": "b"}}, "untag_resource": {"TagKeys": ["a"]}}.get(operation, {})
    with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name)}", 404):
        getattr(client, operation)(Resource=arn(unique_name), **further)
    mapping = "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:00000000-0000-0000-0000-000000000000"
    with refused("ResourceNotFoundException", "The resource you requested does not exist.", 404):
        getattr(client, operation)(Resource=mapping, **further)
