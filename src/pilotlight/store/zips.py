"""Reads deployment packages as what they are: zip files by strangers.

Everything that can be refused by looking is refused before a byte is inflated (names that lead out, links that lead
out, encryption, one path as file and folder); what cannot, while inflating, by counting the bytes that really come:
headers are claims. Nothing is ever written through a link, for links are made last.
"""

from __future__ import annotations

import errno
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

import msgspec

from pilotlight.errors import InvalidParameterValueException
from pilotlight.store.elf import HEAD_BYTES, NativeFile, machine_of

#: AWS's wording, seen in CreateFunction's answers
COULD_NOT_UNZIP = "Could not unzip uploaded file. Please check your file, then try to upload again."
EMPTY = "Uploaded file must be a non-empty zip"
TOO_LARGE = "Unzipped size must be smaller than {limit} bytes"

#: more than any real package has, and few enough to hold in memory and on any file system
MAX_ENTRIES = 250_000
_PIECE_BYTES = 1 << 18
_MAX_LINK_BYTES = 4096
_MAX_LINKS_FOLLOWED = 40
_ENCRYPTED = 0x1
_UNIX = 3

Path_ = tuple[str, ...]


class PackageInfo(msgspec.Struct, frozen=True):
    unzipped_size: int
    """Bytes of all files, as they really inflate."""
    files: int
    native: tuple[NativeFile, ...]
    """Compiled files: what an architecture can or cannot run."""


class Plan(msgspec.Struct, frozen=True):
    """What unpacking makes. Paths are tuples of components, free of `.`, `..` and empty ones."""

    files: dict[Path_, zipfile.ZipInfo]
    folders: set[Path_]
    links: dict[Path_, str]


class _Refused(Exception):
    """This package is not unpacked; the text says why, for the log. The client reads AWS's one sentence."""


#: what reading a broken zip raises: zipfile's own, and what its parsing of nonsense runs into
_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    _Refused,
    EOFError,
    NotImplementedError,
    RuntimeError,
    UnicodeError,
    ValueError,
    OverflowError,
)
#: offsets that point nowhere; names that this file system does not take, or takes for one another
_BROKEN_NUMBERS = (errno.EINVAL, errno.ENAMETOOLONG, errno.EEXIST, errno.EILSEQ)


def examine(source: IO[bytes], limit_bytes: int) -> PackageInfo:
    """Inflate a package to nowhere. Raises InvalidParameterValueException in AWS's words."""
    return _read(source, limit_bytes, None)


def unpack(source: IO[bytes], limit_bytes: int, root: Path) -> PackageInfo:
    """Write a package under `root`, which exists and is empty. Files get r--, and x where the zip has it; folders
    r-x. (In AWS a file without read permission for others cannot be read; here it can.)"""
    return _read(source, limit_bytes, root)


def _read(source: IO[bytes], limit_bytes: int, root: Path | None) -> PackageInfo:
    try:
        with zipfile.ZipFile(source) as archive:
            plan = make_plan(archive)
            if root is not None:
                for folder in sorted(plan.folders):
                    root.joinpath(*folder).mkdir(exist_ok=True)
            unzipped = 0
            native: list[NativeFile] = []
            for path, info in plan.files.items():
                size, machine = _inflate(archive, info, limit_bytes - unzipped, root and root.joinpath(*path))
                unzipped += size
                if machine is not None:
                    native.append(NativeFile("/".join(path), machine))
            if root is not None:
                _finish(root, plan)
    except _TooLarge:
        raise InvalidParameterValueException(TOO_LARGE.format(limit=limit_bytes)) from None
    except _BROKEN as error:
        raise InvalidParameterValueException(COULD_NOT_UNZIP) from error
    except OSError as error:
        if error.errno not in _BROKEN_NUMBERS:
            raise
        raise InvalidParameterValueException(COULD_NOT_UNZIP) from error
    if not plan.files:
        raise InvalidParameterValueException(EMPTY)
    return PackageInfo(unzipped, len(plan.files), tuple(native))


class _TooLarge(Exception):
    pass


