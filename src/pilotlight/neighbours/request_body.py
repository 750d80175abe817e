"""A client's request body as the ASGI server hands it over: passed on piece by piece, its start kept when wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientGone(Exception):
    """The client closed the connection before its request, or the answer, was complete."""


class BodyTooLarge(Exception):
    """A body that has to be read whole is over its limit."""


class RequestBody:
    """Read once, by `start` and then `whole` or `stream`. Back-pressure: a piece is asked for when the last is gone."""

    def __init__(self, receive: Receive, keep_bytes: int = 0) -> None:
        self._receive = receive
        self._keep_bytes = keep_bytes
        self._first: bytes | None = None
        self._finished = asyncio.Event()
        self.kept = bytearray()
        """The first `keep_bytes` of what has passed."""
        self.size = 0
        """Bytes that have passed so far."""
        self.gone = False

    @property
    def finished(self) -> bool:
        return self._finished.is_set()

    async def start(self) -> bytes | None:
        """The whole body when it has arrived in one piece (most have), else None: then `stream` gives all of it."""
        if self._first is None:
            self._first = await self._next()
        return self._first if self.finished else None

    async def stream(self) -> AsyncIterator[bytes]:
        yield self._first if self._first is not None else await self._next()
        while not self.finished:
            yield await self._next()

    async def whole(self, limit_bytes: int) -> bytes:
        """All of it. Raises BodyTooLarge."""
        pieces: list[bytes] = []
        async for piece in self.stream():
            pieces.append(piece)
            if self.size > limit_bytes:
                raise BodyTooLarge
        self._first = b"".join(pieces)
        return self._first

    def replace(self, content: bytes) -> None:
        """Pass on `content` instead of what `whole` gave."""
        self._first = content

    async def wait_gone(self) -> None:
        """Return when the client has closed the connection; not before its body has been read to the end."""
        await self._finished.wait()
        while not self.gone:
            self.gone = (await self._receive())["type"] == "http.disconnect"

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.gone = True
            self._finished.set()
            raise ClientGone
        piece: bytes = message.get("body", b"")
        self.size += len(piece)
        if len(self.kept) < self._keep_bytes:
            self.kept += piece[: self._keep_bytes - len(self.kept)]
        if not message.get("more_body", False):
            self._finished.set()
        return piece
