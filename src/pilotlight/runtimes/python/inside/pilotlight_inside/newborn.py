"""A forked child on its way from blank to function: into its namespaces, wait for an order, be confined to it.

Up to `confine.drop` only our own code has run in it. File descriptors are plain numbers here: what is closed by number
must not be closed again by an object's end.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from typing import Any, NoReturn

from pilotlight_inside import channel as channels
from pilotlight_inside import confine, fork_path, messages
from pilotlight_inside import syscalls as sc


class Newborn:
    """Made in the zygote with all that the child is to keep; -1 where there is none."""

    def __init__(self, node: socket.socket, filter: sc.Filter | None, isolated: bool) -> None:
        self.parent = os.getpid()
        self.node = node.fileno()
        self.filter = filter
        self.isolated = isolated
        self.orders = self.init_pidfd = -1
        self.net = self.runtime_api = self.aws_endpoint = -1

    def kept(self) -> list[int]:
        fds = [self.orders, self.init_pidfd, self.net, self.runtime_api, self.aws_endpoint]
        return [fd for fd in fds if fd >= 0]

    def close(self) -> None:
        """In the zygote: these are the child's now."""
        for fd in self.kept():
            os.close(fd)

    def born(self) -> Newborn:
        """In the child: let go of the zygote's, and prepare all that needs no order."""
        try:
            _close_all_but([0, 1, 2, self.node, *self.kept()])
            with contextlib.suppress(OSError):
                # Waking one must not push the node off its core: the same share of time, with less switching.
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            if self.isolated:
                confine.prepare(self.net)
            else:
                os.setsid()
                sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != self.parent:
                    os._exit(0)
            fork_path.refresh()
        except BaseException as error:
            self._exit_when_asked(error)
        return self

    def wait_for_order(self) -> dict[str, Any]:
        """Be told which function this is, become it; returns the order, confined and dropped."""
        with socket.socket(fileno=self.orders) as orders:
            data, fds = messages.receive(orders)
        if not data:
            os._exit(0)
        order = json.loads(data)
        channel, output = fds[:2]
        os.dup2(output, 2)
        try:
            passed = self._enter(order, fds[2:])
        except BaseException as error:
            self._fail(order["id"], error)
        self._tell({"launched": order["id"]}, passed)
        os.dup2(os.open("/dev/null", os.O_RDWR), 0)
        os.dup2(output, 1)
        if channel != channels.CHANNEL_FD:
            os.dup2(channel, channels.CHANNEL_FD, inheritable=False)
        os.closerange(channels.CHANNEL_FD + 1, 1 << 20)
        if self.isolated:
            confine.drop(order, self.filter)
        os.chdir(order["task_root"])
        return order

    def _enter(self, order: dict[str, Any], kept: list[int]) -> list[int]:
        """Take the order's place; returns what the node is to hold of it."""
        pidfd = sc.pidfd_open(os.getpid())
        if not self.isolated:
            return [pidfd]
        if order["kept"]:
            confine.enter_again(*kept)
            return [pidfd, self.init_pidfd]
        confine.enter(order)
        passed = [pidfd, self.init_pidfd, os.open("/proc/self/ns/mnt", os.O_RDONLY)]
        if self.net >= 0:
            passed += [self.net, self.runtime_api, self.aws_endpoint]
        return passed

    def _tell(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        node = socket.socket(fileno=self.node)
        messages.send(node, message, fds)
        node.detach()

    def _fail(self, order_id: int, error: BaseException) -> NoReturn:
        try:
            self._tell({"failed": order_id, "error": f"{type(error).__name__}: {error}"})
        finally:
            os._exit(70)

    def _exit_when_asked(self, error: BaseException) -> NoReturn:
        """A blank that could not be prepared says so to whoever sends it an order."""
        orders = socket.socket(fileno=self.orders)
        data, _ = messages.receive(orders)
        if data:
            self._fail(json.loads(data)["id"], error)
        os._exit(70)


def _close_all_but(kept: list[int]) -> None:
    start = 0
    for fd in sorted(kept):
        if start < fd:  # closerange(0, 0) closes everything
            os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, 1 << 20)
