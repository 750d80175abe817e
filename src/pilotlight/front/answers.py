"""Answers that the front writes itself, as bytes: invocation results, and errors met before any service was reached.

Bodies of errors are `wire`'s to build; here they only get their place in HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import unquote

from pilotlight.errors import AwsError
from pilotlight.front.request_head import Head
from pilotlight.front.sigv4_faults import Style
from pilotlight.wire.error_bodies import render_error
from pilotlight.wire.messages import WireResponse
from pilotlight.wire.models import load_model
from pilotlight.wire.neighbour_errors import neighbour_error
from pilotlight.wire.protocols import protocol_of

#: services whose model `wire` reads anyway, and botocore's name for it; the others' errors are shaped without one
_OURS = {"lambda": "lambda", "logs": "logs", "monitoring": "cloudwatch"}
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def error_response(error: AwsError, service: str, head: Head | None, request_id: str) -> WireResponse:
    """`error` in the protocol of `service`, as a client of it can parse it."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.fields.items()} if head else {}
    if service in _OURS:
        model = load_model(_OURS[service])
        return render_error(model, error, request_id, protocol_of(model, headers))
    response = neighbour_error(
        service,
        error,
        headers=headers,
        query_string=head.query if head else "",
        request_id=request_id,
        resource=head.raw_path if head else "",
    )
    response.headers = {name: value for name, value in response.headers.items() if name.lower() != "x-amzn-requestid"}
    response.headers["x-amzn-RequestId"] = request_id
    return response


def fault_style(head: Head, service: str) -> Style:
    """Which names a service has for authentication faults."""
    if service.startswith("s3"):
        return "s3"
    form = head.text(b"content-type").startswith("application/x-www-form-urlencoded")
    if form or ("Action=" in head.query and b"x-amz-target" not in head.fields):
        return "query"
    return "json"


def whole(
    status: int,
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
    *,
    date: bytes,
    keep_alive: bool,
    no_body: bool = False,
) -> bytes:
    """A complete response. `no_body` is for HEAD: the length is told, the body is not sent."""
    parts = _head(status, headers, date)
    if status != 204:
        parts.append(b"content-length: %d\r\n" % len(body))
    parts.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    if not no_body:
        parts.append(body)
    return b"".join(parts)


def head(status: int, headers: Iterable[tuple[bytes, bytes]], lines: bytes, *, date: bytes, keep_alive: bool) -> bytes:
    """A response up to its body; `lines` are further headers, written already: the body's length among them."""
    parts = _head(status, headers, date)
    parts += [lines, b"\r\n" if keep_alive else b"connection: close\r\n\r\n"]
    return b"".join(parts)


def _head(status: int, headers: Iterable[tuple[bytes, bytes]], date: bytes) -> list[bytes]:
    parts = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status, b"date: ", date, b"\r\n"]
    for name, value in headers:
        parts += [name, b": ", value, b"\r\n"]
    return parts


def encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """A WireResponse's headers as bytes, without those that the server adds."""
    return [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in headers.items()
        if name.lower() not in ("content-length", "connection", "date", "transfer-encoding")
    ]


def decoded_path(raw_path: str) -> str:
    """The path as ASGI wants it beside the raw one."""
    return unquote(raw_path) if "%" in raw_path else raw_path
