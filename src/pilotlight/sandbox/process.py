"""The `process` driver: no isolation, said loudly, for machines that allow none. A plain fork; code where it lies.

What AWS promises at fixed places is offered elsewhere: the task root is the package's own directory, TMPDIR a private
one, layers are put on sys.path, PATH and LD_LIBRARY_PATH one after the other, and the two listeners are on the host's
loopback at ports of their own. A function that opens files under /opt finds none there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

_PREFIX = "pilotlight-environment-"


def process_plan(*, runtime_set: str, hidden: list[str]) -> dict[str, Any]:
    """The plan of a zygote that confines nothing; the fields are those of `namespaces.root_plan`. Nothing can be hidden
    here, so the `hidden` directories are only taken off sys.path."""
    return {
        "mode": "process",
        "network": "host",
        "seccomp": "",
        "init": "",
        "hidden": hidden,
        "bootstrap": f"{runtime_set}/bootstrap.py",
    }


def make_private_dir(environment_id: str) -> str:
    """A directory of the environment's own in place of /tmp. Its name says whose it is, for `remove_leftovers`."""
    return tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-{environment_id[:12]}-")


def remove_private_dir(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)


def remove_leftovers() -> None:
    """The directories of nodes of this user that were killed before they could remove them."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        node = path.name.removeprefix(_PREFIX).partition("-")[0]
        with contextlib.suppress(OSError):
            if node.isdigit() and path.stat().st_uid == os.geteuid() and not Path(f"/proc/{node}").exists():
                remove_private_dir(str(path))
