"""The node's end of the frame channel: whole, split and joined frames, and every kind of nonsense."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pilotlight.runtimes import frames
from pilotlight.runtimes.frames import MAX_PAYLOAD_BYTES, FrameChannel
from pilotlight.runtimes.session import RuntimeSession, SessionState, Work
from tests.sessions.recorder import Recorder
from tests.support import eventually_async

WORK = Work("id-1", b'{"a": 1}', 1234, "arn:f", "Root=1", '{"c": 1}')


def frame(kind: int, *fields: str, body: bytes = b"") -> bytes:
    head = "\0".join(fields).encode()
    return struct.pack("<IBH", 2 + len(head) + len(body), kind, len(head)) + head + body


@asynccontextmanager
async def channel() -> AsyncIterator[tuple[socket.socket, RuntimeSession, Recorder]]:
    """A channel over a real socketpair, with the runtime's end in hand."""
    node_end, runtime_end = socket.socketpair()
    node_end.setblocking(False)
    runtime_end.setblocking(False)
    owner = Recorder()
    session = RuntimeSession(owner)
    closed = asyncio.Event()
    protocol = FrameChannel(session, closed.set)
    await asyncio.get_running_loop().create_unix_connection(lambda: protocol, sock=node_end)
    yield runtime_end, session, owner
    protocol.close()
    await closed.wait()
    runtime_end.close()


async def test_a_whole_life() -> None:
    loop = asyncio.get_running_loop()
    async with channel() as (runtime, session, owner):
        await loop.sock_sendall(runtime, frame(frames.READY, "2048"))
        await eventually_async(lambda: owner.told == [("ready", 2048)])
        session.deliver(WORK)
        sent = await loop.sock_recv(runtime, 65_536)
        length, kind, head_length = struct.unpack_from("<IBH", sent)
        assert (length, kind) == (len(sent) - 5, frames.INVOKE)
        assert sent[7 : 7 + head_length].decode().split("\0") == ["id-1", "1234", "arn:f", "Root=1", '{"c": 1}', "", ""]
        assert sent[7 + head_length :] == b'{"a": 1}'
        await loop.sock_sendall(runtime, frame(frames.RESPONSE, "id-1", "4096", "application/json", body=b"[]"))
        await eventually_async(lambda: owner.told[1:] == [("responded", b"[]", 4096, "application/json")])
        assert session.state is SessionState.IDLE


async def test_a_frame_in_single_bytes_and_two_frames_at_once() -> None:
    loop = asyncio.get_running_loop()
    async with channel() as (runtime, session, owner):
        for byte in frame(frames.READY, "1"):
            await loop.sock_sendall(runtime, bytes([byte]))
            await asyncio.sleep(0)
        await eventually_async(lambda: owner.told == [("ready", 1)])
        session.deliver(WORK)
        error = frame(frames.ERROR, "id-1", "2", "ValueError", body=b"{}")
        again = frame(frames.RESPONSE, "id-1", "2", "application/json", body=b"1")
        await loop.sock_sendall(runtime, error + again)
        await eventually_async(lambda: len(owner.told) == 3)
        assert owner.told[1] == ("failed", "ValueError", b"{}", 2)
        assert owner.told[2][0] == "violated", "an invocation is answered once"


async def test_a_large_answer() -> None:
    loop = asyncio.get_running_loop()
    async with channel() as (runtime, session, owner):
        await loop.sock_sendall(runtime, frame(frames.READY, "1"))
        await eventually_async(lambda: bool(owner.told))
        session.deliver(WORK)
        body = b"x" * (6 * 1024 * 1024)
        await loop.sock_sendall(runtime, frame(frames.RESPONSE, "id-1", "1", "application/json", body=body))
        await eventually_async(lambda: len(owner.told) == 2)
        assert owner.told[1][1] == body


@pytest.mark.parametrize(
    "nonsense",
    [
        struct.pack("<IB", MAX_PAYLOAD_BYTES + 1, frames.RESPONSE),
        frame(99, "x"),
        frame(frames.READY, "not a number"),
        frame(frames.RESPONSE, "id-1"),
        frame(frames.RESPONSE, "another-id", "1", "application/json", body=b"{}"),
        struct.pack("<IBH", 3, frames.READY, 500) + b"1",
        struct.pack("<IB", 0, frames.READY),
        struct.pack("<IBH", 4, frames.READY, 2) + b"\xff\xfe",
        frame(frames.INVOKE, "id-1", "0", "", "", "", "", ""),
    ],
    ids=["huge", "unknown-type", "bad-number", "short-head", "wrong-id", "head-beyond", "empty", "not-utf8", "invoke"],
)
async def test_nonsense_ends_the_session(nonsense: bytes) -> None:
    loop = asyncio.get_running_loop()
    async with channel() as (runtime, session, owner):
        await loop.sock_sendall(runtime, nonsense)
        await eventually_async(lambda: bool(owner.told))
        assert owner.told[0][0] == "violated"
        assert session.state is SessionState.CLOSED


