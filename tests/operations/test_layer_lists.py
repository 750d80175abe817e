"""ListLayers and ListLayerVersions through boto3: order, pages, and what is compatible with what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import UNVALIDATED, without_metadata
from tests.operations.test_layers import layer_arn, numbers, publish


def test_versions_are_listed_newest_first(client: Any, unique_name: str) -> None:
    published = [publish(client, unique_name, Description=str(n), LicenseInfo="MIT") for n in range(3)]
    answer = client.list_layer_versions(LayerName=unique_name)
    assert without_metadata(answer) == {
        "LayerVersions": [
            {
                "LayerVersionArn": version["LayerVersionArn"],
                "Version": version["Version"],
                "Description": version["Description"],
                "CreatedDate": version["CreatedDate"],
                "LicenseInfo": "MIT",
            }
            for version in reversed(published)
        ]
    }
    assert numbers(client, layer_arn(unique_name)) == [3, 2, 1]


def test_versions_are_paged(client: Any, unique_name: str) -> None:
    for _ in range(5):
        publish(client, unique_name)
    first = client.list_layer_versions(LayerName=unique_name, MaxItems=2)
    assert [version["Version"] for version in first["LayerVersions"]] == [5, 4]
    client.delete_layer_version(LayerName=unique_name, VersionNumber=4)
    publish(client, unique_name)
    second = client.list_layer_versions(LayerName=unique_name, MaxItems=2, Marker=first["NextMarker"])
    assert [version["Version"] for version in second["LayerVersions"]] == [3, 2]
    last = client.list_layer_versions(LayerName=unique_name, MaxItems=2, Marker=second["NextMarker"])
    assert [version["Version"] for version in last["LayerVersions"]] == [1]
    assert "NextMarker" not in last
    pages = client.get_paginator("list_layer_versions").paginate(LayerName=unique_name, MaxItems=2)
    assert [version["Version"] for page in pages for version in page["LayerVersions"]] == [6, 5, 3, 2, 1]


def test_versions_by_what_they_are_compatible_with(client: Any, unique_name: str) -> None:
    publish(client, unique_name, CompatibleRuntimes=["python3.11", "python3.12"], CompatibleArchitectures=["x86_64"])
    publish(client, unique_name, CompatibleRuntimes=["python3.12"], CompatibleArchitectures=["arm64"])
    publish(client, unique_name)
    assert numbers(client, unique_name, CompatibleRuntime="python3.12") == [2, 1]
    assert numbers(client, unique_name, CompatibleRuntime="python3.11") == [1]
    assert numbers(client, unique_name, CompatibleRuntime="nodejs22.x") == []
    assert numbers(client, unique_name, CompatibleArchitecture="arm64") == [2]
    assert numbers(client, unique_name, CompatibleArchitecture="arm64", CompatibleRuntime="python3.11") == []


def test_layers_are_listed_by_name_with_their_newest_version(tmp_path: Path) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        assert without_metadata(client.list_layers()) == {"Layers": []}
        publish(client, "b", CompatibleRuntimes=["python3.11"], Description="old")
        newest = publish(client, "b", CompatibleRuntimes=["python3.12"], CompatibleArchitectures=["arm64"])
        publish(client, "a")
        publish(client, "c")
        client.delete_layer_version(LayerName="c", VersionNumber=1)
        listed = client.list_layers()["Layers"]
        assert [layer["LayerName"] for layer in listed] == ["a", "b"], "one without versions is not shown"
        assert listed[1] == {
            "LayerName": "b",
            "LayerArn": layer_arn("b"),
            "LatestMatchingVersion": {
                "LayerVersionArn": layer_arn("b", 2),
                "Version": 2,
                "Description": "",
                "CreatedDate": newest["CreatedDate"],
                "CompatibleRuntimes": ["python3.12"],
                "CompatibleArchitectures": ["arm64"],
            },
        }
        matching = client.list_layers(CompatibleRuntime="python3.11")["Layers"]
        assert [layer["LatestMatchingVersion"]["Version"] for layer in matching] == [1], "the newest that matches"
        assert [layer["LayerName"] for layer in client.list_layers(CompatibleArchitecture="arm64")["Layers"]] == ["b"]
        assert client.list_layers(CompatibleArchitecture="x86_64")["Layers"] == []


def test_layers_are_paged(tmp_path: Path) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        for n in range(52):
            publish(client, f"l{n:02}")
        first = client.list_layers()
        assert len(first["Layers"]) == 50
        assert [layer["LayerName"] for layer in client.list_layers(Marker=first["NextMarker"])["Layers"]] == [
            "l50",
            "l51",
        ]
        pages = list(client.get_paginator("list_layers").paginate(MaxItems=20))
        assert [len(page["Layers"]) for page in pages] == [20, 20, 12]


@pytest.mark.parametrize("size", [0, 51])
def test_page_sizes_that_are_refused(plane: Plane, size: int) -> None:
    client = plane.client(config=UNVALIDATED)
    bound = "greater than or equal to 1" if size == 0 else "less than or equal to 50"
    message = (
        f"1 validation error detected: Value '{size}' at 'maxItems' failed to satisfy constraint: "
        f"Member must have value {bound}"
    )
    for call in (client.list_layers, lambda **given: client.list_layer_versions(LayerName="l", **given)):
        with refused("ValidationException", message):
            call(MaxItems=size)


def test_a_marker_that_is_none(client: Any) -> None:
    with pytest.raises(ClientError) as caught:
        client.list_layers(Marker="nonsense")
    assert caught.value.response["Error"]["Code"] == "InvalidParameterValueException"
