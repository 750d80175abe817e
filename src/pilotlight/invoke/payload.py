"""Is an invocation's payload JSON, and not too large? Lambda asks before it invokes.

It says what is wrong in the words of its parser, Jackson. Checked without building the value; only a payload that fails
is looked at a second time, for the message.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import NoReturn

import msgspec

from pilotlight.errors import InvalidRequestContentException, RequestEntityTooLargeException
from pilotlight.invoke.messages import InvocationType

SYNC_LIMIT = 6 * 1024 * 1024
EVENT_LIMIT = 1024 * 1024
INVOKE_ASYNC_LIMIT = 256 * 1024
MAX_CLIENT_CONTEXT_BYTES = 3583

_syntax = msgspec.json.Decoder(msgspec.Raw)
_SHOWN_BYTES = 500
_VALUES = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
_TOKEN = re.compile(r"[^\W\d][\w$]*")


def check_json(payload: bytes) -> None:
    """Raise InvalidRequestContentException unless `payload` is one JSON text in UTF-8."""
    try:
        _syntax.decode(payload)
        if not payload.isascii():
            payload.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _refuse(payload, error)


def check_size(size: int, kind: InvocationType, *, operation: str = "InvokeFunction") -> None:
    """Raise what Lambda answers to a payload of `size` bytes that is too large. Its frontend names the error
    RequestEntityTooLargeException, although the model has RequestTooLargeException."""
    if size > SYNC_LIMIT:
        raise RequestEntityTooLargeException(
            f"Request must be smaller than {SYNC_LIMIT} bytes for the {operation} operation"
        )
    if kind == "Event":
        check_event_size(size, EVENT_LIMIT)


def check_event_size(size: int, limit: int) -> None:
    if size > limit:
        raise RequestEntityTooLargeException(
            f"{size} byte payload is too large for the Event invocation type (limit {limit} bytes)"
        )


def check_client_context(text: str) -> None:
    """Raise InvalidRequestContentException unless `text` is base64 of a JSON object, within Lambda's size."""
    if len(text) > MAX_CLIENT_CONTEXT_BYTES:
        raise InvalidRequestContentException(
            f"Client context must be no more than {MAX_CLIENT_CONTEXT_BYTES} bytes when base64-encoded."
        )
    try:
        msgspec.json.decode(base64.b64decode(text, validate=True), type=dict[str, msgspec.Raw])
    except (binascii.Error, ValueError, RecursionError):
        raise InvalidRequestContentException("Client context must be a valid Base64-encoded JSON object.") from None


def _refuse(payload: bytes, error: Exception) -> None:
    try:
        text = payload.decode()
    except UnicodeDecodeError as invalid:
        what = "middle" if invalid.reason.startswith("invalid continuation") else "start"
        at = invalid.start + (1 if what == "middle" else 0)
        _fail(f"Invalid UTF-8 {what} byte 0x{payload[min(at, len(payload) - 1)]:02x}", payload, at)
    try:
        json.loads(text, parse_constant=_not_json)
    except json.JSONDecodeError as invalid:
        _fail(_in_jackson_words(text, invalid), payload, invalid.pos)
    except RecursionError:
        _fail("Document nesting depth (1001) exceeds the maximum allowed (1000)", payload, 0)
    except ValueError as constant:
        _fail(f"Non-standard token '{constant}': enable JsonReadFeature to allow", payload, 0)
    # What only msgspec refuses is JSON all the same (an unpaired surrogate in an escape): Lambda takes it.
    if isinstance(error, RecursionError):
        _fail("Document nesting depth (1001) exceeds the maximum allowed (1000)", payload, 0)


def _not_json(name: str) -> None:
    raise ValueError(name)


def _in_jackson_words(text: str, error: json.JSONDecodeError) -> str:
    if error.pos >= len(text) or error.msg.startswith("Unterminated string"):
        return "Unexpected end-of-input"
    character = text[error.pos]
    if error.msg == "Expecting value":
        token = _TOKEN.match(text, error.pos)
        if token:
            return f"Unrecognized token '{token[0]}': was expecting {_VALUES}"
        hint = f"expected a valid value {_VALUES}"
    elif error.msg.startswith("Expecting property name"):
        hint = "was expecting double-quote to start field name"
    elif error.msg.startswith("Expecting ':'"):
        hint = "was expecting a colon to separate field name and value"
    elif error.msg.startswith("Extra data"):
        hint = "Expected space separating root-level values"
    elif error.msg.startswith("Expecting ','"):
        hint = "was expecting comma to separate entries"
    else:
        hint = error.msg
    shown = (
        f"'{character}' (code {ord(character)})" if character.isprintable() else f"(CTRL-CHAR, code {ord(character)})"
    )
    return f"Unexpected character ({shown}): {hint}"


def _fail(problem: str, payload: bytes, at: int) -> NoReturn:
    source = payload[:_SHOWN_BYTES].decode("utf-8", "replace")
    left = len(payload) - _SHOWN_BYTES
    more = f"[truncated {left} bytes]" if left > 0 else ""
    before = payload[:at]
    line, column = before.count(b"\n") + 1, at - (before.rfind(b"\n") + 1) + 2
    raise InvalidRequestContentException(
        f"Could not parse request body into json: Could not parse payload into json: {problem}\n"
        f' at [Source: (byte[])"{source}"{more}; line: {line}, column: {column}]'
    )
