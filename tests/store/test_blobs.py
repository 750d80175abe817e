"""Blobs: whole or not there, whatever interrupts the writing."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pilotlight.store.blobs import BlobMissing, Blobs, BlobTooLarge
from pilotlight.store.interface import StoreFull


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def test_bytes_are_stored_under_their_digest(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    data = os.urandom(100_000)
    blob = await blobs.put(data)
    digest = hashlib.sha256(data).digest()
    assert (blob.sha256_hex, blob.size) == (digest.hex(), len(data))
    assert blob.sha256_base64 == base64.b64encode(digest).decode()
    assert await blobs.read(blob.sha256_hex) == data
    assert _files(tmp_path) == [blobs.path(blob.sha256_hex)] == [tmp_path / digest.hex()[:2] / digest.hex()]


async def test_a_stream_is_the_same_blob(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    data = os.urandom(10_000_000)
    streamed = await blobs.put(_pieces(*(data[at : at + 700_001] for at in range(0, len(data), 700_001))))
    assert streamed == await blobs.put(data)
    assert await blobs.put(_pieces()) == await blobs.put(b"")
    assert await blobs.read(streamed.sha256_hex) == data


async def test_the_same_bytes_many_times_at_once_are_one_blob(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    found = await asyncio.gather(*(blobs.put(b"same") for _ in range(20)))
    assert len(set(found)) == 1 and len(_files(tmp_path)) == 1


async def test_a_limit_is_kept_and_nothing_stays(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    for data in (b"x" * 11, _pieces(b"x" * 6, b"x" * 5), _pieces(*[b"x" * 1_000_000] * 9)):
        with pytest.raises(BlobTooLarge) as raised:
            await blobs.put(data, limit_bytes=10)
        assert raised.value.limit_bytes == 10
    assert _files(tmp_path) == []
    assert (await blobs.put(b"x" * 10, limit_bytes=10)).size == 10


async def test_a_stream_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)

    async def breaks() -> AsyncIterator[bytes]:
        yield b"x" * 5_000_000
        raise ConnectionResetError("the client went away")

    with pytest.raises(ConnectionResetError):
        await blobs.put(breaks())
    assert _files(tmp_path) == []


async def test_a_cancelled_put_leaves_nothing(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    reached = asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield b"x" * 5_000_000
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(blobs.put(stalls()))
    await reached.wait()
    assert len(_files(tmp_path / "incoming")) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _files(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which is a full disk")
async def test_a_full_disk_is_store_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = Blobs(tmp_path)
    real_open = os.open
    monkeypatch.setattr(os, "open", lambda path, flags, *rest: real_open("/dev/full", os.O_WRONLY))
    with pytest.raises(StoreFull, match="no room"):
        await blobs.put(b"x")


_PUTTER = """
import asyncio, os, sys
from pilotlight.store.blobs import Blobs
async def main():
    blobs = Blobs(sys.argv[1])
    while True:
        print((await blobs.put(os.urandom(300_000))).sha256_hex, flush=True)
asyncio.run(main())
"""


def _put_until_killed(root: Path) -> set[str]:
    """Eight kills while one blob after another is put; the names that were acknowledged."""
    acknowledged: set[str] = set()
    for run in range(8):
        with subprocess.Popen([sys.executable, "-c", _PUTTER, str(root)], stdout=subprocess.PIPE) as putter:
            assert putter.stdout is not None
            heard = putter.stdout.readline()
            time.sleep(run * 0.003)
            putter.send_signal(signal.SIGKILL)
            heard += putter.stdout.read()
        acknowledged |= set(heard.decode().rpartition("\n")[0].split("\n"))
    return acknowledged


async def test_what_a_kill_leaves_is_whole_blobs_and_litter_that_the_next_start_removes(tmp_path: Path) -> None:
    acknowledged = _put_until_killed(tmp_path)
    blobs = Blobs(tmp_path)
    stored = {blob.sha256_hex for blob in blobs.stored()}
    assert acknowledged <= stored
    for name in stored:
        assert hashlib.sha256(await blobs.read(name)).hexdigest() == name
    assert {path.name for path in _files(tmp_path)} == stored


async def test_remove_and_missing(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    blob = await blobs.put(b"x")
    await blobs.remove(blob.sha256_hex)
    await blobs.remove(blob.sha256_hex)
    with pytest.raises(BlobMissing):
        await blobs.read(blob.sha256_hex)
    assert list(blobs.stored()) == []


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "a" * 62 + "/b"])
def test_a_name_that_is_no_digest_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        Blobs(tmp_path).path(name)


async def test_a_blob_put_again_is_young_again(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    blob = await blobs.put(b"x")
    os.utime(blobs.path(blob.sha256_hex), (1000, 1000))
    (old,) = blobs.stored()
    assert (old.sha256_hex, old.size, old.put_ms) == (blob.sha256_hex, 1, 1_000_000)
    await blobs.put(b"x")
    (young,) = blobs.stored()
    assert young.put_ms > 1_000_000
