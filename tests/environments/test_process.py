"""The node's side of one runtime process: its descriptors, and when they may go."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess

from pilotlight.environments.output_turns import OutputTurns
from pilotlight.environments.process import LiveProcess
from pilotlight.runtimes.session import RuntimeSession
from pilotlight.sandbox.spec import RuntimeProcess, Sandbox
from tests.sessions.recorder import Recorder
from tests.support import eventually_async


async def test_one_that_ends_while_its_channel_is_opened_takes_its_number_along() -> None:
    """Else the next channel that gets that number would be read by two."""
    process = subprocess.Popen(["sleep", "60"])
    near, far = socket.socketpair()
    near.setblocking(False)
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    pidfd = os.pidfd_open(process.pid)
    number = near.fileno()
    exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    runtime = RuntimeProcess(
        sandbox=Sandbox("e", socket.socket(), socket.socket(), owner=None, uid=0),
        channel=near,
        output=read_end,
        pidfd=pidfd,
        kill_fd=pidfd,
        start_path="exec",
        exited=exited,
    )
    session = RuntimeSession(Recorder())
    live = LiveProcess(runtime, session, died=lambda _: None, output=lambda _: None, turns=OutputTurns(lambda: False))
    opening = asyncio.create_task(live.open())
    await asyncio.sleep(0)  # its transport is being made
    live.dispose()
    await opening
    await eventually_async(lambda: not _is_open(number), what="the channel's number is free")
    assert not _is_open(read_end)
    assert not _is_open(pidfd)
    # Whoever gets these numbers now has them for himself.
    one, other = socket.socketpair()
    one.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=one)
    other.send(b"mine")
    assert await reader.read(4) == b"mine"
    writer.close()
    await writer.wait_closed()
    for each in (other, far, runtime.sandbox.runtime_api, runtime.sandbox.aws_endpoint):
        each.close()
    os.close(write_end)
    process.wait()


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
