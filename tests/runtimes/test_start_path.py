"""Which way a function starts, by its variables and by what its package brings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pilotlight.runtimes.python.start_path import Preloaded, StartPath, from_environ, from_package
from tests.runtimes.harness import write_package
from tests.support import make_zip

LOADED = Preloaded(
    fresh=frozenset({"json", "logging", "awslambdaric", "simplejson", "snapshot_restore_py"}),
    base=frozenset({"ctypes", "select"}),
    full=frozenset({"boto3", "botocore", "urllib3", "six", "queue", "email"}),
    distributed=frozenset({"awslambdaric", "boto3", "botocore", "urllib3", "six", "simplejson", "snapshot_restore_py"}),
)


def _path(tmp_path: Path, files: Mapping[str, str | bytes], *layers: Mapping[str, str | bytes]) -> StartPath:
    code = write_package(tmp_path / "code", files)
    made = [write_package(tmp_path / f"layer{n}", layer) for n, layer in enumerate(layers)]
    return from_package(code, made, "python3.11", LOADED)


@pytest.mark.parametrize(
    ("files", "variant", "execute"),
    [
        ({"app.py": ""}, "full", False),
        ({"app.py": "", "json.py": "", "utils/queue.py": ""}, "full", False),
        ({"boto3/__init__.py": ""}, "bare", False),
        ({"six.py": ""}, "bare", False),
        ({"urllib3.cpython-311-x86_64-linux-gnu.so": b""}, "bare", False),
        ({"queue.py": ""}, "bare", False),
        ({"vendor/boto3/__init__.py": ""}, "bare", False),
        ({"a/b/six.py": ""}, "bare", False),
        ({"pip/__init__.py": "", "pip/_vendor/__init__.py": "", "pip/_vendor/urllib3/__init__.py": ""}, "full", False),
        ({"lib.zip": make_zip({"botocore/__init__.py": ""})}, "bare", False),
        ({"lib.zip": make_zip({"other.py": ""}), "broken.zip": b"no zip"}, "full", False),
        ({"ctypes/__init__.py": ""}, "full", True),
        ({"select.py": ""}, "full", True),
    ],
)
def test_by_package(tmp_path: Path, files: Mapping[str, str | bytes], variant: str, execute: bool) -> None:
    path = _path(tmp_path, files)
    assert (path.variant, path.execute) == (variant, execute), path
    assert bool(path.reason) == (path != StartPath())


def test_by_layers(tmp_path: Path) -> None:
    assert _path(tmp_path / "1", {"app.py": ""}, {"python/x.py": ""}) == StartPath()
    assert _path(tmp_path / "2", {"app.py": ""}, {"python/boto3/__init__.py": ""}).variant == "bare"
    site = {"python/lib/python3.11/site-packages/urllib3/__init__.py": ""}
    assert _path(tmp_path / "3", {"app.py": ""}, {"python/x.py": ""}, site).variant == "bare"
    assert _path(tmp_path / "4", {"app.py": ""}, {"lib/libx.so": b""}).execute
    assert _path(tmp_path / "5", {"app.py": ""}, {"python/x.pth": ""}) == StartPath(path_files=True)
    assert _path(tmp_path / "6", {"app.py": "", "x.pth": ""}) == StartPath(path_files=True)


def test_the_functions_own_simplejson_is_found_by_name(tmp_path: Path) -> None:
    assert _path(tmp_path, {"simplejson/__init__.py": "", "awslambdaric/__init__.py": ""}).shadowed == ("simplejson",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LD_PRELOAD", "x"),
        ("LD_LIBRARY_PATH", "/opt/mine"),
        ("PYTHONPATH", "x"),
        ("PYTHONHASHSEED", "0"),
        ("MALLOC_ARENA_MAX", "2"),
        ("AWS_LAMBDA_EXEC_WRAPPER", "/opt/w"),
        ("LC_ALL", "C"),
        ("LANG", "de_DE.UTF-8"),
        ("OPENSSL_CONF", "/x"),
    ],
)
def test_by_environ(name: str, value: str) -> None:
    assert name in from_environ({"A": "b", name: value})


def test_plain_variables_ask_for_nothing() -> None:
    assert from_environ({"LANG": "en_US.UTF-8", "TZ": "Europe/Berlin", "AWS_REGION": "x", "MY_LD_PATH": "y"}) == ""
