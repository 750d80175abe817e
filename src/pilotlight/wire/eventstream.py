"""`application/vnd.amazon.eventstream`: how AWS frames a stream of events in one HTTP body.

message = u32 total length, u32 headers length, u32 CRC of those eight bytes, headers, payload, u32 CRC of all before;
header  = u8 name length, name, u8 value type, value. Big endian, CRC-32 as in gzip.
Source: AWS's "Event stream encoding" (Amazon Lex and Transcribe developer guides) and botocore/eventstream.py.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Mapping
from datetime import datetime

from pilotlight.wire.timestamps import to_epoch

CONTENT_TYPE = "application/vnd.amazon.eventstream"

ERROR_MESSAGE_LIMIT = 8192
"""In characters."""

HeaderValue = bool | int | bytes | str | datetime

_PRELUDE = struct.Struct(">II")
_CRC = struct.Struct(">I")
_INT32 = range(-(2**31), 2**31)


def encode_headers(headers: Mapping[str, HeaderValue]) -> bytes:
    """What messages of one kind share."""
    return b"".join(_header(name, value) for name, value in headers.items())


def encode_message(headers: bytes, payload: bytes = b"") -> bytes:
    """One message, both checksums included; `headers` as `encode_headers` gives them."""
    prelude = _PRELUDE.pack(12 + len(headers) + len(payload) + 4, len(headers))
    prelude_crc = binascii.crc32(prelude)
    start = prelude + _CRC.pack(prelude_crc) + headers
    return b"".join((start, payload, _CRC.pack(binascii.crc32(payload, binascii.crc32(start)))))


def event(
    event_type: str, payload: bytes, content_type: str, headers: Mapping[str, HeaderValue] | None = None
) -> bytes:
    """An event of the stream; `initial-response` is one too."""
    lines: dict[str, HeaderValue] = {":message-type": "event", ":event-type": event_type}
    if content_type:
        lines[":content-type"] = content_type
    lines.update(headers or {})
    return encode_message(encode_headers(lines), payload)


def exception(exception_type: str, payload: bytes) -> bytes:
    """A modelled error that ends the stream."""
    head: dict[str, HeaderValue] = {
        ":message-type": "exception",
        ":exception-type": exception_type,
        ":content-type": "application/json",
    }
    return encode_message(encode_headers(head), payload)


def error(code: str, message: str) -> bytes:
    """An unmodelled error that ends the stream. A header holds 64 KiB at most, so a message may lose its end."""
    short = message[:ERROR_MESSAGE_LIMIT]
    return encode_message(encode_headers({":message-type": "error", ":error-code": code, ":error-message": short}))


def _header(name: str, value: HeaderValue) -> bytes:
    encoded_name = name.encode()
    head = bytes((len(encoded_name),)) + encoded_name
    if isinstance(value, bool):
        return head + (b"\x00" if value else b"\x01")
    if isinstance(value, int):
        return head + (struct.pack(">Bi", 4, value) if value in _INT32 else struct.pack(">Bq", 5, value))
    if isinstance(value, bytes):
        return head + struct.pack(">BH", 6, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return head + struct.pack(">BH", 7, len(text)) + text
    return head + struct.pack(">Bq", 8, int(to_epoch(value) * 1000))
