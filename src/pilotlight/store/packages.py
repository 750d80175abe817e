"""Deployment packages: checked when they come, unpacked once into a read-only directory when first needed.

An unpacked package is a cache of its blob. It is written beside its place and renamed in, so it is whole or not there;
it is not fsynced, so it is trusted only until the machine restarts: the directory is named after this boot, and what
another boot or a crash left is removed at start. The work is done by the package process (package_jobs.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pilotlight.errors import InvalidParameterValueException
from pilotlight.store.blobs import BlobMissing, Blobs
from pilotlight.store.disk import full_disk_as_store_full
from pilotlight.store.elf import NativeFile, native_files
from pilotlight.store.interface import StoreBroken, StoreClosed, StoreFull
from pilotlight.store.package_jobs import (
    FULL,
    OK,
    REFUSED,
    Check,
    Compile,
    Job,
    RemoveTrees,
    Unpack,
)
from pilotlight.store.zips import PackageInfo

DEFAULT_MAX_UNZIPPED_BYTES = 262_144_000
_EXIT_LIMIT_S = 10.0
logger = logging.getLogger(__name__)

_INFO = msgspec.msgpack.Decoder(PackageInfo | None)


class Packages:
    """The unpacked packages in `directory`, which only one may have open (the store's lock sees to that for a node).

    Layout: <boot id>/<sha256>/code, and beside `code` a `compiled-...` mark per interpreter.
    """

    def __init__(
        self, directory: str | Path, blobs: Blobs, max_unzipped_bytes: int = DEFAULT_MAX_UNZIPPED_BYTES
    ) -> None:
        self._blobs = blobs
        self._max_unzipped_bytes = max_unzipped_bytes
        base = Path(directory).absolute()
        self._root = base / _boot_id()
        self._root.mkdir(parents=True, exist_ok=True)
        self._ready = {path.name for path in self._root.iterdir() if not path.name.startswith(".")}
        self._unpacking: dict[str, asyncio.Task[Path]] = {}
        self._compiled: set[tuple[Path, str]] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._jobs: socket.socket | None = None
        self._closed = False
        left = [path for path in base.iterdir() if path != self._root]
        left += [path for path in self._root.iterdir() if path.name.startswith(".")]
        if left:
            self._remove_trees(left)

    @property
    def directory(self) -> Path:
        """Where this boot's packages are."""
        return self._root

    @property
    def process_id(self) -> int:
        """Of the package process; 0 when there is none just now."""
        return self._process.pid if self._process else 0

    async def check(self, package: bytes | Path) -> PackageInfo:
        """Inflate all of it to nowhere, counting. Raises InvalidParameterValueException with AWS's messages: not a zip,
        nothing in it, names or links that lead out, encrypted, or `max_unzipped_bytes` and more unzipped."""
        if isinstance(package, bytes):
            zip_file = await asyncio.to_thread(_as_file, package)
        else:
            zip_file = os.open(package, os.O_RDONLY | os.O_CLOEXEC)
        info = await self._run(Check(self._max_unzipped_bytes), zip_file)
        assert info is not None
        return info

    async def unpacked(self, sha256_hex: str) -> Path:
        """The directory of the package in that blob, unpacked if it was not: once, however many ask. Raises as `check`
        does, BlobMissing, StoreFull."""
        if sha256_hex in self._ready:
            return self._code(sha256_hex)
        task = self._unpacking.get(sha256_hex)
        if task is None:
            task = asyncio.create_task(self._unpack(sha256_hex))
            self._unpacking[sha256_hex] = task
        # Shielded: a caller that gives up must not take the directory from the others.
        return await asyncio.shield(task)

    async def _unpack(self, sha256_hex: str) -> Path:
        coming = self._root / f".{sha256_hex}.{os.urandom(4).hex()}"
        try:
            try:
                zip_file = os.open(self._blobs.path(sha256_hex), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                raise BlobMissing(f"There is no blob {sha256_hex}.") from None
            place = self._root / sha256_hex
            try:
                await self._run(Unpack(self._max_unzipped_bytes, str(coming), str(place)), zip_file)
            except StoreBroken:
                self._remove_trees([coming])  # a job that was killed could not
                raise
            self._ready.add(sha256_hex)
            return self._code(sha256_hex)
        finally:
            del self._unpacking[sha256_hex]

    def _code(self, sha256_hex: str) -> Path:
        return self._root / sha256_hex / "code"

    async def compile(self, path: Path, interpreter: str) -> None:
        """Put that interpreter's bytecode beside the code of an unpacked package, once. It is not checked against the
        source when imported (nothing writes there any more). Failures are harmless: it is compiled at import then."""
        if (path, interpreter) not in self._compiled:
            try:
                await self._run(Compile(str(path), interpreter))
            except (StoreBroken, StoreFull) as error:
                logger.warning("no bytecode for %s by %s: %s", path, interpreter, error)
            self._compiled.add((path, interpreter))

    def collect(self, in_use: set[str]) -> list[str]:
        """Remove the unpacked packages that are not in use; gives their SHA-256s. What is being unpacked stays. They
        are out of the way when this returns; their files go in the background."""
        gone: list[Path] = []
        removed = sorted(self._ready - in_use)
        for sha256_hex in removed:
            self._ready.discard(sha256_hex)
            self._compiled = {done for done in self._compiled if done[0] != self._code(sha256_hex)}
            gone.append(self._root / f".{sha256_hex}.{os.urandom(4).hex()}")
            (self._root / sha256_hex).rename(gone[-1])
        if gone:
            self._remove_trees(gone)
        return removed

    def native_files(self, path: Path) -> Iterator[NativeFile]:
        """The compiled (ELF) files of an unpacked package, with their machines. Reads every file's head; `check` has
        the same list for a package as it comes."""
        return native_files(path)

    def close(self) -> None:
        """End the package process; jobs under way finish by themselves. Calls after this raise StoreClosed."""
        self._closed = True
        if self._jobs is not None:
            self._jobs.close()
        self._await_process()
        self._jobs = None

    async def _run(self, job: Job, zip_file: int | None = None) -> PackageInfo | None:
        """Have a job done and give its result. Takes `zip_file` over."""
        try:
            pipe = self._send(job, zip_file)
        finally:
            if zip_file is not None:
                os.close(zip_file)
        try:
            said = await _read_all(pipe)
        finally:
            os.close(pipe)
        if said[:1] == OK:
            return _INFO.decode(said[1:])
        text = said[1:].decode("utf-8", "replace")
        if said[:1] == REFUSED:
            raise InvalidParameterValueException(text)
        if said[:1] == FULL:
            raise StoreFull(text)
        raise StoreBroken(f"The package could not be worked on: {text or 'the job was killed'}.")

    def _remove_trees(self, folders: list[Path]) -> None:
        for folder in folders:
            os.close(self._send(RemoveTrees([str(folder)]), None))

    def _send(self, job: Job, zip_file: int | None) -> int:
        """Hand a job over; gives the end of the pipe that its answer comes from. A dead process is replaced."""
        if self._closed:
            raise StoreClosed("The packages are closed.")
        message = msgspec.msgpack.encode(job)
        ours, theirs = os.pipe()
        try:
            descriptors = [theirs] if zip_file is None else [theirs, zip_file]
            try:
                socket.send_fds(self._jobs or self._start(), [message], descriptors)
            except OSError:
                socket.send_fds(self._start(), [message], descriptors)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return ours

    def _await_process(self) -> None:
        """It ends when its socket closes; jobs do not keep it."""
        if self._process is not None:
            try:
                self._process.wait(_EXIT_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _start(self) -> socket.socket:
        if self._jobs is not None:
            self._jobs.close()
        self._await_process()
        # Packets, so that jobs and their descriptors keep together.
        self._jobs, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pilotlight.store.package_jobs", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        return self._jobs


def _as_file(data: bytes) -> int:
    """A file without a name, holding `data`."""
    with full_disk_as_store_full("a package"), tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return os.dup(file.fileno())


async def _read_all(pipe: int) -> bytes:
    """What comes out of a pipe until its end, by the event loop."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    said = bytearray()

    def more() -> None:
        piece = os.read(pipe, 65_536)
        said.extend(piece)
        if not piece and not ended.done():
            ended.set_result(None)

    loop.add_reader(pipe, more)
    try:
        await ended
    finally:
        loop.remove_reader(pipe)
    return bytes(said)


def _boot_id() -> str:
    """Changes when the machine restarts; where the system does not tell, a constant (and a restart is trusted)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return "boot"
