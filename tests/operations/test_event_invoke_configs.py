"""Settings of asynchronous invocations: what is answered, replaced, merged and refused, most as recorded from AWS."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pilotlight.clock import ManualClock
from tests.operations.conftest import Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import arn, without_metadata

NO_FUNCTION = "The function doesn't exist."
NOTHING = "You must specify at least one of error handling or destination setting."
MISMATCH = "The derived qualifier from the function name does not match the specified qualifier."
EMPTY = {"OnSuccess": {}, "OnFailure": {}}
OURS = "us-east-1:000000000000"
QUEUE, TOPIC = f"arn:aws:sqs:{OURS}:results", f"arn:aws:sns:{OURS}:results"
BUS, BUCKET = f"arn:aws:events:{OURS}:event-bus/default", "arn:aws:s3:::results"


@pytest.fixture
def aliased(create: Create, client: Any, unique_name: str) -> str:
    """The name of a function with a version 1 and an alias `prod` to it."""
    create(Publish=True)
    client.create_alias(FunctionName=unique_name, Name="prod", FunctionVersion="1")
    return unique_name


def missing(name: str, qualifier: str = "$LATEST") -> str:
    return f"The function {arn(name, qualifier)} doesn't have an EventInvokeConfig"


def settings(answer: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in without_metadata(answer).items() if k not in ("LastModified", "FunctionArn")}


def test_put_and_get(client: Any, aliased: str) -> None:
    answer = client.put_function_event_invoke_config(
        FunctionName=aliased, MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert without_metadata(answer) == {
        "LastModified": answer["LastModified"],
        "FunctionArn": arn(aliased, "$LATEST"),
        "MaximumRetryAttempts": 0,
        "MaximumEventAgeInSeconds": 60,
        "DestinationConfig": EMPTY,
    }
    for qualifier in ({}, {"Qualifier": "$LATEST"}):
        got = client.get_function_event_invoke_config(FunctionName=aliased, **qualifier)
        assert without_metadata(got) == without_metadata(answer)


def test_what_was_not_given_is_left_out(client: Any, aliased: str) -> None:
    assert settings(client.put_function_event_invoke_config(FunctionName=aliased, MaximumRetryAttempts=2)) == {
        "MaximumRetryAttempts": 2,
        "DestinationConfig": EMPTY,
    }
    assert settings(client.put_function_event_invoke_config(FunctionName=aliased, DestinationConfig={})) == {
        "DestinationConfig": EMPTY
    }


def test_last_modified_is_when_it_was(tmp_path: Path) -> None:
    with Plane(tmp_path, clock=ManualClock()) as plane:
        client = plane.client()
        client.create_function(**function_params("f"))
        first = client.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=1)["LastModified"]
        assert first == datetime.fromtimestamp(plane.clock.time_ms() / 1000, UTC)
        plane.advance(1500)
        second = client.update_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=1)["LastModified"]
        assert (second - first).total_seconds() == 1.5


def test_put_replaces(client: Any, aliased: str) -> None:
    client.put_function_event_invoke_config(
        FunctionName=aliased,
        MaximumRetryAttempts=2,
        MaximumEventAgeInSeconds=21_600,
        DestinationConfig={"OnSuccess": {"Destination": QUEUE}},
    )
    client.put_function_event_invoke_config(FunctionName=aliased, MaximumRetryAttempts=0)
    got = client.get_function_event_invoke_config(FunctionName=aliased)
    assert settings(got) == {"MaximumRetryAttempts": 0, "DestinationConfig": EMPTY}


def test_update_merges(client: Any, aliased: str) -> None:
    client.put_function_event_invoke_config(FunctionName=aliased, MaximumEventAgeInSeconds=60)
    expected: dict[str, Any] = {"MaximumEventAgeInSeconds": 60, "DestinationConfig": EMPTY}
    steps: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"MaximumRetryAttempts": 1}, {"MaximumRetryAttempts": 1}),
        ({"MaximumEventAgeInSeconds": 120}, {"MaximumEventAgeInSeconds": 120}),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": QUEUE}}},
            {"DestinationConfig": {"OnSuccess": {}, "OnFailure": {"Destination": QUEUE}}},
        ),
        (
            {"DestinationConfig": {"OnSuccess": {"Destination": TOPIC}}},
            {"DestinationConfig": {"OnSuccess": {"Destination": TOPIC}, "OnFailure": {"Destination": QUEUE}}},
        ),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": ""}}},
            {"DestinationConfig": {"OnSuccess": {"Destination": TOPIC}, "OnFailure": {}}},
        ),
        ({"DestinationConfig": {"OnSuccess": {}}}, {"DestinationConfig": EMPTY}),
    ]
    for change, result in steps:
        answer = client.update_function_event_invoke_config(FunctionName=aliased, **change)
        expected |= result
        assert settings(answer) == expected
        assert settings(client.get_function_event_invoke_config(FunctionName=aliased)) == expected


@pytest.mark.parametrize(
    ("suffix", "qualifier", "shown"),
    [
        ("", None, "$LATEST"),
        (":$LATEST", None, "$LATEST"),
        (":$LATEST", "$LATEST", "$LATEST"),
        ("", "1", "1"),
        (":1", None, "1"),
        ("", "prod", "prod"),
        (":prod", None, "prod"),
        (":prod", "prod", "prod"),
    ],
)
def test_qualifiers(client: Any, aliased: str, suffix: str, qualifier: str | None, shown: str) -> None:
    for name in (aliased, arn(aliased), f"000000000000:function:{aliased}"):
        given = {"FunctionName": f"{name}{suffix}", **({"Qualifier": qualifier} if qualifier else {})}
        answer = client.put_function_event_invoke_config(MaximumRetryAttempts=1, **given)
        assert answer["FunctionArn"] == arn(aliased, shown)
        assert client.get_function_event_invoke_config(**given)["FunctionArn"] == arn(aliased, shown)
        assert client.delete_function_event_invoke_config(**given)["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_two_qualifiers(client: Any, aliased: str) -> None:
    for operation in (
        lambda **given: client.put_function_event_invoke_config(MaximumRetryAttempts=1, **given),
        lambda **given: client.update_function_event_invoke_config(MaximumRetryAttempts=1, **given),
        client.get_function_event_invoke_config,
        client.delete_function_event_invoke_config,
    ):
        for suffix, qualifier in ((":1", "$LATEST"), (":$LATEST", "1"), (":1", "prod"), (":prod", "prodx")):
            with refused("InvalidParameterValueException", MISMATCH):
                operation(FunctionName=f"{aliased}{suffix}", Qualifier=qualifier)


def test_each_qualifier_has_its_own(client: Any, aliased: str) -> None:
    client.put_function_event_invoke_config(FunctionName=aliased, MaximumRetryAttempts=0)
    client.put_function_event_invoke_config(FunctionName=aliased, Qualifier="1", MaximumRetryAttempts=1)
    with refused("ResourceNotFoundException", missing(aliased, "prod"), 404):
        client.get_function_event_invoke_config(FunctionName=aliased, Qualifier="prod")
    client.delete_function_event_invoke_config(FunctionName=aliased)
    got = client.get_function_event_invoke_config(FunctionName=aliased, Qualifier="1")
    assert got["MaximumRetryAttempts"] == 1


# -- destinations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("destination", [QUEUE, TOPIC, BUS])
@pytest.mark.parametrize("member", ["OnSuccess", "OnFailure"])
def test_destinations(client: Any, aliased: str, member: str, destination: str) -> None:
    given = {member: {"Destination": destination}}
    answer = client.put_function_event_invoke_config(FunctionName=aliased, DestinationConfig=given)
    assert answer["DestinationConfig"] == {**EMPTY, **given}


def test_a_bucket_takes_failures_only(client: Any, aliased: str) -> None:
    failure = {"OnFailure": {"Destination": BUCKET}}
    answer = client.put_function_event_invoke_config(FunctionName=aliased, DestinationConfig=failure)
    assert answer["DestinationConfig"] == {**EMPTY, **failure}
    message = (
        f"The provided destination config DestinationConfig(onSuccess=OnSuccess(destination={BUCKET}), "
        "onFailure=null) is invalid."
    )
    with refused("InvalidParameterValueException", message):
        client.put_function_event_invoke_config(
            FunctionName=aliased, DestinationConfig={"OnSuccess": {"Destination": BUCKET}}
        )


@pytest.mark.parametrize(
    "destination",
    [
        f"arn:aws:iam:{OURS}:function:f",
        f"{QUEUE}.fifo",
        f"{TOPIC}.fifo",
        f"arn:aws:sqs:{OURS}:",
        f"arn:aws:sns:{OURS}:a:b",
        f"arn:aws:events:{OURS}:rule/x",
        f"arn:aws:lambda:{OURS}:layer:x:1",
        "arn:aws:kinesis:us-east-1:000000000000:stream/x",
        "kafka://topic",
    ],
)
def test_what_is_no_destination(client: Any, aliased: str, destination: str) -> None:
    for config, told in (
        (
            {"OnSuccess": {"Destination": destination}},
            f"onSuccess=OnSuccess(destination={destination}), onFailure=null",
        ),
        (
            {"OnFailure": {"Destination": destination}},
            f"onSuccess=null, onFailure=OnFailure(destination={destination})",
        ),
        (
            {"OnSuccess": {}, "OnFailure": {"Destination": destination}},
            f"onSuccess=OnSuccess(destination=null), onFailure=OnFailure(destination={destination})",
        ),
    ):
        message = f"The provided destination config DestinationConfig({told}) is invalid."
        with refused("InvalidParameterValueException", message):
            client.put_function_event_invoke_config(FunctionName=aliased, DestinationConfig=config)
    with refused("ResourceNotFoundException", missing(aliased), 404):
        client.get_function_event_invoke_config(FunctionName=aliased)


def test_what_is_no_arn(client: Any, aliased: str) -> None:
    pattern = client.meta.service_model.shape_for("DestinationArn").metadata["pattern"]
    message = (
        "1 validation error detected: Value 'nonsense' at 'destinationConfig.onFailure.destination' failed to satisfy "
        f"constraint: Member must satisfy regular expression pattern: {pattern}"
    )
    with refused("ValidationException", message):
        client.put_function_event_invoke_config(
            FunctionName=aliased, DestinationConfig={"OnFailure": {"Destination": "nonsense"}}
        )


def test_a_function_as_destination(client: Any, aliased: str) -> None:
    other = f"{aliased}-2"
    client.create_function(**function_params(other, Publish=True))
    client.create_alias(FunctionName=other, Name="live", FunctionVersion="1")
    for qualifier in ([], ["1"], ["$LATEST"], ["live"]):
        given = {"OnSuccess": {"Destination": arn(other, *qualifier)}, "OnFailure": {"Destination": arn(other)}}
        answer = client.put_function_event_invoke_config(FunctionName=aliased, DestinationConfig=given)
        assert answer["DestinationConfig"] == given


def test_a_function_that_is_not_there(client: Any, aliased: str) -> None:
    client.create_function(**function_params(f"{aliased}-2"))
    for destination in (arn(f"{aliased}-3"), arn(f"{aliased}-2", "1"), arn(f"{aliased}-2", "live")):
        message = f"The destination ARN {destination} is invalid."
        with refused("InvalidParameterValueException", message):
            client.put_function_event_invoke_config(
                FunctionName=aliased, DestinationConfig={"OnFailure": {"Destination": destination}}
            )


def test_a_function_of_another_account(plane: Plane, unique_name: str) -> None:
    client, theirs = plane.client(), plane.client(account="111111111111")
    client.create_function(**function_params(unique_name))
    other = theirs.create_function(**function_params(unique_name))["FunctionArn"]
    config = {"OnSuccess": {"Destination": other}}
    with refused("InvalidParameterValueException", f"The destination ARN {other} is invalid."):
        client.put_function_event_invoke_config(FunctionName=unique_name, DestinationConfig=config)
    theirs.add_permission(
        FunctionName=unique_name, StatementId="s", Action="lambda:InvokeFunction", Principal="000000000000"
    )
    client.put_function_event_invoke_config(FunctionName=unique_name, DestinationConfig=config)


def test_the_function_itself(client: Any, aliased: str) -> None:
    client.put_function_event_invoke_config(FunctionName=aliased, MaximumRetryAttempts=1)
    for destination in (arn(aliased), arn(aliased, "1"), arn(aliased, "prod")):
        for operation in (client.put_function_event_invoke_config, client.update_function_event_invoke_config):
            with refused(
                "InvalidParameterValueException", "You can't specify the function as a destination for itself."
            ):
                operation(FunctionName=aliased, DestinationConfig={"OnSuccess": {"Destination": destination}})


# -- what is not there ------------------------------------------------------------------------------------------------


def test_nothing_given(client: Any, aliased: str) -> None:
    for name in (aliased, f"{aliased}-none"):
        for operation in (client.put_function_event_invoke_config, client.update_function_event_invoke_config):
            with refused("InvalidParameterValueException", NOTHING):
                operation(FunctionName=name)


def test_no_function_or_qualifier(client: Any, aliased: str) -> None:
    for given in (
        {"FunctionName": f"{aliased}-none"},
        {"FunctionName": arn(f"{aliased}-none")},
        {"FunctionName": aliased, "Qualifier": "none"},
        {"FunctionName": aliased, "Qualifier": "9"},
    ):
        for operation in (client.put_function_event_invoke_config, client.update_function_event_invoke_config):
            with refused("ResourceNotFoundException", NO_FUNCTION, 404):
                operation(MaximumRetryAttempts=1, **given)
    with refused("ResourceNotFoundException", NO_FUNCTION, 404):
        client.list_function_event_invoke_configs(FunctionName=f"{aliased}-none")


def test_no_configuration(client: Any, aliased: str) -> None:
    for operation in (client.get_function_event_invoke_config, client.delete_function_event_invoke_config):
        for name, qualifier in ((f"{aliased}-none", ""), (aliased, ""), (aliased, "1"), (aliased, "none")):
            given = {"Qualifier": qualifier} if qualifier else {}
            with refused("ResourceNotFoundException", missing(name, qualifier or "$LATEST"), 404):
                operation(FunctionName=name, **given)
    for given in ({}, {"Qualifier": "prod"}):
        with refused("ResourceNotFoundException", missing(aliased, given.get("Qualifier", "$LATEST")), 404):
            client.update_function_event_invoke_config(FunctionName=aliased, MaximumRetryAttempts=0, **given)


@pytest.mark.parametrize(
    ("member", "value", "wrong"),
    [
        ("MaximumRetryAttempts", 3, "Member must have value less than or equal to 2"),
        ("MaximumRetryAttempts", -1, "Member must have value greater than or equal to 0"),
        ("MaximumEventAgeInSeconds", 59, "Member must have value greater than or equal to 60"),
        ("MaximumEventAgeInSeconds", 21_601, "Member must have value less than or equal to 21600"),
    ],
)
def test_out_of_bounds(lenient: Any, aliased: str, member: str, value: int, wrong: str) -> None:
    label = member[0].lower() + member[1:]
    message = f"1 validation error detected: Value '{value}' at '{label}' failed to satisfy constraint: {wrong}"
    with refused("ValidationException", message):
        lenient.put_function_event_invoke_config(FunctionName=aliased, **{member: value})


# -- lists and restarts -----------------------------------------------------------------------------------------------


def test_list(client: Any, aliased: str) -> None:
    assert client.list_function_event_invoke_configs(FunctionName=aliased)["FunctionEventInvokeConfigs"] == []
    for qualifier in ("prod", "1", "$LATEST"):
        client.put_function_event_invoke_config(FunctionName=aliased, Qualifier=qualifier, MaximumRetryAttempts=1)
    listed = client.list_function_event_invoke_configs(FunctionName=aliased)
    expected = [arn(aliased, qualifier) for qualifier in ("$LATEST", "1", "prod")]
    assert [config["FunctionArn"] for config in listed["FunctionEventInvokeConfigs"]] == expected
    assert "NextMarker" not in listed
    got = without_metadata(client.get_function_event_invoke_config(FunctionName=aliased, Qualifier="1"))
    assert listed["FunctionEventInvokeConfigs"][1] == got
    pages = client.get_paginator("list_function_event_invoke_configs").paginate(
        FunctionName=aliased, PaginationConfig={"PageSize": 2}
    )
    arns = [[config["FunctionArn"] for config in page["FunctionEventInvokeConfigs"]] for page in pages]
    assert arns == [expected[:2], expected[2:]]


def test_what_was_written_is_read_after_a_restart(tmp_path: Path) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        client.create_function(**function_params("f", Publish=True))
        client.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
        client.put_function_event_invoke_config(
            FunctionName="f",
            Qualifier="1",
            MaximumEventAgeInSeconds=90,
            DestinationConfig={"OnSuccess": {"Destination": QUEUE}, "OnFailure": {"Destination": BUCKET}},
        )
        before = client.list_function_event_invoke_configs(FunctionName="f")["FunctionEventInvokeConfigs"]
        plane.restart()
        assert client.list_function_event_invoke_configs(FunctionName="f")["FunctionEventInvokeConfigs"] == before
