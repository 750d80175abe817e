"""The frame channel between the node and our own runtime bootstraps: length-prefixed frames over a socketpair.

A frame is `u32 payload length, u8 type, payload`; a payload is `u16 head length, head, body`, where the head is UTF-8
fields joined by NUL (integers little endian). One write carries one invocation, one read its answer: that is why a
warm call costs tens of microseconds where the HTTP Runtime API costs hundreds. The other side is
`runtimes/python/inside/`. What arrives is written by the function's own process, so it is checked, never trusted.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import cast

from pilotlight.runtimes.session import RuntimeSession, SessionViolation, Work

INVOKE = 1
#: in mid-response: it is larger than it may be, and nothing more of it is wanted
STREAM_ENOUGH = 2
READY = 17
INIT_ERROR = 18
RESPONSE = 19
ERROR = 20
STREAM_BEGIN = 21
STREAM_CHUNK = 22
STREAM_END = 23

#: 6 MiB of response and room for the head; the runtime's side refuses larger responses itself, with AWS's error
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024 + 65_536 + 4096

_INVOKE_HEADER = struct.Struct("<IBH")
_FRAME_HEADER = struct.Struct("<IB")
_FRAME_HEADER_SIZE = _FRAME_HEADER.size


def encode_invoke(work: Work) -> bytes:
    """The INVOKE frame of one piece of work."""
    head = (
        f"{work.request_id}\0{work.deadline_ms}\0{work.invoked_arn}\0{work.trace_id}\0"
        f"{work.client_context}\0{work.cognito_identity}\0{work.tenant_id}"
    ).encode()
    return _INVOKE_HEADER.pack(2 + len(head) + len(work.payload), INVOKE, len(head)) + head + work.payload


class FrameChannel(asyncio.Protocol):
    """The node's end of one runtime process's channel; drives that process's `RuntimeSession`."""

    __slots__ = ("_buffer", "_closed", "_enough", "_on_closed", "_session", "_transport")

    def __init__(self, session: RuntimeSession, on_closed: Callable[[], None]) -> None:
        self._session = session
        self._on_closed = on_closed
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None
        self._closed = False
        self._enough = False
        session.attach(self.send, carrier="frames")

    @property
    def open(self) -> bool:
        """Whether the runtime still has its end, as far as is known: a process that dies loses it first."""
        return not self._closed and self._transport is not None and not self._transport.is_closing()

    @property
    def held_back(self) -> bool:
        """Whether it is not being read, because whoever takes a streamed response is behind."""
        transport = cast(asyncio.ReadTransport | None, self._transport)
        return transport is not None and not transport.is_closing() and not transport.is_reading()

    def send(self, work: Work) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():  # else the process is dead or dying, and its end is the answer
            self._transport.write(encode_invoke(work))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's are no subclass of asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closed:
            self._closed = True
            self._on_closed()

    def data_received(self, data: bytes) -> None:
        try:
            if not self._buffer and len(data) >= _FRAME_HEADER_SIZE:
                length, kind = _FRAME_HEADER.unpack_from(data)
                if len(data) == _FRAME_HEADER_SIZE + length:  # the usual case: one whole frame, nothing to copy
                    self._frame(kind, data, _FRAME_HEADER_SIZE)
                    return
            self._buffer += data
            self._split()
        except (SessionViolation, ValueError, IndexError, struct.error) as error:
            self._session.violated(f"malformed frame: {error}")

    def _split(self) -> None:
        buffer = self._buffer
        start = 0
        while len(buffer) - start >= _FRAME_HEADER_SIZE:
            length, kind = _FRAME_HEADER.unpack_from(buffer, start)
            if length > MAX_PAYLOAD_BYTES:
                raise SessionViolation(f"a frame of {length} bytes")
            end = start + _FRAME_HEADER_SIZE + length
            if len(buffer) < end:
                break
            with memoryview(buffer) as view:
                frame = bytes(view[start:end])
            start = end
            self._frame(kind, frame, _FRAME_HEADER_SIZE)
        del buffer[:start]

    def _frame(self, kind: int, data: bytes, offset: int) -> None:
        start = offset + 2
        body_at = start + (data[offset] | data[offset + 1] << 8)
        if body_at > len(data):
            raise SessionViolation("head longer than its frame")
        fields = data[start:body_at].decode().split("\0")
        body = data[body_at:]
        session = self._session
        if kind == RESPONSE:
            session.responded(fields[0], body, int(fields[1]), fields[2])
        elif kind == ERROR:
            session.failed(fields[0], fields[2], body, int(fields[1]))
        elif kind == STREAM_CHUNK:
            if not session.stream_chunk(body):
                self._tell_enough()
        elif kind == STREAM_BEGIN:
            self._enough = False
            session.stream_began(fields[0], fields[1], cast(asyncio.ReadTransport, self._transport))
        elif kind == STREAM_END:
            session.stream_ended(fields[0], fields[2], body, int(fields[1]))
        elif kind == READY:
            session.ready(int(fields[0]))
        elif kind == INIT_ERROR:
            session.init_failed(fields[0], body, int(fields[1]))
        else:
            raise SessionViolation(f"frame type {kind}")

    def _tell_enough(self) -> None:
        if not self._enough and self.open:
            assert self._transport is not None
            self._enough = True
            self._transport.write(_INVOKE_HEADER.pack(2, STREAM_ENOUGH, 0))
