"""What `pilotlight doctor` reads off the machine: kernel features and limits, and what to do where they fall short.

The confinement itself is not judged from these: the sandbox's driver is chosen by trying (sandbox/driver.py). These
say why it turned out as it did, and what later features will find.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_VERSION_FLAG = 1
_APPARMOR_RESTRICTION = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_DESCRIPTORS_PER_ENVIRONMENT = 12


class Finding(msgspec.Struct, frozen=True):
    """One line of the report. `gap`: something a function could be kept from, or run on, but is not."""

    name: str
    state: Literal["ok", "gap", "info"]
    finding: str
    advice: str = ""


def machine_findings(interpreters: Sequence[str], data_path: Path) -> Iterator[Finding]:
    """`interpreters`: paths of the Pythons that start functions, for the AppArmor profile."""
    yield Finding("kernel", "ok", f"{platform.system()} {platform.release()} on {platform.machine()}")
    yield _user_namespaces(interpreters)
    yield _control_groups()
    yield _landlock()
    yield _seccomp()
    yield _overlay()
    yield _open_files()
    yield _processes()
    yield _disk(data_path)


def apparmor_profile(interpreters: Sequence[str]) -> str:
    """A profile that gives these interpreters back what Ubuntu 24.04 takes from ordinary users' programs."""
    paths = sorted({os.path.realpath(path) for path in interpreters})
    pattern = paths[0] if len(paths) == 1 else "{" + ",".join(paths) + "}"
    return (
        "abi <abi/4.0>,\n"
        "include <tunables/global>\n"
        f"profile pilotlight {pattern} flags=(unconfined) {{\n"
        "  userns,\n"
        "  include if exists <local/pilotlight>\n"
        "}\n"
    )


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _user_namespaces(interpreters: Sequence[str]) -> Finding:
    name = "user namespaces"
    if os.geteuid() == 0:
        return Finding(name, "ok", "not needed: the node runs as root")
    if _read("/proc/sys/user/max_user_namespaces") == "0":
        return Finding(name, "gap", "user.max_user_namespaces is 0", "sudo sysctl -w user.max_user_namespaces=15000")
    if _read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return Finding(
            name,
            "gap",
            "kernel.unprivileged_userns_clone is 0: ordinary users may not make them",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        )
    if _read(_APPARMOR_RESTRICTION) == "1":
        return Finding(
            name,
            "gap",
            "AppArmor refuses them to programs without a profile (kernel.apparmor_restrict_unprivileged_userns is 1)",
            "Write this to /etc/apparmor.d/pilotlight and run `sudo apparmor_parser -r /etc/apparmor.d/pilotlight`.\n"
            "It allows user namespaces to every program these interpreters run:\n\n" + apparmor_profile(interpreters),
        )
    return Finding(name, "ok", "allowed to this user")


def _control_groups() -> Finding:
    name = "control groups"
    kinds: list[str] = []
    for line in _read("/proc/self/mountinfo").splitlines():
        mounted, _, kind = line.partition(" - ")
        if kind.startswith("cgroup2 "):
            kinds.append(f"v2 at {mounted.split()[4]}")
        elif kind.startswith("cgroup ") and "v1" not in kinds:
            kinds.append("v1")
    found = " and ".join(kinds) or "none mounted"
    return Finding(name, "info", f"{found}; not used yet, so memory and CPU limits of functions are not enforced")


def _landlock() -> Finding:
    name = "Landlock"
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_LANDLOCK_VERSION_FLAG))
    if abi < 0:
        return Finding(
            name, "info", f"not available: {os.strerror(ctypes.get_errno())}; mount namespaces do without it"
        )
    return Finding(name, "ok", f"ABI {abi}")


def _seccomp() -> Finding:
    if _read("/proc/sys/kernel/seccomp/actions_avail"):
        return Finding("seccomp", "ok", "filters are available")
    return Finding(
        "seccomp",
        "gap",
        "this kernel has no seccomp filters, so functions may make any system call",
        "Use a kernel with CONFIG_SECCOMP_FILTER; every distribution's has it.",
    )


def _overlay() -> Finding:
    if any(line.split()[-1] == "overlay" for line in _read("/proc/filesystems").splitlines()):
        return Finding("overlayfs", "ok", "available, for layers")
    return Finding("overlayfs", "info", "not loaded; functions with several layers need it", "sudo modprobe overlay")


def _open_files() -> Finding:
    name = "open files"
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return Finding(name, "ok", "no limit")
    room = hard // _DESCRIPTORS_PER_ENVIRONMENT
    if room < 300:
        advice = "Raise it: `ulimit -Hn 65536` as root, or LimitNOFILE= of the service, or /etc/security/limits.conf."
        return Finding(name, "gap", f"hard limit {hard:,}: room for some {room:,} environments", advice)
    return Finding(name, "ok", f"hard limit {hard:,}: room for some {room:,} environments")


def _processes() -> Finding:
    name = "processes"
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if hard == resource.RLIM_INFINITY or os.geteuid() == 0:
        return Finding(name, "ok", "no limit that concerns this user")
    if hard < 1024:
        advice = "Raise `nproc` for this user in /etc/security/limits.conf, or TasksMax= of the service."
        return Finding(name, "gap", f"hard limit {hard:,}, and each environment takes two or more", advice)
    return Finding(name, "ok", f"hard limit {hard:,}")


def _disk(data_path: Path) -> Finding:
    name = "data directory"
    existing = data_path
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK):
        return Finding(name, "gap", f"{existing} cannot be written to", "Choose another with --data-dir.")
    free_gb = shutil.disk_usage(existing).free / 1e9
    if free_gb < 1:
        return Finding(name, "gap", f"{free_gb:.1f} GB free at {existing}", "Free some, or choose another directory.")
    return Finding(name, "ok", f"{data_path}, {free_gb:,.0f} GB free")
