"""The zygote: imports a function's runtime once, then forks a process for each order it gets from the node.

It keeps a few blanks: processes forked ahead of need, each in namespaces of its own, that only wait to be told which
function they are (`newborn.py`), because a fork and its page faults are half of a cold start. It is PID 1 of its own
pid namespace, so whatever ends it ends them all.
"""

from __future__ import annotations

import base64
import fcntl
import functools
import importlib
import json
import os
import random
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

from pilotlight_inside import channel as channels
from pilotlight_inside import fork_path, messages, newborn
from pilotlight_inside import syscalls as sc

RUNTIME_MODULES = ("awslambdaric.bootstrap", "awslambdaric.lambda_runtime_client", "encodings.idna")
#: what `import boto3` and the first client of a session import; preloaded in the `full` variant
FULL_MODULES = (
    "boto3",
    "boto3.s3.transfer",
    "boto3.s3.inject",
    "boto3.dynamodb.transform",
    "botocore.session",
    "botocore.client",
    "botocore.endpoint",
    "botocore.httpsession",
    "botocore.signers",
    "botocore.waiter",
    "botocore.paginate",
    "botocore.docs.docstring",
    "botocore.crt.auth",
    "s3transfer.manager",
    "xml.etree.cElementTree",
    "concurrent.futures.thread",
)
_POOL = 4
_REFILL_SECONDS = 0.01
_PORTS = (9001, 4566)


class Blank:
    """A forked process, in namespaces of its own, that waits to be told which function it is."""

    __slots__ = ("init_pid", "orders", "pid", "pidfd")

    def __init__(self, pid: int, init_pid: int, orders: int) -> None:
        self.pid = pid
        self.pidfd = sc.pidfd_open(pid)
        self.init_pid = init_pid
        self.orders = orders


