"""Streamed responses: how soon the first byte comes and how fast the rest does, beside the least that can be done.

That least is the relay below: an asyncio.Protocol that reads what a forked process writes and passes it on in HTTP's
chunks, with back-pressure and nothing else: no events, no names, no limits. Both are read by the same blocking client,
in turns.

Run alone: python -m bench.streaming; it prints its port.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Generator
from typing import Any, NamedTuple, cast

import uvloop

from bench import load

CHUNK_BYTES = 65_536
#: of the stream whose rate is measured
STREAM_CHUNKS = 1600
FUNCTION = f"""
CHUNK = bytes({CHUNK_BYTES})
def parts(count):
    yield b"first"
    for _ in range(count):
        yield CHUNK
def handler(event, context):
    return parts(event)
"""
ENVIRONMENT = {"Variables": {"PILOTLIGHT_RESPONSE_STREAM": "1"}}
_COUNT = struct.Struct("<I")
_END = b"0\r\n\r\n"


class Compared(NamedTuple):
    """Relay and node in the same rounds: medians, and the median of the rounds' ratios."""

    relay: float
    node: float
    ratio: float


def write_streams(channel: socket.socket) -> None:
    """In the forked process: as many chunks as asked for, again and again."""
    chunk = bytes(CHUNK_BYTES)
    while asked := channel.recv(_COUNT.size, socket.MSG_WAITALL):
        channel.sendall(b"first")
        for _ in range(_COUNT.unpack(asked)[0]):
            channel.sendall(chunk)
    os._exit(0)


class Writer(asyncio.Protocol):
    """The relay's end of the forked process."""

    reader: Relay | None = None
    transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert self.reader is not None
        self.reader.pass_on(data)


class Relay(asyncio.Protocol):
    """One client at a time is enough."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._left = 0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        count = int(data.rpartition(b"\r\n\r\n")[2])
        self._left = len(b"first") + count * CHUNK_BYTES
        self._transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._writer.reader = self
        self._writer.transport.write(_COUNT.pack(count))

    def pass_on(self, data: bytes) -> None:
        self._left -= len(data)
        end = b"" if self._left else _END
        self._transport.write(b"%x\r\n%b\r\n%b" % (len(data), data, end))

    def pause_writing(self) -> None:
        self._writer.transport.pause_reading()

    def resume_writing(self) -> None:
        self._writer.transport.resume_reading()


async def _serve() -> None:
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        write_streams(theirs)
    theirs.close()
    loop = asyncio.get_running_loop()
    _, writer = await loop.create_unix_connection(Writer, sock=ours)
    server = await loop.create_server(lambda: Relay(writer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def relay() -> Generator[int]:
    """The relay, as its port."""
    process = subprocess.Popen([sys.executable, "-m", "bench.streaming"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


class Client:
    """Asks for streams over one kept connection and reads them as fast as it can."""

    def __init__(self, port: int, path: str = "/") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {load.AUTHORIZATION}\r\n"
            "X-Amz-Date: 20261121T000000Z\r\n"
        )
        self._buffer = bytearray(1 << 20)

    def close(self) -> None:
        self._socket.close()

    def stream(self, count: int) -> tuple[float, float]:
        """Seconds to the first byte, and to the end."""
        body = str(count)
        started = time.perf_counter()
        self._socket.sendall(f"{self._head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        seen = b""
        while b"first" not in seen:
            seen += self._received()
            if not seen.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"no stream: {seen[:500].decode(errors='replace')}")
        first = time.perf_counter() - started
        last = seen
        while not last.endswith(_END):
            last = (last + self._received())[-len(_END) :]
        return first, time.perf_counter() - started

    def _received(self) -> bytes:
        size = self._socket.recv_into(self._buffer)
        if not size:
            raise RuntimeError("the connection ended in mid-stream")
        return bytes(memoryview(self._buffer)[:size])


def compare(node_port: int, name: str, *, rounds: int) -> tuple[Compared, Compared]:
    """First byte in microseconds and rate in MB/s of the function `name` (FUNCTION), in turns with the relay's."""
    path = f"/2021-11-15/functions/{name}/response-streaming-invocations"
    with relay() as relay_port:
        clients = Client(relay_port), Client(node_port, path)
        try:
            for client in clients:
                client.stream(10)
            firsts = [[_first_us(client) for client in clients] for _ in range(rounds)]
            rates = [[_rate(client) for client in clients] for _ in range(rounds)]
        finally:
            for client in clients:
                client.close()
    return _compared(firsts), _compared(rates)


def _first_us(client: Client) -> float:
    return statistics.median(client.stream(0)[0] for _ in range(300)) * 1e6


def _rate(client: Client) -> float:
    return STREAM_CHUNKS * CHUNK_BYTES / client.stream(STREAM_CHUNKS)[1] / 1e6


def _compared(rounds: list[list[float]]) -> Compared:
    relay_side, node_side = zip(*rounds, strict=True)
    ratio = statistics.median(node / relay for relay, node in rounds)
    return Compared(statistics.median(relay_side), statistics.median(node_side), ratio)


if __name__ == "__main__":
    cast(Any, uvloop).run(_serve())
