"""What the pool asks for, and what it gets: a launch order, a slot's kept sandbox, the process running in it.

The sandbox outlives the process (Lambda's reset: new process, same /tmp and network), so each owns its own file
descriptors and is closed on its own. Nothing here knows how confinement is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
from collections.abc import Callable
from typing import Literal

import msgspec

_PIDFD_SEND_SIGNAL = 424


def kill_by_pidfd(pidfd: int) -> None:
    """SIGKILL, without the race of a pid. `signal.pidfd_send_signal` is missing from portable builds of Python."""
    if hasattr(signal, "pidfd_send_signal"):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    elif ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_SEND_SIGNAL, pidfd, signal.SIGKILL, None, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class LaunchSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One process to start."""

    environment_id: str
    runtime: str
    """Lambda's name: `python3.12`."""
    handler: str
    code_dir: str
    layer_dirs: tuple[str, ...] = ()
    """In the function's order; a later layer's file wins over an earlier one's, as in /opt on AWS."""
    environ: dict[str, str]
    """Everything but what depends on where the sandbox puts things; the launcher adds that."""
    tmp_mib: int = 512
    memory_mib: int = 128
    network: Literal["none", "host"] = "none"


class Sandbox:
    """The part of a slot that a reset keeps: mounts and /tmp, network namespace, listeners, identity.

    `runtime_api` and `aws_endpoint` are listening, non-blocking sockets: what connects to them is this environment.
    """

    def __init__(
        self,
        environment_id: str,
        runtime_api: socket.socket,
        aws_endpoint: socket.socket,
        *,
        owner: object,
        uid: int,
        namespace_fds: tuple[int, ...] = (),
        private_dir: str = "",
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self.environment_id = environment_id
        self.runtime_api = runtime_api
        self.aws_endpoint = aws_endpoint
        self.owner = owner
        """Whoever can start another process in here: the launcher checks it on a reset."""
        self.uid = uid
        self.namespace_fds = namespace_fds
        """Mount and network namespace, in that order; empty for the process driver."""
        self.private_dir = private_dir
        """The process driver's stand-in for /tmp."""
        self._release = release
        self._destroyed = False

    async def destroy(self) -> None:
        """Close the listeners and let go of the namespaces, which takes /tmp with them. Kill the process first."""
        if self._destroyed:
            return
        self._destroyed = True
        self.runtime_api.close()
        self.aws_endpoint.close()
        for fd in self.namespace_fds:
            os.close(fd)
        self.namespace_fds = ()
        self._release()


class RuntimeProcess:
    """One runtime process, and every descriptor the node holds of it until `close`.

    `channel`: node end of the frame channel, non-blocking. `output`: read end of its stdout and stderr, non-blocking.
    `pidfd`: readable once the process is dead.
    """

    def __init__(
        self,
        *,
        sandbox: Sandbox,
        channel: socket.socket,
        output: int,
        pidfd: int,
        kill_fd: int,
        start_path: Literal["fork", "exec"],
        exited: asyncio.Future[int],
        kill_group: bool = False,
    ) -> None:
        self.sandbox = sandbox
        self.channel = channel
        self.output = output
        self.pidfd = pidfd
        self.start_path: Literal["fork", "exec"] = start_path
        self._kill_fd = kill_fd
        self._kill_group = kill_group
        self._exited = exited
        self._pid = -1
        self._closed = False

    @property
    def pid(self) -> int:
        """Its pid as this node sees it; 0 when it cannot be told."""
        if self._pid < 0:
            self._pid = 0
            with contextlib.suppress(OSError, ValueError), open(f"/proc/self/fdinfo/{self.pidfd}") as info:
                for line in info:
                    if line.startswith("Pid:"):
                        self._pid = max(int(line[4:]), 0)
        return self._pid

    def kill(self) -> None:
        """Kill every process of this runtime at once: its namespace's init, or its process group."""
        if self._closed:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._kill_group and self.pid:
                os.killpg(self.pid, signal.SIGKILL)
            kill_by_pidfd(self._kill_fd)

    async def wait(self) -> int:
        """Its exit status as `os.waitstatus_to_exitcode` gives it: negative for a signal."""
        return await asyncio.shield(self._exited)

    def close(self) -> None:
        """Give back every descriptor. A transport that was given `channel` closes it when it is done with it."""
        if self._closed:
            return
        self._closed = True
        self.channel.close()
        os.close(self.output)
        os.close(self.pidfd)
        if self._kill_fd != self.pidfd:
            os.close(self._kill_fd)