async def test_work_for_a_runtime_that_has_just_died_is_not_an_error_but_its_death() -> None:
    """A killed process loses its channel a moment before its exit can be seen: what is sent then goes nowhere."""
    node_end, runtime_end = socket.socketpair()
    node_end.setblocking(False)
    session = RuntimeSession(Recorder())
    closed = asyncio.Event()
    protocol = FrameChannel(session, closed.set)
    await asyncio.get_running_loop().create_unix_connection(lambda: protocol, sock=node_end)
    assert protocol.open
    session.ready(0)
    runtime_end.close()
    await closed.wait()
    assert not protocol.open, "it is given no further work, and"
    session.deliver(WORK)
    assert session.state is SessionState.BUSY, "what was on its way ends with the process"


async def _busy(runtime: socket.socket, session: RuntimeSession) -> None:
    """Ready, and with work that it has read."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(runtime, frame(frames.READY, "1"))
    await eventually_async(lambda: session.state is SessionState.IDLE)
    session.deliver(WORK)
    await loop.sock_recv(runtime, 65_536)


async def test_a_response_in_pieces() -> None:
    loop = asyncio.get_running_loop()
    async with channel() as (runtime, session, owner):
        await _busy(runtime, session)
        await loop.sock_sendall(runtime, frame(frames.STREAM_BEGIN, "id-1", "text/plain"))
        await eventually_async(lambda: owner.told[1:] == [("began_stream", "text/plain")])
        assert session.state is SessionState.STREAMING
        chunks = [bytes([number]) * 40_000 for number in range(20)]
        end = frame(frames.STREAM_END, "id-1", "7", "")
        await loop.sock_sendall(runtime, b"".join(frame(frames.STREAM_CHUNK, body=chunk) for chunk in chunks) + end)
        await eventually_async(lambda: owner.told[-1] == ("ended_stream", "", b"", 7))
        assert owner.told[2:-1] == [("streamed", chunk) for chunk in chunks]
        assert session.state is SessionState.IDLE


async def test_a_response_in_pieces_that_ends_in_an_error() -> None:
    loop = asyncio.get_running_loop()
    async with channel() as (runtime, session, owner):
        await _busy(runtime, session)
        begin = frame(frames.STREAM_BEGIN, "id-1", "text/plain")
        await loop.sock_sendall(runtime, begin + frame(frames.STREAM_END, "id-1", "7", "KeyError", body=b"{}"))
        await eventually_async(lambda: owner.told[-1] == ("ended_stream", "KeyError", b"{}", 7))


async def test_one_that_is_too_large_is_told_so_once() -> None:
    loop = asyncio.get_running_loop()
    async with channel() as (runtime, session, owner):
        owner.stream_room = 10
        await _busy(runtime, session)
        begin = frame(frames.STREAM_BEGIN, "id-1", "text/plain")
        await loop.sock_sendall(runtime, begin + frame(frames.STREAM_CHUNK, body=bytes(8)) * 4)
        await eventually_async(lambda: len(owner.told) == 6)
        await loop.sock_sendall(runtime, frame(frames.STREAM_END, "id-1", "7", ""))
        await eventually_async(lambda: session.state is SessionState.IDLE)
        session.deliver(WORK)
        heard = await loop.sock_recv(runtime, 65_536)
        assert heard.startswith(struct.pack("<IBH", 2, frames.STREAM_ENOUGH, 0) + frames.encode_invoke(WORK)[:7])


BEGIN = frame(frames.STREAM_BEGIN, "id-1", "text/plain")


@pytest.mark.parametrize(
    "nonsense",
    [
        frame(frames.STREAM_CHUNK, body=b"of nothing"),
        frame(frames.STREAM_END, "id-1", "1", ""),
        frame(frames.STREAM_BEGIN, "another", "text/plain"),
        BEGIN + BEGIN,
        BEGIN + frame(frames.RESPONSE, "id-1", "1", "application/json", body=b"1"),
        BEGIN + frame(frames.ERROR, "id-1", "1", "E", body=b"{}"),
        BEGIN + frame(frames.READY, "1"),
        BEGIN + frame(frames.STREAM_END, "another", "1", ""),
        BEGIN + frame(frames.STREAM_END, "id-1"),
        BEGIN + frame(frames.STREAM_END, "id-1", "1", "") * 2,
    ],
    ids=range(10),
)
async def test_pieces_that_do_not_fit_the_state(nonsense: bytes) -> None:
    async with channel() as (runtime, session, owner):
        await _busy(runtime, session)
        await asyncio.get_running_loop().sock_sendall(runtime, nonsense)
        await eventually_async(lambda: owner.told[-1][0] == "violated")
        assert session.state is SessionState.CLOSED


async def test_a_paused_channel_is_not_read() -> None:
    """While nobody takes the pieces, the runtime's writes stop being accepted; nothing is lost."""
    loop = asyncio.get_running_loop()
    async with channel() as (runtime, session, owner):
        await _busy(runtime, session)
        await loop.sock_sendall(runtime, BEGIN)
        await eventually_async(lambda: session.state is SessionState.STREAMING)
        transport = owner.transport
        assert transport is not None
        transport.pause_reading()
        piece = frame(frames.STREAM_CHUNK, body=bytes(10_000))
        sending = asyncio.ensure_future(loop.sock_sendall(runtime, piece * 1000))
        await asyncio.wait({sending}, timeout=0.2)
        assert not sending.done()
        assert len(owner.told) == 2
        transport.resume_reading()
        await sending
        await eventually_async(lambda: len(owner.told) == 1002)
