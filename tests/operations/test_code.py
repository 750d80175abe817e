"""Code: from the request and from S3, what is refused, where it can be downloaded, what it counts as."""

from __future__ import annotations

import hashlib
import platform
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pilotlight.clock import ManualClock
from pilotlight.operations.code_location import LIFETIME_MS
from pilotlight.operations.collection import collect_unused
from tests.operations.conftest import CODE, OTHER_CODE, Create, function_params
from tests.operations.errors import refused
from tests.operations.plane import NO_SUCH_KEY, Plane
from tests.operations.test_updates import sha256
from tests.support import make_zip

UNREADABLE = "Could not unzip uploaded file. Please check your file, then try to upload again."
OTHER_ARCHITECTURE = "x86_64" if platform.machine() == "aarch64" else "arm64"
THIS_ARCHITECTURE = "arm64" if platform.machine() == "aarch64" else "x86_64"
ELF = bytes([0x7F, *b"ELF", 2, 1, 1, *[0] * 9, 3, 0, 0xB7 if OTHER_ARCHITECTURE == "arm64" else 0x3E, 0]) + bytes(100)


def fetch(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def location(client: Any, name: str, **params: str) -> str:
    return client.get_function(FunctionName=name, **params)["Code"]["Location"]


# -- where it can be downloaded --------------------------------------------------------------------------------------


def test_the_location_can_be_downloaded(create: Create, client: Any, plane: Plane, unique_name: str) -> None:
    create(Publish=True)
    client.update_function_code(FunctionName=unique_name, ZipFile=OTHER_CODE)
    url = location(client, unique_name)
    assert url.startswith(f"{plane.endpoint}/_pilotlight/code/")
    assert fetch(url) == (200, OTHER_CODE)
    assert fetch(location(client, unique_name, Qualifier="1")) == (200, CODE)


def test_a_location_that_was_tampered_with(create: Create, client: Any, unique_name: str) -> None:
    create()
    other = client.update_function_code(FunctionName=unique_name, ZipFile=OTHER_CODE)
    url = location(client, unique_name)
    base, _, query = url.partition("?")
    assert other["CodeSha256"] == sha256(OTHER_CODE)
    for tampered in (
        base,
        url.replace("expires=", "expires=9"),
        url.replace("sig=", "sig=0"),
        f"{base[:-64]}{'0' * 64}?{query}",
        url.replace("expires=", "expires=x"),
    ):
        status, body = fetch(tampered)
        assert status == 403
        assert OTHER_CODE not in body


def test_a_location_expires(held_plane: Plane) -> None:
    client = held_plane.client()
    client.create_function(**function_params("f"))
    url = location(client, "f")
    held_plane.advance(LIFETIME_MS - 1)
    assert fetch(url)[0] == 200
    held_plane.advance(1)
    status, body = fetch(url)
    assert (status, b"Request has expired" in body) == (403, True)


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"this is not a zip", CODE[:-30], CODE[:40]], ids=["text", "truncated", "cut short"])
def test_not_a_zip(create: Create, client: Any, unique_name: str, data: bytes) -> None:
    with refused("InvalidParameterValueException", UNREADABLE):
        create(Code={"ZipFile": data})
    create()
    with refused("InvalidParameterValueException", UNREADABLE):
        client.update_function_code(FunctionName=unique_name, ZipFile=data)
    assert client.get_function_configuration(FunctionName=unique_name)["CodeSha256"] == sha256(CODE)


@pytest.mark.parametrize("path", ["../outside.py", "/etc/outside.py", "a/../../outside.py"])
def test_paths_out_of_the_package(create: Create, client: Any, unique_name: str, path: str) -> None:
    with pytest.raises(ClientError) as caught:
        create(Code={"ZipFile": make_zip({path: "x"})})
    assert caught.value.response["Error"]["Code"] == "InvalidParameterValueException"
    with pytest.raises(ClientError, match="Function not found"):
        client.get_function(FunctionName=unique_name)


def test_a_bomb(tmp_path: Path) -> None:
    with Plane(tmp_path, max_unzipped_bytes=262144000) as plane:
        bomb = make_zip({"zeros": bytes(263_000_000)})
        assert len(bomb) < 1_000_000
        with refused("InvalidParameterValueException", "Unzipped size must be smaller than 262144000 bytes"):
            plane.client().create_function(**function_params("f", Code={"ZipFile": bomb}))


