"""A process of the node's own and the node's end of the channel to it, a socketpair that carries frames (frames.py).

What such a process is for, sqlite_messages.py tells. It ends when its end of the channel reads end of file, which the
kernel sees to when the node dies, however that happens.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections import deque

from pilotlight.store.frames import FrameReader

_EXIT_LIMIT_S = 10.0


class FrameSender:
    """The node's sending side. What the socket does not take at once waits here, uncopied, and goes when it can."""

    def __init__(self, channel: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._loop = loop
        self._unsent: deque[memoryview] = deque()

    def send(self, data: bytes) -> None:
        """A broken channel drops it: who reads the channel sees its end."""
        if self._unsent:
            self._unsent.append(memoryview(data))
            return
        try:
            sent = self._channel.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return
        if sent < len(data):
            self._unsent.append(memoryview(data)[sent:])
            self._loop.add_writer(self._channel.fileno(), self._send_rest)

    def _send_rest(self) -> None:
        try:
            while self._unsent:
                sent = self._channel.send(self._unsent[0])
                if sent < len(self._unsent[0]):
                    self._unsent[0] = self._unsent[0][sent:]
                    return
                self._unsent.popleft()
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()
        self._loop.remove_writer(self._channel.fileno())

    def close(self) -> None:
        """Before the channel is closed. What was not sent is forgotten."""
        if self._unsent:
            self._unsent.clear()
            self._loop.remove_writer(self._channel.fileno())


class ChannelProcess:
    """A started process: a module run with its channel's file descriptor, and `argument`, on its command line."""

    def __init__(self, module: str, argument: str) -> None:
        self.channel, theirs = socket.socketpair()
        self.reader = FrameReader(self.channel)
        with theirs:
            try:
                # -P: what lies in the working directory is not imported. A session of its own: Ctrl-C is the node's.
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", module, str(theirs.fileno()), argument],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except BaseException:
                self.channel.close()
                raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self) -> None:
        """It ends when the channel closes, after what it is at; killed when it has not within 10 s."""
        self.channel.close()
        try:
            self._process.wait(_EXIT_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
