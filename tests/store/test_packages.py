"""Packages: what is refused and in which words, what is unpacked and how, once, and what is cleaned up."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import stat
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pilotlight.errors import InvalidParameterValueException
from pilotlight.store.blobs import BlobMissing, Blobs
from pilotlight.store.elf import NativeFile, native_files
from pilotlight.store.interface import StoreBroken, StoreClosed
from pilotlight.store.packages import Packages
from pilotlight.store.zips import COULD_NOT_UNZIP, EMPTY
from tests.support import eventually_async, make_zip

Entry = tuple[str, bytes, int]
FILE, FOLDER, LINK = stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK
LIMIT = 1_000_000
SHELL = Path("/bin/sh").resolve()


@pytest.fixture
async def packages(tmp_path: Path) -> AsyncIterator[Packages]:
    packages = Packages(tmp_path / "packages", Blobs(tmp_path / "blobs"), max_unzipped_bytes=LIMIT)
    yield packages
    packages.close()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def _zip(*entries: Entry, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Entries as they are given, duplicates and all: (name, content, unix mode)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name
            info.create_system = 3
            info.external_attr = mode << 16
            info.compress_type = compression
            archive.NameToInfo.clear()  # so that it does not warn of duplicates
            archive.writestr(info, content)
    return buffer.getvalue()


def _file(name: str, content: bytes = b"x", mode: int = 0o644) -> Entry:
    return name, content, FILE | mode


def _link(name: str, target: str) -> Entry:
    return name, target.encode(), LINK | 0o777


async def _unpack(packages: Packages, blobs: Blobs, package: bytes) -> Path:
    return await packages.unpacked((await blobs.put(package)).sha256_hex)


async def _refused(packages: Packages, blobs: Blobs, package: bytes, message: str = COULD_NOT_UNZIP) -> None:
    """By the check, and by unpacking too, which leaves nothing."""
    for attempt in (packages.check(package), _unpack(packages, blobs, package)):
        with pytest.raises(InvalidParameterValueException) as raised:
            await attempt
        assert raised.value.message == message
    assert _left(packages) == []


def _left(packages: Packages) -> list[str]:
    return sorted(path.name for path in packages.directory.iterdir())


def _tree(root: Path) -> dict[str, str]:
    """Path -> `mode content` of everything there."""
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_dir():
            found[name + "/"] = oct(stat.S_IMODE(path.stat().st_mode))
        else:
            found[name] = f"{oct(stat.S_IMODE(path.stat().st_mode))} {path.read_text()}"
    return found


# -- what is taken


async def test_a_package_is_unpacked_read_only_with_its_modes(packages: Packages, blobs: Blobs) -> None:
    package = _zip(
        _file("app.py", b"code"),
        _file("private.txt", b"p", 0o600),
        _file("none.txt", b"n", 0),
        _file("bin/tool", b"#!", 0o6775),
        ("empty/", b"", FOLDER | 0o700),
        _file("deep/er/and/deeper/mod.py", b"m"),
    )
    path = await _unpack(packages, blobs, package)
    assert _tree(path) == {
        "app.py": "0o444 code",
        "private.txt": "0o444 p",
        "none.txt": "0o444 n",
        "bin/": "0o555",
        "bin/tool": "0o555 #!",
        "empty/": "0o555",
        "deep/": "0o555",
        "deep/er/": "0o555",
        "deep/er/and/": "0o555",
        "deep/er/and/deeper/": "0o555",
        "deep/er/and/deeper/mod.py": "0o444 m",
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o555


async def test_check_tells_size_files_and_native_code(packages: Packages, tmp_path: Path) -> None:
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00"
    package = _zip(
        _file("app.py", b"x" * 1000),
        _file("lib/a.so", elf + b"\xb7\x00" + bytes(100)),
        _file("lib/b.so", elf + b"\x3e\x00" + bytes(50_000)),
        _file("lib/c.so", elf + b"\xf3\x00"),
        _file("lib/big", b"\x7fELF\x02\x02\x01" + bytes(9) + b"\x00\x03\x00\xb7"),
        _file("short", b"\x7fELF"),
    )
    for form in (package, tmp_path / "package.zip"):
        if isinstance(form, Path):
            form.write_bytes(package)
        info = await packages.check(form)
        assert (info.files, info.unzipped_size) == (6, 1000 + 120 + 50_020 + 20 + 20 + 4)
        assert set(info.native) == {
            NativeFile("lib/a.so", "arm64"),
            NativeFile("lib/b.so", "x86_64"),
            NativeFile("lib/c.so", "machine 243"),
            NativeFile("lib/big", "arm64"),
        }


async def test_native_files_of_an_unpacked_package(packages: Packages, blobs: Blobs) -> None:
    path = await _unpack(packages, blobs, _zip(_file("a/sh", SHELL.read_bytes()), _file("b.py"), _link("c", "a/sh")))
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}[os.uname().machine]
    assert list(packages.native_files(path)) == list(native_files(path)) == [NativeFile("a/sh", machine)]


async def test_weird_names_are_kept(packages: Packages, blobs: Blobs) -> None:
    names = [
        "späce 😀.py",
        "-rf",
        "a\nb",
        "$(x);`y`",
        "...",
        "..a",
        "a..",
        "c:\\x",
        "..\\..\\up",
        "~",
        "x" * 255,
        "a:b",
    ]
    path = await _unpack(packages, blobs, _zip(*(_file(name, name.encode()) for name in names)))
    assert {entry.name: entry.read_text() for entry in path.iterdir()} == {name: name for name in names}


async def test_dots_and_doubled_slashes_mean_nothing(packages: Packages, blobs: Blobs) -> None:
    path = await _unpack(packages, blobs, _zip(_file("./a//b/./c.py"), ("./", b"", FOLDER), ("a/b/", b"", FOLDER)))
    assert _tree(path) == {"a/": "0o555", "a/b/": "0o555", "a/b/c.py": "0o444 x"}


async def test_of_two_entries_with_one_name_the_last_counts(packages: Packages, blobs: Blobs) -> None:
    package = _zip(_file("a.py", b"first"), _file("./a.py", b"second", 0o755), _link("l", "a.py"), _file("l", b"file"))
    path = await _unpack(packages, blobs, package)
    assert _tree(path) == {"a.py": "0o555 second", "l": "0o444 file"}
    assert (await packages.check(package)).unzipped_size == len(b"second") + len(b"file")


async def test_links_that_stay_inside_are_kept(packages: Packages, blobs: Blobs) -> None:
    links = {"lib/x.so": "x.so.1", "top": "lib/x.so.1", "lib/up": "../app.py", "self": ".", "lib64": "lib"}
    links |= {"lost": "not/there", "round": "about", "about": "round", "via": "lib64/up"}
    package = _zip(_file("app.py"), _file("lib/x.so.1", b"so"), *(_link(*link) for link in links.items()))
    path = await _unpack(packages, blobs, package)
    assert {name: str((path / name).readlink()) for name in links} == links
    assert (path / "top").read_bytes() == b"so" and (path / "via").read_bytes() == b"x"


async def test_a_stored_zip_and_one_with_something_before_it(packages: Packages, blobs: Blobs) -> None:
    stored = _zip(_file("a.py"), compression=zipfile.ZIP_STORED)
    for package in (stored, b"#!/usr/bin/env python3\n" + stored):
        assert _tree(await _unpack(packages, blobs, package)) == {"a.py": "0o444 x"}


# -- what is refused


@pytest.mark.parametrize("what", ["nothing", "text", "gzip", "truncated", "beheaded", "corrupt", "only an end"])
async def test_what_is_no_whole_zip_is_refused(packages: Packages, blobs: Blobs, what: str) -> None:
    good = _zip(_file("app.py", os.urandom(5000)), _file("b.py", b"print()" * 500))
    corrupt = bytearray(good)
    corrupt[2000] ^= 0xFF
    package = {
        "nothing": b"",
        "text": b"def handler(event, context): pass",
        "gzip": zlib.compress(good, wbits=31),
        "truncated": good[: len(good) // 2],
        "beheaded": good[100:],
        "corrupt": bytes(corrupt),
        "only an end": b"PK\x05\x06" + bytes(10),
    }[what]
    await _refused(packages, blobs, package)


async def test_an_empty_zip_is_refused_in_its_own_words(packages: Packages, blobs: Blobs) -> None:
    await _refused(packages, blobs, _zip(), EMPTY)
    await _refused(packages, blobs, _zip(("only/", b"", FOLDER | 0o755), ("folders/", b"", FOLDER | 0o755)), EMPTY)


@pytest.mark.parametrize(
    "entries",
    [
        [_file("../out.py")],
        [_file("a/../../out.py")],
        [_file("a/..")],
        [_file("..")],
        [("../", b"", FOLDER)],
        [_file("/etc/cron.d/x")],
        [_file("//x")],
        [("/", b"", FOLDER)],
        [_link("l", "/etc/passwd")],
        [_link("l", "..")],
        [_link("a/b/l", "../../../x")],
        [_link("l", "d/../../x"), _file("d/y")],
        [_link("l", "../package/x")],
        [_link("d/up", ".."), _link("l", "d/up/../x")],
        [_link("a", "."), _link("b", "a/.."), _file("x")],
        [_link("d", "elsewhere"), _file("d/x")],
        [_link("d", "/tmp"), _file("d/x")],
        [_link("l", "")],
        [_link("l", "x" * 5000)],
        [_file("a"), _file("a/b")],
        [_file("a/b"), _file("a")],
        [("dev", b"", stat.S_IFCHR | 0o666)],
        [("pipe", b"", stat.S_IFIFO | 0o666)],
        [_file("x" * 256)],
        [_file("/".join(["x" * 200] * 25))],
        [_file(".")],
    ],
    ids=repr,
)
async def test_what_leads_out_or_cannot_be_is_refused(
    packages: Packages, blobs: Blobs, entries: list[Entry], tmp_path: Path
) -> None:
    await _refused(packages, blobs, _zip(_file("app.py"), *entries))
    assert not (tmp_path / "packages" / "out.py").exists()


async def test_encrypted_entries_are_refused(packages: Packages, blobs: Blobs) -> None:
    package = bytearray(_zip(_file("app.py")))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        package[package.index(signature) + at] |= 1
    await _refused(packages, blobs, bytes(package))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
async def test_methods_that_inflate_without_bounds_are_refused(packages: Packages, blobs: Blobs, method: int) -> None:
    await _refused(packages, blobs, _zip(_file("app.py"), compression=method))


# -- bombs


TOO_LARGE = f"Unzipped size must be smaller than {LIMIT} bytes"


async def test_the_limit_is_on_the_sum_and_to_the_byte(packages: Packages, blobs: Blobs) -> None:
    half = LIMIT // 2
    await _refused(packages, blobs, _zip(_file("a", bytes(half)), _file("b", bytes(half))), TOO_LARGE)
    fits = _zip(_file("a", bytes(half)), _file("b", bytes(half - 1)))
    assert (await packages.check(fits)).unzipped_size == LIMIT - 1
    await _unpack(packages, blobs, fits)


async def test_real_bytes_are_counted_whatever_the_headers_say(packages: Packages, blobs: Blobs) -> None:
    """A header that says less than there is: no more than it says is ever written, and the checksum gives it away."""
    package = bytearray(_zip(_file("bomb", bytes(LIMIT * 50))))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", package, package.index(signature) + at, 10)
    await _refused(packages, blobs, bytes(package))
    # One that says more than there is: counted as what comes.
    package = bytearray(_zip(_file("small", b"x" * 10)))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", package, package.index(signature) + at, LIMIT * 2)
    assert (await packages.check(bytes(package))).unzipped_size == 10


async def test_entries_that_share_their_bytes_are_counted_each(packages: Packages, blobs: Blobs) -> None:
    """The overlapping bomb: thousands of names for one stretch of compressed data."""
    one = _zip(_file("x" * 5, bytes(LIMIT // 10)))
    start, end = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
    record = one[start:end]
    records = b"".join(record.replace(b"x" * 5, b"%05d" % n) for n in range(5000))
    tail = bytearray(one[end:])
    struct.pack_into("<HHII", tail, 8, 5000, 5000, len(records), start)
    package = one[:start] + records + bytes(tail)
    with pytest.raises(InvalidParameterValueException):
        await packages.check(package)


async def test_a_bomb_at_lambdas_own_limit_is_stopped(tmp_path: Path) -> None:
    """260 MB of zeros are 260 kB zipped: refused with AWS's figure, and nothing is left of them."""
    blobs = Blobs(tmp_path / "blobs")
    packages = Packages(tmp_path / "packages", blobs)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as entry:
        for _ in range(260):
            entry.write(bytes(1_048_576))
    await _refused(packages, blobs, buffer.getvalue(), "Unzipped size must be smaller than 262144000 bytes")
    packages.close()


