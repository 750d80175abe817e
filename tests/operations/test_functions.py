"""CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions and DeleteFunction through boto3."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.operations.conftest import CODE, ROLE, Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
UNVALIDATED = Config(parameter_validation=False)
ACCOUNT = "000000000000"


def arn(name: str, qualifier: str = "") -> str:
    return f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}" + (f":{qualifier}" if qualifier else "")


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {member: value for member, value in answer.items() if member != "ResponseMetadata"}


def test_create_answers_every_member_aws_does(create: Create, unique_name: str) -> None:
    answer = create()
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    configuration = without_metadata(answer)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", configuration.pop("LastModified"))
    assert re.fullmatch(UUID, configuration.pop("RevisionId"))
    assert re.fullmatch(
        r"arn:aws:lambda:us-east-1::runtime:[0-9a-f]{64}",
        configuration.pop("RuntimeVersionConfig")["RuntimeVersionArn"],
    )
    assert configuration == {
        "FunctionName": unique_name,
        "FunctionArn": arn(unique_name),
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "app.handler",
        "CodeSize": len(CODE),
        "CodeSha256": base64.b64encode(hashlib.sha256(CODE).digest()).decode(),
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{unique_name}"},
    }


def test_get_answers_it_settled_with_code_and_no_tags(create: Create, client: Any, unique_name: str) -> None:
    created = without_metadata(create())
    got = without_metadata(client.get_function(FunctionName=unique_name))
    configuration = got["Configuration"]
    assert configuration.pop("RevisionId") != created.pop("RevisionId")
    assert configuration.pop("LastUpdateStatus") == "Successful"
    assert (configuration.pop("State"), created.pop("State")) == ("Active", "Pending")
    assert {created.pop("StateReason"), created.pop("StateReasonCode")} == {
        "The function is being created.",
        "Creating",
    }
    assert configuration == created
    assert got.keys() == {"Configuration", "Code"}
    assert got["Code"]["RepositoryType"] == "S3"


def test_what_is_set_is_what_is_read(create: Create, client: Any, unique_name: str) -> None:
    given = {
        "Description": "Makes thumbnails",
        "Timeout": 900,
        "MemorySize": 10240,
        "EphemeralStorage": {"Size": 10240},
        "Environment": {"Variables": {"MODE": "test", "AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrap", "PATH": "/x"}},
        "TracingConfig": {"Mode": "Active"},
        "LoggingConfig": {
            "LogFormat": "JSON",
            "LogGroup": "mine",
            "ApplicationLogLevel": "DEBUG",
            "SystemLogLevel": "WARN",
        },
    }
    create(**given, Tags={"team": "a"})
    got = client.get_function(FunctionName=unique_name)
    assert {member: got["Configuration"][member] for member in given} == given
    assert got["Tags"] == {"team": "a"}


def test_members_that_ask_for_nothing_pass(create: Create, client: Any, unique_name: str) -> None:
    create(
        Layers=[],
        FileSystemConfigs=[],
        DeadLetterConfig={},
        VpcConfig={"SubnetIds": [], "SecurityGroupIds": []},
        SnapStart={"ApplyOn": "None"},
        KMSKeyArn="",
        PackageType="Zip",
        Environment={"Variables": {}},
        Publish=False,
    )
    configuration = client.get_function_configuration(FunctionName=unique_name)
    assert configuration["Environment"] == {"Variables": {}}
    assert configuration["VpcConfig"] == {
        "SubnetIds": [],
        "SecurityGroupIds": [],
        "VpcId": "",
        "Ipv6AllowedForDualStack": False,
    }
    assert configuration.keys().isdisjoint({"Layers", "DeadLetterConfig", "KMSKeyArn", "FileSystemConfigs"})


@pytest.mark.parametrize(
    ("reference", "shown"),
    [("{name}", ""), ("{name}:$LATEST", "$LATEST"), (ACCOUNT + ":function:{name}", ""), ("function:{name}", "")],
)
def test_the_arn_is_qualified_when_the_reference_is(
    create: Create, client: Any, unique_name: str, reference: str, shown: str
) -> None:
    create()
    reference = reference.format(name=unique_name)
    assert client.get_function_configuration(FunctionName=reference)["FunctionArn"] == arn(unique_name, shown)
    assert client.get_function(FunctionName=reference)["Configuration"]["FunctionArn"] == arn(unique_name, shown)
    full = client.get_function_configuration(FunctionName=arn(unique_name), Qualifier="$LATEST")
    assert full["FunctionArn"] == arn(unique_name, "$LATEST")


def test_created_by_arn_or_partial_arn(client: Any, unique_name: str) -> None:
    assert client.create_function(**function_params(arn(unique_name)))["FunctionName"] == unique_name
    partial = f"{ACCOUNT}:function:{unique_name}-2"
    assert client.create_function(**function_params(partial))["FunctionArn"] == arn(f"{unique_name}-2")


def test_a_name_is_taken_once(create: Create, client: Any, unique_name: str) -> None:
    create()
    with refused("ResourceConflictException", f"Function already exist: {unique_name}", 409):
        create(Description="another")
    assert client.get_function_configuration(FunctionName=unique_name)["Description"] == ""


def test_of_two_creates_at_once_one_wins(client: Any, unique_name: str) -> None:
    def attempt(number: int) -> str:
        try:
            return client.create_function(**function_params(unique_name, Description=str(number)))["Description"]
        except ClientError as error:
            return error.response["Error"]["Message"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(attempt, range(8)))
    assert answers.count(f"Function already exist: {unique_name}") == 7
    (winner,) = (answer for answer in answers if answer.isdecimal())
    assert client.get_function_configuration(FunctionName=unique_name)["Description"] == winner


def test_a_name_may_have_64_characters(client: Any) -> None:
    name = uuid.uuid4().hex * 2
    client.create_function(**function_params(name))
    message = (
        f"1 validation error detected: Value '{name}x' at 'functionName' failed to satisfy constraint: "
        "Member must have length less than or equal to 64"
    )
    with refused("InvalidParameterValueException", message):
        client.create_function(**function_params(f"{name}x"))


def test_a_new_function_has_no_version(client: Any, unique_name: str) -> None:
    with pytest.raises(ClientError) as caught:
        client.create_function(**function_params(f"{unique_name}:1"))
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert "at 'functionName' failed to satisfy constraint" in caught.value.response["Error"]["Message"]


def test_another_region_or_account(create: Create, client: Any, plane: Plane, unique_name: str) -> None:
    create()
    elsewhere = arn(unique_name).replace("us-east-1", "eu-west-1")
    message = "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"
    for operation in (client.get_function, client.get_function_configuration, client.delete_function):
        with refused("ResourceNotFoundException", message, 404):
            operation(FunctionName=elsewhere)
    with refused("ResourceNotFoundException", message, 404):
        client.create_function(**function_params(elsewhere))

    stranger = plane.client(account="123456789012")
    for name, operation in [("GetFunction", stranger.get_function), ("DeleteFunction", stranger.delete_function)]:
        denied = (
            f"User: arn:aws:iam::123456789012:root is not authorized to perform: lambda:{name} on resource: "
            f"{arn(unique_name)} because no resource-based policy allows the lambda:{name} action"
        )
        with refused("AccessDeniedException", denied, 403):
            operation(FunctionName=arn(unique_name))
    with pytest.raises(ClientError) as caught:
        stranger.create_function(**function_params(arn(f"{unique_name}-2")))
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    with refused("ResourceNotFoundException", f"Function not found: {stranger_arn(unique_name)}", 404):
        stranger.get_function(FunctionName=unique_name)


def stranger_arn(name: str) -> str:
    return arn(name).replace(ACCOUNT, "123456789012")


def test_accounts_and_regions_have_functions_of_their_own(plane: Plane, unique_name: str) -> None:
    clients = [
        plane.client(account=account, region=region)
        for account in ("111111111111", "222222222222")
        for region in ("eu-west-1", "ap-southeast-2")
    ]
    arns = {client.create_function(**function_params(unique_name))["FunctionArn"] for client in clients}
    assert len(arns) == 4
    clients[0].delete_function(FunctionName=unique_name)
    for client in clients[1:]:
        assert client.get_function(FunctionName=unique_name)["Configuration"]["FunctionArn"] in arns


@pytest.mark.parametrize("qualifier", [None, "$LATEST", "1221", "prod"])
def test_not_found(client: Any, unique_name: str, qualifier: str | None) -> None:
    params = {"FunctionName": unique_name, **({"Qualifier": qualifier} if qualifier else {})}
    for operation in (client.get_function, client.get_function_configuration):
        with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name, qualifier or '')}", 404):
            operation(**params)


@pytest.mark.parametrize("operation", ["get_function", "get_function_configuration", "delete_function"])
def test_two_qualifiers_that_differ(client: Any, operation: str) -> None:
    message = "The derived qualifier from the function name does not match the specified qualifier."
    with refused("InvalidParameterValueException", message):
        getattr(client, operation)(FunctionName="some-function:1", Qualifier="$LATEST")


def test_an_alias_reads_the_version_it_points_to(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True, Tags={"team": "a"})
    client.update_function_configuration(FunctionName=unique_name, Timeout=9)
    client.create_alias(FunctionName=unique_name, Name="prod", FunctionVersion="1")
    version = client.get_function_configuration(FunctionName=unique_name, Qualifier="1")
    for got in (
        client.get_function_configuration(FunctionName=unique_name, Qualifier="prod"),
        client.get_function(FunctionName=f"{unique_name}:prod")["Configuration"],
    ):
        assert (got["FunctionArn"], got["Version"]) == (arn(unique_name, "prod"), "1")
        assert {**without_metadata(got), "FunctionArn": ""} == {**without_metadata(version), "FunctionArn": ""}
    whole = client.get_function(FunctionName=unique_name, Qualifier="prod")
    assert whole["Tags"] == {"team": "a"} and whole["Code"]["RepositoryType"] == "S3"


def test_reserved_concurrency_is_shown(create: Create, client: Any, plane: Plane, unique_name: str) -> None:
    create()
    assert "Concurrency" not in client.get_function(FunctionName=unique_name)
    for reserved in (5, 0):
        client.put_function_concurrency(FunctionName=unique_name, ReservedConcurrentExecutions=reserved)
        got = client.get_function(FunctionName=unique_name)
        assert got["Concurrency"] == {"ReservedConcurrentExecutions": reserved}


# -- DeleteFunction --------------------------------------------------------------------------------------------------


def test_delete(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    answer = client.delete_function(FunctionName=unique_name)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == answer["StatusCode"] == 204
    for qualifier in ("", "1"):
        with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name, qualifier)}", 404):
            client.get_function(FunctionName=f"{unique_name}:{qualifier}" if qualifier else unique_name)
    with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name)}", 404):
        client.delete_function(FunctionName=unique_name)
    assert create()["Version"] == "$LATEST"


def test_delete_one_version(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    client.add_permission(FunctionName=unique_name, Qualifier="1", StatementId="s", Action="lambda:*", Principal="*")
    client.delete_function(FunctionName=unique_name, Qualifier="1")
    assert [v["Version"] for v in client.list_versions_by_function(FunctionName=unique_name)["Versions"]] == ["$LATEST"]
    client.delete_function(FunctionName=unique_name, Qualifier="1")  # nothing, and nothing said
    with refused("ResourceNotFoundException", "The resource you requested does not exist.", 404):
        client.get_policy(FunctionName=unique_name, Qualifier="1")
    assert client.publish_version(FunctionName=unique_name)["Version"] == "2", "numbers are never used twice"


def test_what_is_attached_to_a_version_goes_with_it(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    client.put_function_event_invoke_config(FunctionName=unique_name, Qualifier="1", MaximumRetryAttempts=0)
    client.put_runtime_management_config(FunctionName=unique_name, Qualifier="1", UpdateRuntimeOn="FunctionUpdate")
    client.delete_function(FunctionName=unique_name, Qualifier="1")
    assert client.list_function_event_invoke_configs(FunctionName=unique_name)["FunctionEventInvokeConfigs"] == []


def test_a_version_aliases_point_to_stays(create: Create, client: Any, unique_name: str) -> None:
    create(Publish=True)
    client.update_function_configuration(FunctionName=unique_name, Timeout=9)
    client.publish_version(FunctionName=unique_name)
    client.create_alias(FunctionName=unique_name, Name="prod", FunctionVersion="1")
    client.create_alias(
        FunctionName=unique_name,
        Name="canary",
        FunctionVersion="2",
        RoutingConfig={"AdditionalVersionWeights": {"1": 0.1}},
    )
    message = "Unable to delete version because the following aliases reference it: "
    for version, pointing in (("1", "[canary, prod]"), ("2", "[canary]")):
        with refused("ResourceConflictException", message + pointing, 409):
            client.delete_function(FunctionName=unique_name, Qualifier=version)
    client.delete_alias(FunctionName=unique_name, Name="canary")
    client.delete_function(FunctionName=unique_name, Qualifier="2")
    client.delete_function(FunctionName=unique_name)


@pytest.mark.parametrize("qualifier", ["prod", "none"])
def test_an_alias_is_not_deleted_so(create: Create, client: Any, unique_name: str, qualifier: str) -> None:
    create(Publish=True)
    client.create_alias(FunctionName=unique_name, Name="prod", FunctionVersion="1")
    with refused("InvalidParameterValueException", "Deletion of aliases is not currently supported."):
        client.delete_function(FunctionName=unique_name, Qualifier=qualifier)
    with refused("InvalidParameterValueException", "Deletion of aliases is not currently supported."):
        client.delete_function(FunctionName=f"{unique_name}-none", Qualifier=qualifier)


def test_latest_cannot_be_deleted_alone(create: Create, client: Any, unique_name: str) -> None:
    create()
    message = "$LATEST version cannot be deleted without deleting the function."
    with refused("InvalidParameterValueException", message):
        client.delete_function(FunctionName=unique_name, Qualifier="$LATEST")
    with refused("InvalidParameterValueException", message):
        client.delete_function(FunctionName=f"{unique_name}:$LATEST", Qualifier="$LATEST")


def test_delete_names_the_function_when_it_is_the_function_that_is_missing(client: Any, unique_name: str) -> None:
    with refused("ResourceNotFoundException", f"Function not found: {arn(unique_name)}", 404):
        client.delete_function(FunctionName=unique_name, Qualifier="3")


# -- ListFunctions ---------------------------------------------------------------------------------------------------


@pytest.fixture
def alone(plane: Plane) -> Any:
    """A client of an account of its own, so that lists are the test's own."""
    return plane.client(account=f"{uuid.uuid4().int % 10**12:012}")


