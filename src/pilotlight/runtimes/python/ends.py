"""The ends of a new process's channel and output, held safely until it is known whether there is a process."""

from __future__ import annotations

import asyncio
import os
import socket

from pilotlight.runtimes.python.start_path import StartPath
from pilotlight.sandbox.spec import RuntimeProcess, Sandbox


class Ends:
    """Both ends of a new process's channel and output: the far ends are closed here in any case, the near ends when
    nothing came of it."""

    def __init__(self) -> None:
        self._channel, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._channel.setblocking(False)
        self._output, write_end = os.pipe()
        os.set_blocking(self._output, False)
        self.theirs = [far.detach(), write_end]
        self._used = False

    async def __aenter__(self) -> Ends:
        return self

    async def __aexit__(self, *_: object) -> None:
        for fd in self.theirs:
            os.close(fd)
        if not self._used:
            self._channel.close()
            os.close(self._output)

    def process(
        self,
        sandbox: Sandbox,
        pidfd: int,
        kill_fd: int,
        path: StartPath,
        exited: asyncio.Future[int],
        *,
        kill_group: bool = False,
    ) -> RuntimeProcess:
        self._used = True
        return RuntimeProcess(
            sandbox=sandbox,
            channel=self._channel,
            output=self._output,
            pidfd=pidfd,
            kill_fd=kill_fd,
            start_path="exec" if path.execute else "fork",
            exited=exited,
            kill_group=kill_group,
        )
