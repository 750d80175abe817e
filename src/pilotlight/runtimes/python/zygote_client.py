"""The node's end of one zygote: one SOCK_SEQPACKET socketpair, JSON messages with file descriptors.

Orders go out without waiting for each other; answers come back by order id. When the socket closes the zygote is
dead, and with it everything it ever forked: every open order fails and every process counts as killed.
"""

from __future__ import annotations

import array
import asyncio
import collections
import contextlib
import os
import signal
import socket
from typing import Any

import msgspec

from pilotlight.sandbox.errors import LaunchError, LaunchKilled, ZygoteLost
from pilotlight.sandbox.spec import kill_by_pidfd

_START_SECONDS = 60.0
_MAX_MESSAGE = 1 << 18


class Launched(msgspec.Struct, frozen=True):
    """File descriptors of a new process, in the zygote's order; the receiver's to close."""

    fds: tuple[int, ...]
    exited: asyncio.Future[int]


class Zygote:
    """Made by `start`; `alive` turns false once, when the zygote is gone."""

    def __init__(self, channel: socket.socket, process: asyncio.subprocess.Process) -> None:
        self.alive = True
        self.base: frozenset[str] = frozenset()
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._process = process
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._orders: dict[int, asyncio.Future[Launched]] = {}
        self._exits: dict[int, asyncio.Future[int]] = {}
        self._next_id = 0
        self._outgoing: collections.deque[tuple[bytes, list[int]]] = collections.deque()
        self._loop.add_reader(channel.fileno(), self._receive)

    @classmethod
    async def start(cls, python: str, entry: str, plan: dict[str, Any]) -> Zygote:
        """Start one on `python` by running `entry` (the inside's enter.py). Raises LaunchError with its reason."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MAX_MESSAGE)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                python,
                "-I",
                "-S",
                entry,
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                env={},
                cwd="/",
            )
        zygote = cls(ours, process)
        zygote._send(msgspec.json.encode(plan), [])
        try:
            await asyncio.wait_for(asyncio.shield(zygote._ready), _START_SECONDS)
        except TimeoutError:
            await zygote.stop()
            raise LaunchError(f"the zygote on {python} was not ready within {_START_SECONDS:.0f} s") from None
        except BaseException:
            await zygote.stop()
            raise
        return zygote

    async def launch(self, order: dict[str, Any], fds: list[int]) -> Launched:
        """Have one process forked and confined. `fds` stay the caller's. Raises LaunchError."""
        if not self.alive:
            raise ZygoteLost("the zygote is gone")
        self._next_id += 1
        order_id = self._next_id
        answer: asyncio.Future[Launched] = self._loop.create_future()
        self._orders[order_id] = answer
        self._exits[order_id] = self._loop.create_future()
        self._send(msgspec.json.encode({**order, "id": order_id}), [os.dup(fd) for fd in fds])
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:  # nobody will own what comes of it
            answer.add_done_callback(_discard)
            raise

    async def stop(self) -> None:
        """End the zygote and all that came from it, and wait until it is reaped."""
        self._lost("the zygote was stopped")
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def _send(self, data: bytes, fds: list[int]) -> None:
        self._outgoing.append((data, fds))
        self._flush()

    def _flush(self) -> None:
        while self._outgoing:
            data, fds = self._outgoing[0]
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            try:
                self._channel.sendmsg([data], ancillary)
            except BlockingIOError:
                self._loop.add_writer(self._channel.fileno(), self._flush)
                return
            except OSError as error:
                self._lost(f"the zygote is gone: {error.strerror}")
                return
            self._outgoing.popleft()
            for fd in fds:
                os.close(fd)
        self._loop.remove_writer(self._channel.fileno())

    def _receive(self) -> None:
        while self.alive:
            space = socket.CMSG_SPACE(8 * array.array("i").itemsize)
            try:
                data, ancillary, _, _ = self._channel.recvmsg(_MAX_MESSAGE, space, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError as error:
                self._lost(f"the zygote is gone: {error.strerror}")
                return
            if not data:
                self._lost("the zygote is gone")
                return
            fds = array.array("i")
            for level, kind, content in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
            self._handle(msgspec.json.decode(data), tuple(fds))

    def _handle(self, message: dict[str, Any], fds: tuple[int, ...]) -> None:
        if "launched" in message:
            order_id = message["launched"]
            answer = self._orders.pop(order_id, None)
            if answer is not None:
                answer.set_result(Launched(fds, self._exits[order_id]))
        elif "exited" in message:
            order_id = message["exited"]
            reason = f"the process ended with status {message['status']} before it was confined"
            self._fail_order(order_id, (LaunchKilled if message["status"] == -signal.SIGKILL else LaunchError)(reason))
            self._exits.pop(order_id).set_result(message["status"])
        elif "failed" in message:
            self._fail_order(message["failed"], LaunchError(message["error"]))
        elif "ready" in message:
            if not self._ready.done():
                self._ready.set_result(None)
        elif "fatal" in message:
            self._lost(message["fatal"])

    def _fail_order(self, order_id: int, error: LaunchError) -> None:
        answer = self._orders.pop(order_id, None)
        if answer is not None:
            answer.set_exception(error)

    def _lost(self, reason: str) -> None:
        if not self.alive:
            return
        self.alive = False
        self._loop.remove_reader(self._channel.fileno())
        self._loop.remove_writer(self._channel.fileno())
        self._channel.close()
        for _, fds in self._outgoing:
            for fd in fds:
                os.close(fd)
        self._outgoing.clear()
        if not self._ready.done():
            self._ready.set_exception(LaunchError(reason))
            self._ready.exception()  # retrieved: a start that was cancelled has nobody left to do so
        for order_id in list(self._orders):
            self._orders.pop(order_id).set_exception(ZygoteLost(reason))
        for exited in self._exits.values():
            exited.set_result(-signal.SIGKILL)
        self._exits.clear()


def _discard(answer: asyncio.Future[Launched]) -> None:
    """Kill and let go of a process whose order was given up while it was being carried out."""
    if answer.cancelled() or answer.exception() is not None:
        return
    fds = answer.result().fds
    for fd in fds[:2]:  # the process, and its namespace's init where there is one
        with contextlib.suppress(OSError):
            kill_by_pidfd(fd)
    for fd in fds:
        os.close(fd)


def enter_script(set_path: str) -> str:
    """Where a runtime set keeps the zygote's first stage."""
    return f"{set_path}/pilotlight_inside/enter.py"
