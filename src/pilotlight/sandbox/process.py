"""The `process` driver: no isolation, said loudly, for machines that allow none. A plain fork; code where it lies.

What AWS promises at fixed places is offered elsewhere: the task root is the package's own directory, TMPDIR a private
one, layers are put on sys.path, and the two listeners are on the host's loopback at ports of their own.
"""

from __future__ import annotations

import shutil
import tempfile
from typing import Any


def process_plan(*, runtime_set: str) -> dict[str, Any]:
    """The plan of a zygote that confines nothing; the fields are those of `namespaces.root_plan`."""
    return {
        "mode": "process",
        "network": "host",
        "seccomp": "",
        "init": "",
        "bootstrap": f"{runtime_set}/bootstrap.py",
    }


def make_private_dir(environment_id: str) -> str:
    """A directory of the environment's own in place of /tmp."""
    return tempfile.mkdtemp(prefix=f"pilotlight-{environment_id[:12]}-")


def remove_private_dir(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)
