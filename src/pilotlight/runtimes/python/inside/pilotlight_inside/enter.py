"""First stage of a zygote: leave the host, build the root that every environment of it starts from, and go there.

Run by path with `-I -S` on the function's interpreter: `enter.py <socket fd>`. The first message on the socket is the
plan (JSON; see `sandbox/namespaces.py`). Only after the pivot is the interpreter executed again, with plain flags and
a clean environment, so that every module it ever imports has the path a function expects (`/var/runtime/...`) and
nothing of the host can have leaked into it. This stage stays behind as the parent of the zygote, which is PID 1 of a
pid namespace of its own: whichever way either ends, the kernel takes everything below with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from pilotlight_inside import syscalls as sc

HOST = "/.host"
LAYERS_BELOW = "/.opt"
"""Mount points for what of the interpreter lies under /opt, to go below a function's layers."""
PLAN_FD_VARIABLE = "PILOTLIGHT_ZYGOTE_PLAN"
_DEVICES = ("null", "zero", "full", "random", "urandom")
_MOUNT_POINTS = ("/tmp", "/mnt", "/var", "/usr")


def main(channel_fd: int) -> None:
    channel = socket.socket(fileno=channel_fd)
    plan = json.loads(channel.recv(1 << 20))
    for number in range(1, signal.NSIG):  # an ignored signal would stay ignored in every function
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o022)
    os.closerange(3, channel_fd)  # whatever the node's process was given and did not ask for
    os.closerange(channel_fd + 1, 1 << 20)
    try:
        if plan["mode"] == "process":
            execute(plan, channel_fd)
        leave_host(plan)
        child = os.fork()
        if child == 0:
            sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
            build_root(plan)
            execute(plan, channel_fd)
    except BaseException as error:
        channel.send(json.dumps({"fatal": f"{type(error).__name__}: {error}"}).encode())
        os._exit(1)
    channel.close()
    os.closerange(3, 1 << 16)
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def leave_host(plan: dict[str, Any]) -> None:
    flags = sc.CLONE_NEWNS | sc.CLONE_NEWPID | sc.CLONE_NEWIPC | sc.CLONE_NEWUTS
    if plan["network"] == "none":
        # a network namespace to come home to after making one for an environment: in a user namespace the kernel
        # would not let us back into the host's
        flags |= sc.CLONE_NEWNET
    if plan["mode"] == "user":
        uid, gid = os.geteuid(), os.getegid()
        sc.unshare(sc.CLONE_NEWUSER)
        with contextlib.suppress(FileNotFoundError):
            sc.write("/proc/self/setgroups", "deny")
        sc.write("/proc/self/uid_map", f"0 {uid} 1")
        sc.write("/proc/self/gid_map", f"0 {gid} 1")
    sc.unshare(flags)
    with contextlib.suppress(OSError):
        sc.unshare(sc.CLONE_NEWCGROUP)
    socket.sethostname("localhost")


def build_root(plan: dict[str, Any]) -> None:
    """Assemble the root on a small tmpfs and pivot into it; the host's tree stays at /.host for binds to come."""
    sc.mount(None, "/", None, sc.MS_REC | sc.MS_SLAVE)
    base = next(path for path in _MOUNT_POINTS if os.path.isdir(path) and not os.path.islink(path))
    sc.mount("tmpfs", base, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "size=4m,mode=755")
    os.mkdir(base + HOST, 0o700)
    os.chdir(base)
    sc.pivot_root(base, base + HOST)
    os.chdir("/")
    for path in plan["directories"]:
        os.makedirs(path, exist_ok=True)
    for path, target in plan["links"].items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)
    for path, text in plan["files"].items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
    for source, target in plan["binds"]:
        place(HOST + source, target)
        sc.bind_read_only(HOST + source, target)
        if target.startswith("/opt/"):
            os.makedirs(LAYERS_BELOW + target[len("/opt") :], exist_ok=True)
    for path in plan["hidden"]:
        if os.path.isdir(path):
            sc.mount("tmpfs", path, "tmpfs", sc.MS_RDONLY | sc.MS_NOSUID | sc.MS_NODEV, "size=4k,mode=755")
    for name in _DEVICES:
        place(f"{HOST}/dev/{name}", f"/dev/{name}")
        sc.mount(f"{HOST}/dev/{name}", f"/dev/{name}", None, sc.MS_BIND)
    sc.mount("proc", "/proc", "proc", sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC)
    for path in ("/proc", "/sys", "/dev"):  # fewer mounts to copy at each start; refused in a user namespace
        with contextlib.suppress(OSError):
            sc.umount(HOST + path)
    flags = sc.MS_RDONLY | sc.MS_NOSUID | sc.MS_NODEV
    sc.mount(None, "/", None, sc.MS_REMOUNT | flags, "size=4m,mode=755")


def place(source: str, target: str) -> None:
    """Make something to bind `source` on."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))


def execute(plan: dict[str, Any], channel_fd: int) -> None:
    """Become the zygote. Its arguments are a function's, because a forked function shows them as its own."""
    plan_fd = sc.memory_file(json.dumps({**plan, "channel_fd": channel_fd}).encode())
    os.set_inheritable(plan_fd, True)
    os.set_inheritable(channel_fd, True)
    environ = {**plan["environ"], PLAN_FD_VARIABLE: str(plan_fd)}
    os.execve(plan["python"], [plan["python"], plan["bootstrap"]], environ)


def probe(plan: dict[str, Any]) -> None:
    """Try on this machine what `main` and a child's confinement need; print what works as JSON."""
    found: dict[str, Any] = {"error": "", "nested_user_namespace": False, "cgroup_namespace": False}
    read_end, write_end = os.pipe()
    try:
        leave_host(plan)
    except OSError as error:
        print(json.dumps({**found, "error": str(error)}))
        return
    if os.fork() == 0:
        try:
            build_root(plan)
            sc.unshare(sc.CLONE_NEWNS | sc.CLONE_NEWIPC | sc.CLONE_NEWUTS)
            sc.mount("proc", "/proc", "proc", sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC)
            sc.umount(HOST)
            with contextlib.suppress(OSError):
                sc.unshare(sc.CLONE_NEWCGROUP)
                found["cgroup_namespace"] = True
            if plan["uid"]:
                os.setgroups([])
                os.setresgid(plan["uid"], plan["uid"], plan["uid"])
                os.setresuid(plan["uid"], plan["uid"], plan["uid"])
                sc.prctl(sc.PR_SET_DUMPABLE, 1)
            with contextlib.suppress(OSError):
                sc.unshare(sc.CLONE_NEWUSER)
                sc.write("/proc/self/setgroups", "deny")
                sc.write("/proc/self/uid_map", f"993 {plan['uid']} 1")
                found["nested_user_namespace"] = True
        except OSError as error:
            found["error"] = str(error)
        os.write(write_end, json.dumps(found).encode())
        os._exit(0)
    os.close(write_end)
    print(os.read(read_end, 65536).decode() or json.dumps({**found, "error": "the probe died"}))


if __name__ == "__main__":
    if sys.argv[1] == "probe":
        probe(json.loads(sys.argv[2]))
    else:
        main(int(sys.argv[1]))
