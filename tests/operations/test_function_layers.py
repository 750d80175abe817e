"""The layers of a function: which may be named, how large they may be, how they are shown."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.operations.conftest import CODE, Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_code import ELF, OTHER_ARCHITECTURE, THIS_ARCHITECTURE
from tests.operations.test_functions import UNVALIDATED
from tests.operations.test_layers import CONTENT, layer_arn, publish
from tests.support import make_zip


@pytest.fixture
def layers(client: Any, unique_name: str) -> list[str]:
    """The ARNs of six layers' first versions."""
    return [publish(client, f"{unique_name}-{n}")["LayerVersionArn"] for n in range(6)]


def test_layers_are_shown_in_their_order(create: Create, client: Any, unique_name: str, layers: list[str]) -> None:
    chosen = [layers[2], layers[0]]
    expected = [{"Arn": arn, "CodeSize": len(CONTENT)} for arn in chosen]
    assert create(Layers=chosen, Publish=True)["Layers"] == expected
    assert client.get_function(FunctionName=unique_name, Qualifier="1")["Configuration"]["Layers"] == expected
    listed = client.list_versions_by_function(FunctionName=unique_name)["Versions"]
    assert [version["Layers"] for version in listed] == [expected, expected]
    updated = client.update_function_configuration(FunctionName=unique_name, Layers=layers[:5])
    assert [layer["Arn"] for layer in updated["Layers"]] == layers[:5]
    assert client.publish_version(FunctionName=unique_name)["Version"] == "2", "other layers are another function"
    assert "Layers" not in client.update_function_configuration(FunctionName=unique_name, Layers=[])
    assert "Layers" in client.get_function_configuration(FunctionName=unique_name, Qualifier="2")


def test_layers_stay_when_an_update_does_not_name_them(
    create: Create, client: Any, unique_name: str, layers: list[str]
) -> None:
    create(Layers=layers[:1])
    assert client.update_function_configuration(FunctionName=unique_name, Timeout=9)["Layers"][0]["Arn"] == layers[0]
    assert client.update_function_code(FunctionName=unique_name, ZipFile=CODE)["Layers"][0]["Arn"] == layers[0]


def test_layers_read_back_after_a_restart(tmp_path: Path) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        arns = [publish(client, name)["LayerVersionArn"] for name in ("b", "a")]
        created = client.create_function(**function_params("f", Layers=arns))
        plane.restart()
        assert client.get_function_configuration(FunctionName="f")["Layers"] == created["Layers"]


def _both(
    create: Create, client: Any, name: str, layers: list[str], code: str, message: str, status: int = 400
) -> None:
    """Refused alike when a function is created and when it is updated."""
    with refused(code, message, status):
        create(FunctionName=f"{name}-new", Layers=layers)
    with refused(code, message, status):
        client.update_function_configuration(FunctionName=name, Layers=layers)
    assert "Layers" not in client.get_function_configuration(FunctionName=name)


def test_six_layers(create: Create, client: Any, unique_name: str, layers: list[str]) -> None:
    create()
    message = "Cannot reference more than 5 layers."
    _both(create, client, unique_name, layers, "InvalidParameterValueException", message)


def test_two_versions_of_one_layer(create: Create, client: Any, unique_name: str, layers: list[str]) -> None:
    create()
    name = f"{unique_name}-0"
    publish(client, name)
    publish(client, name)
    for second, third in ((2, 3), (1, 2)):
        message = (
            "Two different versions of the same layer are not allowed to be referenced in the same function. "
            f"{layer_arn(name, 1)} and {layer_arn(name, second)} are versions of the same layer."
        )
        given = [layer_arn(name, number) for number in (1, second, third)]
        _both(create, client, unique_name, given, "InvalidParameterValueException", message)
        _both(create, client, unique_name, given[:2], "InvalidParameterValueException", message)


def test_layers_that_are_not_there(create: Create, client: Any, unique_name: str, layers: list[str]) -> None:
    create()
    for arn in (
        layer_arn(f"{unique_name}-0", 9),
        layer_arn(f"{unique_name}-none", 1),
        "arn:aws:lambda:::awslayer:AmazonLinux1803",
    ):
        message = f"Layer version {arn} does not exist."
        _both(create, client, unique_name, [layers[1], arn], "InvalidParameterValueException", message)


def test_a_layer_of_another_region(create: Create, plane: Plane, client: Any, unique_name: str) -> None:
    create()
    arn = publish(plane.client(region="eu-west-1"), unique_name)["LayerVersionArn"]
    message = "Layers are not in the same region as the function. Layers are expected to be in region us-east-1."
    _both(create, client, unique_name, [arn], "InvalidParameterValueException", message)
    elsewhere = layer_arn(unique_name, 9, region="eu-west-1")
    _both(create, client, unique_name, [elsewhere], "InvalidParameterValueException", message)


