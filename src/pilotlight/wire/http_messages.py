"""An HTTP exchange of a function's own, between the front, which speaks HTTP, and what turns it into events and back.

Plain values: neither side sees the other. Bytes are as they were on the wire; header names are lower case.
"""

from __future__ import annotations

import msgspec

Headers = list[tuple[bytes, bytes]]


class HttpCaller(msgspec.Struct, frozen=True, gc=False):
    """Who signed a request."""

    account: str
    arn: str
    """Of the user or role; of the account's root when its key says no more."""
    user_id: str
    """`AIDA...`, `AROA...:session`, or the account's id."""
    access_key_id: str


class HttpClient(msgspec.Struct, frozen=True, gc=False):
    """The other end of a connection, and ours."""

    ip: str
    scheme: str
    port: int
    """The one the client connected to."""


class HttpRequest(msgspec.Struct, gc=False):
    method: bytes
    raw_path: str
    """Percent-encoded as it was sent, without the query; without a prefix that is the node's own."""
    query: str
    """As it was sent, without the `?`."""
    headers: Headers
    fields: dict[bytes, bytes]
    """`headers` by name, the last one of a repeated name."""
    http_version: str
    client: HttpClient
    request_id: str
    trace_root: str
    """Of X-Ray's trace header: the client's, or a new one."""
    trace_header: str | None = None
    """As the client sent it, when X-Ray would take it."""
    caller: HttpCaller | None = None
    """None for an anonymous one."""


class HttpAnswer(msgspec.Struct, gc=False):
    """Without what the server adds: Date, Content-Length, Connection and the ids of the request."""

    status: int
    headers: Headers
    body: bytes = b""
