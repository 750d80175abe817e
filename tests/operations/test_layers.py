"""PublishLayerVersion, GetLayerVersion, GetLayerVersionByArn and DeleteLayerVersion through boto3."""

from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pilotlight.operations.code_location import LIFETIME_MS
from pilotlight.operations.collection import collect_unused
from tests.operations.conftest import function_params
from tests.operations.errors import refused
from tests.operations.plane import NO_SUCH_KEY, Plane
from tests.operations.test_code import fetch
from tests.operations.test_functions import UNVALIDATED, without_metadata
from tests.operations.test_updates import sha256
from tests.support import make_zip

CONTENT = make_zip({"python/greeting.py": "WORDS = 'hello'\n"})
OTHER_CONTENT = make_zip({"python/greeting.py": "WORDS = 'good evening'\n"})
NOT_FOUND = "The resource you requested does not exist."
TOO_SMALL = "Layer Version Cannot be less than 1"


def layer_arn(
    name: str, version: int | None = None, *, account: str = "000000000000", region: str = "us-east-1"
) -> str:
    return f"arn:aws:lambda:{region}:{account}:layer:{name}" + (f":{version}" if version else "")


def publish(client: Any, name: str, content: bytes = CONTENT, **members: Any) -> dict[str, Any]:
    return client.publish_layer_version(LayerName=name, Content={"ZipFile": content}, **members)


def numbers(client: Any, name: str, **params: Any) -> list[int]:
    return [version["Version"] for version in client.list_layer_versions(LayerName=name, **params)["LayerVersions"]]


# -- publishing and reading ------------------------------------------------------------------------------------------


