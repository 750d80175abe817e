"""Aliases: their rules, their lists, what goes with them. Expected answers: recorded from AWS where said."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.operations.conftest import ROLE, Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import arn, without_metadata
from tests.operations.test_updates import STALE

WEIGHTS = (
    "1 validation error detected: Value '{%s}' at 'routingConfig.additionalVersionWeights' failed to satisfy "
    "constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, "
    "Member must have value greater than or equal to 0.0, Member must not be null]"
)
FUNCTIONS_ONLY = (
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
    "Please specify either a function name or an unqualified function ARN."
)


@pytest.fixture
def versions(create: Create, client: Any, unique_name: str) -> str:
    """The name of a function with versions 1 and 2."""
    create(Publish=True)
    publish(client, unique_name, Description="two")
    return unique_name


def publish(client: Any, name: str, **changes: Any) -> str:
    client.update_function_configuration(FunctionName=name, **changes)
    return client.publish_version(FunctionName=name)["Version"]


def routing(**weights: float) -> dict[str, Any]:
    """`routing(v2=0.5)`: half to version 2."""
    return {"AdditionalVersionWeights": {number.lstrip("v"): weight for number, weight in weights.items()}}


def test_create_and_get(client: Any, versions: str) -> None:
    answer = client.create_alias(
        FunctionName=versions, Name="prod_1-a", FunctionVersion="1", Description="d", RoutingConfig=routing(v2=0.2)
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    created = without_metadata(answer)
    assert created == {
        "AliasArn": arn(versions, "prod_1-a"),
        "Name": "prod_1-a",
        "FunctionVersion": "1",
        "Description": "d",
        "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.2}},
        "RevisionId": created["RevisionId"],
    }
    assert without_metadata(client.get_alias(FunctionName=arn(versions), Name="prod_1-a")) == created


def test_a_description_is_empty_and_a_routing_is_left_out(client: Any, versions: str) -> None:
    for name, extra in (("a", {}), ("b", {"RoutingConfig": routing()}), ("c", {"RoutingConfig": {}})):
        answer = without_metadata(client.create_alias(FunctionName=versions, Name=name, FunctionVersion="1", **extra))
        assert answer.keys() == {"AliasArn", "Name", "FunctionVersion", "Description", "RevisionId"}
        assert answer["Description"] == ""


def test_latest_may_have_an_alias(client: Any, versions: str) -> None:
    answer = client.create_alias(FunctionName=versions, Name="head", FunctionVersion="$LATEST")
    assert answer["FunctionVersion"] == "$LATEST"


def test_creating_one_leaves_the_revisions_of_versions_alone(client: Any, versions: str) -> None:
    def revisions() -> list[str]:
        return [
            client.get_function_configuration(FunctionName=versions, Qualifier=qualifier)["RevisionId"]
            for qualifier in ("$LATEST", "1")
        ]

    before = revisions()
    revision = client.create_alias(FunctionName=versions, Name="prod", FunctionVersion="1")["RevisionId"]
    assert revisions() == before and revision not in before


@pytest.mark.parametrize("name", ["1", "12345", "$LATEST", "a.b", "a b", "a:b", ""])
def test_names_no_alias_can_have(lenient: Any, versions: str, name: str) -> None:
    with pytest.raises(ClientError) as caught:
        lenient.create_alias(FunctionName=versions, Name=name, FunctionVersion="1")
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert f"Value '{name}' at 'name' failed to satisfy constraint: Member must" in error["Message"]


def test_a_name_like_a_number(lenient: Any, versions: str) -> None:
    message = (
        "1 validation error detected: Value '7' at 'name' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
    )
    with refused("ValidationException", message):
        lenient.create_alias(FunctionName=versions, Name="7", FunctionVersion="1")


def test_a_name_too_long(lenient: Any, versions: str) -> None:
    lenient.create_alias(FunctionName=versions, Name="a" * 128, FunctionVersion="1")
    message = (
        f"1 validation error detected: Value '{'a' * 129}' at 'name' failed to satisfy constraint: "
        "Member must have length less than or equal to 128"
    )
    with refused("ValidationException", message):
        lenient.create_alias(FunctionName=versions, Name="a" * 129, FunctionVersion="1")


@pytest.mark.parametrize("version", ["prod", "$LATEST.OTHER", "-1"])
def test_what_is_no_version(lenient: Any, versions: str, version: str) -> None:
    message = (
        f"1 validation error detected: Value '{version}' at 'functionVersion' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: (\$LATEST(\.PUBLISHED)?|[0-9]+)"
    )
    with refused("ValidationException", message):
        lenient.create_alias(FunctionName=versions, Name="prod", FunctionVersion=version)


def test_a_second_of_the_same_name(client: Any, versions: str) -> None:
    client.create_alias(FunctionName=versions, Name="prod", FunctionVersion="1")
    with refused("ResourceConflictException", f"Alias already exists: {arn(versions, 'prod')}", 409):
        client.create_alias(FunctionName=versions, Name="prod", FunctionVersion="2")


# -- routing ----------------------------------------------------------------------------------------------------------


def alias_refused(
    client: Any, name: str, version: str, weights: dict[str, Any], code: str, message: str, *, typed: bool = True
) -> None:
    """Neither creating nor updating an alias to this is taken, and neither leaves a trace."""
    status = 404 if code == "ResourceNotFoundException" else 400
    given = {"FunctionName": name, "FunctionVersion": version, "RoutingConfig": {"AdditionalVersionWeights": weights}}
    with refused(code, message, status, typed=typed):
        client.create_alias(Name="fresh", **given)
    client.create_alias(FunctionName=name, Name="there", FunctionVersion="1")
    before = client.get_alias(FunctionName=name, Name="there")
    with refused(code, message, status, typed=typed):
        client.update_alias(Name="there", **given)
    assert [alias["Name"] for alias in client.list_aliases(FunctionName=name)["Aliases"]] == ["there"]
    assert without_metadata(client.get_alias(FunctionName=name, Name="there")) == without_metadata(before)


def test_more_than_one_further_version(client: Any, versions: str) -> None:
    message = "Number of items in AdditionalVersionWeights cannot be greater than 1"
    alias_refused(client, versions, "1", {"1": 0.8, "2": 0.2}, "InvalidParameterValueException", message)


@pytest.mark.parametrize("weight", [2.0, -1.0, 1.01])
def test_a_weight_that_is_no_share(lenient: Any, versions: str, weight: float) -> None:
    alias_refused(lenient, versions, "1", {"2": weight}, "ValidationException", WEIGHTS % f"2={weight}")


def test_the_version_it_points_to_already(client: Any, versions: str) -> None:
    message = "Invalid function version 1. Function version 1 is already included in routing configuration."
    alias_refused(client, versions, "1", {"1": 0.5}, "InvalidParameterValueException", message)


def test_latest_cannot_be_shared_with(client: Any, versions: str) -> None:
    message = "$LATEST is not supported for an alias pointing to more than 1 version"
    alias_refused(client, versions, "$LATEST", {"1": 0.5}, "InvalidParameterValueException", message, typed=False)


def test_latest_is_no_further_version(client: Any, versions: str) -> None:
    message = (
        "1 validation error detected: Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' failed to "
        "satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 1024, "
        "Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+, "
        "Member must not be null]"
    )
    alias_refused(client, versions, "1", {"$LATEST": 0.5}, "ValidationException", message)


def test_versions_that_are_not_there(client: Any, versions: str) -> None:
    for version, weights in (("10", {}), ("10", {"2": 0.5}), ("1", {"10": 0.5})):
        with refused("ResourceNotFoundException", f"Function not found: {arn(versions, '10')}", 404):
            client.create_alias(
                FunctionName=versions,
                Name="prod",
                FunctionVersion=version,
                RoutingConfig={"AdditionalVersionWeights": weights},
            )
    with pytest.raises(ClientError) as caught:
        client.create_alias(FunctionName=versions, Name="prod", FunctionVersion="10")
    assert caught.value.response["Type"] == "User"


def test_versions_of_different_roles(client: Any, versions: str) -> None:
    publish(client, versions, Role=f"{ROLE}-other")
    message = "Specified versions must be associated with the same execution role"
    alias_refused(client, versions, "1", {"3": 0.1}, "InvalidParameterValueException", message)


def test_versions_of_different_dead_letter_queues(client: Any, versions: str) -> None:
    queue = "arn:aws:sqs:us-east-1:000000000000:dead"
    publish(client, versions, DeadLetterConfig={"TargetArn": queue})
    message = "Specified versions must be associated with the same dead-letter queue configuration"
    alias_refused(client, versions, "1", {"3": 0.1}, "InvalidParameterValueException", message)
    publish(client, versions, Description="same queue")
    client.create_alias(FunctionName=versions, Name="x", FunctionVersion="3", RoutingConfig=routing(v4=0.1))


# -- updating ---------------------------------------------------------------------------------------------------------


def test_update_changes_what_is_given(client: Any, versions: str) -> None:
    client.create_alias(FunctionName=versions, Name="prod", FunctionVersion="1", Description="d")
    changes: list[dict[str, Any]] = [
        {"FunctionVersion": "2"},
        {"Description": ""},
        {"RoutingConfig": routing(v1=0.25)},
        {},
        {"FunctionVersion": "1", "RoutingConfig": routing(v2=1.0)},
    ]
    expected = without_metadata(client.get_alias(FunctionName=versions, Name="prod"))
    for change in changes:
        answer = client.update_alias(FunctionName=versions, Name="prod", **change)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert answer["RevisionId"] != expected["RevisionId"], "every update gives a new one, an empty one too"
        expected = {**expected, **change, "RevisionId": answer["RevisionId"]}
        assert without_metadata(answer) == expected
        assert without_metadata(client.get_alias(FunctionName=versions, Name="prod")) == expected


@pytest.mark.parametrize("empty", [{"AdditionalVersionWeights": {}}, {}])
def test_an_empty_routing_takes_it_away(client: Any, versions: str, empty: dict[str, Any]) -> None:
    client.create_alias(FunctionName=versions, Name="prod", FunctionVersion="1", RoutingConfig=routing(v2=0.2))
    answer = client.update_alias(FunctionName=versions, Name="prod", RoutingConfig=empty)
    assert "RoutingConfig" not in answer
    assert "RoutingConfig" not in client.get_alias(FunctionName=versions, Name="prod")


def test_rules_hold_for_what_comes_out(client: Any, versions: str) -> None:
    client.create_alias(FunctionName=versions, Name="prod", FunctionVersion="1", RoutingConfig=routing(v2=0.2))
    message = "Invalid function version 2. Function version 2 is already included in routing configuration."
    with refused("InvalidParameterValueException", message):
        client.update_alias(FunctionName=versions, Name="prod", FunctionVersion="2")


def test_the_revision_must_be_the_latest(client: Any, versions: str) -> None:
    first = client.create_alias(FunctionName=versions, Name="prod", FunctionVersion="1")["RevisionId"]
    second = client.update_alias(FunctionName=versions, Name="prod", Description="x", RevisionId=first)["RevisionId"]
    with refused("PreconditionFailedException", STALE, 412):
        client.update_alias(FunctionName=versions, Name="prod", Description="y", RevisionId=first)
    assert client.get_alias(FunctionName=versions, Name="prod")["RevisionId"] == second


# -- what is not there ------------------------------------------------------------------------------------------------


def test_no_alias(client: Any, versions: str) -> None:
    for operation in (client.get_alias, client.update_alias):
        with refused("ResourceNotFoundException", f"Cannot find alias arn: {arn(versions, 'none')}", 404):
            operation(FunctionName=versions, Name="none")
    assert client.delete_alias(FunctionName=versions, Name="none")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_no_function(client: Any, unique_name: str) -> None:
    with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name, '1')}", 404):
        client.create_alias(FunctionName=unique_name, Name="prod", FunctionVersion="1")
    for operation in (client.get_alias, client.update_alias):
        with refused("ResourceNotFoundException", f"Cannot find alias arn: {arn(unique_name, 'prod')}", 404):
            operation(FunctionName=unique_name, Name="prod")
    with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name)}", 404):
        client.list_aliases(FunctionName=unique_name)
    with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name)}", 404):
        client.delete_alias(FunctionName=unique_name, Name="prod")


def test_the_function_is_named_without_a_qualifier(client: Any, versions: str) -> None:
    calls = [
        lambda name: client.create_alias(FunctionName=name, Name="prod", FunctionVersion="1"),
        lambda name: client.get_alias(FunctionName=name, Name="prod"),
        lambda name: client.update_alias(FunctionName=name, Name="prod"),
        lambda name: client.delete_alias(FunctionName=name, Name="prod"),
        lambda name: client.list_aliases(FunctionName=name),
    ]
    for call in calls:
        with refused("InvalidParameterValueException", FUNCTIONS_ONLY):
            call(f"{versions}:1")


def test_another_account(plane: Plane, client: Any, versions: str) -> None:
    other = plane.client(account="999999999999")
    with pytest.raises(ClientError) as caught:
        other.create_alias(FunctionName=arn(versions), Name="prod", FunctionVersion="1")
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    assert client.list_aliases(FunctionName=versions)["Aliases"] == []


# -- lists ------------------------------------------------------------------------------------------------------------


def test_list(client: Any, versions: str) -> None:
    for name, version in (("c", "1"), ("a", "2"), ("b", "1")):
        client.create_alias(FunctionName=versions, Name=name, FunctionVersion=version)
    listed = client.list_aliases(FunctionName=versions)
    assert "NextMarker" not in listed
    assert [alias["Name"] for alias in listed["Aliases"]] == ["a", "b", "c"]
    assert listed["Aliases"][0] == without_metadata(client.get_alias(FunctionName=versions, Name="a"))

    def of(version: str) -> list[str]:
        answer = client.list_aliases(FunctionName=versions, FunctionVersion=version)
        return [alias["Name"] for alias in answer["Aliases"]]

    assert (of("1"), of("2"), of("9"), of("$LATEST")) == (["b", "c"], ["a"], [], [])


def test_list_pages(client: Any, versions: str) -> None:
    names = [f"alias{number:02}" for number in range(52)]
    for name in names:
        client.create_alias(FunctionName=versions, Name=name, FunctionVersion="1")
    first = client.list_aliases(FunctionName=versions)
    assert [alias["Name"] for alias in first["Aliases"]] == names[:50], "50 unless more are asked for"
    rest = client.list_aliases(FunctionName=versions, Marker=first["NextMarker"])
    assert [alias["Name"] for alias in rest["Aliases"]] == names[50:] and "NextMarker" not in rest
    assert len(client.list_aliases(FunctionName=versions, MaxItems=10_000)["Aliases"]) == 52
    pages = client.get_paginator("list_aliases").paginate(FunctionName=versions, PaginationConfig={"PageSize": 7})
    assert [alias["Name"] for alias in pages.build_full_result()["Aliases"]] == names
    with refused("InvalidParameterValueException", "The Marker is not one this operation has given."):
        client.list_aliases(FunctionName=versions, Marker="nonsense")


def test_a_page_goes_on_where_it_ended_whatever_was_deleted(client: Any, versions: str) -> None:
    for name in "abcd":
        client.create_alias(FunctionName=versions, Name=name, FunctionVersion="1")
    first = client.list_aliases(FunctionName=versions, MaxItems=2)
    client.delete_alias(FunctionName=versions, Name="b")
    rest = client.list_aliases(FunctionName=versions, MaxItems=2, Marker=first["NextMarker"])
    assert [alias["Name"] for alias in rest["Aliases"]] == ["c", "d"]


# -- deleting ---------------------------------------------------------------------------------------------------------


def test_delete_takes_along_what_was_attached(plane: Plane, client: Any, versions: str) -> None:
    def attach() -> None:
        client.create_alias(FunctionName=versions, Name="prod", FunctionVersion="1")
        client.add_permission(
            FunctionName=versions,
            Qualifier="prod",
            StatementId="s3",
            Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com",
        )
        client.create_function_url_config(FunctionName=versions, Qualifier="prod", AuthType="NONE")
        client.put_function_event_invoke_config(FunctionName=versions, Qualifier="prod", MaximumRetryAttempts=1)
        client.put_provisioned_concurrency_config(
            FunctionName=versions, Qualifier="prod", ProvisionedConcurrentExecutions=1
        )

    attach()
    client.create_function_url_config(FunctionName=versions, AuthType="NONE")
    assert client.delete_alias(FunctionName=versions, Name="prod")["ResponseMetadata"]["HTTPStatusCode"] == 204
    view = plane.catalog.function("000000000000", "us-east-1", versions)
    assert view is not None
    function = view.function
    assert not (function.aliases or function.policies or function.event_invokes or function.provisioned)
    assert list(function.urls) == [""], "the function's own stays"
    attach()


def test_a_deleted_function_takes_its_aliases_along(create: Create, client: Any, versions: str) -> None:
    client.create_alias(FunctionName=versions, Name="prod", FunctionVersion="1")
    client.delete_function(FunctionName=versions)
    create()
    assert client.list_aliases(FunctionName=versions)["Aliases"] == []


# -- limits and restarts ----------------------------------------------------------------------------------------------


def test_what_was_written_is_read_after_a_restart(tmp_path: Any) -> None:
    with Plane(tmp_path, max_aliases=2) as plane:
        client = plane.client()
        client.create_function(**function_params("f", Publish=True))
        publish(client, "f", Description="two")
        client.create_alias(FunctionName="f", Name="a", FunctionVersion="1", RoutingConfig=routing(v2=0.125))
        client.create_alias(FunctionName="f", Name="b", FunctionVersion="2", Description="d")
        with refused("AliasLimitExceededException", "The function has the most aliases it can have: 2."):
            client.create_alias(FunctionName="f", Name="c", FunctionVersion="1")
        before = client.list_aliases(FunctionName="f")["Aliases"]
        plane.restart()
        assert client.list_aliases(FunctionName="f")["Aliases"] == before
        client.delete_alias(FunctionName="f", Name="a")
        client.create_alias(FunctionName="f", Name="c", FunctionVersion="1")
