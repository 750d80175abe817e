"""How a function starts: forked from the full zygote, from the bare one, or as a fresh interpreter in the sandbox.

Decided from its environment variables and from what its package and layers bring along; the answer for a package is
kept, because packages never change.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

_EXEC_PREFIXES = ("LD_", "PYTHON", "MALLOC_", "OPENSSL_", "LC_")
_EXEC_NAMES = frozenset({"AWS_LAMBDA_EXEC_WRAPPER", "GLIBC_TUNABLES", "LANGUAGE", "SSL_CERT_FILE", "SSL_CERT_DIR"})
_LANG = "en_US.UTF-8"
_SUFFIXES = (".py", ".pyc", ".so")
_ARCHIVES = (".zip", ".whl", ".egg")
_SCAN_DEPTH = 3
_SCAN_ENTRIES = 20_000


class StartPath(msgspec.Struct, frozen=True):
    variant: Literal["full", "bare"] = "full"
    execute: bool = False
    shadowed: tuple[str, ...] = ()
    """Modules of the runtime set, loaded before the handler, of which the function brings its own."""
    path_files: bool = False
    """The package or a layer has .pth files, which AWS's bootstrap reads."""
    reason: str = ""


class Preloaded(msgspec.Struct, frozen=True):
    """Top-level module names by when they are loaded, as the runtime set's manifest has them."""

    fresh: frozenset[str]
    """By a fresh interpreter that is about to import its handler."""
    base: frozenset[str]
    """By a bare zygote, beyond `fresh`."""
    full: frozenset[str]
    """By a full zygote, beyond `base`."""
    distributed: frozenset[str]
    """Those that the runtime set's distributions bring, rather than the standard library."""


def from_environ(environ: Mapping[str, str]) -> str:
    """Why these variables ask for a fresh interpreter: they are read when it starts. Empty when none does."""
    for name, value in environ.items():
        if name in _EXEC_NAMES or name.startswith(_EXEC_PREFIXES) or (name == "LANG" and value != _LANG):
            return f"{name} is set"
    return ""


def from_package(code_dir: str, layer_dirs: Iterable[str], runtime: str, loaded: Preloaded) -> StartPath:
    """The start path that a package and its layers ask for."""
    layers = tuple(layer_dirs)
    for layer in layers:
        if Path(layer, "lib").is_dir():
            return StartPath(execute=True, reason="a layer has lib/")
    roots = [code_dir]
    for layer in layers:
        roots += [os.path.join(layer, path) for path in ("python", f"python/lib/{runtime}/site-packages")]
    names = {name for root in roots for name in _modules(root)}
    path_files = any(name.endswith(".pth") for root in roots if os.path.isdir(root) for name in os.listdir(root))
    shadowed = tuple(sorted(names & loaded.fresh & loaded.distributed - {"awslambdaric"}))
    if clash := names & (loaded.base - loaded.distributed):
        return StartPath(execute=True, shadowed=shadowed, reason=f"the package has a module {min(clash)}")
    full = StartPath(shadowed=shadowed, path_files=path_files)
    if clash := names & loaded.full:
        return msgspec.structs.replace(full, variant="bare", reason=f"the package has a module {min(clash)}")
    wanted = loaded.full & loaded.distributed
    for root in roots:
        for path in _vendored(root, wanted):
            return msgspec.structs.replace(
                full, variant="bare", reason=f"the package has {os.path.relpath(path, root)}"
            )
    return full


def _modules(directory: str) -> Iterator[str]:
    """Names that `import` would find there."""
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return
    yield from (entry.name.partition(".")[0] for entry in entries if _is_module(entry))


def _is_module(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(_SUFFIXES) or ("." not in entry.name and entry.is_dir())


def _vendored(root: str, wanted: frozenset[str]) -> Iterator[str]:
    """Copies of `wanted` where a handler could reach them by adding a directory, or a zip, to sys.path.

    A directory that is itself a package is not one that goes on sys.path (pip/_vendor and the like).
    """
    seen = 0
    pending = [(root, 0)]
    while pending:
        directory, depth = pending.pop()
        try:
            entries = list(os.scandir(directory))
        except OSError:
            continue
        seen += len(entries)
        if depth and any(entry.name == "__init__.py" for entry in entries):
            continue
        for entry in entries:
            if depth and _is_module(entry) and entry.name.partition(".")[0] in wanted:
                yield entry.path
            if entry.name.endswith(_ARCHIVES) and entry.is_file() and _zip_has(entry.path, wanted):
                yield entry.path
            if depth < _SCAN_DEPTH and seen < _SCAN_ENTRIES and entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, depth + 1))


def _zip_has(path: str, wanted: frozenset[str]) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.partition("/")[0].removesuffix(".py") in wanted for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False
