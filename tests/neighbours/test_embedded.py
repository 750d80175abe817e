"""The embedded process: started once, on first use, by itself; gone with the node; back when it died."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pilotlight.errors import InvalidParameterValueException, ServiceUnavailableException
from pilotlight.neighbours.embedded import Embedded
from pilotlight.neighbours.neighbours import Neighbours
from pilotlight.neighbours.routing import Routing
from pilotlight.settings import Settings, SettingsError
from tests.neighbours.harness import ACCOUNT, REGION, Front
from tests.support import eventually


def alive(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


async def test_one_process_however_many_ask_at_once(tmp_path: Path) -> None:
    neighbours = Neighbours(Settings(data_dir=str(tmp_path)))
    try:
        assert neighbours.embedded.pid is None
        answers = await asyncio.gather(
            *(neighbours.request("s3", ACCOUNT, REGION, "GET", "/", headers={}) for _ in range(20))
        )
        assert {answer.status for answer in answers} == {200}
        assert neighbours.embedded.starts == 1
        socket_path = tmp_path / "neighbours" / "moto.sock"
        assert stat.S_IMODE(socket_path.stat().st_mode) & 0o077 == 0
        assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700
        pid = neighbours.embedded.pid
        assert pid is not None
    finally:
        await neighbours.stop()
    assert not alive(pid)
    assert not socket_path.exists()


async def test_a_data_directory_with_a_long_name(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    neighbours = Neighbours(Settings(data_dir=str(deep)))
    try:
        assert (await neighbours.request("s3", ACCOUNT, REGION, "GET", "/")).status == 200
    finally:
        await neighbours.stop()


async def test_it_is_started_again_when_it_was_killed(tmp_path: Path) -> None:
    fresh: list[int] = []

    async def started() -> None:
        fresh.append(1)

    embedded = Embedded(tmp_path, ACCOUNT, started)
    try:
        await embedded.session()
        first = embedded.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        process = embedded._process
        assert process is not None
        await process.wait()
        await embedded.session()
        assert embedded.pid not in (None, first)
        assert len(fresh) == 2
    finally:
        await embedded.stop()


def test_a_killed_one_is_replaced_within_the_next_request() -> None:
    with Front() as front:
        client = front.client()
        client.create_bucket(Bucket="before")
        pid = front.neighbours.embedded.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not alive(pid))
        assert client.list_buckets()["Buckets"] == []


NODE = """
import asyncio, sys
from pilotlight.neighbours.neighbours import Neighbours
from pilotlight.settings import Settings

async def main():
    neighbours = Neighbours(Settings(data_dir=sys.argv[1]))
    await neighbours.request("s3", "000000000000", "us-east-1", "GET", "/")
    print(neighbours.embedded.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_dies_with_a_node_that_is_killed(tmp_path: Path) -> None:
    node = subprocess.Popen([sys.executable, "-c", NODE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert node.stdout is not None
    with node.stdout:
        pid = int(node.stdout.readline())
        assert alive(pid)
        node.kill()
        node.wait()
        eventually(lambda: not alive(pid), what="the embedded process to end")


async def test_one_that_cannot_start_says_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "neighbours").mkdir()
    (tmp_path / "neighbours" / "moto.sock").mkdir()  # a directory cannot be replaced by a socket
    neighbours = Neighbours(Settings(data_dir=str(tmp_path)))
    with pytest.raises((ServiceUnavailableException, OSError)) as caught:
        await neighbours.request("s3", ACCOUNT, REGION, "GET", "/")
    assert "moto" in str(caught.value)
    await neighbours.stop()


def test_code_from_s3(front: Front) -> None:
    client = front.client()
    client.create_bucket(Bucket="packages")
    client.put_bucket_versioning(Bucket="packages", VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket="packages", Key="a b/fn.zip", Body=b"one")["VersionId"]
    client.put_object(Bucket="packages", Key="a b/fn.zip", Body=b"two" * 100_000)

    async def read(key: str, version: str | None = None, bucket: str = "packages") -> bytes:
        pieces = front.neighbours.code_from_s3(ACCOUNT, REGION, bucket, key, version)
        return b"".join([piece async for piece in pieces])

    assert front.run(read("a b/fn.zip")) == b"two" * 100_000
    assert front.run(read("a b/fn.zip", first)) == b"one"
    with pytest.raises(InvalidParameterValueException) as caught:
        front.run(read("absent.zip"))
    assert caught.value.message == (
        "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
    )
    with pytest.raises(InvalidParameterValueException, match="S3 Error Code: NoSuchBucket"):
        front.run(read("fn.zip", bucket="no-such-bucket-at-all"))


def test_an_endpoint_has_to_be_a_url() -> None:
    for url in ("localhost:9000", "ftp://x", "http://", "http://host?x=1"):
        with pytest.raises(SettingsError, match=r"endpoints\.s3"):
            Routing(Settings(endpoints={"s3": url}))


def test_what_the_banner_says() -> None:
    said = Neighbours(Settings(endpoints={"s3": "http://user:secret@127.0.0.1:9000"})).describe()
    assert said[0] == "s3: http://127.0.0.1:9000"
    assert "in memory" in said[1]
    assert "neighbours = false" in Neighbours(Settings(neighbours=False)).describe()[0]
