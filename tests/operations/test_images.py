"""Functions whose package is a container image."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.operations.conftest import OTHER_CODE, Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import without_metadata

REPOSITORY = "000000000000.dkr.ecr.us-east-1.amazonaws.com/thumbs/maker"
DIGEST = hashlib.sha256(b"image").hexdigest()
TAGGED = f"{REPOSITORY}:v1"
PINNED = f"{REPOSITORY}@sha256:{DIGEST}"
IMAGE: dict[str, Any] = {"PackageType": "Image", "Runtime": None, "Handler": None, "Code": {"ImageUri": PINNED}}
CONFIG = {"EntryPoint": ["/run"], "Command": ["app.handler"], "WorkingDirectory": "/srv"}
NOT_WITH_IMAGES = "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
LAYER = "arn:aws:lambda:us-east-1:000000000000:layer:l:1"


def test_what_is_shown(held_plane: Plane) -> None:
    client = held_plane.client()
    created = without_metadata(client.create_function(**function_params("f", **IMAGE, ImageConfig=CONFIG)))
    assert (created["PackageType"], created["CodeSha256"], created["CodeSize"]) == ("Image", DIGEST, 0)
    assert created["ImageConfigResponse"] == {"ImageConfig": CONFIG}
    assert created["State"] == "Pending"
    assert created.keys().isdisjoint({"Runtime", "Handler", "RuntimeVersionConfig", "Layers"})
    held_plane.restart()
    got = client.get_function(FunctionName="f")
    assert got["Code"] == {"RepositoryType": "ECR", "ImageUri": PINNED, "ResolvedImageUri": PINNED}
    assert (got["Configuration"]["State"], got["Configuration"]["CodeSha256"]) == ("Active", DIGEST)
    assert client.get_account_settings()["AccountUsage"]["TotalCodeSize"] == 0


def test_a_tag_stands_for_a_digest(create: Create, client: Any, unique_name: str) -> None:
    created = create(**{**IMAGE, "Code": {"ImageUri": TAGGED}})
    code = client.get_function(FunctionName=unique_name)["Code"]
    assert code["ImageUri"] == TAGGED
    assert code["ResolvedImageUri"] == f"{REPOSITORY}@sha256:{created['CodeSha256']}"
    assert len(bytes.fromhex(created["CodeSha256"])) == 32


def test_new_code(create: Create, client: Any, unique_name: str) -> None:
    create(**IMAGE, Publish=True)
    unchanged = client.update_function_code(FunctionName=unique_name, ImageUri=PINNED, Publish=True)
    assert unchanged["Version"] == "1"
    changed = client.update_function_code(FunctionName=unique_name, ImageUri=TAGGED, Publish=True)
    assert (changed["Version"], changed["CodeSha256"] != DIGEST) == ("2", True)
    assert client.get_function(FunctionName=unique_name, Qualifier="1")["Code"]["ImageUri"] == PINNED
    arm = client.update_function_code(FunctionName=unique_name, ImageUri=TAGGED, Architectures=["arm64"])
    assert arm["Architectures"] == ["arm64"]


def test_settings_of_the_image_are_replaced_whole(create: Create, client: Any, unique_name: str) -> None:
    assert "ImageConfigResponse" not in create(**IMAGE)
    for given, expected in (
        (CONFIG, {"ImageConfig": CONFIG}),
        ({"Command": ["b"]}, {"ImageConfig": {"Command": ["b"]}}),
        ({}, None),
    ):
        answer = client.update_function_configuration(FunctionName=unique_name, ImageConfig=given)
        assert answer.get("ImageConfigResponse") == expected


def test_snapstart_goes_with_images(create: Create) -> None:
    assert create(**IMAGE, SnapStart={"ApplyOn": "PublishedVersions"})["SnapStart"]["ApplyOn"] == "PublishedVersions"


@pytest.mark.parametrize(
    "uri",
    [
        "thumbs:latest",
        "public.ecr.aws/lambda/python:3.12",
        "docker.io/library/python:3.12",
        REPOSITORY,
        f"{REPOSITORY}@sha256:abc",
        f"{REPOSITORY}:",
        "000000000000.dkr.ecr.us-east-1.amazonaws.com/UPPER:v1",
        f"https://{TAGGED}",
    ],
)
def test_what_is_no_image_of_a_private_repository(create: Create, client: Any, unique_name: str, uri: str) -> None:
    message = f"Source image {uri} is not valid. Provide a valid source image."
    with refused("InvalidParameterValueException", message):
        create(**{**IMAGE, "Code": {"ImageUri": uri}})
    create(**IMAGE)
    with refused("InvalidParameterValueException", message):
        client.update_function_code(FunctionName=unique_name, ImageUri=uri)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Runtime": "python3.12"}, NOT_WITH_IMAGES),
        ({"Handler": "app.handler"}, NOT_WITH_IMAGES),
        ({"Layers": [LAYER]}, NOT_WITH_IMAGES),
        (
            {"CodeSigningConfigArn": "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0"},
            "Code signing is not supported for functions created with container images.",
        ),
        ({"Code": {"ZipFile": OTHER_CODE}}, "Please provide ImageUri when creating a function with packageType Image."),
        ({"Code": {}}, "Please provide ImageUri when creating a function with packageType Image."),
        (
            {"Code": {"ImageUri": PINNED, "S3Bucket": "bbb", "S3Key": "k"}},
            "Please provide ImageUri when creating a function with packageType Image.",
        ),
    ],
)
def test_what_does_not_go_with_an_image(create: Create, changes: dict[str, Any], message: str) -> None:
    with refused("InvalidParameterValueException", message):
        create(**{**IMAGE, **changes})


@pytest.mark.parametrize("changes", [{"Runtime": "python3.12"}, {"Handler": "a.b"}, {"Layers": [LAYER]}])
def test_an_update_cannot_bring_it_either(
    create: Create, client: Any, unique_name: str, changes: dict[str, Any]
) -> None:
    create(**IMAGE)
    with refused("InvalidParameterValueException", NOT_WITH_IMAGES):
        client.update_function_configuration(FunctionName=unique_name, **changes)


def test_a_zip_for_an_image_function(create: Create, client: Any, unique_name: str) -> None:
    create(**IMAGE)
    message = "Please provide ImageUri when updating a function with packageType Image."
    for source in ({"ZipFile": OTHER_CODE}, {"S3Bucket": "bbb", "S3Key": "k"}, {}):
        with refused("InvalidParameterValueException", message):
            client.update_function_code(FunctionName=unique_name, **source)
