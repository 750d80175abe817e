"""Which Python interpreters this machine has for Lambda's runtimes, found without being told and checked by running.

Looked at, in this order: settings, PATH, pyenv's versions, uv's directories. A pyenv shim or a venv's python stands for
the interpreter behind it. Answers are kept by path, size and time of the file, so a second look costs a few stats.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from pathlib import Path

import msgspec

RUNTIMES = ("python3.10", "python3.11", "python3.12", "python3.13", "python3.14")

#: run with -I in each candidate; prints one JSON object
_PROBE = """
import json, os, site, sys, sysconfig, platform
if len(sys.argv) < 2 and getattr(sys, "_base_executable", sys.executable) != sys.executable:
    os.execv(sys._base_executable, [sys._base_executable, "-I", "-c", os.environ["PILOTLIGHT_PROBE"], "base"])
import ssl, ctypes, sqlite3, zlib, bz2, lzma, socket, select, fcntl, array, _posixsubprocess
libraries = set()
with open("/proc/self/maps") as maps:
    for line in maps:
        path = line.rstrip("\\n").partition("/")
        if path[1] and ".so" in path[2]:
            libraries.add(os.path.dirname("/" + path[2]))
packages = set(site.getsitepackages())
for name in ("purelib", "platlib"):
    packages.add(sysconfig.get_path(name))
for root in (sys.prefix, "/usr/local"):
    packages.add(os.path.join(root, "lib", "python%d.%d" % sys.version_info[:2], "dist-packages"))
