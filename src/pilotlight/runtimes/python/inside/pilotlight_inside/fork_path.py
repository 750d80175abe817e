"""A forked child is not a fresh interpreter; here it is made to behave as if it were one.

What cannot be undone by a fork: the hash seed (all children of a zygote share it) and what the kernel shows of the
first exec (/proc/self/cmdline, auxv). A function that minds sets PYTHONHASHSEED and so takes the exec path.
"""

from __future__ import annotations

import gc
import importlib
import os
import random
import signal
import sys
import time
import types
from typing import Any

from pilotlight_inside import channel as channels
from pilotlight_inside import syscalls

_RUNTIME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: what awslambdaric.bootstrap reads when it is imported; the zygote has the values that most functions have
_READ_AT_IMPORT = ("AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL")

_bootstrap_code: Any = None
_own_modules: list[str] = []
_holes: list[Any] = []


def prepare() -> None:
    """Before the first fork. What is done here is done once; what a child writes costs it a page each time: walking
    over all modules, or the first use of OpenSSL's generator, would cost a millisecond."""
    global _bootstrap_code
    spec: Any = importlib.import_module("awslambdaric.bootstrap").__spec__
    _bootstrap_code = spec.loader.get_code("awslambdaric.bootstrap")
    _own_modules[:] = [name for name in sys.modules if name.partition(".")[0] == "pilotlight_inside"]
    ssl = sys.modules.get("ssl")
    if ssl is not None:
        ssl.RAND_bytes(1)
    gc.collect()
    _fill_holes()
    gc.freeze()


def _fill_holes() -> None:
    """Use up the free places scattered over the zygote's heaps, so that what a child allocates lies close together.

    Otherwise its first few thousand objects land in almost as many old pages, each of which is copied for it. Each
    loop goes on until memory comes in one piece.
    """
    for size in (65536, 16384, 4096, *range(2048, 16, -16)):  # libc's: OpenSSL, environment variables, larger objects
        last, in_a_row = 0, 0
        while in_a_row < 4:
            place = syscalls.allocate(size - 8)
            in_a_row = in_a_row + 1 if place - last == size else 0
            last = place
    for size in range(48, 513, 16):  # Python's own, by size class; a bytes object is 33 bytes larger than its content
        last, in_a_row = 0, 0
        while in_a_row < 24:
            made = bytes(size - 33)
            _holes.append(made)
            in_a_row = in_a_row + 1 if id(made) - last == size else 0
            last = id(made)


def refresh() -> None:
    """In the child, before it knows its function: all that a fork shares and a new process would not."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    _reseed()
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=os.path.join(_RUNTIME, "bootstrap.py"), __builtins__=sys.modules["builtins"])
    sys.modules["__main__"] = main
    for name in _own_modules:
        del sys.modules[name]
    sys.argv[:] = [os.path.join(_RUNTIME, "bootstrap.py")]
    sys.orig_argv[:] = [sys.executable, sys.argv[0]]


def become(order: dict[str, Any]) -> channels.Start:
    """In the child, confined and dropped: be the function's process."""
    if order["exec"]:
        _execute(order)
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(order["environ"])
    time.tzset()
    shadowed = order["shadowed"]
    if shadowed:
        for name in [name for name in sys.modules if name.partition(".")[0] in shadowed]:
            del sys.modules[name]
    sys.path[:] = search_path(order["task_root"], order["python_dirs"])
    _rebuild_runtime_client(before)
    if order["path_files"]:
        read_path_files([order["task_root"], *order["python_dirs"]])
    return channels.ready_to_run(order["handler"], channels.Channel())


def search_path(task_root: str, python_dirs: list[str]) -> list[str]:
    """Lambda's order: the function, its layers, the runtime, the standard library."""
    standard = [path for path in sys.path if path != _RUNTIME]
    return list(dict.fromkeys([task_root, *python_dirs, _RUNTIME, *standard]))


def read_path_files(directories: list[str]) -> None:
    """What .pth files there ask for, as AWS's bootstrap does: more directories, at the end, and lines to run."""
    site: Any = importlib.import_module("site")
    for directory in directories:
        site.addsitedir(directory)


def _execute(order: dict[str, Any]) -> None:
    """The exec path: a fresh interpreter in this very sandbox, with exactly the function's environment."""
    environ = order["environ"]
    command = [sys.executable, os.path.join(_RUNTIME, "bootstrap.py")]
    wrapper = environ.get("AWS_LAMBDA_EXEC_WRAPPER")
    if wrapper:
        command.insert(0, wrapper)
    os.set_inheritable(channels.CHANNEL_FD, True)
    try:
        os.execve(command[0], command, environ)
    except OSError as error:
        import json

        reason = os.strerror(error.errno or 0).lower()
        message = f"Error: fork/exec {command[0]}: {reason}"
        body = json.dumps({"errorMessage": message, "errorType": "Runtime.InvalidEntrypoint"}).encode()
        channels.Channel().send(channels.INIT_ERROR, ("Runtime.InvalidEntrypoint", str(channels.max_rss_kib())), body)
        os._exit(1)


def _reseed() -> None:
    random.seed()
    ssl: Any = sys.modules.get("ssl")
    if ssl is not None:
        ssl.RAND_add(os.urandom(48), 48.0)
    tempfile: Any = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile._name_sequence = None
        tempfile.tempdir = None
    uuid: Any = sys.modules.get("uuid")
    if uuid is not None:
        uuid._last_timestamp = None


def _rebuild_runtime_client(before: dict[str, str]) -> None:
    """What awslambdaric read from the zygote's environment at import, read again from the function's."""
    if any(os.environ.get(name) != before.get(name) for name in _READ_AT_IMPORT):
        bootstrap = sys.modules["awslambdaric.bootstrap"]
        kept = {name: value for name, value in vars(bootstrap).items() if name.startswith("__")}
        vars(bootstrap).clear()
        vars(bootstrap).update(kept)
        exec(_bootstrap_code, vars(bootstrap))
    client: Any = sys.modules["awslambdaric.lambda_runtime_client"]
    marshaller: Any = sys.modules["awslambdaric.lambda_runtime_marshaller"]
    client.BaseLambdaRuntimeClient.marshaller = marshaller.LambdaMarshaller()  # depends on AWS_EXECUTION_ENV
