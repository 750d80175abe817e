"""The life of a runtime process: start, reset in the kept sandbox, exec path, network, deaths; nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotlight.runtimes.python.launcher import PythonLauncher
from pilotlight.sandbox.errors import LaunchError
from tests.runtimes.harness import Running, environment, function_spec, start
from tests.support import eventually_async

pytestmark = pytest.mark.asyncio(loop_scope="module")

Package = Callable[..., str]

_HELLO = "def handler(event, context):\n    return event\n"


async def test_answers(launcher: PythonLauncher, package: Package) -> None:
    async with environment(launcher, package(_HELLO)) as running:
        assert running.process.start_path == "fork"
        await running.ready()
        assert await running.result({"a": [1, "é"]}) == {"a": [1, "é"]}
        assert running.process.pid > 0
        os.kill(running.process.pid, 0)


async def test_reset_keeps_tmp_and_listeners_and_renews_the_rest(confined: PythonLauncher, package: Package) -> None:
    source = """
        import os, urllib.request
        count = 0
        def handler(event, context):
            global count
            count += 1
            kept = sorted(os.listdir('/tmp')), sorted(os.listdir('/dev/shm'))
            open(f'/tmp/{event}', 'w').close()
            open(f'/dev/shm/{event}', 'w').close()
            seen = sorted(int(p) for p in os.listdir('/proc') if p.isdigit())
            owner = os.stat('/tmp/' + event).st_uid
            return [count, kept, seen == [1, os.getpid()], owner, open('/var/task/app.py').read(1)]
        """
    code = package(source)
    first = await (await start(confined, function_spec(code))).ready()
    sandbox = first.process.sandbox
    assert await first.result("one") == [1, [[], []], True, 993, "\n"]
    assert await first.result("two") == [2, [["one"], ["one"]], True, 993, "\n"]
    await first.end()
    for round_number in range(3):
        again = await (await start(confined, function_spec(code), sandbox)).ready()
        assert again.process.sandbox is sandbox
        names = ["one", *[f"r{n}" for n in range(round_number)], "two"]
        assert await again.result(f"r{round_number}") == [1, [sorted(names)] * 2, True, 993, "\n"]
        await again.end()
    await sandbox.destroy()


async def test_listeners_are_inside(confined: PythonLauncher, package: Package) -> None:
    source = """
        import os, urllib.request
        def handler(event, context):
            url = os.environ['AWS_ENDPOINT_URL'] if event else 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API']
            return [url, urllib.request.urlopen(url + '/hello', timeout=10).read().decode()]
        """
    async with environment(confined, package(source)) as running:
        await running.ready()
        loop = asyncio.get_running_loop()
        for event, listener, url in (
            (1, running.process.sandbox.aws_endpoint, "http://127.0.0.1:4566"),
            (0, running.process.sandbox.runtime_api, "http://127.0.0.1:9001"),
        ):
            answer = asyncio.ensure_future(running.result(event))
            connection, _ = await loop.sock_accept(listener)
            with connection:
                connection.setblocking(False)
                assert (await loop.sock_recv(connection, 4096)).startswith(b"GET /hello")
                await loop.sock_sendall(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                assert await answer == [url, "hi"]


async def test_network_host_reaches_the_host(launcher: PythonLauncher, package: Package) -> None:
    source = """
        import os, socket
        def handler(event, context):
            with socket.create_connection(('127.0.0.1', event), 5) as s:
                return [s.recv(5).decode(), os.environ['AWS_LAMBDA_RUNTIME_API'], os.environ['AWS_ENDPOINT_URL']]
        """
    code = package(source)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        running = await (await start(launcher, function_spec(code, network="host"))).ready()
        sandbox = running.process.sandbox
        for _ in range(2):
            answer = asyncio.ensure_future(running.result(server.getsockname()[1]))
            connection, _ = await asyncio.get_running_loop().sock_accept(server)
            with connection:
                connection.send(b"hello")
            host, port = sandbox.runtime_api.getsockname()
            endpoint_host, endpoint_port = sandbox.aws_endpoint.getsockname()
            assert await answer == ["hello", f"{host}:{port}", f"http://{endpoint_host}:{endpoint_port}"]
            await running.end()
            running = await (await start(launcher, function_spec(code, network="host"), sandbox)).ready()
        await running.end()
        await sandbox.destroy()


@pytest.mark.parametrize("name", ["PYTHONHASHSEED", "MALLOC_ARENA_MAX", "LD_PRELOAD", "LC_ALL", "PYTHONUNBUFFERED"])
async def test_variables_that_a_fork_cannot_honour_start_a_fresh_interpreter(
    launcher: PythonLauncher, package: Package, name: str
) -> None:
    value = "" if name == "LD_PRELOAD" else "C.UTF-8" if name == "LC_ALL" else "1"
    source = "import os\ndef handler(event, context):\n    return os.environ[event]\n"
    async with environment(launcher, package(source), environ={name: value}) as running:
        assert running.process.start_path == "exec"
        assert await (await running.ready()).result(name) == value


async def test_the_exec_path_honours_what_it_is_for(launcher: PythonLauncher, package: Package) -> None:
    source = "import sys\ndef handler(event, context):\n    return [hash('pilotlight'), sys.flags.optimize]\n"
    seen = []
    for _ in range(2):
        async with environment(
            launcher, package(source), environ={"PYTHONHASHSEED": "7", "PYTHONOPTIMIZE": "2"}
        ) as running:
            seen.append(await (await running.ready()).result())
    assert seen[0] == seen[1]
    assert seen[0][1] == 2


async def test_an_exec_wrapper_runs_around_the_runtime(
    confined: PythonLauncher, package: Package, tmp_path: object
) -> None:
    layer = package({"wrap.sh": '#!/bin/sh\nexport WRAPPED="$#"\nexec "$@"\n'})
    source = "import os\ndef handler(event, context):\n    return os.environ['WRAPPED']\n"
    async with environment(
        confined, package(source), layer_dirs=(layer,), environ={"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrap.sh"}
    ) as running:
        assert await (await running.ready()).result() == "2"


@pytest.mark.parametrize("environ", [{}, {"PYTHONHASHSEED": "1"}])
async def test_layers_lie_over_each_other(confined: PythonLauncher, package: Package, environ: dict[str, str]) -> None:
    source = """
        import both, one, two, from_path_file
        def handler(event, context):
            try:
                open('/opt/new', 'w')
            except OSError as error:
                return [both.__file__, both.x, open('/opt/data').read(), from_path_file.__file__]
        """
    first = package({"python/both.py": "x = 1", "python/one.py": "", "data": "1"})
    second = package(
        {
            "python/both.py": "x = 2",
            "python/two.py": "",
            "python/more.pth": "more\n",
            "python/more/from_path_file.py": "",
            "data": "2",
        }
    )
    async with environment(confined, package(source), layer_dirs=(first, second), environ=environ) as running:
        answer = await (await running.ready()).result()
        assert answer == ["/opt/python/both.py", 2, "2", "/opt/python/more/from_path_file.py"]


async def test_an_exec_wrapper_that_is_not_there(confined: PythonLauncher, package: Package) -> None:
    async with environment(confined, package(_HELLO), environ={"AWS_LAMBDA_EXEC_WRAPPER": "/opt/missing"}) as running:
        kind, error_type, body = await running.word()
        assert (kind, error_type) == ("init_failed", "Runtime.InvalidEntrypoint")
        assert b"fork/exec /opt/missing: no such file or directory" in body
        assert await running.status() == 1


async def test_a_native_library_of_the_package_is_found(confined: PythonLauncher, package: Package) -> None:
    """LD_LIBRARY_PATH names /var/task/lib; a loader that started before it existed must still look there."""
    source = """
        import ctypes, shutil
        def handler(event, context):
            return [ctypes.CDLL('libofmine.so.1').getpid() > 0]
        """
    code = package({"app.py": source, "lib/libofmine.so.1": _a_library()})
    async with environment(confined, code) as running:
        assert running.process.start_path == "fork"
        assert await (await running.ready()).result() == [True]


def _a_library() -> bytes:
    maps = Path("/proc/self/maps").read_text().splitlines()
    return Path(next(line.split()[-1] for line in maps if "libc.so" in line or "libc-" in line)).read_bytes()


async def test_killed_at_any_time_everything_in_it_dies(confined: PythonLauncher, package: Package) -> None:
    source = """
        import os, signal, subprocess
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        def handler(event, context):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
                    while True:
                        signal.pause()
                os._exit(0)
            subprocess.Popen(['sleep', '1000'])
            print('forked', flush=True)
            while True:
                signal.pause()
        """
    running = await (await start(confined, function_spec(package(source)))).ready()
    answer = asyncio.ensure_future(running.invoke())
    await eventually_async(lambda: b"forked" in running.printed)
    descendants = await eventually_async(lambda: len(found := _in_namespace_of(running)) >= 4 and found)
    running.process.kill()
    assert await running.status() == -signal.SIGKILL
    assert await answer == ("exited", -signal.SIGKILL)
    await eventually_async(lambda: not [pid for pid in descendants if os.path.exists(f"/proc/{pid}")])
    await running.end()
    await running.process.sandbox.destroy()


async def test_what_a_dead_runtime_left_behind_dies_with_it(confined: PythonLauncher, package: Package) -> None:
    source = """
        import os, subprocess
        def handler(event, context):
            subprocess.Popen(['sleep', '1000'], start_new_session=True)
            os._exit(3)
        """
    running = await (await start(confined, function_spec(package(source)))).ready()
    namespace = os.readlink(f"/proc/{running.process.pid}/ns/pid")
    assert await running.invoke() == ("exited", 3)
    await eventually_async(lambda: not _in_namespace(namespace))
    await running.end()
    await running.process.sandbox.destroy()


def _in_namespace_of(running: Running) -> list[str]:
    return _in_namespace(os.readlink(f"/proc/{running.process.pid}/ns/pid"))


def _in_namespace(namespace: str) -> list[str]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/ns/pid") == namespace:
                found.append(pid)
        except OSError:
            continue
    return found


async def test_orphans_are_reaped_by_init(confined: PythonLauncher, package: Package) -> None:
    source = """
        import os, time
        def handler(event, context):
            for _ in range(20):
                if os.fork() == 0:
                    if os.fork() == 0:
                        os._exit(0)
                    os._exit(0)
                os.wait()
            deadline = time.monotonic() + 10
            while len(left := [p for p in os.listdir('/proc') if p.isdigit()]) > 2 and time.monotonic() < deadline:
                time.sleep(0.005)
            return len(left)
        """
    async with environment(confined, package(source)) as running:
        assert await (await running.ready()).result() == 2


async def test_a_response_over_six_mib_is_refused_by_the_runtime(launcher: PythonLauncher, package: Package) -> None:
    source = "def handler(event, context):\n    return 'x' * event\n"
    async with environment(launcher, package(source)) as running:
        await running.ready()
        assert len(await running.result(6 * 1024 * 1024 + 100 - 2)) == 6 * 1024 * 1024 + 98
        kind, error_type, body = await running.invoke(6 * 1024 * 1024 + 100 - 1)
        assert (kind, error_type) == ("failed", "Function.ResponseSizeTooLarge")
        assert b"exceeded maximum allowed payload size (6291556 bytes)" in body
        assert await running.result(1) == "x"


@pytest.mark.parametrize("then", ["pass", "open_sockets()", "open_files()"])
async def test_closing_the_runtimes_descriptors_is_a_crash_not_a_hang(
    launcher: PythonLauncher, package: Package, then: str
) -> None:
    source = f"""
        import os, socket
        def open_files():
            global kept
            kept = [open('/dev/null') for _ in range(20)]
        def open_sockets():
            global kept
            kept = [socket.socketpair() for _ in range(20)]
        def handler(event, context):
            os.closerange(3, 1024)
            {then}
            return 1
        """
    async with environment(launcher, package(source)) as running:
        await running.ready()
        assert await running.invoke() == ("exited", 1)
        assert any("closed a file descriptor of the runtime" in line for line in await running.logs())


async def test_a_forked_child_that_returns_cannot_answer(launcher: PythonLauncher, package: Package) -> None:
    source = """
        import os
        def handler(event, context):
            pid = os.fork()
            if pid:
                os.waitpid(pid, 0)
            return ['child', 'parent'][pid > 0]
        """
    async with environment(launcher, package(source)) as running:
        await running.ready()
        assert await running.result() == "parent"
        assert await running.result() == "parent"


async def test_launch_errors_are_sentences(launcher: PythonLauncher, package: Package) -> None:
    with pytest.raises(LaunchError, match="not supported by this version"):
        await launcher.launch(function_spec(package(_HELLO), runtime="python3.99"))
    if launcher.describe().driver == "namespaces":
        with pytest.raises(LaunchError, match="No such file or directory"):
            await launcher.launch(function_spec("/nowhere/to/be/found"))
    async with environment(launcher, package(_HELLO)) as running:  # and the zygote is well after that
        assert await (await running.ready()).result(1) == 1


async def test_a_launch_given_up_leaves_no_process(confined: PythonLauncher, package: Package) -> None:
    code = package(_HELLO)
    async with environment(confined, code) as running:
        await running.ready()
        namespaces = _pid_namespaces()
        for _ in range(5):
            task = asyncio.ensure_future(confined.launch(function_spec(code)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await eventually_async(lambda: len(_pid_namespaces()) <= len(namespaces) + 4)


def _pid_namespaces() -> set[str]:
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/pid"))
        except OSError:
            continue
    return found


async def test_nothing_is_left_after_destroy(confined: PythonLauncher, package: Package) -> None:
    """Processes, descriptors and mounts: after fifty environments as after one."""
    code = package("import os\ndef handler(event, context):\n    open('/tmp/x', 'w').write('x')\n    return 1\n")

    async def one() -> None:
        async with environment(confined, code) as running:
            await (await running.ready()).result()

    await one()
    await one()
    descriptors, mounts = _settled(), _mounts()
    for _ in range(10):
        await asyncio.gather(*(one() for _ in range(5)))
    await eventually_async(lambda: _settled() <= descriptors)
    assert _mounts() == mounts


def _settled() -> int:
    return len(os.listdir("/proc/self/fd"))


def _mounts() -> int:
    with open("/proc/self/mounts") as file:
        return len(file.readlines())
