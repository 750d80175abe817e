"""Runtime sets: per interpreter, the directory that becomes /var/runtime: awslambdaric, boto3 and what they need.

Made from the distributions installed beside the node, so both sides speak the same versions and nothing is fetched.
All of it is pure Python but simplejson's optional accelerator, which is fetched for other interpreters when there is
a network and done without when there is none. A set is made once, under a lock, renamed into place whole, and never
changed; its name holds a hash of everything that went in.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pilotlight.runtimes.python.interpreters import Interpreter
from pilotlight.runtimes.python.start_path import Preloaded
from pilotlight.sandbox.errors import LaunchError

DISTRIBUTIONS = (
    "awslambdaric",
    "boto3",
    "botocore",
    "jmespath",
    "python-dateutil",
    "s3transfer",
    "simplejson",
    "six",
    "snapshot-restore-py",
    "urllib3",
)
INSIDE = Path(__file__).parent / "inside"
_MANIFEST = "manifest.json"
_ACCELERATED = "simplejson"
_PIP_SECONDS = 20


class RuntimeSet(msgspec.Struct, frozen=True):
    path: str
    preloaded: Preloaded
    versions: dict[str, str]
    """Distribution -> version."""


async def runtime_set(interpreter: Interpreter, cache_path: Path) -> RuntimeSet:
    """The set for `interpreter`, made now if need be (about a second). Raises LaunchError."""
    return await asyncio.to_thread(_runtime_set, interpreter, cache_path)


def _runtime_set(interpreter: Interpreter, cache_path: Path) -> RuntimeSet:
    try:
        distributions = [importlib.metadata.distribution(name) for name in DISTRIBUTIONS]
    except importlib.metadata.PackageNotFoundError as error:
        raise LaunchError(f"the runtime set needs {error.name}, which is not installed beside pilotlight") from error
    for distribution in distributions:
        _check_python(distribution, interpreter)
        if distribution.files is None:
            raise LaunchError(f"{distribution.name} was installed without a list of its files: install it with pip")
    versions = {distribution.name: distribution.version for distribution in distributions}
    sets = cache_path / "runtimes"
    target = sets / f"{interpreter.runtime}-{_fingerprint(versions, interpreter)}"
    try:
        sets.mkdir(parents=True, exist_ok=True)
        with open(sets / f".{target.name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_dir():
                _make(target, distributions, interpreter)
        preloaded = msgspec.json.decode((target / _MANIFEST).read_bytes(), type=Preloaded)
    except (OSError, msgspec.MsgspecError) as error:
        raise LaunchError(f"the runtime set {target} could not be made: {error}") from error
    return RuntimeSet(str(target), preloaded, versions)


def _make(target: Path, distributions: list[importlib.metadata.Distribution], interpreter: Interpreter) -> None:
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for distribution in distributions:
            for source, relative in _files(distribution):
                _place(source, work / relative)
        for source in _inside_files():
            _place(source, work / source.relative_to(INSIDE), share=False)
        if not _has_accelerator(distributions, interpreter, work):
            _fetch_accelerator(distributions, interpreter, work)
        _compile(work, interpreter)
        (work / _MANIFEST).write_bytes(msgspec.json.encode(_preloaded(work, interpreter)))
        work.chmod(0o755)
        for directory in (path for path in work.rglob("*") if path.is_dir()):
            directory.chmod(0o755)
        work.rename(target)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _files(distribution: importlib.metadata.Distribution) -> Iterator[tuple[Path, str]]:
    for file in distribution.files or ():
        relative = file.as_posix()
        if relative.startswith(("../", "/")) or "__pycache__" in relative or relative.endswith((".pyc", ".so")):
            continue
        source = Path(str(distribution.locate_file(file)))
        if source.is_file():
            yield source, relative


def _inside_files() -> list[Path]:
    return sorted(INSIDE.rglob("*.py"))


def _place(source: Path, target: Path, *, share: bool = True) -> None:
    """A hard link where that does (same file system, readable by all), else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if share and source.stat().st_mode & 0o444 == 0o444:
        with contextlib.suppress(OSError):
            os.link(source, target)
            return
    shutil.copyfile(source, target)
    target.chmod(0o644)