def test_list_shows_a_subset(alone: Any) -> None:
    alone.create_function(**function_params("b", Publish=True))
    alone.create_function(**function_params("a"))
    listed = alone.list_functions()["Functions"]
    assert [function["FunctionName"] for function in listed] == ["a", "b"]
    left_out = {"State", "StateReason", "StateReasonCode", "LastUpdateStatus", "RuntimeVersionConfig"}
    got = alone.get_function_configuration(FunctionName="a")
    assert listed[0] == {k: v for k, v in got.items() if k not in left_out | {"ResponseMetadata"}}
    every = alone.list_functions(FunctionVersion="ALL")["Functions"]
    assert [function["FunctionArn"].split(":function:")[1] for function in every] == ["a:$LATEST", "b:$LATEST", "b:1"]


def test_list_pages_neither_repeat_nor_skip(alone: Any) -> None:
    names = [f"f{number:02}" for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: alone.create_function(**function_params(name)), names))
    first = alone.list_functions(MaxItems=10000)
    assert [function["FunctionName"] for function in first["Functions"]] == names[:50], "never more than 50"
    rest = alone.list_functions(Marker=first["NextMarker"])
    assert [function["FunctionName"] for function in rest["Functions"]] == names[50:]
    assert "NextMarker" not in rest
    pages = alone.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 7})
    assert [function["FunctionName"] for page in pages for function in page["Functions"]] == names

    page = alone.list_functions(MaxItems=3)
    alone.delete_function(FunctionName="f02")
    alone.create_function(**function_params("f01x"))
    following = alone.list_functions(MaxItems=3, Marker=page["NextMarker"])["Functions"]
    assert [function["FunctionName"] for function in following] == ["f03", "f04", "f05"]


