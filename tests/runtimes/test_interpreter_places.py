"""Interpreters that live where an environment mounts things of its own: /tmp, and /opt with layers on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pilotlight.runtimes.python.launcher import PythonLauncher
from pilotlight.settings import Settings
from tests.runtimes.harness import environment

pytestmark = pytest.mark.asyncio(loop_scope="module")

_RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"


def _copy(directory: str) -> Iterator[str]:
    """This interpreter, hard-linked or copied under `directory`; its path."""
    if sys.base_prefix in ("/usr", "/usr/local"):
        pytest.skip("the system's own interpreter cannot be moved")
    if not os.access(directory, os.W_OK):
        pytest.skip(f"{directory} cannot be written to")
    place = Path(tempfile.mkdtemp(prefix="pilotlight-python-", dir=directory))
    place.chmod(0o755)
    try:
        ignored = shutil.ignore_patterns("site-packages", "test", "__pycache__", "*.a", "share", "include")
        shutil.copytree(sys.base_prefix, place / "py", symlinks=True, ignore=ignored)
        python = place / "py" / "bin" / _RUNTIME
        prefix = subprocess.run(
            [python, "-I", "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True, check=False
        )
        if prefix.stdout.strip() != str(place / "py"):
            pytest.skip("this interpreter does not work at another place")
        yield str(python)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(params=["/tmp", "/opt"])
def elsewhere(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from _copy(request.param)


async def test_an_interpreter_under_tmp_or_opt(elsewhere: str, package: Callable[..., str], cache_dir: str) -> None:
    launcher = PythonLauncher(Settings(cache_dir=cache_dir, interpreters={_RUNTIME: elsewhere}))
    await launcher.start()
    try:
        if launcher.describe().driver != "namespaces":
            pytest.skip(launcher.describe().reason)
        assert launcher.interpreter_path(_RUNTIME) == os.path.realpath(elsewhere)
        source = """
            import subprocess, sys, zoneinfo, xml.dom.minidom
            def handler(event, context):
                __import__('from_layer' if event else 'json')
                child = subprocess.check_output([sys.executable, '-c', 'import csv; print(1)'])
                return [sys.executable, child.decode()]
            """.replace("PLACE", "__import__('from_layer' if event else 'json')")
        layer = package({"python/from_layer.py": ""})
        second = package({"notes.txt": ""})
        for layers in ((), (layer,), (layer, second)):
            for environ in ({}, {"PYTHONHASHSEED": "1"}):
                async with environment(
                    launcher, package(source), runtime=_RUNTIME, layer_dirs=layers, environ=environ
                ) as running:
                    answer = await (await running.ready()).result(bool(layers))
                    assert answer == [os.path.realpath(elsewhere), "1\n"]
    finally:
        await launcher.stop()
