"""Making files durable, and saying in the store's words that the disk is full."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Generator
from pathlib import Path

from pilotlight.store.interface import StoreFull


@contextlib.contextmanager
def full_disk_as_store_full(what: str) -> Generator[None]:
    """OSError for want of room (or quota) becomes StoreFull; every other error passes."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(f"There is no room on the disk for {what}.") from error
        raise


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable: a rename alone is not."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
