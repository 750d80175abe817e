"""Finding interpreters, making their runtime sets, and every version found serving a function."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pilotlight import errors
from pilotlight.runtimes.python.interpreters import RUNTIMES, Interpreters
from pilotlight.runtimes.python.launcher import PythonLauncher
from pilotlight.runtimes.python.sets import runtime_set
from pilotlight.sandbox.errors import LaunchError
from pilotlight.settings import Settings
from tests.runtimes.harness import environment

pytestmark = pytest.mark.asyncio(loop_scope="module")

_REAL = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
OWN = f"python{sys.version_info[0]}.{sys.version_info[1]}"


async def _discovered(configured: dict[str, str], cache: Path) -> Interpreters:
    interpreters = Interpreters(configured, cache)
    await interpreters.discover()
    return interpreters


async def test_finds_itself_and_says_what_it_looked_at(tmp_path: Path) -> None:
    interpreters = await _discovered({OWN: sys.executable}, tmp_path)
    found = interpreters.found[OWN]
    assert found.runtime == OWN
    assert found.executable == _REAL
    assert found.version == sys.version_info[:3]
    assert any(sys.executable in line for line in interpreters.looked_at)


async def test_a_venv_stands_for_the_interpreter_behind_it(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    await asyncio.to_thread(subprocess.run, [sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    interpreters = await _discovered({OWN: str(venv / "bin" / "python")}, tmp_path / "cache")
    assert not interpreters.found[OWN].executable.startswith(str(venv))


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("#!/bin/sh\necho broken >&2\nexit 3\n", "broken"),
        ("#!/bin/sh\necho '{}'\n", "answered what it should not"),
        ("not a program", ""),
    ],
)
async def test_what_does_not_answer_is_not_used_and_named(tmp_path: Path, script: str, problem: str) -> None:
    fake = tmp_path / "python3.10"
    fake.write_text(script)
    fake.chmod(0o755)
    interpreters = await _discovered({"python3.10": str(fake)}, tmp_path / "cache")
    assert interpreters.found.get("python3.10") is None or interpreters.found["python3.10"].executable != str(fake)
    assert any(line.startswith(f"{fake}: ") and problem in line for line in interpreters.looked_at)


async def test_the_wrong_version_is_not_used(tmp_path: Path) -> None:
    wrong = next(runtime for runtime in RUNTIMES if runtime != OWN)
    interpreters = await _discovered({wrong: sys.executable}, tmp_path)
    assert any(f"is {OWN}, not {wrong}" in line for line in interpreters.looked_at)


async def test_a_second_look_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho ran >> {marker}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    for _ in range(2):
        await _discovered({OWN: str(python)}, tmp_path / "cache")
    assert marker.read_text() == "ran\n"
    python.write_text(python.read_text() + "# changed\n")
    await _discovered({OWN: str(python)}, tmp_path / "cache")
    assert marker.read_text() == "ran\nran\n"


async def test_a_missing_runtime_is_refused_with_what_was_looked_for(cache_dir: str) -> None:
    launcher = PythonLauncher(Settings(cache_dir=cache_dir, sandbox="process"))
    await launcher.start()
    missing = launcher.describe().missing
    for runtime in missing:
        with pytest.raises(errors.InvalidParameterValueException, match=f"Looked for `{runtime}` on PATH") as refused:
            launcher.check(runtime, "x86_64")
        assert "interpreters = " in refused.value.message
    with pytest.raises(errors.InvalidParameterValueException, match="nodejs"):
        launcher.check("nodejs22.x", "x86_64")
    for runtime in launcher.describe().interpreters:
        launcher.check(runtime, "arm64")


async def test_fallback_to_the_nearest(cache_dir: str, tmp_path: Path, package: Callable[..., str]) -> None:
    settings = Settings(cache_dir=cache_dir, runtime_fallback="nearest", interpreters={"python3.14": sys.executable})
    launcher = PythonLauncher(settings)
    await launcher.start()
    missing = launcher.describe().missing
    if not missing:
        pytest.skip("every interpreter is here")
    runtime = missing[-1]
    launcher.check(runtime, "x86_64")
    assert launcher.runs_on(runtime) in launcher.describe().interpreters
    assert launcher.notice(runtime)
    assert launcher.notice(launcher.runs_on(runtime)) == ""
    code = package("import sys\ndef handler(event, context):\n    return list(sys.version_info[:2])\n")
    async with environment(launcher, code, runtime=runtime) as running:
        version = await (await running.ready()).result()
    assert f"python{version[0]}.{version[1]}" == launcher.runs_on(runtime)
    await launcher.stop()


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_every_version_serves_functions(
    runtime: str, launcher: PythonLauncher, package: Callable[..., str]
) -> None:
    if runtime not in launcher.describe().interpreters:
        pytest.skip(f"no {runtime} here")
    source = """
        import json, logging, os, ssl, sqlite3, subprocess, sys
        import boto3
        def handler(event, context):
            logging.getLogger().warning('said')
            import simplejson
            s3 = boto3.client('s3')
            return [list(sys.version_info[:2]), s3.meta.endpoint_url, os.environ['AWS_EXECUTION_ENV'],
                    subprocess.check_output([sys.executable, '-c', 'print(1)']).decode(), sys.path[0],
                    'pilotlight_inside' in sys.modules, bool(simplejson.encoder.c_make_encoder), 'é']
        """
    for environ, path in (({}, "fork"), ({"PYTHONHASHSEED": "1"}, "exec")):
        code = package(source)
        async with environment(launcher, code, runtime=runtime, environ=environ) as running:
            assert running.process.start_path == path
            await running.ready()
            first = await running.result()
            version = tuple(int(part) for part in runtime.removeprefix("python").split("."))
            assert tuple(first[0]) == version
            assert first[1] == f"http://{'127.0.0.1:4566' if launcher.describe().driver != 'process' else first[1][7:]}"
            assert first[2] == f"AWS_Lambda_{runtime}"
            assert first[3:6] == ["1\n", running_task_root(launcher, code), False]
            if runtime == OWN:
                assert first[6]  # simplejson's accelerator, which the node's own interpreter has
            assert await running.result() == first
            assert any("said" in line for line in await running.logs())


def running_task_root(launcher: PythonLauncher, code: str) -> str:
    return code if launcher.describe().driver == "process" else "/var/task"


async def test_a_runtime_set_is_whole_readable_and_made_once(tmp_path: Path) -> None:
    interpreters = await _discovered({OWN: sys.executable}, tmp_path / "cache")
    interpreter = interpreters.found[OWN]
    made = await runtime_set(interpreter, tmp_path / "cache")
    _check_set(Path(made.path))
    assert made.versions["boto3"]
    assert "boto3" in made.preloaded.full and "boto3" not in made.preloaded.base | made.preloaded.fresh
    assert "awslambdaric" in made.preloaded.fresh
    before = _inode(made.path)
    assert (await runtime_set(interpreter, tmp_path / "cache")).path == made.path
    assert _inode(made.path) == before
    assert [name for name in _names(tmp_path / "cache" / "runtimes") if not name.startswith(".")] == [
        Path(made.path).name
    ]


def _check_set(path: Path) -> None:
    assert (path / "bootstrap.py").is_file()
    assert (path / "awslambdaric").is_dir()
    assert (path / "botocore" / "__pycache__" / f"session.{sys.implementation.cache_tag}.pyc").is_file()
    for file in path.rglob("*"):
        wanted = 0o555 if file.is_dir() else 0o444
        assert stat.S_IMODE(file.stat().st_mode) & wanted == wanted, file
    assert not list(path.rglob("runtime_client*"))  # the compiled client is for HTTP, and for one version only


def _inode(path: str) -> int:
    return Path(path).stat().st_ino


def _names(directory: Path) -> list[str]:
    return [entry.name for entry in directory.iterdir()]


async def test_a_set_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    interpreters = await _discovered({OWN: sys.executable}, tmp_path / "cache")
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(LaunchError, match="could not be made"):
        await runtime_set(interpreters.found[OWN], blocked)
    too_old = msgspec.structs.replace(interpreters.found[OWN], version=(3, 6, 0))
    with pytest.raises(LaunchError, match=r"needs Python >= ?3"):
        await runtime_set(too_old, tmp_path / "cache")
