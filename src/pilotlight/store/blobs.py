"""Content-addressed files: `aa/<sha256 hex>` under one directory. A name that exists is complete and on disk.

A blob is written beside its place, fsynced, and renamed in; what a crash left half-written is removed at the next
start. Blobs are made by whoever has bytes, and removed by whoever knows that nothing refers to them; `stored` gives
each one's age, so that a collector can leave alone one that is newer than the record about to name it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from pilotlight.store.disk import full_disk_as_store_full, sync_directory
from pilotlight.store.interface import StoreError

_NAME = re.compile(r"[0-9a-f]{64}")
#: pieces of a stream are written in lots of this size, each in one hop to a thread
_LOT_BYTES = 4 << 20


class Blob(msgspec.Struct, frozen=True):
    sha256_hex: str
    """Its name here."""
    sha256_base64: str
    """The same digest as the API shows it (CodeSha256)."""
    size: int


class StoredBlob(msgspec.Struct, frozen=True):
    sha256_hex: str
    size: int
    put_ms: int
    """When it was last put, epoch ms by the file system's clock."""


class BlobTooLarge(StoreError):
    """More bytes came than `limit_bytes`; nothing was kept."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The data is larger than {limit_bytes} bytes.")
        self.limit_bytes = limit_bytes


class BlobMissing(StoreError):
    """There is no such blob."""


class Blobs:
    """The blobs in `directory`, which only one may have open (the store's lock sees to that for a node): it would
    clean up what another is writing."""

    def __init__(self, directory: str | Path) -> None:
        self._root = Path(directory).absolute()
        self._incoming = self._root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        for left in self._incoming.iterdir():
            left.unlink()

    def path(self, sha256_hex: str) -> Path:
        """Where the blob is or would be. ValueError when that is not a SHA-256 in hex."""
        if not _NAME.fullmatch(sha256_hex):
            raise ValueError(f"not a SHA-256 in hex: {sha256_hex!r}")
        return self._root / sha256_hex[:2] / sha256_hex

    async def put(self, data: bytes | AsyncIterator[bytes], limit_bytes: int | None = None) -> Blob:
        """Store bytes, or a stream of them; durable when it returns. The same bytes twice are one blob.

        Raises BlobTooLarge beyond `limit_bytes`, StoreFull, and whatever the stream raises: then nothing is kept.
        """
        incoming = _Incoming(self._incoming / os.urandom(16).hex(), limit_bytes)
        try:
            if isinstance(data, bytes):
                return await asyncio.to_thread(self._put_at_once, incoming, data)
            lot: list[bytes] = []
            size = 0
            async for piece in data:
                lot.append(piece)
                size += len(piece)
                if size >= _LOT_BYTES:
                    await asyncio.to_thread(incoming.write, b"".join(lot))
                    lot, size = [], 0
            return await asyncio.to_thread(self._put_at_once, incoming, b"".join(lot))
        finally:
            incoming.discard()

    def _put_at_once(self, incoming: _Incoming, data: bytes) -> Blob:
        incoming.write(data)
        blob = incoming.blob()
        place = self.path(blob.sha256_hex)
        with full_disk_as_store_full("a blob"):
            if place.exists():
                os.utime(place)  # put again: young again, for whoever collects
                return blob
            made = not place.parent.exists()
            place.parent.mkdir(exist_ok=True)
            incoming.move_to(place)
            sync_directory(place.parent)
            if made:
                sync_directory(self._root)
        return blob

    async def read(self, sha256_hex: str) -> bytes:
        """The whole blob. Raises BlobMissing."""
        path = self.path(sha256_hex)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            raise BlobMissing(f"There is no blob {sha256_hex}.") from None

    async def remove(self, sha256_hex: str) -> None:
        """Nothing happens when it is not there."""
        await asyncio.to_thread(self.path(sha256_hex).unlink, missing_ok=True)

    def stored(self) -> Iterator[StoredBlob]:
        """Every blob there is, in no order."""
        for folder in self._root.iterdir():
            if folder == self._incoming:
                continue
            for path in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    facts = path.stat()
                    yield StoredBlob(path.name, facts.st_size, facts.st_mtime_ns // 1_000_000)


class _Incoming:
    """A blob being written, under a name nobody looks at. Its file is made with the first byte, in a thread."""

    def __init__(self, path: Path, limit_bytes: int | None) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._file: int | None = None
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._limit_bytes is not None and self._size > self._limit_bytes:
            raise BlobTooLarge(self._limit_bytes)
        self._hash.update(data)
        with full_disk_as_store_full("a blob"):
            if self._file is None:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]

    def blob(self) -> Blob:
        digest = self._hash.digest()
        return Blob(digest.hex(), base64.b64encode(digest).decode(), self._size)

    def move_to(self, place: Path) -> None:
        assert self._file is not None
        os.fsync(self._file)
        self._path.rename(place)

    def discard(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._path.unlink(missing_ok=True)