def test_list_of_nothing(alone: Any) -> None:
    assert without_metadata(alone.list_functions()) == {"Functions": []}


@pytest.mark.parametrize("marker", ["nonsense", "bm9uc2Vuc2U=", "!"])
def test_a_marker_that_is_none(alone: Any, marker: str) -> None:
    with refused("InvalidParameterValueException", "The Marker is not one this operation has given."):
        alone.list_functions(Marker=marker)


def test_master_region_selects_edge_replicas_of_which_there_are_none_elsewhere(alone: Any) -> None:
    alone.create_function(**function_params("f"))
    assert len(alone.list_functions(MasterRegion="ALL", FunctionVersion="ALL")["Functions"]) == 1
    assert alone.list_functions(MasterRegion="eu-west-1", FunctionVersion="ALL")["Functions"] == []
    message = "FunctionVersion must be set to ALL when MasterRegion is specified."
    with refused("InvalidParameterValueException", message):
        alone.list_functions(MasterRegion="ALL")


def test_function_version_is_all_or_absent(plane: Plane) -> None:
    message = (
        "1 validation error detected: Value 'invalid' at 'functionVersion' failed to satisfy constraint: "
        "Member must satisfy enum value set: [ALL]"
    )
    with refused("ValidationException", message):
        plane.client(config=UNVALIDATED).list_functions(FunctionVersion="invalid")
