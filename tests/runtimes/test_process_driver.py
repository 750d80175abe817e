"""The driver that isolates nothing: functions run, and it is said what they are not kept from."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from pilotlight.runtimes.python.launcher import PythonLauncher
from pilotlight.sandbox.driver import choose_driver
from pilotlight.sandbox.errors import LaunchError
from pilotlight.sandbox.process import make_private_dir, remove_private_dir
from pilotlight.settings import Settings
from tests.runtimes.harness import environment, function_spec, start
from tests.support import eventually_async

pytestmark = pytest.mark.asyncio(loop_scope="module")

Package = Callable[..., str]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def plain(cache_dir: str) -> AsyncIterator[PythonLauncher]:
    launcher = PythonLauncher(Settings(cache_dir=cache_dir, sandbox="process"))
    await launcher.start()
    yield launcher
    await launcher.stop()


async def test_says_that_nothing_is_isolated(plain: PythonLauncher) -> None:
    facts = plain.describe()
    assert (facts.driver, facts.mode) == ("process", "process")
    assert any(gap.startswith("isolation") for gap in facts.not_enforced)
    assert "sandbox=process" in facts.reason


async def test_runs_where_the_code_lies(plain: PythonLauncher, package: Package) -> None:
    source = """
        import os, sys, tempfile
        import boto3, from_layer
        def handler(event, context):
            return [os.getcwd(), os.environ['LAMBDA_TASK_ROOT'], tempfile.gettempdir(), os.environ['TMPDIR'],
                    os.environ['AWS_LAMBDA_RUNTIME_API'], os.path.basename(os.path.dirname(boto3.__file__)),
                    from_layer.x, sys.path[0]]
        """
    code = package(source)
    layer = package({"python/from_layer.py": "x = 'layered'\n"})
    for environ in ({}, {"PYTHONHASHSEED": "1"}):
        async with environment(plain, code, layer_dirs=(layer,), environ=environ) as running:
            answer = await (await running.ready()).result()
            host, port = running.process.sandbox.runtime_api.getsockname()
            private = running.process.sandbox.private_dir
            assert answer == [code, code, private, private, f"{host}:{port}", "boto3", "layered", code]
            assert _exists(private)
        assert not _exists(private)


def _exists(path: str) -> bool:
    return Path(path).is_dir()


async def test_what_is_installed_on_the_machine_is_out_of_the_way(plain: PythonLauncher, package: Package) -> None:
    # Debian's awscli brings an awscrt that botocore would take up, and that no fork survives: TLS then hangs.
    source = """
        import sys, sysconfig
        import boto3
        def handler(event, context):
            boto3.client('s3', region_name='us-east-1')
            machine = {sysconfig.get_path('purelib'), sysconfig.get_path('platlib'), '/usr/lib/python3/dist-packages'}
            return sorted(machine.intersection(sys.path))
        """
    code = package(source)
    for environ in ({}, {"PYTHONHASHSEED": "1"}):
        async with environment(plain, code, environ=environ) as running:
            assert await (await running.ready()).result() == []


async def test_reset_keeps_the_private_directory(plain: PythonLauncher, package: Package) -> None:
    source = """
        import os
        def handler(event, context):
            kept = os.listdir(os.environ['TMPDIR'])
            open(os.environ['TMPDIR'] + '/x', 'w').close()
            return [kept, os.environ['AWS_LAMBDA_RUNTIME_API']]
        """
    code = package(source)
    first = await (await start(plain, function_spec(code))).ready()
    kept, address = await first.result()
    assert kept == []
    await first.end()
    again = await (await start(plain, function_spec(code), first.process.sandbox)).ready()
    assert await again.result() == [["x"], address]
    await again.end()
    await again.process.sandbox.destroy()


async def test_kill_takes_its_process_group(plain: PythonLauncher, package: Package) -> None:
    source = """
        import os, subprocess
        def handler(event, context):
            return subprocess.Popen(['sleep', '1000']).pid
        """
    running = await (await start(plain, function_spec(package(source)))).ready()
    child = await running.result()
    await running.end()
    assert await running.status() == -signal.SIGKILL
    await eventually_async(lambda: not _runs(child))
    await running.process.sandbox.destroy()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_auto_falls_back_with_the_reason_and_namespaces_refuses(tmp_path: Path) -> None:
    refusing = tmp_path / "enter.py"
    refusing.write_text(
        'import json\nprint(json.dumps({"error": "unshare: refused here", '
        '"nested_user_namespace": False, "cgroup_namespace": False}))\n'
    )
    driver = await choose_driver("auto", str(refusing))
    assert driver.name == "process"
    assert "unshare: refused here" in driver.reason
    with pytest.raises(LaunchError, match="unshare: refused here"):
        await choose_driver("namespaces", str(refusing))
    refusing.write_text("raise SystemExit('no such thing')\n")
    assert "no such thing" in (await choose_driver("auto", str(refusing))).reason


async def test_directories_of_killed_nodes_are_removed_at_the_next_start(cache_dir: str) -> None:
    script = "import os\nfrom pilotlight.sandbox.process import make_private_dir\nprint(make_private_dir('e'))\n"
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    left, own = done.stdout.strip(), make_private_dir("mine")
    assert _exists(left)
    await PythonLauncher(Settings(cache_dir=cache_dir, sandbox="process")).start()
    assert not _exists(left)
    assert _exists(own)
    remove_private_dir(own)
