"""What happens when a zygote, or the node itself, is killed: nothing survives, and the next launch works."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotlight.runtimes.python.launcher import PythonLauncher
from pilotlight.sandbox.errors import SandboxLost
from pilotlight.settings import Settings
from tests.runtimes.harness import environment, function_spec, start
from tests.support import eventually_async

pytestmark = pytest.mark.asyncio(loop_scope="module")

Package = Callable[..., str]

_HELLO = "def handler(event, context):\n    return event\n"


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            found += [int(child) for child in file.read().split()]
    return found


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for child in _children(pid):
        found += [child, *_descendants(child)]
    return found


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("victim", ["zygote", "first stage"])
async def test_a_killed_zygote_takes_its_processes_along_and_is_replaced(
    confined: PythonLauncher, package: Package, victim: str
) -> None:
    code = package(_HELLO)
    running = await (await start(confined, function_spec(code))).ready()
    zygote = int(_status(running.process.pid)["PPid"])
    first_stage = int(_status(zygote)["PPid"])
    os.kill(zygote if victim == "zygote" else first_stage, signal.SIGKILL)
    assert await running.status() == -signal.SIGKILL
    assert (await running.word())[0] == "exited"
    await eventually_async(lambda: not _alive(running.process.pid) and not _alive(zygote))
    await running.end()
    with pytest.raises(SandboxLost):
        await eventually_async(lambda: confined.launch(function_spec(code), running.process.sandbox))
    await running.process.sandbox.destroy()
    async with environment(confined, code) as after:
        assert await (await after.ready()).result("again") == "again"


def _status(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


_NODE = """
import asyncio, sys
sys.path.insert(0, {root!r})
from pilotlight.runtimes.python.launcher import PythonLauncher
from pilotlight.settings import Settings
from tests.runtimes.harness import function_spec, start
async def main():
    launcher = PythonLauncher(Settings(cache_dir={cache!r}, sandbox={sandbox!r}))
    await launcher.start()
    running = [await (await start(launcher, function_spec({code!r}))).ready() for _ in range(3)]
    print(*[one.process.pid for one in running], flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.parametrize("sandbox", ["auto", "process"])
async def test_kill_9_of_the_node_leaves_nothing(
    launcher: PythonLauncher, package: Package, cache_dir: str, sandbox: str, pytestconfig: pytest.Config
) -> None:
    source = _NODE.format(root=str(pytestconfig.rootpath), cache=cache_dir, sandbox=sandbox, code=package(_HELLO))
    node = await asyncio.create_subprocess_exec(sys.executable, "-c", source, stdout=asyncio.subprocess.PIPE)
    assert node.stdout is not None
    pids = [int(pid) for pid in (await asyncio.wait_for(node.stdout.readline(), 60)).split()]
    assert len(pids) == 3
    everyone = [*_descendants(node.pid), *pids]
    assert all(map(_alive, pids))
    node.kill()
    await node.wait()
    await eventually_async(lambda: not [pid for pid in everyone if _alive(pid)])


async def test_stop_ends_everything(package: Package, cache_dir: str) -> None:
    launcher = PythonLauncher(Settings(cache_dir=cache_dir))
    await launcher.start()
    before = set(os.listdir("/proc/self/fd"))
    running = await (await start(launcher, function_spec(package(_HELLO)))).ready()
    await launcher.stop()
    assert await running.status() == -signal.SIGKILL
    await eventually_async(lambda: not Path(f"/proc/{running.process.pid}").exists())
    await running.end()
    await running.process.sandbox.destroy()
    assert set(os.listdir("/proc/self/fd")) <= before | {""}