def _inflate(archive: zipfile.ZipFile, info: zipfile.ZipInfo, room: int, place: Path | None) -> tuple[int, str | None]:
    """Bytes inflated, and the machine when it is a native file. The CRC is checked at the end of each."""
    size, machine = 0, None
    with archive.open(info) as packed:
        file = place.open("xb") if place is not None else None
        try:
            while piece := packed.read(_PIECE_BYTES):
                if not size:
                    machine = machine_of(piece[:HEAD_BYTES])
                size += len(piece)
                if size >= room:
                    raise _TooLarge
                if file is not None:
                    file.write(piece)
        finally:
            if file is not None:
                file.close()
    if place is not None:
        place.chmod(0o444 | (_mode(info) & 0o111))
    return size, machine


def _finish(root: Path, plan: Plan) -> None:
    for path, target in plan.links.items():
        root.joinpath(*path).symlink_to(target)
    for folder in sorted(plan.folders, reverse=True):
        root.joinpath(*folder).chmod(0o555)
    root.chmod(0o555)


def make_plan(archive: zipfile.ZipFile) -> Plan:
    """Look at every entry. Of entries with the same name the last counts, as with every unzip that overwrites."""
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise _Refused(f"{len(entries)} entries")
    files: dict[Path_, zipfile.ZipInfo] = {}
    folders: set[Path_] = set()
    links: dict[Path_, str] = {}
    for info in entries:
        if info.flag_bits & _ENCRYPTED:
            raise _Refused(f"{info.filename}: encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _Refused(f"{info.filename}: compression method {info.compress_type}")
        path = _components(info.filename)
        kind = stat.S_IFMT(_mode(info))
        if info.is_dir() or kind == stat.S_IFDIR:
            folders.add(path)
            continue
        if not path or kind not in (0, stat.S_IFREG, stat.S_IFLNK):
            raise _Refused(f"{info.filename}: neither a file, a folder nor a link")
        files.pop(path, None)
        links.pop(path, None)
        if kind == stat.S_IFLNK:
            links[path] = _target(archive, info)
        else:
            files[path] = info
    for path in (*files, *links, *folders):
        folders.update(path[:depth] for depth in range(1, len(path)))
    folders.discard(())
    for path in folders:
        if path in files or path in links:
            raise _Refused(f"{'/'.join(path)}: a folder, and something else too")
    for path in links:
        _resolve(path[:-1], links[path], links)
    return Plan(files, folders, links)


def _components(name: str) -> Path_:
    if name.startswith("/"):
        raise _Refused(f"{name!r}: an absolute path")
    path = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in path:
        raise _Refused(f"{name!r}: leads out")
    if any(len(part.encode()) > 255 for part in path) or len(name.encode()) > 4000:
        raise _Refused(f"{name[:60]!r} ...: longer than a file system takes")
    return path


def _target(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    with archive.open(info) as packed:
        target = packed.read(_MAX_LINK_BYTES + 1)
    if not target or len(target) > _MAX_LINK_BYTES or b"\0" in target:
        raise _Refused(f"{info.filename}: not a link target")
    return target.decode()


def _resolve(folder: Path_, target: str, links: dict[Path_, str]) -> None:
    """Walk a link as the kernel would, through the other links; refuse when it leaves the root on the way, even if it
    comes back: the root has another name later. One that leads nowhere, or in a circle, stays inside: no harm."""
    at, ahead, followed = list(folder), target.split("/"), 0
    if target.startswith("/"):
        raise _Refused(f"a link to {target!r}: an absolute path")
    while ahead:
        part = ahead.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            if not at:
                raise _Refused(f"a link to {target!r}: leads out")
            at.pop()
            continue
        at.append(part)
        further = links.get(tuple(at))
        if further is not None:
            followed += 1
            if followed > _MAX_LINKS_FOLLOWED:
                return
            at.pop()
            ahead[:0] = further.split("/")


def _mode(info: zipfile.ZipInfo) -> int:
    """The unix mode; 0 when the zip was not made on unix."""
    return info.external_attr >> 16 if info.create_system == _UNIX else 0
