"""What a function returned, as an HTTP answer: payload format 2.0, and the prelude of a streamed response.

An object with a `statusCode` says what to answer; whatever else is valid JSON is the body of a 200, a string without
its quotes (as recorded from AWS; the developer guide's table shows it with them). An answer that cannot be one raises
`Malformed`, which the endpoint answers as AWS does. Header values are strangers' text: nothing that would end a header
line gets through. Source: developer guide, "Invoking Lambda function URLs"; headers that are renamed: API Gateway
developer guide, "Amazon API Gateway important notes", and answers of function URLs that users quote.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, cast

import msgspec

from pilotlight.wire.http_messages import Headers, HttpAnswer

#: between a streamed response's prelude and its body
DELIMITER = b"\0" * 8
#: a prelude that is longer is none
MAX_PRELUDE_BYTES = 64 * 1024

_JSON = (b"content-type", b"application/json")
_STREAM = (b"content-type", b"application/octet-stream")
_REMAPPED = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "content-md5",
        "date",
        "host",
        "max-forwards",
        "server",
        "via",
        "www-authenticate",
        "x-amzn-requestid",
        "x-amzn-trace-id",
    }
)
#: of the connection, which is not the function's
_DROPPED = frozenset(
    {"expect", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_LINE_ENDS = re.compile(r"[\0\r\n]")


class Malformed(Exception):
    """It cannot be an HTTP answer. `status` is what the client gets instead."""

    def __init__(self, status: int = 502) -> None:
        super().__init__()
        self.status = status


class _Usual(msgspec.Struct, gc=False):
    """What nearly every function returns. Anything else takes the longer way, which says the same of these."""

    statusCode: int
    headers: dict[str, str] | None = None
    body: str | None = None
    cookies: list[str] | None = None
    isBase64Encoded: bool = False


_usual = msgspec.json.Decoder(_Usual)


def read(payload: bytes) -> HttpAnswer:
    """The answer a buffered response stands for. Raises Malformed."""
    try:
        usual = _usual.decode(payload)
    except msgspec.DecodeError:
        return _read_unusual(payload)
    if usual.headers is None and usual.cookies is None and 200 <= usual.statusCode <= 599:
        headers: Headers = [_JSON]
    else:
        headers = _head(usual.statusCode, usual.headers or {}, usual.cookies)
    if usual.body is None:
        return HttpAnswer(usual.statusCode, headers)
    body = _from_base64(usual.body) if usual.isBase64Encoded else _bytes(usual.body)
    return HttpAnswer(usual.statusCode, headers, body)


def read_prelude(prelude: bytes) -> HttpAnswer:
    """Status, headers and cookies, from the JSON before a streamed body. Raises Malformed."""
    try:
        said = _loads(prelude)
    except (ValueError, RecursionError):
        raise Malformed from None
    if not isinstance(said, dict):
        raise Malformed
    said = cast("dict[str, Any]", said)
    status = _status(said.get("statusCode", 200))
    return HttpAnswer(status, _head(status, _fields(said.get("headers")), _cookies(said.get("cookies")), _STREAM))


def read_plain(content_type: str, got: bytes) -> HttpAnswer:
    """A streamed response that has no prelude and began with `got`. Raises Malformed: what says the type is the
    function's process, which may say anything on its channel."""
    return HttpAnswer(200, [(b"content-type", _line(content_type))], got)


def _read_unusual(payload: bytes) -> HttpAnswer:
    try:
        said = _loads(payload)
    except (ValueError, RecursionError):
        return _read_streamed(payload)
    if isinstance(said, str):
        return HttpAnswer(200, [_JSON], _bytes(said))
    if not isinstance(said, dict) or "statusCode" not in said:
        return HttpAnswer(200, [_JSON], _compact(payload, cast(object, said)))
    said = cast("dict[str, Any]", said)
    status = _status(said["statusCode"])
    headers = _head(status, _fields(said.get("headers")), _cookies(said.get("cookies")))
    body = said.get("body")
    if body is None:
        return HttpAnswer(status, headers)
    if not isinstance(body, str):
        return HttpAnswer(status, headers, _dumps(body))
    return HttpAnswer(status, headers, _from_base64(body) if said.get("isBase64Encoded") in _TRUE else _bytes(body))


_TRUE = (True, "true")


def _read_streamed(payload: bytes) -> HttpAnswer:
    """What is no JSON was written to a response stream, and collected: Invoke hands it on as it is."""
    prelude, found, body = payload.partition(DELIMITER)
    if not found:
        return HttpAnswer(200, [_STREAM], payload)
    answer = read_prelude(prelude)
    answer.body = body
    return answer


def _loads(text: bytes) -> Any:
    """The standard library's, which takes what functions' JSON may hold and msgspec does not: half of a surrogate pair.

    Raises ValueError, or RecursionError.
    """
    return json.loads(text.decode())


def _dumps(value: object) -> bytes:
    return _bytes(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _compact(text: bytes, value: object) -> bytes:
    """Without spaces, as recorded from AWS, and with its numbers as they were written where that is possible."""
    try:
        return msgspec.json.format(text, indent=-1)
    except msgspec.DecodeError:
        return _dumps(value)


def _status(given: object) -> int:
    """A number, or text that is one (as recorded from AWS)."""
    if isinstance(given, str) and given.isascii() and given.isdecimal():
        given = int(given[:4])
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise Malformed
    return given


def _fields(given: object) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise Malformed
    return {name: _scalar(value) for name, value in cast("dict[str, Any]", given).items() if value is not None}


def _cookies(given: object) -> list[str] | None:
    if given is None:
        return None
    if not isinstance(given, list):
        raise Malformed
    return [_scalar(cookie) for cookie in cast("list[object]", given)]


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise Malformed


def _head(
    status: int, fields: dict[str, str], cookies: list[str] | None, default_type: tuple[bytes, bytes] = _JSON
) -> Headers:
    """Names in lower case, each once, as AWS sends them."""
    if not 200 <= status <= 599:
        raise Malformed
    headers: dict[bytes, bytes] = {}
    for given, value in fields.items():
        name = given.lower()
        if name in _REMAPPED:
            name = f"x-amzn-Remapped-{name}"
        elif name in _DROPPED:
            continue
        elif name.startswith("x-amzn-remapped-"):
            raise Malformed(500)
        elif not _NAME.fullmatch(name):
            raise Malformed
        headers[name.encode("ascii")] = _line(value)
    if b"content-type" not in headers:
        headers[default_type[0]] = default_type[1]
    answer = list(headers.items())
    if cookies:
        answer += [(b"set-cookie", _line(cookie)) for cookie in cookies]
    return answer


def _line(value: str) -> bytes:
    if _LINE_ENDS.search(value):
        raise Malformed
    try:
        return value.strip().encode("latin-1")
    except UnicodeEncodeError:
        return _bytes(value.strip())


def _bytes(text: str) -> bytes:
    """UTF-8; half of a surrogate pair, which JSON can escape, becomes a question mark."""
    return text.encode("utf-8", "replace")


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed from None