def test_what_publishing_answers(client: Any, unique_name: str) -> None:
    answer = publish(
        client,
        unique_name,
        Description="greetings",
        CompatibleRuntimes=["python3.12", "python3.11"],
        CompatibleArchitectures=["x86_64", "arm64"],
        LicenseInfo="MIT",
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    members = without_metadata(answer)
    assert fetch(members["Content"].pop("Location")) == (200, CONTENT)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", members.pop("CreatedDate"))
    assert members == {
        "Content": {"CodeSha256": sha256(CONTENT), "CodeSize": len(CONTENT)},
        "LayerArn": layer_arn(unique_name),
        "LayerVersionArn": layer_arn(unique_name, 1),
        "Version": 1,
        "Description": "greetings",
        "CompatibleRuntimes": ["python3.12", "python3.11"],
        "CompatibleArchitectures": ["x86_64", "arm64"],
        "LicenseInfo": "MIT",
    }


def test_members_that_were_not_given(client: Any, unique_name: str) -> None:
    members = set(without_metadata(publish(client, unique_name)))
    assert members == {"Content", "LayerArn", "LayerVersionArn", "Version", "Description", "CreatedDate"}
    empty = publish(client, unique_name, CompatibleRuntimes=[], CompatibleArchitectures=[])
    assert (empty["CompatibleRuntimes"], empty["CompatibleArchitectures"]) == ([], [])
    assert (empty["Version"], empty["Description"]) == (2, "")


def test_what_was_published_reads_back(tmp_path: Path) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        published = [
            without_metadata(publish(client, "greetings", Description=text, LicenseInfo=text)) for text in ("a", "b")
        ]
        plane.restart()
        for version in published:
            number, version_arn = version["Version"], version["LayerVersionArn"]
            for read in (
                client.get_layer_version(LayerName="greetings", VersionNumber=number),
                client.get_layer_version(LayerName=layer_arn("greetings"), VersionNumber=number),
                client.get_layer_version_by_arn(Arn=version_arn),
            ):
                assert read["ResponseMetadata"]["HTTPStatusCode"] == 200
                assert fetch(read["Content"]["Location"])[0] == 200
                expected = {**version, "Content": {**version["Content"], "Location": read["Content"]["Location"]}}
                assert without_metadata(read) == expected


def test_the_location_expires(held_plane: Plane) -> None:
    url = publish(held_plane.client(), "l")["Content"]["Location"]
    held_plane.advance(LIFETIME_MS - 1)
    assert fetch(url)[0] == 200
    held_plane.advance(1)
    assert fetch(url)[0] == 403


def test_content_from_s3(plane: Plane, client: Any, unique_name: str) -> None:
    plane.buckets.objects["layers", unique_name, None] = CONTENT
    plane.buckets.objects["layers", unique_name, "v7"] = OTHER_CONTENT
    content = {"S3Bucket": "layers", "S3Key": unique_name}
    first = client.publish_layer_version(LayerName=unique_name, Content=content)
    assert first["Content"]["CodeSha256"] == sha256(CONTENT)
    second = client.publish_layer_version(LayerName=unique_name, Content={**content, "S3ObjectVersion": "v7"})
    assert second["Content"]["CodeSha256"] == sha256(OTHER_CONTENT)
    assert "ResolvedS3Object" not in second["Content"]
    with refused("InvalidParameterValueException", NO_SUCH_KEY):
        client.publish_layer_version(LayerName=unique_name, Content={**content, "S3Key": "nothing"})
    assert numbers(client, unique_name) == [2, 1]


@pytest.mark.parametrize("version", [None, "v1"])
def test_a_package_that_is_only_referred_to(tmp_path: Path, version: str | None) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        plane.buckets.objects["layers", "l.zip", version] = CONTENT
        content = {"S3Bucket": "layers", "S3Key": "l.zip", "S3ObjectStorageMode": "REFERENCE"}
        if version:
            content["S3ObjectVersion"] = version
        published = client.publish_layer_version(LayerName="l", Content=content)["Content"]
        expected = {member: value for member, value in content.items() if member != "S3ObjectStorageMode"}
        assert published["ResolvedS3Object"] == expected
        plane.restart()
        assert client.get_layer_version(LayerName="l", VersionNumber=1)["Content"]["ResolvedS3Object"] == expected
        assert plane.catalog.code_bytes("000000000000", "us-east-1") == 0
        publish(client, "l")
        assert plane.catalog.code_bytes("000000000000", "us-east-1") == len("WORDS = 'hello'\n")


def test_a_reference_needs_an_object(client: Any, unique_name: str) -> None:
    message = "S3Bucket and S3Key are required when S3ObjectStorageMode is REFERENCE."
    with refused("InvalidParameterValueException", message):
        client.publish_layer_version(
            LayerName=unique_name, Content={"ZipFile": CONTENT, "S3ObjectStorageMode": "REFERENCE"}
        )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"ZipFile": b"no zip"}, "Could not unzip uploaded file. Please check your file, then try to upload again."),
        ({"ZipFile": make_zip({})}, "Uploaded file must be a non-empty zip"),
        ({}, "Please provide a source for function code."),
        (
            {"ZipFile": CONTENT, "S3Bucket": "layers", "S3Key": "k"},
            "Please do not provide other FunctionCode parameters when providing a ZipFile.",
        ),
    ],
)
def test_content_that_is_refused(client: Any, unique_name: str, content: dict[str, Any], message: str) -> None:
    with refused("InvalidParameterValueException", message):
        client.publish_layer_version(LayerName=unique_name, Content=content)
    assert numbers(client, unique_name) == []


def test_the_account_has_no_room(tmp_path: Path) -> None:
    size = len("WORDS = 'hello'\n")
    with Plane(tmp_path, code_storage_bytes=2 * size) as plane:
        client = plane.client()
        publish(client, "a")
        publish(client, "b")
        with refused("CodeStorageExceededException", "Code storage limit exceeded."):
            publish(client, "a")
        client.delete_layer_version(LayerName="b", VersionNumber=1)
        assert publish(client, "a")["Version"] == 2


