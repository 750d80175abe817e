"""What comes in from the front, what goes back to it, and what a handler is given: plain values, no protocol in them.

`operations` and `observe` write handlers against `Call` and never see HTTP; the front never sees a model.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec


class WireRequest(msgspec.Struct, gc=False):
    """One HTTP request to a service of ours, already authenticated, its body complete."""

    method: str
    raw_path: str
    """As it was on the wire: percent-encoded, without the query."""
    query_string: str
    """As it was on the wire, without the `?`."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    account: str
    region: str
    request_id: str
    caller: str = ""
    """ARN of who calls, or "" for an anonymous caller in development mode."""
    host: str = ""
    """The authority the client used, for example `localhost:4566`."""


class WireResponse(msgspec.Struct):
    """One HTTP response. Content-Length and Date are the server's to add; a streamed body has no known length."""

    status: int
    headers: dict[str, str]
    body: bytes | AsyncIterator[bytes]
    """An iterator is to be closed (`aclose`) when the client goes away, so that what feeds it can stop."""


class Call(msgspec.Struct, gc=False):
    """One operation, its parameters parsed and within the model's constraints.

    `params` is keyed by the model's member names. Members the client left out or sent as null are absent: defaults
    are the handler's. Blobs (streaming ones too) are bytes, timestamps aware datetimes in UTC.
    """

    operation: str
    params: dict[str, Any]
    account: str
    region: str
    request_id: str
    caller: str = ""
    host: str = ""


Handler = Callable[[Call], Awaitable[dict[str, Any] | None]]
"""Returns a result by the model's member names, or None for an empty one; raises `pilotlight.errors.AwsError`.

Members that are None are left out of the answer. A streaming blob may be an `AsyncIterator[bytes]`; an event stream is
an `AsyncIterator` of one-member dicts, `{event name: event by its model names}`.
"""