def _has_accelerator(
    distributions: list[importlib.metadata.Distribution], interpreter: Interpreter, work: Path
) -> bool:
    """Take simplejson's extension module along when the node's own fits."""
    distribution = next(item for item in distributions if item.name == _ACCELERATED)
    for file in distribution.files or ():
        fits = f".{interpreter.cache_tag}-" in file.name or file.name.endswith(".abi3.so")
        if fits and file.name.endswith(".so"):
            _place(Path(str(distribution.locate_file(file))), work / file.as_posix())
            return True
    return False


def _fetch_accelerator(
    distributions: list[importlib.metadata.Distribution], interpreter: Interpreter, work: Path
) -> None:
    """Best effort: without it JSON is slower, nothing else."""
    version = next(item.version for item in distributions if item.name == _ACCELERATED)
    with tempfile.TemporaryDirectory(dir=work.parent) as directory:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--no-compile", "--only-binary=:all:", "--retries=0", "--timeout=5", "--target", directory]
        command += ["--python-version", interpreter.runtime.removeprefix("python"), f"{_ACCELERATED}=={version}"]
        with contextlib.suppress(subprocess.TimeoutExpired, OSError):
            subprocess.run(command, capture_output=True, timeout=_PIP_SECONDS, check=False)
        for path in Path(directory).rglob("*.so"):
            _place(path, work / path.relative_to(directory), share=False)


def _compile(work: Path, interpreter: Interpreter) -> None:
    """Bytecode that is never checked against its source: the set does not change, and a stat per module adds up."""
    command = [interpreter.executable, "-I", "-S", "-m", "compileall", "-q", "-j", "2"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", str(work), "-p", "/var/runtime"]
    command += ["-x", r"/botocore/data/", str(work)]
    done = subprocess.run(command, capture_output=True, check=False, env={"PATH": os.defpath})
    if done.returncode != 0:
        lines = done.stdout.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else done.stderr.decode(errors="replace").strip()
        raise LaunchError(f"the runtime set for {interpreter.executable} could not be compiled: {reason}")


def _preloaded(work: Path, interpreter: Interpreter) -> Preloaded:
    def loaded(way: str) -> frozenset[str]:
        command = [interpreter.executable, "-I", "-S", str(work / "pilotlight_inside/manifest.py"), way]
        done = subprocess.run(command, capture_output=True, check=False, env={"PATH": os.defpath})
        if done.returncode != 0:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise LaunchError(f"the runtime set does not work on {interpreter.executable}: {lines[-1:]}")
        return frozenset(json.loads(done.stdout))

    fresh, bare, full = loaded("fresh"), loaded("bare"), loaded("full")
    distributed = {path.name.partition(".")[0] for path in work.iterdir() if not path.name.endswith((".json", "-info"))}
    return Preloaded(fresh, bare - fresh, full - bare, frozenset(distributed))


def _fingerprint(versions: dict[str, str], interpreter: Interpreter) -> str:
    digest = hashlib.sha256(json.dumps([versions, interpreter.cache_tag, interpreter.version]).encode())
    for path in [*_inside_files(), Path(__file__)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _check_python(distribution: importlib.metadata.Distribution, interpreter: Interpreter) -> None:
    """Lower bounds of Requires-Python, which is all that these distributions state."""
    wanted = distribution.metadata["Requires-Python"] or ""
    for clause in wanted.split(","):
        match = re.fullmatch(r"\s*>=\s*3\.(\d+)(?:\.\d+)?\s*", clause)
        if match and interpreter.version[1] < int(match[1]):
            raise LaunchError(f"{distribution.name} {distribution.version} needs Python {clause.strip()}")