def test_runtimes_and_architectures_that_are_not_any(plane: Plane, unique_name: str) -> None:
    client = plane.client(config=UNVALIDATED)
    with pytest.raises(ClientError) as caught:
        publish(client, unique_name, CompatibleRuntimes=["a", "b", "python3.12"], CompatibleArchitectures=["mips"])
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert "Type" not in caught.value.response
    runtimes, architectures = error["Message"].split("; ")
    head = "2 validation errors detected: Value '[a, b, python3.12]' at 'compatibleRuntimes' failed to satisfy "
    assert runtimes.startswith(f"{head}constraint: Member must satisfy enum value set: [")
    assert architectures == (
        "Value '[mips]' at 'compatibleArchitectures' failed to satisfy constraint: Member must satisfy constraint: "
        "[Member must satisfy enum value set: [x86_64, arm64]]"
    )
    assert "python3.12" in runtimes
    assert not {"python2.7", "custom"} & set(re.findall(r"[\w.]+", runtimes))


def test_runtimes_that_are_closed(tmp_path: Path, client: Any, unique_name: str) -> None:
    with pytest.raises(ClientError, match=r"Value '\[python3.6\]' at 'compatibleRuntimes' failed to satisfy"):
        publish(client, unique_name, CompatibleRuntimes=["python3.6"])
    with Plane(tmp_path, allow_closed_runtimes=True) as plane:
        assert publish(plane.client(), "l", CompatibleRuntimes=["python3.6"])["CompatibleRuntimes"] == ["python3.6"]


def test_too_many_runtimes(client: Any, unique_name: str) -> None:
    given = ["python3.12"] * 16
    message = (
        f"1 validation error detected: Value '[{', '.join(given)}]' at 'compatibleRuntimes' failed to satisfy "
        "constraint: Member must have length less than or equal to 15"
    )
    with refused("ValidationException", message):
        publish(client, unique_name, CompatibleRuntimes=given)


def test_publishing_at_once_gives_each_a_number(client: Any, unique_name: str) -> None:
    with ThreadPoolExecutor(6) as threads:
        published = list(threads.map(lambda _: publish(client, unique_name)["Version"], range(12)))
    assert sorted(published) == list(range(1, 13))


# -- what is not there -----------------------------------------------------------------------------------------------


def test_versions_that_are_not_there(client: Any, unique_name: str) -> None:
    publish(client, unique_name)
    for name, number in ((unique_name, 2), (f"{unique_name}-x", 1), (unique_name, 2**62)):
        with refused("ResourceNotFoundException", NOT_FOUND, 404):
            client.get_layer_version(LayerName=name, VersionNumber=number)
        with refused("ResourceNotFoundException", NOT_FOUND, 404):
            client.get_layer_version_by_arn(Arn=layer_arn(name, number))
    for number in (0, -1):
        with refused("InvalidParameterValueException", TOO_SMALL):
            client.get_layer_version(LayerName=unique_name, VersionNumber=number)
        with refused("InvalidParameterValueException", TOO_SMALL):
            client.delete_layer_version(LayerName=unique_name, VersionNumber=number)
    with pytest.raises(ClientError) as caught:
        client.get_layer_version(LayerName=unique_name, VersionNumber=2)
    assert (caught.value.response["Type"], caught.value.response["Message"]) == ("User", NOT_FOUND)


def test_an_arn_without_a_version(client: Any, unique_name: str) -> None:
    publish(client, unique_name)
    with pytest.raises(ClientError) as caught:
        client.get_layer_version_by_arn(Arn=layer_arn(unique_name))
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    start = f"1 validation error detected: Value '{layer_arn(unique_name)}' at 'arn' failed to satisfy constraint: "
    assert error["Message"].startswith(f"{start}Member must satisfy regular expression pattern: ")


def test_arns_that_are_no_layers(client: Any) -> None:
    for arn in ("arn:aws:lambda:::awslayer:AmazonLinux1803", f"arn::lambda:us-east-1:000000000000:layer:l:{'1' * 30}"):
        with refused("ResourceNotFoundException", NOT_FOUND, 404):
            client.get_layer_version_by_arn(Arn=arn)


def test_another_region(plane: Plane, client: Any, unique_name: str) -> None:
    publish(client, unique_name)
    message = "Layers from 'us-east-1' are not reachable in this region ('eu-west-1')"
    elsewhere = plane.client(region="eu-west-1")
    assert numbers(elsewhere, unique_name) == []
    for call in (
        lambda: elsewhere.get_layer_version_by_arn(Arn=layer_arn(unique_name, 1)),
        lambda: elsewhere.list_layer_versions(LayerName=layer_arn(unique_name)),
        lambda: publish(elsewhere, layer_arn(unique_name)),
    ):
        with refused("ResourceNotFoundException", message, 404):
            call()


