"""One runtime process of an environment, with its channel, its output pipe and its exit, for as long as it lives.

Death is told by the pidfd, never by EOF: grandchildren may hold the other ends. Output is read as it comes, and once
more, to the end, whenever an invocation is answered, so that what the function printed stands before END.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable

from pilotlight.environments.output_turns import OutputReader, OutputTurns
from pilotlight.runtimes.frames import FrameChannel
from pilotlight.runtimes.session import RuntimeSession
from pilotlight.sandbox.spec import RuntimeProcess

#: how long after a process's death its channel may still hold an answer that was written before it
LAST_WORDS_S = 0.05


class LiveProcess:
    """Owns the node's side of a `RuntimeProcess`. `died` is called once, with the exit status, unless disposed of."""

    __slots__ = (
        "_channel_closed",
        "_died",
        "_disposed",
        "_life",
        "_loop",
        "_opening",
        "_output",
        "_process",
        "channel",
        "session",
    )

    def __init__(
        self,
        process: RuntimeProcess,
        session: RuntimeSession,
        *,
        died: Callable[[int], None],
        output: Callable[[bytes], None],
        turns: OutputTurns,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._died = died
        self._output = OutputReader(process.output, turns, output)
        self._disposed = False
        self._opening = False
        self._channel_closed = asyncio.Event()
        self.session = session
        self.channel = FrameChannel(session, self._channel_closed.set)
        self._life = select.poll()
        self._life.register(process.pidfd, select.POLLIN)

    async def open(self) -> None:
        self._loop.add_reader(self._process.pidfd, self._exited)
        self._output.start()
        self._opening = True
        try:
            await self._loop.create_unix_connection(lambda: self.channel, sock=self._process.channel)
        finally:
            self._opening = False
            if self._disposed:
                self._close()

    @property
    def alive(self) -> bool:
        return not self._disposed and not self._life.poll(0) and (self.session.carrier != "frames" or self.channel.open)

    @property
    def pid(self) -> int:
        """As the node sees it; 0 once it is disposed of, or when it cannot be told."""
        return 0 if self._disposed else self._process.pid

    def peak_rss_kib(self) -> int:
        """The most memory it has taken, as the kernel tells while it lives; 0 after."""
        try:
            with open(f"/proc/{self._process.pid}/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
        except (OSError, StopIteration):
            return 0

    def drain(self, *, whole: bool = True) -> None:
        """Read what the process has printed so far; of one that lives on, not `whole` what an enlarged pipe holds."""
        if not self._disposed:
            self._output.drain(whole=whole)

    def dispose(self) -> None:
        """Kill whatever is left of it and let go of every descriptor. What it printed last is read first."""
        if self._disposed:
            return
        self._process.kill()
        self.drain()
        self._disposed = True
        self.session.close()
        self._loop.remove_reader(self._process.pidfd)
        self._output.stop()
        # uvloop takes the socket's number first and the socket when the connection is made: one that is closed in
        # between leaves it reading from whatever gets that number next.
        if not self._opening:
            self._close()

    def _close(self) -> None:
        self.channel.close()
        self._process.close()

    def _exited(self) -> None:
        self._loop.remove_reader(self._process.pidfd)
        self._process.kill()  # what it left behind in its pid namespace
        self._loop.create_task(self._report_exit())

    async def _report_exit(self) -> None:
        status = await self._process.wait()
        while not self._channel_closed.is_set():
            try:  # an answer written just before the exit still counts
                async with asyncio.timeout(LAST_WORDS_S):
                    await self._channel_closed.wait()
            except TimeoutError:
                if not self.channel.held_back or self._disposed:
                    break
        if not self._disposed:
            self._died(status)