async def test_a_zip_of_too_many_entries_is_refused(packages: Packages) -> None:
    one = _zip(_file("x" * 8, b""))
    start, end = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
    record = one[start:end]
    records = b"".join(record.replace(b"x" * 8, b"%08d" % n) for n in range(300_000))
    tail = bytearray(one[end:])
    struct.pack_into("<HHII", tail, 8, 65_534, 65_534, len(records), start)
    with pytest.raises(InvalidParameterValueException, match="Could not unzip"):
        await packages.check(one[:start] + records + bytes(tail))


# -- once, and beside each other


async def test_many_who_ask_at_once_get_one_unpacking(packages: Packages, blobs: Blobs) -> None:
    blob = await blobs.put(make_zip({f"m{n}.py": "x" * 1000 for n in range(100)}))
    paths = await asyncio.gather(*(packages.unpacked(blob.sha256_hex) for _ in range(30)))
    assert len(set(paths)) == 1 and len(list(paths[0].iterdir())) == 100
    inode = paths[0].stat().st_ino
    assert (await packages.unpacked(blob.sha256_hex)).stat().st_ino == inode
    assert _left(packages) == [blob.sha256_hex]


async def test_one_who_gives_up_does_not_take_it_from_the_others(packages: Packages, blobs: Blobs) -> None:
    blob = await blobs.put(make_zip({f"m{n}.py": "x" for n in range(300)}))
    first = asyncio.create_task(packages.unpacked(blob.sha256_hex))
    second = asyncio.create_task(packages.unpacked(blob.sha256_hex))
    await asyncio.sleep(0)
    first.cancel()
    assert len(list((await second).iterdir())) == 300


