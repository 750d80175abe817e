"""A node whose disk is full answers errors, keeps serving what needs no disk, and loses nothing it accepted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.e2e.functions import create, invoke
from tests.support import make_zip, node_process
from tests.support.disks import small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 64) as place:
        yield place


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def test_a_full_disk(disk: Path, unique_name: str) -> None:
    ballast = disk / "ballast"
    with node_process(disk / "data", state_delay_ms=0, neighbours=False) as node:
        client = node.client("lambda")
        create(client, unique_name, "n = 0\ndef handler(e, c):\n    global n\n    n += 1\n    return n\n")
        assert invoke(client, unique_name) == 1
        _fill(ballast)
        big = make_zip({"app.py": "def handler(e, c): return 1", "data": os.urandom(200_000)})
        members = {"Runtime": "python3.11", "Role": "arn:aws:iam::000000000000:role/r", "Handler": "app.handler"}
        with pytest.raises(ClientError) as caught:
            client.create_function(FunctionName=unique_name + "-2", Code={"ZipFile": big}, **members)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
        assert caught.value.response["Error"]["Code"] == "ServiceException"
        accepted = refused = 0
        for _ in range(200):
            try:
                client.invoke(FunctionName=unique_name, InvocationType="Event", Payload=b'"' + b"x" * 50_000 + b'"')
                accepted += 1
            except ClientError as error:
                assert error.response["Error"]["Code"] == "ServiceException"
                refused += 1
        assert refused, "the disk was not full"
        assert invoke(client, unique_name) > 1, "what needs no disk goes on"
        ballast.unlink()
        answer = client.invoke(FunctionName=unique_name, InvocationType="Event", Payload=b"1")
        assert answer["StatusCode"] == 202
        create(client, unique_name + "-2", {"app.py": "def handler(e, c): return 2"})
        assert invoke(client, unique_name + "-2") == 2
        node.kill()
        node.start()
        client = node.client("lambda")
        names = {function["FunctionName"] for function in client.list_functions()["Functions"]}
        assert names == {unique_name, unique_name + "-2"}
        assert invoke(client, unique_name) >= 1