class Zygote:
    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.isolated = plan["mode"] != "process"
        self.node = socket.socket(fileno=plan["channel_fd"])
        self.node.set_inheritable(False)
        self.poll = select.epoll()
        self.poll.register(self.node.fileno(), select.EPOLLIN)
        self.blanks: list[Blank] = []
        self.wanted = _POOL
        #: pidfd -> (order id, process)
        self.running: dict[int, tuple[int, Blank]] = {}
        #: pidfd -> pid of a namespace's init
        self.inits: dict[int, int] = {}
        self.filter = sc.Filter(base64.b64decode(plan["seccomp"])) if plan["seccomp"] else None
        if self.isolated:
            self.home_pid = os.open("/proc/self/ns/pid", os.O_RDONLY)
            self.home_net = os.open("/proc/self/ns/net", os.O_RDONLY)
            self.init_path = f"/proc/self/fd/{_program_file(base64.b64decode(plan['init']))}"

    def run(self) -> newborn.Newborn:
        """Serve; returns only in the children."""
        while True:
            events = self.poll.poll(_REFILL_SECONDS if len(self.blanks) < self.wanted else -1)
            child = None
            if not events:
                try:
                    child = self.make_blank()
                except OSError:  # out of processes or memory: the next order tries again, and says so if it fails
                    self.wanted = 0
            for fd, _ in events:
                if fd == self.node.fileno():
                    child = self.receive()
                else:
                    self.reap(fd)
                if child is not None:
                    break
            if child is not None:
                return child

    def receive(self) -> newborn.Newborn | None:
        """Hand the next order to a blank, made now if there is none; in such a new one's process, return it."""
        data, fds = messages.receive(self.node)
        if not data:  # the node is gone; PID 1's exit ends every process of every environment
            os._exit(0)
        order_id = json.loads(data)["id"]
        self.wanted = _POOL
        handed = False
        try:
            while not handed:
                if not self.blanks:
                    child = self.make_blank()
                    if child is not None:
                        return child  # where `fds` are closed already
                handed = self.hand_over(order_id, data, fds)
        except OSError as error:
            messages.send(self.node, {"failed": order_id, "error": str(error)})
        for fd in fds:
            os.close(fd)
        return None

    def hand_over(self, order_id: int, data: bytes, fds: list[int]) -> bool:
        """Give an order to a blank; false when that turned out to have died waiting, which `reap` will find."""
        blank = self.blanks.pop()
        with socket.socket(fileno=blank.orders) as orders:
            try:
                messages.send(orders, data, fds)
            except OSError:
                order_id = 0
        self.running[blank.pidfd] = (order_id, blank)
        return order_id != 0

    def make_blank(self) -> newborn.Newborn | None:
        """Fork one into the pool; in its own process, return it."""
        child = newborn.Newborn(self.node, self.filter, self.isolated)
        init_pid = 0
        try:
            if self.isolated:
                if self.plan["network"] == "none":
                    self.make_network(child)
                sc.unshare(sc.CLONE_NEWPID)
                init_pid = self.spawn_init(child)
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            child.orders = theirs.detach()
            pid = os.fork()
            if pid == 0:
                ours.detach()
                self.node.detach()
                self.poll.close()
                return child.born()
        except OSError:
            if init_pid:
                os.kill(init_pid, signal.SIGKILL)
            raise
        finally:
            if child.parent == os.getpid():
                if self.isolated:
                    sc.setns(self.home_pid, sc.CLONE_NEWPID)
                child.close()
        blank = Blank(pid, init_pid, ours.detach())
        self.blanks.append(blank)
        self.poll.register(blank.pidfd, select.EPOLLIN)
        return None

    def make_network(self, child: newborn.Newborn) -> None:
        sc.unshare(sc.CLONE_NEWNET)
        try:
            _loopback_up()
            child.runtime_api, child.aws_endpoint = (_listen(port) for port in _PORTS)
            child.net = os.open("/proc/self/ns/net", os.O_RDONLY)
        finally:
            sc.setns(self.home_net, sc.CLONE_NEWNET)

    def spawn_init(self, child: newborn.Newborn) -> int:
        """PID 1 of the pid namespace just unshared; returns when it has made itself ready."""
        done, busy = os.pipe()
        try:
            pid = os.posix_spawn(
                self.init_path,
                ["init", str(random.randrange(10000, 30000))],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, busy, 0),
                    (os.POSIX_SPAWN_CLOSE, 1),
                    (os.POSIX_SPAWN_CLOSE, 2),
                ],
            )
            os.close(busy)
            busy = -1
            os.read(done, 1)  # end of file: ready, or dead, which the fork to come will tell
        finally:
            os.close(done)
            if busy >= 0:
                os.close(busy)
        child.init_pidfd = sc.pidfd_open(pid)
        init_pidfd = sc.pidfd_open(pid)
        self.inits[init_pidfd] = pid
        self.poll.register(init_pidfd, select.EPOLLIN)
        return pid

    def reap(self, pidfd: int) -> None:
        self.poll.unregister(pidfd)
        if pidfd in self.inits:
            os.waitpid(self.inits.pop(pidfd), 0)
            os.close(pidfd)
            return
        order_id, blank = self.running.pop(pidfd, (0, None))
        if blank is None:  # in the pool
            blank = next(item for item in self.blanks if item.pidfd == pidfd)
            self.blanks.remove(blank)
            os.close(blank.orders)
        _, status = os.waitpid(blank.pid, 0)
        os.close(pidfd)
        if blank.init_pid in self.inits.values():  # whatever the runtime left behind in the namespace goes with it
            os.kill(blank.init_pid, signal.SIGKILL)
        if order_id:
            messages.send(self.node, {"exited": order_id, "status": os.waitstatus_to_exitcode(status)})


def _program_file(program: bytes) -> int:
    """A file to execute `program` from; read-only, because what is open for writing cannot be executed."""
    fd = sc.memory_file(program)
    readable = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    os.close(fd)
    return readable


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: IFF_UP | IFF_RUNNING


def _listen(port: int) -> int:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener.detach()


def serve(plan_fd: int) -> Callable[[], channels.Start]:
    """Be the zygote. Returns in the children: what makes each of them its function."""
    with os.fdopen(plan_fd) as file:
        plan = json.load(file)
    zygote = Zygote(plan)
    # in the `process` driver they are there: another boto3, or an awscrt whose threads no fork survives
    sys.path[:] = [path for path in sys.path if path not in plan["hidden"]]
    preload(plan["variant"])
    fork_path.prepare()
    messages.send(zygote.node, {"ready": os.getpid()})
    try:
        born = zygote.run()
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the node has gone while it was being told something: nobody is left to tell
    return functools.partial(fork_path.become, born.wait_for_order())


def preload(variant: str) -> None:
    for name in RUNTIME_MODULES:
        importlib.import_module(name)
    if variant == "full":
        for name in FULL_MODULES:
            try:
                importlib.import_module(name)
            except ImportError:  # not every version of the set has every module
                continue
