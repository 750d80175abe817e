"""Reading what processes print, so that one that prints without end costs the node and the others little.

Reading output takes the event loop's time, a chunk a read. Each process has some of it to spend at once, as a function
that logs a page does; one that has spent it waits for its turn. Turns are a chunk each, for all that wait, and leave at
least three quarters of the time to everything else; nobody's comes while the log writer is behind. Meanwhile the pipe
is full, and the function waits in its write, as on Lambda: nothing is lost, and nothing piles up in the node.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import sys
import termios
import time
from collections import deque
from collections.abc import Callable

_PIPE_BYTES = 65_536
_FIRST_BYTES = 16_384
_LEAST_BYTES = 1_024
#: a chunk is made smaller until it takes no longer: lines of one byte cost a hundred times as much as long ones
_CHUNK_S = 0.000_4
#: loop time a process may take at once, and how fast it gets new
_CREDIT_S = 0.02
_CREDIT_PER_S = 0.02
#: between two turns: so many times what the last one took, and at least as much as timers can tell
_PAUSE_FACTOR = 3.0
_LEAST_PAUSE_S = 0.001
#: how long the log writer may keep everybody waiting; beyond that its store has to drop lines
_LONGEST_WAIT_S = 2.0
_LOOK_AGAIN_S = 0.005


class OutputTurns:
    """Of all processes of a node. `behind` tells whether the log writer is."""

    __slots__ = ("_behind", "_free_at", "_loop", "_timer", "_waiting", "_waiting_since")

    def __init__(self, behind: Callable[[], bool]) -> None:
        self._loop = asyncio.get_running_loop()
        self._behind = behind
        self._waiting: deque[OutputReader] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._free_at = 0.0
        """When the next turn may begin."""
        self._waiting_since = 0.0
        """When the writer was first seen to be behind; 0 while it is not."""

    def wait(self, reader: OutputReader) -> None:
        self._waiting.append(reader)
        if self._timer is None:
            pause_s = max(_LEAST_PAUSE_S, self._free_at - time.perf_counter())
            self._timer = self._loop.call_later(pause_s, self._next)

    def _next(self) -> None:
        if self._writer_holds():
            self._timer = self._loop.call_later(_LOOK_AGAIN_S, self._next)
            return
        reader = self._waiting.popleft()
        started = time.perf_counter()
        if reader.take_turn(started):
            self._waiting.append(reader)
        now = time.perf_counter()
        pause_s = max(_LEAST_PAUSE_S, (now - started) * _PAUSE_FACTOR)
        self._free_at = now + pause_s
        self._timer = self._loop.call_later(pause_s, self._next) if self._waiting else None

    def _writer_holds(self) -> bool:
        if not self._behind():
            self._waiting_since = 0.0
            return False
        now = time.perf_counter()
        self._waiting_since = self._waiting_since or now
        return now - self._waiting_since < _LONGEST_WAIT_S


class OutputReader:
    """Of one pipe, which does not block; `output` is given what was read. `start`, then `stop` before it is closed."""

    __slots__ = ("_chunk", "_credit_s", "_fd", "_loop", "_output", "_printed", "_refilled", "_stopped", "_turns")

    def __init__(self, fd: int, turns: OutputTurns, output: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._turns = turns
        self._output = output
        self._chunk = _FIRST_BYTES
        self._credit_s = _CREDIT_S
        self._refilled = time.perf_counter()
        self._stopped = False
        self._printed = select.poll()
        self._printed.register(fd, select.POLLIN)

    def start(self) -> None:
        self._loop.add_reader(self._fd, self._readable)

    def stop(self) -> None:
        self._stopped = True
        self._loop.remove_reader(self._fd)

    def drain(self, *, whole: bool) -> None:
        """Read what is printed so far, and no more: who never stops printing must not hold the loop.

        Of a pipe that its function has made larger, only what an ordinary one holds unless `whole`: the rest has turns.
        """
        if not self._printed.poll(0):  # cheaper than a read that fails
            return
        left = self.unread() if whole else min(self.unread(), _PIPE_BYTES)
        while left > 0 and (data := self._read(min(left, _PIPE_BYTES))):
            left -= len(data)
            self._output(data)

    def unread(self) -> int:
        """Bytes in the pipe."""
        return int.from_bytes(fcntl.ioctl(self._fd, termios.FIONREAD, bytes(4)), sys.byteorder)

    def take_turn(self, now: float) -> bool:
        """Read a chunk; True when it is out of credit still, and wants another turn."""
        if self._stopped or self._take_chunk(now):
            return not self._stopped
        if not self._stopped:
            self._loop.add_reader(self._fd, self._readable)
        return False

    def _readable(self) -> None:
        if self._take_chunk(time.perf_counter()):
            self._loop.remove_reader(self._fd)
            self._turns.wait(self)

    def _take_chunk(self, started: float) -> bool:
        """True when that was the last of its credit."""
        data = self._read(self._chunk)
        if not data:
            return False
        self._output(data)
        took_s = time.perf_counter() - started
        if took_s > _CHUNK_S:
            self._chunk = max(_LEAST_BYTES, int(self._chunk * _CHUNK_S / took_s))
        elif took_s < _CHUNK_S / 2:
            self._chunk = min(_PIPE_BYTES, self._chunk * 2)
        refill_s = (started - self._refilled) * _CREDIT_PER_S
        self._refilled = started
        self._credit_s = min(_CREDIT_S, max(0.0, self._credit_s) + refill_s) - took_s
        return self._credit_s < 0 and not self._stopped

    def _read(self, size: int) -> bytes:
        """Empty when there is nothing now; at the end of the stream it is not watched any more."""
        try:
            data = os.read(self._fd, size)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self.stop()
        return data
