"""The package process: forks one child per job (check, unpack, compile, remove), so that jobs run beside each other.

Not threads of the node: inflating and writing thousands of files takes the GIL back thousands of times, each time
waiting for a busy event loop (sqlite_messages.py has the figures). And what parses strangers' zips had better not be
the node: a job has a memory limit, and dies alone. Started by packages.py; ends when the node does.

A job comes as one message with its request, the descriptor its answer goes to and, for zips, the zip's own. An answer
is a tag and msgpack; a pipe that ends without one says that the job died.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import msgspec

from pilotlight.errors import InvalidParameterValueException
from pilotlight.store.disk import full_disk_as_store_full
from pilotlight.store.interface import StoreFull
from pilotlight.store.zips import COULD_NOT_UNZIP, PackageInfo, examine, unpack

logger = logging.getLogger(__name__)

#: a request is two paths at most
REQUEST_BYTES = 65_536
#: the first byte of an answer: the result follows; or an InvalidParameterValueException's message; or a StoreFull's; or
#: an unexpected error's text
OK, REFUSED, FULL, FAILED = b"0", b"1", b"2", b"3"

_ZIP_MEMORY_BYTES = 1 << 30
_COMPILE_LIMIT_S = 300


class Check(msgspec.Struct, array_like=True, tag=True):
    limit_bytes: int


class Unpack(msgspec.Struct, array_like=True, tag=True):
    """Into `coming`/code, then renamed to `place`."""

    limit_bytes: int
    coming: str
    place: str


class Compile(msgspec.Struct, array_like=True, tag=True):
    code: str
    interpreter: str


class RemoveTrees(msgspec.Struct, array_like=True, tag=True):
    folders: list[str]


Job = Check | Unpack | Compile | RemoveTrees


def run(job: Job, zip_file: int) -> PackageInfo | None:
    match job:
        case Check(limit_bytes):
            return _limited(zip_file, limit_bytes, None)
        case Unpack(limit_bytes, coming, place):
            folder = Path(coming)
            try:
                folder.joinpath("code").mkdir(parents=True)
                info = _limited(zip_file, limit_bytes, folder / "code")
                folder.rename(place)
            except BaseException:
                remove_tree(folder)
                raise
            return info
        case Compile(code, interpreter):
            compile_code(Path(code), interpreter)
        case RemoveTrees(folders):
            for name in folders:
                remove_tree(Path(name))
    return None


def _limited(zip_file: int, limit_bytes: int, root: Path | None) -> PackageInfo:
    resource.setrlimit(resource.RLIMIT_AS, (_ZIP_MEMORY_BYTES, _ZIP_MEMORY_BYTES))
    try:
        # The descriptor may be shared with others who read the same zip: this one has a position of its own.
        with open(f"/dev/fd/{zip_file}", "rb") as source:
            return examine(source, limit_bytes) if root is None else unpack(source, limit_bytes, root)
    except MemoryError:
        raise InvalidParameterValueException(COULD_NOT_UNZIP) from None


def compile_code(code: Path, interpreter: str) -> None:
    """Bytecode for one interpreter, beside the code, unchecked; a mark beside the folder says it is done."""
    # By turns: the folders of one package are writable only while one compilation is at it.
    with (code.parent / "compile.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark = code.parent / f"compiled-{hashlib.sha256(interpreter.encode()).hexdigest()[:16]}"
        if mark.exists():
            return
        set_writable(code, True)
        try:
            # -s: the path on this machine stays out of the bytecode; import puts in the one that it finds it at.
            options = ("-q", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(code), str(code))
            subprocess.run(
                [interpreter, "-I", "-S", "-m", "compileall", *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_COMPILE_LIMIT_S,
                check=False,  # a file with a syntax error is one that has no bytecode
            )
        finally:
            set_writable(code, False)
        mark.touch()


def set_writable(root: Path, writable: bool) -> None:
    """Folders only; what compilation left in them gets a package's modes."""
    for folder, _, names in os.walk(root):
        os.chmod(folder, 0o755 if writable else 0o555)
        if not writable and os.path.basename(folder) == "__pycache__":
            for name in names:
                path = Path(folder, name)
                if not path.is_symlink():
                    path.chmod(0o444)


def remove_tree(root: Path) -> None:
    """Remove read-only folders too, which only root could otherwise. Nothing happens when there is none."""
    for folder, _, _ in os.walk(root):
        os.chmod(folder, stat.S_IRWXU)
    shutil.rmtree(root, ignore_errors=True)


def answer(job: Job, zip_file: int) -> bytes:
    """Run a job and put its end into words."""
    try:
        with full_disk_as_store_full("an unpacked package"):
            result = run(job, zip_file)
    except InvalidParameterValueException as error:
        return REFUSED + error.message.encode()
    except StoreFull as error:
        return FULL + str(error).encode()
    except Exception as error:
        logger.exception("a package job failed: %s", job)
        return FAILED + f"{type(error).__name__}: {error}".encode()
    return OK + msgspec.msgpack.encode(result)


def main() -> None:
    """argv: the descriptor that jobs come on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the jobs
    jobs = socket.socket(fileno=int(sys.argv[1]))
    decoder: msgspec.msgpack.Decoder[Job] = msgspec.msgpack.Decoder(Job)
    while True:
        message, descriptors, _, _ = socket.recv_fds(jobs, REQUEST_BYTES, 2)
        if not message:
            return
        if os.fork() == 0:
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                jobs.close()
                said = memoryview(answer(decoder.decode(message), descriptors[-1]))
                while said:
                    said = said[os.write(descriptors[0], said) :]
            finally:
                os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


if __name__ == "__main__":
    main()