def test_another_account(plane: Plane, client: Any, unique_name: str) -> None:
    publish(client, unique_name)
    stranger = plane.client(account="111122223333")
    assert numbers(stranger, unique_name) == []
    arn = layer_arn(unique_name)
    for action, resource, call in (
        ("GetLayerVersion", f"{arn}:1", lambda: stranger.get_layer_version(LayerName=arn, VersionNumber=1)),
        ("GetLayerVersion", f"{arn}:1", lambda: stranger.get_layer_version_by_arn(Arn=f"{arn}:1")),
        ("GetLayerVersion", f"{arn}:9", lambda: stranger.get_layer_version_by_arn(Arn=f"{arn}:9")),
        ("ListLayerVersions", arn, lambda: stranger.list_layer_versions(LayerName=arn)),
        ("PublishLayerVersion", arn, lambda: publish(stranger, arn)),
        ("DeleteLayerVersion", f"{arn}:1", lambda: stranger.delete_layer_version(LayerName=arn, VersionNumber=1)),
    ):
        message = (
            f"User: arn:aws:iam::111122223333:root is not authorized to perform: lambda:{action} on resource: "
            f"{resource} because no resource-based policy allows the lambda:{action} action"
        )
        with refused("AccessDeniedException", message, 403):
            call()
    assert numbers(client, unique_name) == [1]


# -- deleting --------------------------------------------------------------------------------------------------------


def test_numbers_are_never_given_again(tmp_path: Path) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        for _ in range(2):
            publish(client, "l")
        for number in (1, 2, 2, 9):
            answer = client.delete_layer_version(LayerName="l", VersionNumber=number)
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert (
            client.delete_layer_version(LayerName="none", VersionNumber=1)["ResponseMetadata"]["HTTPStatusCode"] == 204
        )
        assert numbers(client, "l") == []
        with refused("ResourceNotFoundException", NOT_FOUND, 404):
            client.get_layer_version(LayerName="l", VersionNumber=2)
        plane.restart()
        assert publish(client, "l")["Version"] == 3


def test_a_deleted_version_stays_for_who_uses_it(tmp_path: Path) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        version = publish(client, "l")
        client.create_function(**function_params("user", Layers=[version["LayerVersionArn"]]))
        client.delete_layer_version(LayerName="l", VersionNumber=1)
        plane.restart()
        expected = [{"Arn": version["LayerVersionArn"], "CodeSize": len(CONTENT)}]
        assert client.get_function_configuration(FunctionName="user")["Layers"] == expected
        client.update_function_configuration(FunctionName="user", Timeout=4)
        assert client.get_function_configuration(FunctionName="user")["Layers"] == expected
        assert _collected(plane) == []
        client.update_function_configuration(FunctionName="user", Layers=[])
        assert "Layers" not in client.get_function_configuration(FunctionName="user")
        assert len(_collected(plane)) == 1
        message = f"Layer version {version['LayerVersionArn']} does not exist."
        with refused("InvalidParameterValueException", message):
            client.update_function_configuration(FunctionName="user", Layers=[version["LayerVersionArn"]])


def _collected(plane: Plane) -> list[str]:
    return plane.run(collect_unused(plane.context, plane.clock.time_ms() + 10_000))


def test_names_that_are_refused(plane: Plane) -> None:
    client = plane.client(config=UNVALIDATED)
    for name in ("with.dot", "x" * 141, "with space", f"{uuid.uuid4()}:1"):
        with pytest.raises(ClientError) as caught:
            publish(client, name)
        assert caught.value.response["Error"]["Code"] == "ValidationException"
        assert " at 'layerName' failed to satisfy constraint: " in caught.value.response["Error"]["Message"]
    assert publish(client, "x" * 140)["Version"] == 1