async def test_a_missing_blob(packages: Packages) -> None:
    with pytest.raises(BlobMissing):
        await packages.unpacked("0" * 64)


async def test_it_is_found_again_by_the_next_node_but_not_by_another_boot(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    one = Packages(tmp_path / "packages", blobs)
    path = await _unpack(one, blobs, make_zip("x"))
    inode = path.stat().st_ino
    one.close()
    litter = one.directory / ".half.1234" / "code"
    litter.mkdir(parents=True)
    other_boot = tmp_path / "packages" / "another-boot" / path.parent.name / "code"
    other_boot.mkdir(parents=True)
    other_boot.chmod(0o555)
    two = Packages(tmp_path / "packages", blobs)
    assert (await _unpack(two, blobs, make_zip("x"))).stat().st_ino == inode
    await eventually_async(lambda: not litter.parent.exists() and not (tmp_path / "packages/another-boot").exists())
    two.close()


async def test_a_killed_package_process_is_replaced(packages: Packages, blobs: Blobs) -> None:
    await packages.check(make_zip("x"))
    os.kill(packages.process_id, signal.SIGKILL)
    await eventually_async(lambda: not _running(packages.process_id))
    assert (await packages.check(make_zip("x"))).files == 1


async def test_a_job_that_is_killed_is_an_error_and_no_more(packages: Packages, tmp_path: Path) -> None:
    """The zip is a FIFO that never gives a byte: the job waits on it until it is killed."""
    await packages.check(make_zip("x"))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    opened = threading.Thread(target=lambda: os.close(os.open(fifo, os.O_WRONLY)))
    opened.start()
    checking = asyncio.create_task(packages.check(fifo))
    job = await eventually_async(lambda: _job_on(fifo, packages.process_id))
    os.kill(job, signal.SIGKILL)
    with pytest.raises(StoreBroken, match="killed"):
        await checking
    opened.join()
    assert (await packages.check(make_zip("x"))).files == 1


async def test_a_slow_job_keeps_no_other_waiting(packages: Packages, tmp_path: Path) -> None:
    await packages.check(make_zip("x"))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    opened = threading.Thread(target=lambda: os.close(os.open(fifo, os.O_WRONLY)))
    opened.start()
    slow = asyncio.create_task(packages.check(fifo))
    job = await eventually_async(lambda: _job_on(fifo, packages.process_id))
    async with asyncio.timeout(10):
        await asyncio.gather(*(packages.check(make_zip("x")) for _ in range(5)))
    assert not slow.done()
    os.kill(job, signal.SIGKILL)
    with pytest.raises(StoreBroken):
        await slow
    opened.join()


async def test_calls_after_close(packages: Packages) -> None:
    packages.close()
    with pytest.raises(StoreClosed):
        await packages.check(make_zip("x"))
    packages.close()


# -- bytecode


def _interpreters() -> list[str]:
    found = {sys.executable}
    for minor in range(10, 15):
        for place in Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3"):
            found.add(str(place))
    return sorted(found)


_PROBE = """
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import pkg.mod
loader_read = pkg.mod.__spec__.cached
print(pkg.mod.VALUE, open(loader_read, "rb").read()[4:8].hex(), pkg.mod.f.__code__.co_filename == pkg.mod.__file__)
"""


async def test_bytecode_for_several_interpreters_is_made_once_and_used(packages: Packages, blobs: Blobs) -> None:
    files = {"pkg/__init__.py": "", "pkg/mod.py": "VALUE = 1\ndef f(): pass\n", "broken.py": "def ("}
    path = await _unpack(packages, blobs, make_zip(files))
    interpreters = _interpreters()
    await asyncio.gather(*(packages.compile(path, interpreter) for interpreter in interpreters * 2))
    compiled = sorted((path / "pkg" / "__pycache__").glob("mod.*.pyc"))
    assert len({entry.name.split(".")[1] for entry in compiled}) == len(compiled) >= 1
    for interpreter in interpreters:
        # 1 in the flags: hash-based, and not to be checked (PEP 552); and the import was by that file.
        assert await _probe(interpreter, path) == "1 01000000 True"
    assert not (path / "__pycache__" / f"broken.{sys.implementation.cache_tag}.pyc").exists()
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in compiled} == {0o444}
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path, path / "pkg", compiled[0].parent)} == {0o555}
    made = compiled[0].stat().st_mtime_ns
    await packages.compile(path, interpreters[0])
    assert compiled[0].stat().st_mtime_ns == made


