"""What a function may not do: read what is not its own, reach other processes, get back any power. Each test tries."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotlight.runtimes.python.launcher import PythonLauncher
from tests.runtimes.harness import environment, write_package

pytestmark = pytest.mark.asyncio(loop_scope="module")

Package = Callable[[str], str]

_TRY = """
import ctypes, errno, os, signal, socket
libc = ctypes.CDLL(None, use_errno=True)
def attempt(action):
    try:
        result = action()
        return ['done', repr(result)[:200]]
    except OSError as error:
        return ['refused', errno.errorcode.get(error.errno, str(error.errno))]
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), 'refused')
    return result
"""


async def test_host_files_are_not_there(confined: PythonLauncher, package: Package, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    secret.chmod(0o644)
    source = _TRY + (
        "def handler(event, context):\n"
        "    return {path: attempt(lambda: open(path).read(10)) for path in event}, sorted(os.listdir('/'))\n"
    )
    paths = [str(secret), "/etc/shadow", "/root/.bashrc", f"/.host{secret}", f"/proc/1/root{secret}", "/proc/1/environ"]
    paths += [f"/proc/{os.getpid()}/environ", "/proc/kcore", "/sys/kernel/notes", "/dev/mem", "/dev/sda", "/dev/kmsg"]
    async with environment(confined, package(source)) as running:
        attempts, root = await (await running.ready()).result(paths)
        assert {outcome[0] for outcome in attempts.values()} == {"refused"}, attempts
        expected = {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "mnt", "opt", "proc", "root", "sbin", "tmp"}
        interpreters = {Path(path.split(" ", 1)[1]).parts[1] for path in confined.describe().interpreters.values()}
        assert set(root) <= expected | {"usr", "var", ".host"} | interpreters


async def test_the_hosts_tree_is_gone(confined: PythonLauncher, package: Package) -> None:
    source = (
        "import os\n"
        "def handler(event, context):\n"
        "    mounts = [line.split()[4] for line in open('/proc/self/mountinfo')]\n"
        "    try:\n"
        "        return mounts, os.listdir('/.host')\n"
        "    except PermissionError:\n"
        "        return mounts, []\n"
    )
    async with environment(confined, package(source)) as running:
        mounts, under = await (await running.ready()).result()
        assert under == []
        assert not [path for path in mounts if path.startswith("/.host")]


async def test_pid_one_shows_nothing(confined: PythonLauncher, package: Package) -> None:
    source = _TRY + (
        "def handler(event, context):\n"
        "    links = {n: attempt(lambda: os.readlink(f'/proc/1/{n}')) for n in ('root', 'cwd', 'exe', 'ns/mnt')}\n"
        "    files = ('environ', 'maps', 'mem', 'auxv')\n"
        "    reads = {n: attempt(lambda: open(f'/proc/1/{n}').read()) for n in files}\n"
        "    lists = {n: attempt(lambda: os.listdir(f'/proc/1/{n}')) for n in ('root', 'fd', 'map_files')}\n"
        "    return [links, reads, lists, attempt(lambda: call(434, 1, 0) and os.kill(1, 0))]\n"
    )
    async with environment(confined, package(source)) as running:
        links, reads, lists, _ = await (await running.ready()).result()
        for outcomes in (links, reads, lists):
            for outcome in outcomes.values():
                assert outcome[0] == "refused" or outcome == ["done", "[]"], outcomes  # it holds no file at all


async def test_only_its_own_processes_are_seen_and_signalled(confined: PythonLauncher, package: Package) -> None:
    source = _TRY + (
        "def handler(event, context):\n"
        "    seen = sorted(int(p) for p in os.listdir('/proc') if p.isdigit())\n"
        "    outside = [attempt(lambda: os.kill(pid, 0)) for pid in event if pid not in seen]\n"
        "    attempt(lambda: os.kill(1, signal.SIGKILL))\n"
        "    attempt(lambda: os.kill(1, signal.SIGTERM))\n"
        "    everyone = attempt(lambda: os.kill(-1, signal.SIGCONT))\n"
        "    return seen == [1, os.getpid()], outside, os.path.exists('/proc/1'), os.getppid()\n"
    )
    async with environment(confined, package(source)) as running:
        await running.ready()
        only_own, outside, init_lives, parent = await running.result(
            [os.getpid(), os.getppid(), running.process.pid, 2]
        )
        assert only_own
        assert {tuple(outcome) for outcome in outside} == {("refused", "ESRCH")}
        assert init_lives
        assert parent == 0  # the zygote is outside


async def test_no_power_is_left(confined: PythonLauncher, package: Package) -> None:
    source = _TRY + (
        "def handler(event, context):\n"
        "    status = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())\n"
        "    keys = ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp', 'Uid', 'Gid')\n"
        "    return {key: status[key].split() for key in keys}, open('/proc/self/uid_map').read().split()[:1]\n"
    )
    async with environment(confined, package(source)) as running:
        status, uid_map = await (await running.ready()).result()
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[name][0], 16) == 0, name
        assert status["NoNewPrivs"] == ["1"]
        assert status["Seccomp"] == ["2"]
        assert status["Uid"] == ["993"] * 4
        assert status["Gid"] == ["990"] * 4
        assert uid_map == ["993"]


async def test_system_calls_that_lead_out_are_refused(confined: PythonLauncher, package: Package) -> None:
    source = _TRY + (
        "import subprocess\n"
        "def handler(event, context):\n"
        "    clone_user = 0x10000000 | 17\n"
        "    machine = os.uname().machine\n"
        "    numbers = {\n"
        "        'x86_64': dict(clone=56, ptrace=101, bpf=321, keyctl=250, setns=308, io_uring=425, clone3=435,\n"
        "                       pivot=155, userfaultfd=323, open_by_handle=304, process_vm_readv=310),\n"
        "        'aarch64': dict(clone=220, ptrace=117, bpf=280, keyctl=219, setns=268, io_uring=425, clone3=435,\n"
        "                        pivot=41, userfaultfd=282, open_by_handle=265, process_vm_readv=270),\n"
        "    }[machine]\n"
        "    out = {\n"
        "        'clone': attempt(lambda: call(numbers['clone'], clone_user, 0, 0, 0, 0)),\n"
        "    }\n"
        "    for name in ('ptrace', 'bpf', 'keyctl', 'setns', 'io_uring', 'pivot', 'userfaultfd', 'open_by_handle',\n"
        "                 'process_vm_readv', 'clone3'):\n"
        "        out[name] = attempt(lambda: call(numbers[name], 0, 0, 0, 0, 0))\n"
        "    ctypes.set_errno(0)\n"
        "    out['mount'] = [libc.mount(b'x', b'/tmp', b'tmpfs', 0, None), ctypes.get_errno()]\n"
        "    out['unshare'] = [libc.unshare(0x10000000), ctypes.get_errno()]\n"
        "    out['chroot'] = attempt(lambda: os.chroot('/tmp'))\n"
        "    out['sethostname'] = attempt(lambda: socket.sethostname('x'))\n"
        "    out['setuid'] = attempt(lambda: os.setuid(0))\n"
        "    out['tool'] = subprocess.run(['unshare', '-Ur', 'id'], capture_output=True).returncode\n"
        "    return out\n"
    )
    async with environment(confined, package(source)) as running:
        out = await (await running.ready()).result()
        assert out.pop("mount") == [-1, 1]
        assert out.pop("unshare") == [-1, 1]
        assert out.pop("clone3") == ["refused", "ENOSYS"]
        assert out.pop("setuid")[0] == "refused"
        assert out.pop("tool") != 0
        assert {tuple(outcome) for outcome in out.values()} == {("refused", "EPERM")}, out


async def test_code_is_read_only_and_set_uid_is_off(confined: PythonLauncher, package: Package) -> None:
    source = (
        "import os\n"
        "def handler(event, context):\n"
        "    flags = {}\n"
        "    for line in open('/proc/self/mountinfo'):\n"
        "        fields = line.split()\n"
        "        flags[fields[4]] = fields[5].split(',')\n"
        "    return flags\n"
    )
    async with environment(confined, package(source)) as running:
        flags = await (await running.ready()).result()
        for path in ("/", "/usr", "/var/task", "/var/runtime"):
            assert {"ro", "nosuid", "nodev"} <= set(flags[path]), (path, flags[path])
        for path in ("/tmp", "/dev/shm", "/proc"):
            assert {"rw", "nosuid", "nodev"} <= set(flags[path]), (path, flags[path])


async def test_environments_do_not_see_each_others_code_tmp_or_shared_memory(
    confined: PythonLauncher, package: Package, tmp_path: Path
) -> None:
    source = (
        "import os\n"
        "def handler(event, context):\n"
        "    seen = [os.listdir('/tmp'), os.listdir('/dev/shm'), sorted(os.listdir('/var/task'))]\n"
        "    for path in ('/tmp/mine', '/dev/shm/mine'):\n"
        "        open(path, 'w').write(event)\n"
        "    return seen\n"
    )
    other = write_package(tmp_path / "other", {"app.py": source, "theirs.txt": "secret"})
    async with environment(confined, other) as first, environment(confined, package(source)) as second:
        assert await (await first.ready()).result("a") == [[], [], ["app.py", "theirs.txt"]]
        assert await (await second.ready()).result("b") == [[], [], ["app.py"]]


async def test_network_none_reaches_nothing_but_its_own_loopback(confined: PythonLauncher, package: Package) -> None:
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    source = _TRY + (
        "def handler(event, context):\n"
        "    out = [attempt(lambda: socket.create_connection(('127.0.0.1', event), 2)),\n"
        "           attempt(lambda: socket.create_connection(('8.8.8.8', 53), 2))]\n"
        "    with socket.socket(socket.AF_UNIX) as s:\n"
        "        out.append(attempt(lambda: s.connect('\\0pilotlight-test-abstract')))\n"
        "    return out, [name for _, name in socket.if_nameindex()]\n"
    )
    with listener, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(b"\0pilotlight-test-abstract")
        abstract.listen()
        async with environment(confined, package(source)) as running:
            outcomes, interfaces = await (await running.ready()).result(listener.getsockname()[1])
        assert {outcome[0] for outcome in outcomes} == {"refused"}
        assert interfaces == ["lo"]


async def test_tmp_is_as_large_as_asked_and_no_larger(confined: PythonLauncher, package: Package) -> None:
    source = _TRY + (
        "def handler(event, context):\n"
        "    def fill():\n"
        "        with open('/tmp/big', 'wb') as file:\n"
        "            for _ in range(20):\n"
        "                file.write(b'x' * 1048576)\n"
        "    outcome = attempt(fill)\n"
        "    os.unlink('/tmp/big')\n"
        "    return outcome, os.statvfs('/tmp').f_blocks * os.statvfs('/tmp').f_frsize\n"
    )
    async with environment(confined, package(source), tmp_mib=16) as running:
        outcome, size = await (await running.ready()).result()
        assert outcome == ["refused", "ENOSPC"]
        assert size == 16 * 1024 * 1024


async def test_a_fork_bomb_stays_in_its_environment(confined: PythonLauncher, package: Package) -> None:
    source = _TRY + (
        "def handler(event, context):\n"
        "    made = 0\n"
        "    try:\n"
        "        while made < 1500:\n"
        "            if os.fork() == 0:\n"
        "                signal.pause()\n"
        "            made += 1\n"
        "    except BlockingIOError:\n"
        "        return made\n"
        "    return 'all'\n"
    )
    async with environment(confined, package(source)) as running:
        made = await (await running.ready()).result()
        assert isinstance(made, int)
        assert 1000 <= made <= 1024
        async with environment(confined, package("def handler(event, context):\n    return 'well'\n")) as other:
            assert await (await other.ready()).result() == "well"


async def test_packages_installed_on_the_machine_are_not_seen(confined: PythonLauncher, package: Package) -> None:
    source = (
        "import importlib.util\n"
        "def handler(event, context):\n"
        "    return [importlib.util.find_spec(name) is not None for name in event]\n"
    )
    async with environment(confined, package(source)) as running:
        found = await (await running.ready()).result(["pilotlight", "msgspec", "uvloop", "pytest", "pip", "boto3"])
        assert found == [False, False, False, False, False, True]
