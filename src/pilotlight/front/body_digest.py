"""Checks the digest of a body that is passed on while it arrives.

The last piece is held back until the digest of the whole has been compared: the neighbour then never has a complete
body that is not what was signed, and drops the request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pilotlight.errors import AwsError
from pilotlight.front.authentication import check_digest
from pilotlight.front.sigv4 import Claim

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class DigestedReceive:
    """An ASGI `receive`. When the body is not what was signed, `error` is set and the application is told that the
    client is gone."""

    def __init__(self, receive: Receive, claim: Claim) -> None:
        self._receive = receive
        self._claim = claim
        self._digest = hashlib.sha256()
        self._held = b""
        self._ended = False
        self.error: AwsError | None = None

    async def __call__(self) -> Message:
        while self.error is None:
            message = await self._receive()
            if self._ended or message["type"] != "http.request":
                return message
            piece: bytes = message.get("body", b"")
            self._digest.update(piece)
            if not message.get("more_body", False):
                self._ended = True
                try:
                    check_digest(self._claim, self._digest.hexdigest())
                except AwsError as error:
                    self.error = error
                    break
                return {"type": "http.request", "body": self._held + piece, "more_body": False}
            if piece:
                held, self._held = self._held, piece
                if held:
                    return {"type": "http.request", "body": held, "more_body": True}
        return {"type": "http.disconnect"}


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body which has been read already, and then what `receive` says."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
