"""uvicorn's request cycle (one request through ASGI), but its connection decides when to close, and HTTP/1.0 clients
are never sent chunks."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Cycle(RequestResponseCycle):
    """`keep_alive` false sends `Connection: close` and no more: the connection closes once it has read what the client
    is still sending."""

    body_unwanted = False
    """The answer began before a client that waits for `100 Continue` was told to send its body: it may never send it,
    and what comes next on this connection can not be told from it."""

    async def send(self, message: Any) -> None:
        http_1_0 = self.scope["http_version"] == "1.0"
        if not self.response_started:
            if self.waiting_for_100_continue:
                self.body_unwanted = True
                self.keep_alive = False
            if http_1_0:
                self.chunked_encoding = False
            await super().send(message)
            self.keep_alive = True
            return
        if http_1_0 and message["type"] == "http.response.body" and self.scope["method"] != "HEAD":
            # Without chunks and perhaps without a length: the end of the connection is the end of the body.
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)
