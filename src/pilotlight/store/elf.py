"""Tells compiled (ELF) files and the machine they are for: what decides whether an arm64 function runs on x86_64."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

#: as much of a file as is needed to tell
HEAD_BYTES = 20
#: e_machine -> the API's name for the architecture; the rest are named by number
_MACHINES = {62: "x86_64", 183: "arm64", 3: "i386", 40: "arm"}


class NativeFile(msgspec.Struct, frozen=True):
    path: str
    """Relative to the package."""
    machine: str
    """`x86_64`, `arm64`, or another's name or number."""


def machine_of(head: bytes) -> str | None:
    """The machine of the ELF file that begins so; None when it is no ELF file. Layout: elf(5)."""
    if len(head) < HEAD_BYTES or not head.startswith(b"\x7fELF"):
        return None
    number = int.from_bytes(head[18:20], "big" if head[5] == 2 else "little")
    return _MACHINES.get(number, f"machine {number}")


def native_files(root: Path) -> Iterator[NativeFile]:
    """The ELF files under a folder; links are not followed. Reads the head of every file: call it in a thread."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file():
                continue
            with path.open("rb") as file:
                machine = machine_of(file.read(HEAD_BYTES))
            if machine is not None:
                yield NativeFile(str(path.relative_to(root)), machine)