packages.add("/usr/lib/python3/dist-packages")
print(json.dumps({
    "executable": os.path.realpath(sys.executable), "version": list(sys.version_info[:3]),
    "implementation": sys.implementation.name, "cache_tag": sys.implementation.cache_tag,
    "prefixes": list(dict.fromkeys([sys.base_prefix, sys.base_exec_prefix, os.path.dirname(os.__file__)])),
    "libraries": sorted(libraries), "packages": sorted(packages), "build": sys.version,
    "gil": bool(getattr(sys, "_is_gil_enabled", lambda: True)()),
}))
"""
#: changes with the question asked, so that answers to an older one are not used
_PROBE_HASH = hashlib.sha256(_PROBE.encode()).hexdigest()[:8]
_PROBE_SECONDS = 20.0


class Interpreter(msgspec.Struct, frozen=True):
    """One interpreter as it describes itself; paths are absolute and real."""

    executable: str
    version: tuple[int, int, int]
    implementation: str
    cache_tag: str
    prefixes: tuple[str, ...]
    libraries: tuple[str, ...]
    """Directories of the shared libraries it has loaded."""
    packages: tuple[str, ...]
    """Its site-packages: what is installed there is the machine's, not a function's."""
    build: str
    gil: bool = True

    @property
    def runtime(self) -> str:
        return f"python{self.version[0]}.{self.version[1]}"


class Interpreters:
    """Finds and keeps. `found` maps runtime name to interpreter once `discover` has run."""

    def __init__(self, configured: dict[str, str], cache_path: Path) -> None:
        self._configured = configured
        self._cache_file = cache_path / "interpreters.json"
        self.found: dict[str, Interpreter] = {}
        self.looked_at: list[str] = []
        """Every path tried, and what was wrong with those that will not do."""
        self._discovery: asyncio.Task[None] | None = None

    async def discover(self) -> None:
        """Look once; later calls wait for that look and return."""
        if self._discovery is None:
            self._discovery = asyncio.ensure_future(self._discover())
        await asyncio.shield(self._discovery)

    def nearest(self, runtime: str) -> Interpreter | None:
        """The one for `runtime`, or the one whose version is closest (the newer of two equally close ones)."""
        if runtime in self.found or not self.found:
            return self.found.get(runtime)
        wanted = _minor(runtime)
        return min(self.found.values(), key=lambda found: (abs(found.version[1] - wanted), -found.version[1]))

    async def _discover(self) -> None:
        cache = self._read_cache()
        candidates = self._candidates()
        limit = asyncio.Semaphore(2)

        async def look(path: str) -> tuple[str, Interpreter | str]:
            key = _fingerprint(path)
            if key in cache:
                return key, cache[key]
            async with limit:
                return key, await _probe(path)

        answers = await asyncio.gather(*(look(path) for _, path in candidates))
        for (runtime, path), (key, answer) in zip(candidates, answers, strict=True):
            if isinstance(answer, str):
                self.looked_at.append(f"{path}: {answer}")
                continue
            cache[key] = answer
            problem = _problem(answer, runtime)
            self.looked_at.append(f"{path}: {problem}" if problem else path)
            if not problem and answer.runtime in RUNTIMES:
                self.found.setdefault(answer.runtime, answer)
        self._write_cache(cache)

    def _candidates(self) -> list[tuple[str, str]]:
        """(runtime, path), most wanted first, each path once."""
        listed: list[tuple[str, str]] = [(runtime, path) for runtime, path in self._configured.items()]
        for runtime in RUNTIMES:
            listed += [(runtime, path) for path in _on_path(runtime)]
        home = Path.home()
        pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
        uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python")
        for runtime in RUNTIMES:
            version = runtime.removeprefix("python")
            found = _found(pyenv, f"versions/{version}*/bin/{runtime}") + _found(
                uv, f"cpython-{version}*/bin/{runtime}"
            )
            listed += [(runtime, str(path)) for path in sorted(found, key=_version_order, reverse=True)]
        unique: dict[str, str] = {}
        for runtime, path in listed:
            unique.setdefault(os.path.abspath(path), runtime)
        return [(runtime, path) for path, runtime in unique.items()]

    def _read_cache(self) -> dict[str, Interpreter]:
        try:
            return msgspec.json.decode(self._cache_file.read_bytes(), type=dict[str, Interpreter])
        except (OSError, msgspec.MsgspecError):
            return {}

    def _write_cache(self, cache: dict[str, Interpreter]) -> None:
        try:
            self._cache_file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._cache_file.with_suffix(f".{os.getpid()}")
            temporary.write_bytes(msgspec.json.encode(cache))
            temporary.replace(self._cache_file)
        except OSError:
            return  # a cache that cannot be kept costs time, nothing else


async def _probe(path: str) -> Interpreter | str:
    """What the interpreter says of itself, or what is wrong with it."""
    environ = {"PATH": os.defpath, "PILOTLIGHT_PROBE": _PROBE, "HOME": "/"}
    try:
        process = await asyncio.create_subprocess_exec(
            path, "-I", "-c", _PROBE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environ
        )
    except OSError as error:
        return error.strerror or str(error)
    try:
        out, err = await asyncio.wait_for(process.communicate(), _PROBE_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"did not answer within {_PROBE_SECONDS:.0f} s"
    if process.returncode != 0:
        lines = err.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {process.returncode}"
    try:
        return msgspec.convert(json.loads(out), Interpreter)
    except (ValueError, msgspec.ValidationError) as error:
        return f"answered what it should not: {error}"


def _problem(found: Interpreter, runtime: str) -> str:
    if found.implementation != "cpython":
        return f"is {found.implementation}, Lambda runs CPython"
    if not found.gil:
        return "is a free-threaded build, Lambda's is not"
    if found.runtime != runtime:
        return f"is {found.runtime}, not {runtime}"
    if os.geteuid() == 0 and not _readable_by_all(found):
        return "can be read by its owner only, and functions run as other users"
    return ""


def _readable_by_all(found: Interpreter) -> bool:
    """Of the files themselves: the directories above them do not matter, they are mounted."""
    try:
        modes = [Path(path).stat().st_mode for path in (found.executable, *found.prefixes)]
    except OSError:
        return False
    return all(mode & 0o005 == 0o005 for mode in modes)


def _on_path(runtime: str) -> list[str]:
    """Every `python3.x` on PATH that is not a shim, in order; a shim only says that pyenv has it."""
    paths: list[str] = []
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = shutil.which(runtime, path=directory) if directory else None
        if path and Path(path).parent.name != "shims":
            paths.append(path)
    return paths


def _fingerprint(path: str) -> str:
    try:
        real = os.path.realpath(path)
        status = Path(real).stat()
    except OSError:
        return path
    return f"{path}|{real}|{status.st_size}|{status.st_mtime_ns}|{_PROBE_HASH}"


def _version_order(path: Path) -> tuple[int, ...]:
    digits = [part for part in path.parent.parent.name.replace("-", ".").split(".") if part.isdigit()]
    return tuple(int(part) for part in digits)


def _minor(runtime: str) -> int:
    return int(runtime.rpartition(".")[2])


def _found(directory: Path, pattern: str) -> list[Path]:
    """What matches, or nothing where this user may not look (another user's PYENV_ROOT, say)."""
    try:
        return list(directory.glob(pattern))
    except PermissionError:
        return []