def test_more_than_may_be_uploaded_directly(tmp_path: Path) -> None:
    with Plane(tmp_path, max_zipped_bytes=len(CODE) - 1) as plane:
        client = plane.client()
        message = f"Zipped size must be smaller than {len(CODE) - 1} bytes"
        with refused("RequestEntityTooLargeException", message, 413):
            client.create_function(**function_params("f"))
        plane.buckets.objects["code", "f.zip", None] = CODE
        client.create_function(**function_params("f", Code={"S3Bucket": "code", "S3Key": "f.zip"}))


@pytest.mark.parametrize("code", [{}, {"S3Bucket": "bucket"}, {"S3Key": "key"}, {"ZipFile": b""}])
def test_no_source(create: Create, code: dict[str, Any]) -> None:
    with refused("InvalidParameterValueException", "Please provide a source for function code."):
        create(Code=code)


def test_two_sources(create: Create) -> None:
    message = "Please do not provide other FunctionCode parameters when providing a ZipFile."
    with refused("InvalidParameterValueException", message):
        create(Code={"ZipFile": CODE, "S3Bucket": "bucket", "S3Key": "key"})


# -- from S3 ---------------------------------------------------------------------------------------------------------


def test_from_s3(create: Create, client: Any, plane: Plane, unique_name: str) -> None:
    bucket = f"b-{unique_name}"
    plane.buckets.objects[bucket, "code/f.zip", None] = CODE
    plane.buckets.objects[bucket, "code/f.zip", "v2"] = OTHER_CODE
    answer = create(Code={"S3Bucket": bucket, "S3Key": "code/f.zip"})
    assert (answer["CodeSha256"], answer["CodeSize"]) == (sha256(CODE), len(CODE))
    answer = client.update_function_code(
        FunctionName=unique_name, S3Bucket=bucket, S3Key="code/f.zip", S3ObjectVersion="v2"
    )
    assert answer["CodeSha256"] == sha256(OTHER_CODE)
    assert fetch(location(client, unique_name)) == (200, OTHER_CODE)


def test_not_in_s3(create: Create, client: Any, unique_name: str) -> None:
    with refused("InvalidParameterValueException", NO_SUCH_KEY):
        create(Code={"S3Bucket": f"b-{unique_name}", "S3Key": "none.zip"})
    create()
    with refused("InvalidParameterValueException", NO_SUCH_KEY):
        client.update_function_code(FunctionName=unique_name, S3Bucket=f"b-{unique_name}", S3Key="none.zip")


def test_more_in_s3_than_any_package_may_be(tmp_path: Path) -> None:
    with Plane(tmp_path, max_unzipped_bytes=len(CODE) - 1) as plane:
        plane.buckets.objects["code", "f.zip", None] = CODE
        with refused("InvalidParameterValueException", f"Unzipped size must be smaller than {len(CODE) - 1} bytes"):
            plane.client().create_function(**function_params("f", Code={"S3Bucket": "code", "S3Key": "f.zip"}))


def test_no_zip_in_s3(create: Create, plane: Plane, unique_name: str) -> None:
    plane.buckets.objects[f"b-{unique_name}", "f.zip", None] = b"not a zip"
    with refused("InvalidParameterValueException", UNREADABLE):
        create(Code={"S3Bucket": f"b-{unique_name}", "S3Key": "f.zip"})


# -- the other architecture ------------------------------------------------------------------------------------------


def test_the_other_architecture_runs_here_when_nothing_is_compiled(create: Create) -> None:
    assert create(Architectures=[OTHER_ARCHITECTURE])["Architectures"] == [OTHER_ARCHITECTURE]


def test_compiled_files_are_named(create: Create, client: Any, unique_name: str) -> None:
    compiled = make_zip({"app.py": "", "lib/fast.so": ELF})
    with pytest.raises(ClientError) as caught:
        create(Architectures=[OTHER_ARCHITECTURE], Code={"ZipFile": compiled})
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidParameterValueException"
    assert "lib/fast.so" in error["Message"]
    create()
    with pytest.raises(ClientError, match=r"lib/fast\.so"):
        client.update_function_code(FunctionName=unique_name, ZipFile=compiled, Architectures=[OTHER_ARCHITECTURE])
    updated = client.update_function_code(FunctionName=unique_name, ZipFile=CODE, Architectures=[OTHER_ARCHITECTURE])
    assert updated["Architectures"] == [OTHER_ARCHITECTURE]
    with pytest.raises(ClientError, match=r"lib/fast\.so"):
        client.update_function_code(FunctionName=unique_name, ZipFile=compiled)
    back = client.update_function_code(FunctionName=unique_name, ZipFile=compiled, Architectures=[THIS_ARCHITECTURE])
    assert back["Architectures"] == [THIS_ARCHITECTURE]