async def test_unchecked_bytecode_is_what_import_takes(packages: Packages, blobs: Blobs) -> None:
    path = await _unpack(packages, blobs, make_zip({"pkg/__init__.py": "", "pkg/mod.py": "VALUE = 1\ndef f(): pass\n"}))
    await packages.compile(path, sys.executable)
    source = path / "pkg" / "mod.py"
    source.chmod(0o644)
    source.write_text("VALUE = 2\ndef f(): pass\n")
    assert (await _probe(sys.executable, path)).startswith("1 ")


async def test_an_interpreter_that_is_not_there_is_harmless(packages: Packages, blobs: Blobs) -> None:
    path = await _unpack(packages, blobs, make_zip("VALUE = 1"))
    await packages.compile(path, "/no/such/python")
    assert stat.S_IMODE(path.stat().st_mode) == 0o555
    assert list(path.iterdir()) == [path / "app.py"]


async def _probe(interpreter: str, path: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *(interpreter, "-I", "-c", _PROBE, str(path)), stdout=subprocess.PIPE
    )
    out, _ = await process.communicate()
    return out.decode().strip()


# -- collection


async def test_collect_removes_what_is_not_in_use(packages: Packages, blobs: Blobs) -> None:
    kept = await blobs.put(make_zip("kept"))
    gone = await blobs.put(make_zip({"deep/er/x.py": "gone"}))
    coming = await blobs.put(make_zip({f"m{n}.py": "x" for n in range(300)}))
    await packages.unpacked(kept.sha256_hex)
    old = await packages.unpacked(gone.sha256_hex)
    await packages.compile(old, sys.executable)
    unpacking = asyncio.create_task(packages.unpacked(coming.sha256_hex))
    await asyncio.sleep(0)
    assert packages.collect({kept.sha256_hex}) == [gone.sha256_hex]
    assert not old.exists()
    assert len(list((await unpacking).iterdir())) == 300
    await eventually_async(lambda: _left(packages) == sorted([kept.sha256_hex, coming.sha256_hex]))
    again = await packages.unpacked(gone.sha256_hex)
    assert again == old and (again / "deep/er/x.py").read_text() == "gone"
    await packages.compile(again, sys.executable)
    assert (again / "deep/er/__pycache__").exists()


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _job_on(file: Path, pid: int) -> int:
    """The child of the package process that has the file open; 0 when none has."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError, PermissionError):  # one that has just ended
            if any(entry.readlink() == file for entry in Path(f"/proc/{child}/fd").iterdir()):
                return int(child)
    return 0
