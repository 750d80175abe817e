"""What the machine has of memory, and what a process takes of it, as the kernel tells.

Available is what could be had without anybody being killed: the kernel's MemAvailable, or less where a control group
(a container's, a systemd unit's) has a limit of its own. What a process takes is its proportional share (PSS): pages
that a fork still shares with its fork server are counted once, over all that share them.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

_MIB = 1024 * 1024
_GROUPS = Path("/sys/fs/cgroup")
#: a limit of a v1 group that is none is a huge number
_NO_LIMIT = 1 << 60


class Footprint(msgspec.Struct, frozen=True):
    """What a process and its descendants take."""

    mib: float
    """Their proportional shares, and the files they keep in memory (/tmp and /dev/shm)."""
    shared_mib: float
    """What stands in their resident sizes beyond that: pages shared with others."""


class MachineMemory:
    """Looks up once which control groups limit this process."""

    def __init__(self, groups: Path = _GROUPS, membership: Path = Path("/proc/self/cgroup")) -> None:
        self._limited = list(_limited_groups(groups, membership))

    def available_mib(self) -> float:
        available = _meminfo("MemAvailable:")
        for group, limit in self._limited:
            available = min(available, limit - _used(group))
        return max(available, 0) / _MIB


def footprint(pid: int) -> Footprint | None:
    """None when it has gone, or is not ours to look at."""
    pss = rss = 0
    todo = [pid]
    while todo:
        process = todo.pop()
        try:
            fields = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            todo += map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
        except (OSError, ValueError):
            if process == pid:
                return None
            continue
        for line in fields:
            if line.startswith("Pss:"):
                pss += int(line.split()[1])
            elif line.startswith("Rss:"):
                rss += int(line.split()[1])
    files = 0
    for mounted in ("tmp", "dev/shm"):
        with contextlib.suppress(OSError):
            root = os.stat(f"/proc/{pid}/root")
            own = os.stat(f"/proc/{pid}/root/{mounted}")
            if own.st_dev != root.st_dev and own.st_dev != os.stat(f"/{mounted}").st_dev:  # a file system of its own
                found = os.statvfs(f"/proc/{pid}/root/{mounted}")
                files += (found.f_blocks - found.f_bfree) * found.f_frsize
    return Footprint(pss / 1024 + files / _MIB, max(0, rss - pss) / 1024)


def _limited_groups(groups: Path, membership: Path) -> list[tuple[Path, int]]:
    """The control groups this process is in, and those around them, that limit memory; with their limits in bytes."""
    found: list[tuple[Path, int]] = []
    with contextlib.suppress(OSError, ValueError):
        for line in membership.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                root, name = groups, "memory.max"
            elif "memory" in controllers.split(","):
                root, name = groups / controllers, "memory.limit_in_bytes"
            else:
                continue
            place = root / path.lstrip("/")
            while place.is_relative_to(root):
                with contextlib.suppress(OSError, ValueError):
                    limit = int((place / name).read_text())
                    if limit < _NO_LIMIT:
                        found.append((place, limit))
                place = place.parent
    return found


def _used(group: Path) -> int:
    """What the group holds, less what the kernel would give back for the asking."""
    for name in ("memory.current", "memory.usage_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            used = int((group / name).read_text())
            break
    else:
        return 0
    with contextlib.suppress(OSError, ValueError):
        for line in (group / "memory.stat").read_text().splitlines():
            if line.startswith(("inactive_file ", "total_inactive_file ")):
                return used - int(line.split()[1])
    return used


def _meminfo(field: str) -> int:
    """In bytes."""
    with open("/proc/meminfo") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
