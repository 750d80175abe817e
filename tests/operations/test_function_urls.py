"""Function URL settings: their answers, rules and errors, most as recorded from AWS."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.clock import ManualClock
from tests.operations.conftest import Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import arn, without_metadata

GONE = "The resource you requested does not exist."
NO_FUNCTION = "Function does not exist"
MISMATCH = "The derived qualifier from the function name does not match the specified qualifier."
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CORS = {
    "AllowCredentials": True,
    "AllowHeaders": ["date", "x-custom"],
    "AllowMethods": ["GET", "*"],
    "AllowOrigins": ["https://www.example.com", "http://localhost:60905"],
    "ExposeHeaders": ["keep-alive"],
    "MaxAge": 86_400,
}


@pytest.fixture
def aliased(create: Create, client: Any, unique_name: str) -> str:
    """The name of a function with a version 1 and an alias `prod` to it."""
    create(Publish=True)
    client.create_alias(FunctionName=unique_name, Name="prod", FunctionVersion="1")
    return unique_name


def test_create(plane: Plane, client: Any, aliased: str) -> None:
    answer = client.create_function_url_config(FunctionName=aliased, AuthType="NONE")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    created = without_metadata(answer)
    assert created.keys() == {"FunctionUrl", "FunctionArn", "AuthType", "CreationTime"}, "no InvokeMode: none was asked"
    assert (created["FunctionArn"], created["AuthType"]) == (arn(aliased), "NONE")
    assert re.fullmatch(
        rf"http://[a-z0-9]{{32}}\.lambda-url\.us-east-1\.localhost:{plane.port}/", created["FunctionUrl"]
    )
    assert TIME.fullmatch(created["CreationTime"])
    got = without_metadata(client.get_function_url_config(FunctionName=aliased))
    assert got == {**created, "InvokeMode": "BUFFERED", "LastModifiedTime": created["CreationTime"]}


def test_all_settings(client: Any, aliased: str) -> None:
    settings = {"AuthType": "AWS_IAM", "InvokeMode": "RESPONSE_STREAM", "Cors": CORS}
    created = without_metadata(client.create_function_url_config(FunctionName=aliased, Qualifier="prod", **settings))
    assert created.items() >= {"FunctionArn": arn(aliased, "prod"), **settings}.items()
    got = without_metadata(client.get_function_url_config(FunctionName=f"{aliased}:prod"))
    assert got == {**created, "LastModifiedTime": created["CreationTime"]}


def test_the_address_is_under_localhost_at_the_port_the_client_used(tmp_path: Path) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client(region="eu-west-1")
        client.create_function(**function_params("f"))
        url = client.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
        assert url.endswith(f".lambda-url.eu-west-1.localhost:{plane.port}/")

        def sent_to(host: str) -> str:
            client.meta.events.register("before-send", lambda request, **_: request.headers.__setitem__("Host", host))
            return client.get_function_url_config(FunctionName="f")["FunctionUrl"]

        own = url.removeprefix("http://").partition(".")[0]
        assert sent_to("localhost") == f"http://{own}.lambda-url.eu-west-1.localhost/"
        assert sent_to("[::1]:9") == f"http://{own}.lambda-url.eu-west-1.localhost:9/"
        assert sent_to("[::1]") == f"http://{own}.lambda-url.eu-west-1.localhost/"


def test_a_second_is_refused(client: Any, aliased: str) -> None:
    for qualifier in ({}, {"Qualifier": "prod"}):
        client.create_function_url_config(FunctionName=aliased, AuthType="NONE", **qualifier)
        message = (
            f"Failed to create function url config for [functionArn = {arn(aliased, *qualifier.values())}]. "
            "Error message:  FunctionUrlConfig exists for this Lambda function"
        )
        with refused("ResourceConflictException", message, 409):
            client.create_function_url_config(FunctionName=aliased, AuthType="AWS_IAM", **qualifier)


def test_update(tmp_path: Path) -> None:
    clock = ManualClock()
    with Plane(tmp_path, clock=clock) as plane:
        client = plane.client()
        client.create_function(**function_params("f"))
        created = client.create_function_url_config(FunctionName="f", AuthType="NONE", Cors=CORS)
        expected = without_metadata(client.get_function_url_config(FunctionName="f"))
        changes: list[dict[str, Any]] = [
            {"AuthType": "AWS_IAM"},
            {"InvokeMode": "RESPONSE_STREAM"},
            {"Cors": {"AllowOrigins": ["*"]}},
            {},
        ]
        for change in changes:
            plane.advance(1001)
            answer = without_metadata(client.update_function_url_config(FunctionName="f", **change))
            got = without_metadata(client.get_function_url_config(FunctionName="f"))
            assert got["LastModifiedTime"] > expected["LastModifiedTime"]
            expected = {**expected, **change, "LastModifiedTime": got["LastModifiedTime"]}
            assert got == expected
            shown = expected.keys() if "InvokeMode" in change else expected.keys() - {"InvokeMode"}
            assert answer == {member: expected[member] for member in shown}
        assert {k: expected[k] for k in ("CreationTime", "FunctionUrl")} == {
            k: created[k] for k in ("CreationTime", "FunctionUrl")
        }
        assert "Cors" not in client.update_function_url_config(FunctionName="f", Cors={})
        assert "Cors" not in client.get_function_url_config(FunctionName="f")


def test_delete(client: Any, aliased: str) -> None:
    first = client.create_function_url_config(FunctionName=aliased, AuthType="NONE")["FunctionUrl"]
    client.create_function_url_config(FunctionName=aliased, Qualifier="prod", AuthType="NONE")
    answer = client.delete_function_url_config(FunctionName=aliased)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("ResourceNotFoundException", GONE, 404):
        client.get_function_url_config(FunctionName=aliased)
    assert client.get_function_url_config(FunctionName=aliased, Qualifier="prod")["AuthType"] == "NONE"
    again = client.create_function_url_config(FunctionName=aliased, AuthType="NONE")["FunctionUrl"]
    assert again != first, "a new one has a new address"


def test_list(client: Any, aliased: str) -> None:
    assert client.list_function_url_configs(FunctionName=aliased)["FunctionUrlConfigs"] == []
    client.create_alias(FunctionName=aliased, Name="beta", FunctionVersion="1")
    for qualifier in ({"Qualifier": "prod"}, {}, {"Qualifier": "beta"}):
        client.create_function_url_config(FunctionName=aliased, AuthType="NONE", **qualifier)
    listed = client.list_function_url_configs(FunctionName=aliased)
    assert "NextMarker" not in listed
    expected = [arn(aliased), arn(aliased, "beta"), arn(aliased, "prod")]
    assert [url["FunctionArn"] for url in listed["FunctionUrlConfigs"]] == expected
    assert listed["FunctionUrlConfigs"][2] == without_metadata(
        client.get_function_url_config(FunctionName=aliased, Qualifier="prod")
    )
    pages = client.get_paginator("list_function_url_configs").paginate(
        FunctionName=aliased, PaginationConfig={"PageSize": 1}
    )
    assert [[url["FunctionArn"] for url in page["FunctionUrlConfigs"]] for page in pages] == [[one] for one in expected]
    message = (
        "1 validation error detected: Value '51' at 'maxItems' failed to satisfy constraint: "
        "Member must have value less than or equal to 50"
    )
    with refused("ValidationException", message):
        client.list_function_url_configs(FunctionName=aliased, MaxItems=51)


# -- what is not there, and what may have none ------------------------------------------------------------------------


def calls(client: Any) -> dict[str, Any]:
    return {
        "create": lambda **given: client.create_function_url_config(AuthType="NONE", **given),
        "get": client.get_function_url_config,
        "update": lambda **given: client.update_function_url_config(AuthType="AWS_IAM", **given),
        "delete": client.delete_function_url_config,
    }


@pytest.mark.parametrize(
    ("operation", "function", "alias", "config"),
    [
        ("create", NO_FUNCTION, NO_FUNCTION, None),
        ("get", GONE, GONE, GONE),
        ("update", NO_FUNCTION, NO_FUNCTION, GONE),
        ("delete", GONE, GONE, GONE),
    ],
)
def test_not_found(client: Any, aliased: str, operation: str, function: str, alias: str, config: str | None) -> None:
    call = calls(client)[operation]
    for missing in (f"{aliased}-none", arn(f"{aliased}-none")):
        with refused("ResourceNotFoundException", function, 404):
            call(FunctionName=missing)
    for qualified in ({"FunctionName": aliased, "Qualifier": "none"}, {"FunctionName": f"{aliased}:none"}):
        with refused("ResourceNotFoundException", alias, 404):
            call(**qualified)
    if config is not None:
        for there in ({"FunctionName": aliased}, {"FunctionName": aliased, "Qualifier": "prod"}):
            with refused("ResourceNotFoundException", config, 404):
                call(**there)


@pytest.mark.parametrize("operation", ["create", "get", "update", "delete"])
@pytest.mark.parametrize("qualifier", ["1", "2", "$LATEST"])
def test_no_version_has_one(client: Any, aliased: str, operation: str, qualifier: str) -> None:
    message = (
        f"1 validation error detected: Value '{qualifier}' at 'qualifier' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)"
    )
    with refused("ValidationException", message):
        calls(client)[operation](FunctionName=aliased, Qualifier=qualifier)
    with pytest.raises(ClientError) as caught:
        calls(client)[operation](FunctionName=f"{aliased}:{qualifier}")
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException" and "at 'functionName' failed" in error["Message"]


@pytest.mark.parametrize("operation", ["create", "get", "update", "delete"])
def test_two_qualifiers(client: Any, aliased: str, operation: str) -> None:
    with refused("InvalidParameterValueException", MISMATCH):
        calls(client)[operation](FunctionName=f"{aliased}:prod-x", Qualifier="prod")


def test_list_of_no_function(client: Any, unique_name: str) -> None:
    with refused("ResourceNotFoundException", NO_FUNCTION, 404):
        client.list_function_url_configs(FunctionName=unique_name)


@pytest.mark.parametrize(
    ("member", "value", "wrong"),
    [
        ("AuthType", "ANY", "Value 'ANY' at 'authType' failed to satisfy constraint: "
                            "Member must satisfy enum value set: [NONE, AWS_IAM]"),
        ("InvokeMode", "FAST", "Value 'FAST' at 'invokeMode' failed to satisfy constraint: "
                               "Member must satisfy enum value set: [RESPONSE_STREAM, BUFFERED]"),
        ("Cors", {"MaxAge": 86_401}, "Value '86401' at 'cors.maxAge' failed to satisfy constraint: "
                                     "Member must have value less than or equal to 86400"),
        ("Cors", {"MaxAge": -1}, "Value '-1' at 'cors.maxAge' failed to satisfy constraint: "
                                 "Member must have value greater than or equal to 0"),
        ("Cors", {"AllowMethods": ["OPTIONS"]},
         "Value '[OPTIONS]' at 'cors.allowMethods' failed to satisfy constraint: Member must satisfy constraint: "
         "[Member must have length less than or equal to 6, Member must have length greater than or equal to 0, "
         "Member must satisfy regular expression pattern: .*, Member must not be null]"),
        ("Cors", {"AllowMethods": ["GET"] * 7},
         "Value '[GET, GET, GET, GET, GET, GET, GET]' at 'cors.allowMethods' failed to satisfy constraint: "
         "Member must have length less than or equal to 6"),
        ("Cors", {"AllowOrigins": [""]},
         "Value '[]' at 'cors.allowOrigins' failed to satisfy constraint: Member must satisfy constraint: "
         "[Member must have length less than or equal to 253, Member must have length greater than or equal to 1, "
         "Member must satisfy regular expression pattern: .*, Member must not be null]"),
    ],
)  # fmt: skip
def test_settings_out_of_bounds(lenient: Any, aliased: str, member: str, value: Any, wrong: str) -> None:
    given = {"FunctionName": aliased, "AuthType": "NONE", member: value}
    with refused("ValidationException", f"1 validation error detected: {wrong}"):
        lenient.create_function_url_config(**given)
    lenient.create_function_url_config(FunctionName=aliased, AuthType="NONE")
    with refused("ValidationException", f"1 validation error detected: {wrong}"):
        lenient.update_function_url_config(**given)


def test_lists_of_more_than_a_hundred(client: Any, aliased: str) -> None:
    for member, label in (("AllowOrigins", "allowOrigins"), ("AllowHeaders", "allowHeaders"),
                          ("ExposeHeaders", "exposeHeaders")):  # fmt: skip
        with pytest.raises(ClientError) as caught:
            client.create_function_url_config(FunctionName=aliased, AuthType="NONE", Cors={member: ["a"] * 101})
        message = caught.value.response["Error"]["Message"]
        assert f"at 'cors.{label}' failed to satisfy constraint: Member must have length less than" in message


def test_auth_type_is_needed(lenient: Any, aliased: str) -> None:
    message = (
        "1 validation error detected: Value null at 'authType' failed to satisfy constraint: Member must not be null"
    )
    with refused("ValidationException", message):
        lenient.create_function_url_config(FunctionName=aliased)


def test_a_function_of_tenants_has_none(plane: Plane, client: Any, aliased: str) -> None:
    def isolate(view: FunctionView | None) -> tuple[FunctionChange, None]:
        assert view is not None
        held = {**view.latest.held, "TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}}
        return FunctionChange(versions=(msgspec.structs.replace(view.latest, held=held),)), None

    plane.run(plane.catalog.change("000000000000", "us-east-1", aliased, isolate))
    with refused(
        "InvalidParameterValueException",
        "Function URLs are not supported for functions with tenant isolation mode enabled.",
    ):
        client.create_function_url_config(FunctionName=aliased, AuthType="NONE")


def test_what_was_written_is_read_after_a_restart(tmp_path: Path) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        client.create_function(**function_params("f", Publish=True))
        client.create_alias(FunctionName="f", Name="prod", FunctionVersion="1")
        client.create_function_url_config(FunctionName="f", AuthType="NONE")
        client.create_function_url_config(
            FunctionName="f", Qualifier="prod", AuthType="AWS_IAM", Cors=CORS, InvokeMode="RESPONSE_STREAM"
        )
        before = client.list_function_url_configs(FunctionName="f")["FunctionUrlConfigs"]
        plane.restart()
        assert client.list_function_url_configs(FunctionName="f")["FunctionUrlConfigs"] == before
