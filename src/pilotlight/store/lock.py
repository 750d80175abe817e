"""One node per data directory: an flock on a file in it, which the kernel lets go of when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from pilotlight.store.interface import DataDirectoryInUse


class DirectoryLock:
    """Held from construction to `release`. Raises DataDirectoryInUse when another still has it after `wait_s`."""

    def __init__(self, directory: Path, name: str = "lock", wait_s: float = 0.0) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + wait_s
        while not self._try():
            if time.monotonic() >= deadline:
                holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
                self.release()
                raise DataDirectoryInUse(
                    f"The data directory {directory} is in use by another node (process {holder or 'unknown'}). "
                    "Stop that one, or give this one a data directory of its own with --data-dir."
                )
            time.sleep(0.002)
        with contextlib.suppress(OSError):  # who holds it is a courtesy; a full disk must not keep a node from starting
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
