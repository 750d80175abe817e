"""JSON messages with file descriptors over SOCK_SEQPACKET: node to zygote, zygote to child, child to node."""

from __future__ import annotations

import array
import json
import os
import socket
from typing import Any

_MAX_MESSAGE = 1 << 18
_MAX_FDS = 8


def send(channel: socket.socket, message: dict[str, Any] | bytes, fds: list[int] | None = None) -> None:
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    channel.sendmsg([data], ancillary)


def receive(channel: socket.socket) -> tuple[bytes, list[int]]:
    """One message and its descriptors, the caller's to close; no bytes when the other side is gone."""
    fds = array.array("i")
    data, ancillary, _, _ = channel.recvmsg(_MAX_MESSAGE, socket.CMSG_SPACE(_MAX_FDS * fds.itemsize))
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    for fd in fds:
        os.set_inheritable(fd, False)
    return data, list(fds)
