"""What goes over a channel between the node and a process of its own (channel.py), for both of them.

A frame is: length of what follows (u32), a number (u64), flags (u8), a payload. Little endian.
"""

from __future__ import annotations

import socket
import struct

_HEAD = struct.Struct("<IQB")
_READ_BYTES = 1 << 18


def frame(number: int, flags: int, payload: bytes) -> bytes:
    return _HEAD.pack(len(payload) + 9, number, flags) + payload


class FrameReader:
    """Cuts what arrives on a channel into frames. One buffer is kept for receiving: a fresh one of that size per call
    would cost more than the call."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._pieces: list[bytes] = []
        self._have = 0
        self._want = 0

    def receive(self) -> list[tuple[int, int, memoryview]] | None:
        """(number, flags, payload) of every frame that one read completes; None at the end of the stream, however it
        ended."""
        try:
            size = self._channel.recv_into(self._buffer)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not size:
            return None
        data = bytes(self._buffer[:size])
        if self._pieces:
            self._pieces.append(data)
            self._have += size
            if self._have < self._want:
                return []
            data = b"".join(self._pieces)
            self._pieces.clear()
        return self._cut(data)

    def _cut(self, data: bytes) -> list[tuple[int, int, memoryview]]:
        frames: list[tuple[int, int, memoryview]] = []
        view, at, end = memoryview(data), 0, len(data)
        self._want = 0
        while end - at >= _HEAD.size:
            length, number, flags = _HEAD.unpack_from(data, at)
            after = at + 4 + length
            if after > end:
                self._want = after - at
                break
            frames.append((number, flags, view[at + _HEAD.size : after]))
            at = after
        if at < end:
            self._pieces, self._have = [data[at:]], end - at
        return frames
