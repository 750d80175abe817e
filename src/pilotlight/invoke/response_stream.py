"""A response as its caller takes it, while the function is still writing it: an asynchronous iterator of its bytes.

What the caller has not taken yet waits here, up to a bound; from there on the function waits. A caller that goes away
says so with `aclose`: the function runs to its end all the same, and what it still writes is thrown away, as on AWS
(developer guide, "Response streaming for Lambda functions").
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

from pilotlight.environments.invocation import ResponseHead, Source
from pilotlight.invoke.messages import InvokeReply

#: bytes waiting for the caller above which the function is made to wait, and below which it may go on
_HIGH_BYTES = 256 * 1024
_LOW_BYTES = 64 * 1024
#: pieces that wait together are given together up to this size
_PIECE_BYTES = 256 * 1024
#: a response that was not streamed comes in pieces of this size
_BUFFERED_PIECE_BYTES = 1024 * 1024


class StreamedAnswer:
    """The `stream` of one InvokeRequest, its `finish` the invoker's callback. On the event loop's thread."""

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        """Of a response that is streamed; None until its first byte, and of one that is not."""
        self.reply: InvokeReply | None = None
        """How it ended; it may have ended before its bytes were taken."""
        self._source: Source | None = None
        self._chunks: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None

    # -- what the environment and the invoker say -------------------------------------------------------------------

    def begin(self, head: ResponseHead, source: Source) -> None:
        self.head = head
        self._source = source
        self._wake()

    def write(self, chunk: bytes) -> None:
        if self._closed:
            return
        self._chunks.append(chunk)
        self._waiting_bytes += len(chunk)
        if self._waiting_bytes > _HIGH_BYTES and not self._paused and self._source is not None:
            self._paused = True
            self._source.pause()
        self._wake()

    def finish(self, reply: InvokeReply) -> None:
        self.reply = reply
        self._source = None
        if self.head is None and reply.error is None and reply.function_error is None and not self._closed:
            payload = reply.payload
            for start in range(0, len(payload), _BUFFERED_PIECE_BYTES):
                self._chunks.append(payload[start : start + _BUFFERED_PIECE_BYTES])
        self._wake()

    # -- what the caller asks ---------------------------------------------------------------------------------------

    async def begun(self) -> None:
        """Wait until there is a `head`, or a `reply` without one."""
        while self.head is None and self.reply is None:
            await self._wait()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes; after the last ones, `reply` is there."""
        while not self._chunks:
            if self.reply is not None or self._closed:
                raise StopAsyncIteration
            await self._wait()
        piece = self._chunks.popleft()
        if self._chunks and len(piece) + len(self._chunks[0]) <= _PIECE_BYTES:
            piece = self._joined(piece)
        if self.head is not None:
            self._waiting_bytes -= len(piece)
            if self._paused and self._waiting_bytes < _LOW_BYTES:
                self._resume()
        return piece

    async def aclose(self) -> None:
        """The caller wants no more: whatever comes is thrown away."""
        self.close()

    def close(self) -> None:
        """The same, where nothing can be awaited."""
        self._closed = True
        self._chunks.clear()
        self._resume()
        self._wake()

    # -- small parts ------------------------------------------------------------------------------------------------

    def _joined(self, first: bytes) -> bytes:
        pieces, size = [first], len(first)
        while self._chunks and size + len(self._chunks[0]) <= _PIECE_BYTES:
            piece = self._chunks.popleft()
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            if self._source is not None:
                self._source.resume()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