def test_layers_of_another_account(create: Create, plane: Plane, client: Any, unique_name: str) -> None:
    create()
    theirs = publish(plane.client(account="111122223333"), unique_name)["LayerVersionArn"]
    shared_elsewhere = publish(plane.client(account="111122223333", region="eu-west-1"), unique_name)["LayerVersionArn"]
    plane.client(account="111122223333", region="eu-west-1").add_layer_version_permission(
        LayerName=unique_name, VersionNumber=1, StatementId="s", Action="lambda:GetLayerVersion", Principal="*"
    )
    for arn in (theirs, layer_arn("none", 1, account="111122223333"), shared_elsewhere):
        message = (
            "User: arn:aws:iam::000000000000:root is not authorized to perform: lambda:GetLayerVersion on resource: "
            f"{arn} because no resource-based policy allows the lambda:GetLayerVersion action"
        )
        _both(create, client, unique_name, [arn], "AccessDeniedException", message, 403)


@pytest.mark.parametrize("arn", [layer_arn("l"), "l", "l:1", f"{layer_arn('l')}:x"])
def test_what_names_no_version(plane: Plane, arn: str) -> None:
    client = plane.client(config=UNVALIDATED)
    with pytest.raises(ClientError) as caught:
        client.create_function(**function_params(str(uuid.uuid4()), Layers=[arn]))
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith(
        f"1 validation error detected: Value '[{arn}]' at 'layers' failed to satisfy constraint: Member must satisfy "
        "constraint: [Member must have length less than or equal to 2048, Member must have length greater than or "
        "equal to 1, Member must satisfy regular expression pattern: "
    )
    assert error["Message"].endswith(", Member must not be null]")


# -- sizes -----------------------------------------------------------------------------------------------------------


def _of_size(size: int) -> bytes:
    return make_zip({"data": "x" * size})


def test_layers_and_code_that_are_too_large_together(tmp_path: Path) -> None:
    with Plane(tmp_path, max_unzipped_bytes=1000) as plane:
        client = plane.client()
        sizes = {"a": 500, "b": 400, "c": 200}
        a, b, c = (publish(client, name, _of_size(size))["LayerVersionArn"] for name, size in sizes.items())
        code = {"ZipFile": _of_size(100)}
        client.create_function(**function_params("f", Code=code, Layers=[a, b]))
        alone = "Layers consume more than the available size of 1000 bytes"
        together = (
            "Function code combined with layers exceeds the maximum allowed size of 1000 bytes. "
            "The actual size is {} bytes."
        )
        for given, message in (([a, b, c], alone), ([a, b], together.format(1001)), ([b, a], together.format(1001))):
            with refused("InvalidParameterValueException", message):
                client.create_function(**function_params("g", Code={"ZipFile": _of_size(101)}, Layers=given))
        with refused("InvalidParameterValueException", alone):
            client.update_function_configuration(FunctionName="f", Layers=[a, b, c])
        with refused("InvalidParameterValueException", together.format(1400)):
            client.update_function_code(FunctionName="f", ZipFile=_of_size(500))
        client.update_function_configuration(FunctionName="f", Layers=[b, c])
        with refused("InvalidParameterValueException", together.format(1001)):
            client.update_function_code(FunctionName="f", ZipFile=_of_size(401))
        client.update_function_code(FunctionName="f", ZipFile=_of_size(400))
        with refused("InvalidParameterValueException", together.format(1300)):
            client.update_function_configuration(FunctionName="f", Layers=[a, b])


# -- runtimes and architectures --------------------------------------------------------------------------------------


def test_what_a_layer_says_it_is_compatible_with_is_not_enforced(client: Any, unique_name: str) -> None:
    arn = publish(client, unique_name, CompatibleRuntimes=["nodejs22.x"], CompatibleArchitectures=[OTHER_ARCHITECTURE])[
        "LayerVersionArn"
    ]
    params = function_params(unique_name, Layers=[arn], Architectures=[THIS_ARCHITECTURE])
    assert client.create_function(**params)["Layers"][0]["Arn"] == arn


def test_compiled_files_this_machine_cannot_run(client: Any, unique_name: str) -> None:
    content = make_zip({"python/a.py": "", "python/fast.so": ELF})
    arn = publish(client, unique_name, content)["LayerVersionArn"]
    params = function_params(unique_name, Layers=[arn], Architectures=[OTHER_ARCHITECTURE])
    with pytest.raises(ClientError) as caught:
        client.create_function(**params)
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidParameterValueException"
    assert f"compiled file python/fast.so of the layer {arn} ({OTHER_ARCHITECTURE})" in error["Message"]

    client.create_function(**{**params, "Architectures": [THIS_ARCHITECTURE]})
    with pytest.raises(ClientError, match=r"python/fast\.so of the layer"):
        client.update_function_code(FunctionName=unique_name, ZipFile=CODE, Architectures=[OTHER_ARCHITECTURE])
    client.create_function(**{**params, "FunctionName": f"{unique_name}-node", "Runtime": "nodejs22.x"})