# -- what it counts as -----------------------------------------------------------------------------------------------


def test_account_settings_have_true_numbers(plane: Plane) -> None:
    client = plane.client(account=f"{uuid.uuid4().int % 10**12:012}")
    settings = client.get_account_settings()
    assert settings["AccountLimit"] == {
        "TotalCodeSize": 322_122_547_200,
        "CodeSizeUnzipped": 262_144_000,
        "CodeSizeZipped": 52_428_800,
        "ConcurrentExecutions": 1000,
        "UnreservedConcurrentExecutions": 1000,
    }
    assert settings["AccountUsage"] == {"TotalCodeSize": 0, "FunctionCount": 0}
    code = {"ZipFile": make_zip({"app.py": "x" * 1000, "data": "y" * 234})}
    client.create_function(**function_params("f", Code=code))
    client.create_function(**function_params("g", Code=code, Publish=True))
    usage = client.get_account_settings()["AccountUsage"]
    assert usage == {"TotalCodeSize": 3 * 1234, "FunctionCount": 2}
    client.delete_function(FunctionName="g")
    assert client.get_account_settings()["AccountUsage"] == {"TotalCodeSize": 1234, "FunctionCount": 1}


def test_code_storage_has_a_quota(tmp_path: Path) -> None:
    with Plane(tmp_path, code_storage_bytes=2500) as plane:
        client = plane.client()
        code = {"ZipFile": make_zip("x" * 1000)}
        client.create_function(**function_params("f", Code=code))
        client.create_function(**function_params("g", Code=code))
        for attempt in (
            lambda: client.create_function(**function_params("h", Code=code)),
            lambda: client.publish_version(FunctionName="f"),
            lambda: client.update_function_code(FunctionName="f", ZipFile=make_zip("x" * 1501)),
            lambda: client.update_function_code(FunctionName="f", ZipFile=code["ZipFile"], Publish=True),
        ):
            with refused("CodeStorageExceededException", "Code storage limit exceeded."):
                attempt()
        client.delete_function(FunctionName="g")
        client.publish_version(FunctionName="f")


def test_packages_nothing_refers_to_are_collected(tmp_path: Path) -> None:
    with Plane(tmp_path) as plane:
        client = plane.client()
        client.create_function(**function_params("f", Publish=True))
        client.update_function_code(FunctionName="f", ZipFile=OTHER_CODE)
        orphan = make_zip("orphan")
        client.update_function_code(FunctionName="f", ZipFile=orphan, DryRun=True)
        last_week, next_week = (time.time_ns() // 1_000_000 + days * 86_400_000 for days in (-7, 7))
        assert plane.run(collect_unused(plane.context, last_week)) == [], "too young"
        assert plane.run(collect_unused(plane.context, next_week)) == [hashlib.sha256(orphan).hexdigest()]
        assert fetch(location(client, "f")) == (200, OTHER_CODE)
        assert fetch(location(client, "f", Qualifier="1")) == (200, CODE)
        gone = location(client, "f", Qualifier="1")
        client.delete_function(FunctionName="f", Qualifier="1")
        assert plane.run(collect_unused(plane.context, next_week)) == [hashlib.sha256(CODE).hexdigest()]
        assert fetch(gone)[0] == 404


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    with Plane(tmp_path, clock=ManualClock()) as plane:
        client = plane.client()
        for number in range(5):
            name = f"f{number}"
            client.create_function(**function_params(name, Publish=True, Tags={"n": name}, MemorySize=128 + number))
            client.add_permission(
                FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
            )
            client.update_function_code(FunctionName=name, ZipFile=OTHER_CODE)

        def everything() -> list[Any]:
            read = [client.list_functions(FunctionVersion="ALL")["Functions"], client.get_account_settings()]
            for number in range(5):
                read.append(client.get_function(FunctionName=f"f{number}"))
                read.append(client.get_function(FunctionName=f"f{number}", Qualifier="1"))
                read.append(client.get_policy(FunctionName=f"f{number}"))
            for answer in read[1:]:
                answer.pop("ResponseMetadata")
            return read

        before = everything()
        plane.restart()
        assert everything() == before, "and with them the download links, which the same key has signed"
        assert fetch(location(client, "f3")) == (200, OTHER_CODE)
        assert fetch(location(client, "f3", Qualifier="1")) == (200, CODE)
