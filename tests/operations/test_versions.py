"""PublishVersion and ListVersionsByFunction."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.operations.conftest import CODE, OTHER_CODE, Create
from tests.operations.errors import refused
from tests.operations.test_functions import arn, without_metadata
from tests.operations.test_updates import STALE, sha256


def latest(client: Any, name: str) -> dict[str, Any]:
    return client.get_function_configuration(FunctionName=name)


def test_a_version_is_latest_under_a_number(create: Create, client: Any, unique_name: str) -> None:
    create(Environment={"Variables": {"A1": "b"}})
    before = without_metadata(latest(client, unique_name))
    answer = client.publish_version(FunctionName=unique_name, Description="First version :)")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    version = without_metadata(answer)
    assert version["State"] == "Active" and version["LastUpdateStatus"] == "Successful"
    expected = {
        **before,
        "Version": "1",
        "FunctionArn": arn(unique_name, "1"),
        "Description": "First version :)",
        "RevisionId": version["RevisionId"],
        "LastModified": version["LastModified"],
    }
    assert version == expected
    assert without_metadata(client.get_function_configuration(FunctionName=f"{unique_name}:1")) == version
    assert client.get_function(FunctionName=unique_name, Qualifier="1")["Configuration"] == version
    assert latest(client, unique_name)["RevisionId"] not in (before["RevisionId"], version["RevisionId"])


def test_an_unchanged_function_is_not_published_again(create: Create, client: Any, unique_name: str) -> None:
    create()
    first = client.publish_version(FunctionName=unique_name, Description="one")
    again = client.publish_version(FunctionName=unique_name, Description="two")
    assert without_metadata(first) == without_metadata(again)
    client.tag_resource(Resource=arn(unique_name), Tags={"a": "b"})
    client.update_function_configuration(FunctionName=unique_name)
    client.update_function_code(FunctionName=unique_name, ZipFile=CODE)
    assert client.publish_version(FunctionName=unique_name)["Version"] == "1"


@pytest.mark.parametrize("change", [{"Description": "d"}, {"Timeout": 7}, {"Environment": {"Variables": {"AB": "b"}}}])
def test_a_changed_configuration_is(create: Create, client: Any, unique_name: str, change: dict[str, Any]) -> None:
    create(Publish=True)
    client.update_function_configuration(FunctionName=unique_name, **change)
    assert client.publish_version(FunctionName=unique_name)["Version"] == "2"


def test_changed_code_is(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    answer = client.update_function_code(FunctionName=unique_name, ZipFile=OTHER_CODE, Publish=True)
    assert (answer["Version"], answer["CodeSha256"]) == ("2", sha256(OTHER_CODE))
    unchanged = client.update_function_code(FunctionName=unique_name, ZipFile=OTHER_CODE, Publish=True)
    assert (unchanged["Version"], unchanged["FunctionArn"]) == ("2", arn(unique_name, "2"))


def test_a_version_stays_as_it_was(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    before = client.get_function(FunctionName=unique_name, Qualifier="1")["Configuration"]
    client.update_function_code(FunctionName=unique_name, ZipFile=OTHER_CODE)
    client.update_function_configuration(FunctionName=unique_name, Timeout=99)
    assert client.get_function(FunctionName=unique_name, Qualifier="1")["Configuration"] == before


def test_the_code_must_be_what_the_client_means(create: Create, client: Any, unique_name: str) -> None:
    create()
    message = (
        f"CodeSHA256 (somenonexistentsha256) is different from current CodeSHA256 in $LATEST ({sha256(CODE)}). "
        "Please try again with the CodeSHA256 in $LATEST."
    )
    with refused("InvalidParameterValueException", message):
        client.publish_version(FunctionName=unique_name, CodeSha256="somenonexistentsha256")
    assert client.publish_version(FunctionName=unique_name, CodeSha256=sha256(CODE))["Version"] == "1"


def test_the_revision_must_be_the_latest(create: Create, client: Any, unique_name: str) -> None:
    stale = create()["RevisionId"]
    with refused("PreconditionFailedException", STALE, 412):
        client.publish_version(FunctionName=unique_name, RevisionId=stale)
    current = latest(client, unique_name)["RevisionId"]
    assert client.publish_version(FunctionName=unique_name, RevisionId=current)["Version"] == "1"


def test_no_function(client: Any, unique_name: str) -> None:
    for operation in (client.publish_version, client.list_versions_by_function):
        with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name)}", 404):
            operation(FunctionName=unique_name)


def test_versions_published_at_once_get_one_number(create: Create, client: Any, unique_name: str) -> None:
    create()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.publish_version(FunctionName=unique_name)["Version"], range(8)))
    assert set(answers) == {"1"}


def test_list_pages(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    for number in range(2, 13):
        client.update_function_configuration(FunctionName=unique_name, Description=str(number))
        client.publish_version(FunctionName=unique_name)
    expected = ["$LATEST", *(str(number) for number in range(1, 13))]
    listed = client.list_versions_by_function(FunctionName=unique_name)
    assert [version["Version"] for version in listed["Versions"]] == expected
    assert [version["FunctionArn"] for version in listed["Versions"]] == [arn(unique_name, v) for v in expected]
    assert all("State" not in version for version in listed["Versions"])
    assert "NextMarker" not in listed
    pages = client.get_paginator("list_versions_by_function").paginate(
        FunctionName=unique_name, PaginationConfig={"PageSize": 5}
    )
    assert [[version["Version"] for version in page["Versions"]] for page in pages] == [
        expected[:5],
        expected[5:10],
        expected[10:],
    ]
