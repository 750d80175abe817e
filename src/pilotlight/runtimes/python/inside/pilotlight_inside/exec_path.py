"""The exec path: a fresh interpreter that was executed inside the sandbox, for functions that a fork cannot serve
(LD_*, PYTHON*, MALLOC_* in the environment, an exec wrapper, native libraries in layers)."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from pilotlight_inside import channel as channels
from pilotlight_inside.fork_path import read_path_files, search_path


def become() -> channels.Start:
    """In the fresh interpreter: be the function's process."""
    _undo_locale_coercion()
    hidden = os.environ.pop("_PILOTLIGHT_HIDDEN", "").split(":")
    sys.path[:] = [path for path in sys.path if path not in hidden]
    channel = channels.Channel()
    import_module("awslambdaric.bootstrap")  # the runtime's own, before the function's modules are in reach

    task_root = os.environ.get("LAMBDA_TASK_ROOT", "/var/task")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    usual = f"/opt/python/lib/{version}/site-packages:/opt/python"
    sites = further = _directories(os.environ.pop("_PILOTLIGHT_PYTHON_DIRS", usual))
    if (path := os.environ.get("PYTHONPATH", "")) != os.environ.get("LAMBDA_RUNTIME_DIR"):
        sites, further = [], _directories(path)  # the function's own or its wrapper's: on AWS, instead of /opt's
    sys.path[:] = search_path(task_root, further)
    gone = {"pilotlight_inside"}
    for name in ("simplejson", "snapshot_restore_py"):
        if any(os.path.exists(os.path.join(path, name)) for path in sys.path[: sys.path.index(_runtime())]):
            gone.add(name)
    for name in [name for name in sys.modules if name.partition(".")[0] in gone]:
        del sys.modules[name]
    read_path_files([task_root, *sites])
    return channels.ready_to_run(os.environ.get("_HANDLER", ""), channel)


def _directories(path: str) -> list[str]:
    return [os.path.abspath(part) for part in path.split(":") if part]


def _runtime() -> str:
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _undo_locale_coercion() -> None:
    """Python sets LC_CTYPE for itself where the locale in LANG is not installed; the function did not ask for it."""
    if "LC_CTYPE" in os.environ:
        with open("/proc/self/environ", "rb") as file:
            given = file.read().split(b"\0")
        if not any(item.startswith(b"LC_CTYPE=") for item in given):
            del os.environ["LC_CTYPE"]
