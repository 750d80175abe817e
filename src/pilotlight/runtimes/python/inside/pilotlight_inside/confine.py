"""The confinement of one function's process, in the order the kernel needs it done. Trusted code runs before `drop`,
the function's after."""

from __future__ import annotations

import contextlib
import os
import resource
from typing import Any

from pilotlight_inside import syscalls as sc
from pilotlight_inside.enter import HOST, LAYERS_BELOW

UID, GID = 993, 990
"""What a function on AWS is: sbx_user1051."""
_FILES = 1024
_PROCESSES = 1024
_PRIVATE = sc.MS_NOSUID | sc.MS_NODEV


def prepare(net: int) -> None:
    """New mount, ipc, uts and cgroup namespaces, and the network namespace given; what no order changes."""
    flags = sc.CLONE_NEWNS | sc.CLONE_NEWIPC | sc.CLONE_NEWUTS
    try:
        sc.unshare(flags | sc.CLONE_NEWCGROUP)
    except OSError:
        sc.unshare(flags)
    if net >= 0:
        sc.setns(net, sc.CLONE_NEWNET)
    sc.mount("tmpfs", "/dev/shm", "tmpfs", _PRIVATE | sc.MS_NOEXEC, "size=64m,mode=1777")
    sc.mount("proc", "/proc", "proc", _PRIVATE | sc.MS_NOEXEC)


def enter(order: dict[str, Any]) -> None:
    """The function's code and its own /tmp; then the host's tree goes out of reach."""
    sc.bind_read_only(HOST + order["code_dir"], "/var/task")
    layers = [HOST + path for path in order["layer_dirs"]]
    interpreter = [tuple(bind) for bind in order["interpreter_binds"]]
    if layers and any(target.startswith("/opt/") for _, target in interpreter):
        layers.insert(0, LAYERS_BELOW)
    if len(layers) == 1:
        sc.bind_read_only(layers[0], "/opt")
    elif layers:
        lower = ":".join(_escape(path) for path in reversed(layers))  # the last layer wins: it is the topmost
        sc.mount("overlay", "/opt", "overlay", sc.MS_RDONLY | _PRIVATE, f"lowerdir={lower}")
    owner = f"uid={order['uid']},gid={order['uid']}"
    sc.mount("tmpfs", "/tmp", "tmpfs", _PRIVATE, f"size={order['tmp_mib']}m,mode=1777,{owner}")
    for source, target in interpreter:  # an interpreter under /tmp or /opt: what was just mounted hides it
        if target.startswith("/tmp/"):
            os.makedirs(target, exist_ok=True)
        sc.bind_read_only(HOST + source, target)
    sc.umount(HOST)


def enter_again(mounts: int, net: int = -1) -> None:
    """The namespaces of an environment whose process is gone, with a /proc that shows this pid namespace."""
    sc.setns(mounts, sc.CLONE_NEWNS)
    if net >= 0:
        sc.setns(net, sc.CLONE_NEWNET)
    sc.umount("/proc")
    sc.mount("proc", "/proc", "proc", _PRIVATE | sc.MS_NOEXEC)


def drop(order: dict[str, Any], filter: sc.Filter | None) -> None:
    """Become the function's user, with nothing left of what root may do. No way back."""
    os.umask(0o022)
    with contextlib.suppress(OSError):
        sc.write("/proc/self/oom_score_adj", "500")  # when memory runs out, a function goes before the node does
    uid = order["uid"]
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    sc.prctl(sc.PR_SET_DUMPABLE, 1)  # lost with the uid; without it /proc/self is not the process's own
    with contextlib.suppress(OSError):  # refused by some machines: the uid is the environment's own then, not 993
        sc.unshare(sc.CLONE_NEWUSER)
        sc.write("/proc/self/setgroups", "deny")
        sc.write("/proc/self/uid_map", f"{UID} {uid} 1")
        sc.write("/proc/self/gid_map", f"{GID} {uid} 1")
    resource.setrlimit(resource.RLIMIT_NOFILE, _at_most(resource.RLIMIT_NOFILE, _FILES))
    resource.setrlimit(resource.RLIMIT_NPROC, _at_most(resource.RLIMIT_NPROC, _PROCESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sc.drop_all_capabilities()
    sc.prctl(sc.PR_SET_DUMPABLE, 1)
    sc.prctl(sc.PR_SET_NO_NEW_PRIVS, 1)
    if filter is not None:
        filter.install()


def _at_most(kind: int, limit: int) -> tuple[int, int]:
    _, hard = resource.getrlimit(kind)
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    return limit, limit


def _escape(path: str) -> str:
    for character in "\\:,":
        path = path.replace(character, "\\" + character)
    return path
