"""Starts Python functions: picks the interpreter, its zygote and the start path, and has the process forked.

A zygote serves one interpreter, variant and network; it is started on first use (or `prewarm`) and again after it
died. Every launch is a message to a zygote and an answer from the child, so that launches never wait for each other
longer than a fork takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
from typing import Any, Literal

import msgspec

from pilotlight import errors
from pilotlight.runtimes.python.ends import Ends
from pilotlight.runtimes.python.interpreters import RUNTIMES, Interpreter, Interpreters
from pilotlight.runtimes.python.sets import INSIDE, RuntimeSet, runtime_set
from pilotlight.runtimes.python.start_path import StartPath, from_environ, from_package
from pilotlight.runtimes.python.zygote_client import Zygote, enter_script
from pilotlight.sandbox.driver import Driver, choose_driver
from pilotlight.sandbox.errors import LaunchError, LaunchKilled, SandboxLost, ZygoteLost
from pilotlight.sandbox.namespaces import (
    TASK_ROOT,
    UidRange,
    hidden_by_an_environment,
    interpreter_binds,
    root_plan,
)
from pilotlight.sandbox.process import make_private_dir, process_plan, remove_leftovers, remove_private_dir
from pilotlight.sandbox.spec import LaunchSpec, RuntimeProcess, Sandbox
from pilotlight.settings import Settings

_KILLED_AT_MOST = 3
_RUNTIME_API = "127.0.0.1:9001"
_AWS_ENDPOINT = "127.0.0.1:4566"
_LIBRARY_PATH = "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"
_PATH = "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"

Key = tuple[str, Literal["full", "bare"], Literal["none", "host"]]


class LauncherFacts(msgspec.Struct, frozen=True):
    """What `doctor` and the start banner say."""

    driver: str
    mode: str
    reason: str
    not_enforced: tuple[str, ...]
    interpreters: dict[str, str]
    """Runtime -> version and path."""
    missing: tuple[str, ...]
    """Runtimes without an interpreter here."""
    looked_at: tuple[str, ...]
    open_files: int


class PythonLauncher:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._interpreters = Interpreters(settings.interpreters, settings.cache_path)
        self._driver: Driver | None = None
        self._uids = UidRange("user")
        self._sets: dict[str, asyncio.Task[RuntimeSet]] = {}
        self._zygotes: dict[Key, asyncio.Task[Zygote]] = {}
        self._start_paths: dict[tuple[str, tuple[str, ...], str], StartPath] = {}
        self._stopped = False

    async def start(self) -> None:
        """Find out what the machine has: interpreters and a way to confine. Raises LaunchError (see choose_driver)."""
        _raise_file_limit()
        probe = os.path.join(INSIDE, "pilotlight_inside/enter.py")
        self._driver, _ = await asyncio.gather(
            choose_driver(self._settings.sandbox, probe), self._interpreters.discover()
        )
        if self._driver.mode == "process":
            await asyncio.to_thread(remove_leftovers)
        else:
            self._uids = UidRange(self._driver.mode)

    async def stop(self) -> None:
        """End every zygote, and with it whatever still runs."""
        self._stopped = True
        tasks, self._zygotes = list(self._zygotes.values()), {}
        for task in tasks:
            task.cancel()
            with contextlib.suppress(BaseException):
                await (await task).stop()

    async def prewarm(self, runtime: str) -> None:
        """Have the zygote of a runtime up before its first function needs it."""
        interpreter = self._interpreter(runtime)
        network = "host" if self._chosen().mode == "process" else self._settings.network
        await self._zygote(interpreter, "full", network)

    def check(self, runtime: str, architecture: str) -> None:
        """Raise InvalidParameterValueException when functions of this runtime cannot run here."""
        try:
            self._interpreter(runtime)
        except LaunchError as error:
            raise errors.InvalidParameterValueException(str(error)) from error

    def runs_on(self, runtime: str) -> str:
        """The runtime whose interpreter serves `runtime`: another one only under runtime_fallback=nearest."""
        return self._interpreter(runtime).runtime

    def interpreter_path(self, runtime: str) -> str:
        """The Python that serves `runtime`. Raises LaunchError when there is none."""
        return self._interpreter(runtime).executable

    def notice(self, runtime: str) -> str:
        """What START is to say when `runtime` is served by another interpreter; "" when it is not."""
        served_by = self.runs_on(runtime)
        return f"({runtime} runs on {served_by} here)" if served_by != runtime else ""

    def describe(self) -> LauncherFacts:
        driver = self._chosen()
        found = self._interpreters.found
        return LauncherFacts(
            driver=driver.name,
            mode=driver.mode,
            reason=driver.reason,
            not_enforced=driver.not_enforced,
            interpreters={
                name: f"{'.'.join(map(str, found[name].version))} {found[name].executable}" for name in sorted(found)
            },
            missing=tuple(name for name in RUNTIMES if name not in found),
            looked_at=tuple(self._interpreters.looked_at),
            open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        )

    async def launch(self, spec: LaunchSpec, sandbox: Sandbox | None = None) -> RuntimeProcess:
        """Start one process; with `sandbox`, in the kept sandbox of one that is gone. Raises LaunchError.

        A zygote that dies under the order is replaced, once; a kept sandbox is then lost with it (SandboxLost). A
        process that is killed under it is replaced a few times.
        """
        for _ in range(_KILLED_AT_MOST):
            with contextlib.suppress(LaunchKilled):
                return await self._launch_once(spec, sandbox)
        return await self._launch_once(spec, sandbox)

    async def _launch_once(self, spec: LaunchSpec, sandbox: Sandbox | None) -> RuntimeProcess:
        try:
            return await self._launch(spec, sandbox)
        except ZygoteLost as error:
            if sandbox is not None:
                raise SandboxLost(str(error)) from error
            return await self._launch(spec, None)

    async def _launch(self, spec: LaunchSpec, sandbox: Sandbox | None) -> RuntimeProcess:
        driver = self._chosen()
        interpreter = self._interpreter(spec.runtime)
        made = await self._set(interpreter)
        path = await self._start_path(spec, made)
        network = "host" if driver.mode == "process" else spec.network
        zygote = await self._zygote(interpreter, path.variant, network)
        if sandbox is not None and sandbox.owner is not zygote:
            raise SandboxLost("the zygote that this environment came from is gone")
        if driver.mode == "process":
            return await self._launch_process(spec, path, zygote, sandbox)
        return await self._launch_confined(spec, path, zygote, sandbox, network)

    async def _launch_confined(
        self, spec: LaunchSpec, path: StartPath, zygote: Zygote, sandbox: Sandbox | None, network: str
    ) -> RuntimeProcess:
        listeners: tuple[socket.socket, ...] = ()
        if network == "host":
            listeners = (sandbox.runtime_api, sandbox.aws_endpoint) if sandbox else (_listener(), _listener())
            api, endpoint = (_address(listener) for listener in listeners)
        else:
            api, endpoint = _RUNTIME_API, _AWS_ENDPOINT
        environ = {
            "PATH": _PATH,
            "LD_LIBRARY_PATH": _LIBRARY_PATH,
            "PYTHONPATH": "/var/runtime",
            "PWD": TASK_ROOT,
            "SHLVL": "0",
            "AWS_ENDPOINT_URL": f"http://{endpoint}",
            **spec.environ,
            "_HANDLER": spec.handler,
            "LAMBDA_TASK_ROOT": TASK_ROOT,
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "AWS_LAMBDA_RUNTIME_API": api,
        }
        layers = [f"/opt/python/lib/{spec.runtime}/site-packages", "/opt/python"]
        served_by = self._interpreter(spec.runtime)
        under = hidden_by_an_environment(interpreter_binds([*served_by.prefixes, *served_by.libraries]))
        uid = sandbox.uid if sandbox else self._uids.take()
        order = _order(spec, path, environ, TASK_ROOT, layers)
        order.update(
            uid=uid,
            kept=sandbox is not None,
            code_dir=_real(spec.code_dir),
            layer_dirs=[_real(layer) for layer in spec.layer_dirs],
            interpreter_binds=[bind for bind in under if spec.layer_dirs or bind[1].startswith("/tmp/")],
            tmp_mib=spec.tmp_mib,
        )
        try:
            async with Ends() as ends:
                launched = await zygote.launch(order, [*ends.theirs, *(sandbox.namespace_fds if sandbox else ())])
                pidfd, init_pidfd, *kept = launched.fds
                if sandbox is None:
                    sandbox = Sandbox(
                        spec.environment_id,
                        *(listeners or map(_adopt, kept[2:])),
                        owner=zygote,
                        uid=uid,
                        namespace_fds=tuple(kept[:2]),
                        release=lambda: self._uids.give_back(uid),
                    )
                return ends.process(sandbox, pidfd, init_pidfd, path, launched.exited)
        except BaseException:
            if sandbox is None:
                self._uids.give_back(uid)
                for listener in listeners:
                    listener.close()
            raise

    async def _launch_process(
        self, spec: LaunchSpec, path: StartPath, zygote: Zygote, sandbox: Sandbox | None
    ) -> RuntimeProcess:
        fresh = sandbox is None
        if sandbox is None:
            private = make_private_dir(spec.environment_id)
            sandbox = Sandbox(
                spec.environment_id,
                _listener(),
                _listener(),
                owner=zygote,
                uid=0,
                private_dir=private,
                release=lambda: remove_private_dir(private),
            )
        runtime_dir = (await self._set(self._interpreter(spec.runtime))).path
        layers = [
            f"{layer}/{part}"
            for part in (f"python/lib/{spec.runtime}/site-packages", "python")
            for layer in reversed(spec.layer_dirs)
        ]
        commands, libraries = ([f"{layer}/{part}" for layer in reversed(spec.layer_dirs)] for part in ("bin", "lib"))
        environ = {
            "PATH": ":".join([os.environ.get("PATH", os.defpath), *commands]),
            "PYTHONPATH": runtime_dir,
            "TMPDIR": sandbox.private_dir,
            "AWS_ENDPOINT_URL": f"http://{_address(sandbox.aws_endpoint)}",
            **spec.environ,
            "_HANDLER": spec.handler,
            "LAMBDA_TASK_ROOT": spec.code_dir,
            "LAMBDA_RUNTIME_DIR": runtime_dir,
            "AWS_LAMBDA_RUNTIME_API": _address(sandbox.runtime_api),
        }
        if libraries:
            environ.setdefault("LD_LIBRARY_PATH", ":".join([spec.code_dir, f"{spec.code_dir}/lib", *libraries]))
        if path.execute:
            environ["_PILOTLIGHT_PYTHON_DIRS"] = ":".join(layers)
            environ["_PILOTLIGHT_HIDDEN"] = ":".join(self._interpreter(spec.runtime).packages)
        order = _order(spec, path, environ, spec.code_dir, layers)
        try:
            async with Ends() as ends:
                launched = await zygote.launch(order, ends.theirs)
                (pidfd,) = launched.fds
                return ends.process(sandbox, pidfd, pidfd, path, launched.exited, kill_group=True)
        except BaseException:
            if fresh:
                await sandbox.destroy()
            raise

    def _chosen(self) -> Driver:
        if self._driver is None:
            raise LaunchError("the launcher has not been started")
        return self._driver

    def _interpreter(self, runtime: str) -> Interpreter:
        found = self._interpreters.found.get(runtime)
        if found is None and self._settings.runtime_fallback == "nearest" and runtime in RUNTIMES:
            found = self._interpreters.nearest(runtime)
        if found is not None:
            return found
        have = ", ".join(sorted(self._interpreters.found)) or "none"
        if runtime not in RUNTIMES:
            raise LaunchError(
                f"Runtime {runtime} is not supported by this version of Pilotlight, which runs Python "
                f"(interpreters found on this machine: {have})."
            )
        raise LaunchError(
            f"No interpreter for {runtime} was found on this machine (found: {have}). Looked for `{runtime}` on PATH, "
            f"in pyenv's versions and in uv's. Add one, for example with `uv python install {runtime[6:]}` or "
            f'`pyenv install {runtime[6:]}`, or name one: interpreters = {{"{runtime}" = "/path/to/{runtime}"}} in '
            "the settings; or start the node with --runtime-fallback nearest."
        )

    async def _set(self, interpreter: Interpreter) -> RuntimeSet:
        task = self._sets.get(interpreter.executable)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.ensure_future(runtime_set(interpreter, self._settings.cache_path))
            self._sets[interpreter.executable] = task
        return await asyncio.shield(task)

    async def _start_path(self, spec: LaunchSpec, made: RuntimeSet) -> StartPath:
        key = (spec.code_dir, spec.layer_dirs, spec.runtime)
        path = self._start_paths.get(key)
        if path is None:
            path = await asyncio.to_thread(from_package, spec.code_dir, spec.layer_dirs, spec.runtime, made.preloaded)
            self._start_paths[key] = path
        reason = "" if path.execute else from_environ(spec.environ)
        return msgspec.structs.replace(path, execute=True, reason=reason) if reason else path

    async def _zygote(
        self, interpreter: Interpreter, variant: Literal["full", "bare"], network: Literal["none", "host"]
    ) -> Zygote:
        """The zygote for this key: the one there is, or one started now by whoever asks first."""
        if self._stopped:
            raise LaunchError("the launcher is stopped")
        key: Key = (interpreter.executable, variant, network)
        task = self._zygotes.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() or not task.result().alive)):
            dead = task
            task = asyncio.ensure_future(self._start_zygote(interpreter, variant, network))
            self._zygotes[key] = task
            if dead is not None and not dead.cancelled() and dead.exception() is None:
                await dead.result().stop()
        return await asyncio.shield(task)

    async def _start_zygote(
        self, interpreter: Interpreter, variant: Literal["full", "bare"], network: Literal["none", "host"]
    ) -> Zygote:
        made = await self._set(interpreter)
        mode = self._chosen().mode
        environ = {"LANG": "en_US.UTF-8", "TZ": ":UTC", "PATH": _PATH, "AWS_LAMBDA_LOG_FORMAT": "Text"}
        if mode == "process":
            plan: dict[str, Any] = process_plan(runtime_set=made.path, hidden=list(interpreter.packages))
        else:
            environ["LD_LIBRARY_PATH"] = _LIBRARY_PATH
            plan = root_plan(
                mode,
                network,
                runtime_set=made.path,
                prefixes=[*interpreter.prefixes, *interpreter.libraries],
                hidden=list(interpreter.packages),
            )
        plan.update(python=interpreter.executable, variant=variant, environ=environ)
        return await Zygote.start(interpreter.executable, enter_script(made.path), plan)


def _order(
    spec: LaunchSpec, path: StartPath, environ: dict[str, str], task_root: str, python_dirs: list[str]
) -> dict[str, Any]:
    return {
        "handler": spec.handler,
        "environ": environ,
        "exec": path.execute,
        "shadowed": path.shadowed,
        "path_files": path.path_files,
        "task_root": task_root,
        "python_dirs": python_dirs,
        "kept": False,
    }


def _real(path: str) -> str:
    """Without symbolic links, which would lead astray where the host's tree is at another place."""
    return os.path.realpath(path)


def _listener() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    listener.setblocking(False)
    return listener


def _adopt(fd: int) -> socket.socket:
    listener = socket.socket(fileno=fd)
    listener.setblocking(False)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"{host}:{port}"


def _raise_file_limit() -> None:
    """An environment holds about ten descriptors here, and the usual soft limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
