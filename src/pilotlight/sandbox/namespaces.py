"""The `namespaces` driver: what the root of an environment holds, and in which of its two modes this machine runs it.

As root, every environment has a uid of its own; as an ordinary user, everything happens inside a user namespace that
the zygote enters first. Both end in the same confinement. This file decides and describes; the system calls are made
inside, by `runtimes/python/inside/pilotlight_inside/{enter,confine}.py`, to the plan written here.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pilotlight.sandbox.init import init_program
from pilotlight.sandbox.seccomp import seccomp_program

Mode = Literal["root", "user"]

#: where the kernel-side ids of environments start, as root: a range no distribution hands out
_FIRST_UID = 1_900_000_000
_UID_COUNT = 60_000
RUNTIME_DIR = "/var/runtime"
TASK_ROOT = "/var/task"

_SYSTEM_TREES = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SYSTEM_FILES = (
    "/etc/ld.so.cache",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted",
    "/etc/crypto-policies/back-ends",
    "/etc/alternatives",
    "/etc/services",
    "/etc/protocols",
    "/etc/mime.types",
)
#: parts of /usr that belong to the machine's owner rather than to its system
_OWNERS_PARTS = ("/usr/local/etc", "/usr/local/share", "/usr/local/src", "/usr/local/games", "/usr/src")
_PASSWD = """root:x:0:0:root:/root:/sbin/nologin
sbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin
nobody:x:65534:65534:nobody:/:/sbin/nologin
"""
_GROUP = "root:x:0:\nsbx_user1051:x:990:\nnogroup:x:65534:\n"
_NSSWITCH = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n"
_HOSTS = "127.0.0.1 localhost localhost.localdomain\n::1 localhost localhost.localdomain\n"


def root_plan(
    mode: Mode,
    network: Literal["none", "host"],
    *,
    runtime_set: str,
    prefixes: list[str],
    hidden: list[str],
) -> dict[str, Any]:
    """What the zygote's first stage needs to build the root, and what its children need to be confined.

    `prefixes`: host directories the interpreter needs at their own paths. `hidden`: directories of those (its
    site-packages) that functions must find empty. `runtime_set`: becomes /var/runtime.
    """
    machine = os.uname().machine
    links = {
        "/dev/fd": "/proc/self/fd",
        "/dev/stdin": "/proc/self/fd/0",
        "/dev/stdout": "/proc/self/fd/1",
        "/dev/stderr": "/proc/self/fd/2",
        "/etc/mtab": "/proc/self/mounts",
        "/etc/localtime": "/usr/share/zoneinfo/UTC",
    }
    binds: list[tuple[str, str]] = []
    for tree in _SYSTEM_TREES:
        path = Path(tree)
        if path.is_symlink():
            links[tree] = str(path.readlink())
        elif path.is_dir():
            binds.append((tree, tree))
    for name in _SYSTEM_FILES:
        if Path(name).exists():
            binds.append((os.path.realpath(name), name))
    if Path("/etc/os-release").exists():
        links["/etc/os-release"] = "/usr/lib/os-release"
    binds += interpreter_binds(prefixes)
    links["/var/lang"] = prefixes[0]
    binds.append((os.path.realpath(runtime_set), RUNTIME_DIR))
    resolver = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
    hosts = _HOSTS
    if network == "host":
        resolver = _read("/etc/resolv.conf") or resolver
        hosts = _read("/etc/hosts") or hosts
    return {
        "mode": mode,
        "network": network,
        # the loader remembers which directories of LD_LIBRARY_PATH existed when the interpreter was executed
        "directories": ["/proc", "/dev/shm", "/tmp", "/var/task/lib", "/opt/lib", "/etc", "/root", "/mnt"],
        "links": links,
        "files": {
            "/etc/passwd": _PASSWD,
            "/etc/group": _GROUP,
            "/etc/nsswitch.conf": _NSSWITCH,
            "/etc/hosts": hosts,
            "/etc/resolv.conf": resolver,
            "/etc/hostname": "localhost\n",
        },
        "binds": binds,
        "hidden": [path for path in (*hidden, *_OWNERS_PARTS) if not _holds(path, prefixes)],
        "init": base64.b64encode(init_program(machine)).decode(),
        "seccomp": base64.b64encode(seccomp_program(machine)).decode() if seccomp_works() else "",
        "bootstrap": f"{RUNTIME_DIR}/bootstrap.py",
    }


def interpreter_binds(prefixes: list[str]) -> list[tuple[str, str]]:
    """What of an interpreter is not in the system's own trees: (place on the host, place inside)."""
    return [
        (os.path.realpath(prefix), prefix) for prefix in _outermost(prefixes) if not _covered(prefix, _SYSTEM_TREES)
    ]


def hidden_by_an_environment(binds: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of `interpreter_binds` that /tmp, or layers on /opt, would be mounted over."""
    return [bind for bind in binds if _covered(bind[1], ("/tmp", "/opt"))]


class UidRange:
    """The kernel-side uids of environments in root mode; in user mode there is only one, 0 as the zygote sees it."""

    def __init__(self, mode: Mode) -> None:
        self._next = 0
        self._used: set[int] = set()
        self._first, self._count = (0, 1) if mode == "user" else _usable_uids()
        self._single = mode == "user"

    def take(self) -> int:
        if self._single:
            return 0
        for _ in range(self._count):
            uid = self._first + self._next
            self._next = (self._next + 1) % self._count
            if uid not in self._used:
                self._used.add(uid)
                return uid
        return self._first + self._next  # more environments than uids: shared, still apart by namespaces

    def give_back(self, uid: int) -> None:
        self._used.discard(uid)


def _usable_uids() -> tuple[int, int]:
    """First and count: where this node's own user namespace maps them (a container may map 65,536 only)."""
    rows = [(0, 0, 1 << 32)]
    with contextlib.suppress(OSError, ValueError), open("/proc/self/uid_map") as file:
        rows = [(int(a), int(b), int(c)) for a, b, c in (line.split() for line in file)]
    for inside, _, length in rows:
        if inside <= _FIRST_UID and inside + length >= _FIRST_UID + _UID_COUNT:
            return _FIRST_UID, _UID_COUNT
    inside, _, length = max(rows, key=lambda row: row[2])
    count = min(_UID_COUNT, max(length // 4, 1))
    return inside + max(length // 2, 0), count


def seccomp_works() -> bool:
    """Whether the kernel has seccomp filters and this machine's numbers are known."""
    return Path("/proc/sys/kernel/seccomp/actions_avail").exists() and os.uname().machine in ("x86_64", "aarch64")


def _outermost(paths: list[str]) -> Iterator[str]:
    kept: list[str] = []
    for path in sorted(set(paths), key=len):
        if not _covered(path, kept):
            kept.append(path)
            yield path


def _covered(path: str, trees: tuple[str, ...] | list[str]) -> bool:
    return any(path == tree or path.startswith(tree + "/") for tree in trees)


def _holds(path: str, prefixes: list[str]) -> bool:
    """Whether something of the interpreter's own lies at or below `path`."""
    return any(_covered(prefix, [path]) for prefix in prefixes)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
