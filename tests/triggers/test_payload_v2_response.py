"""What functions return, read as HTTP answers: the usual way and the longer one say the same, and nothing gets through
that would end a header line."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pilotlight.triggers.payload_v2_response import Malformed, read, read_prelude

JSON = {"content-type": "application/json"}


def shown(payload: object) -> tuple[int, dict[str, str], bytes]:
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    answer = read(text)
    return answer.status, {name.decode(): value.decode("latin-1") for name, value in answer.headers}, answer.body


@pytest.mark.parametrize(
    ("payload", "body"),
    [
        (b'{"message": "Hello, world!"}', b'{"message":"Hello, world!"}'),
        (b'["hello", 3, true]', b'["hello",3,true]'),
        (b'"Hello, world!"', b"Hello, world!"),
        (b'"\\u00e9 \\ud800"', "é ?".encode()),
        (b"3.10", b"3.10"),
        (b"true", b"true"),
        (b"null", b"null"),
        (b"{}", b"{}"),
        (b'{"body": "no statusCode", "headers": {"x": "y"}}', b'{"body":"no statusCode","headers":{"x":"y"}}'),
        (b'{"statuscode": 404}', b'{"statuscode":404}'),
    ],
)
def test_an_answer_is_inferred(payload: bytes, body: bytes) -> None:
    assert shown(payload) == (200, JSON, body)


@pytest.mark.parametrize(
    ("response", "status", "headers", "body"),
    [
        ({"statusCode": 204}, 204, JSON, b""),
        ({"statusCode": "418", "body": "i'm a teapot"}, 418, JSON, b"i'm a teapot"),
        ({"statusCode": 200.0, "body": ""}, 200, JSON, b""),
        ({"statusCode": 200, "body": None, "headers": None, "cookies": None}, 200, JSON, b""),
        ({"statusCode": 200, "body": {"a": [1, None]}}, 200, JSON, b'{"a":[1,null]}'),
        ({"statusCode": 200, "body": 7}, 200, JSON, b"7"),
        ({"statusCode": 200, "body": "aGk=", "isBase64Encoded": True}, 200, JSON, b"hi"),
        ({"statusCode": "200", "body": "aGk=", "isBase64Encoded": "true"}, 200, JSON, b"hi"),
        ({"statusCode": 200, "body": "aGk=", "isBase64Encoded": False}, 200, JSON, b"aGk="),
        ({"statusCode": 200, "headers": {"X-A": 1, "X-B": True, "X-C": 1.5, "X-D": None}}, 200,
         {**JSON, "x-a": "1", "x-b": "true", "x-c": "1.5"}, b""),
        ({"statusCode": 200, "headers": {"Content-type": "text/html", "ETag": ' "x" '}}, 200,
         {"content-type": "text/html", "etag": '"x"'}, b""),
        ({"statusCode": 200, "headers": {"X-Name": "é"}}, 200, {**JSON, "x-name": "é"}, b""),
        ({"statusCode": 200, "headers": {"X-Many": "a,b"}, "multiValueHeaders": {"x": ["y"]}}, 200,
         {**JSON, "x-many": "a,b"}, b""),
        ({"statusCode": 401, "headers": {"WWW-Authenticate": "Basic", "Date": "today", "Content-Length": "1",
                                         "Connection": "close", "Server": "mine", "Transfer-Encoding": "chunked"}},
         401,
         {**JSON, "x-amzn-Remapped-www-authenticate": "Basic", "x-amzn-Remapped-date": "today",
          "x-amzn-Remapped-content-length": "1", "x-amzn-Remapped-connection": "close",
          "x-amzn-Remapped-server": "mine"}, b""),
    ],
)  # fmt: skip
def test_a_response_says_what_to_answer(response: Any, status: int, headers: Any, body: bytes) -> None:
    assert shown(response) == (status, headers, body)


def test_cookies_are_headers_of_their_own() -> None:
    for status in (200, "200"):  # the usual way, and the longer one
        answer = read(json.dumps({"statusCode": status, "cookies": ["a=1; Path=/", "b=2"], "body": "x"}).encode())
        assert answer.headers[1:] == [(b"set-cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2")]


@pytest.mark.parametrize("status", [200, "200"])
@pytest.mark.parametrize(
    "response",
    [
        {"headers": {"X-Split": "a\r\nX-Other: b"}},
        {"headers": {"X-Split": "a\nb"}},
        {"headers": {"X-Nul": "a\0b"}},
        {"headers": {"X Space": "a"}},
        {"headers": {"X:Colon": "a"}},
        {"headers": {"": "a"}},
        {"headers": {"X-Ünicode": "a"}},
        {"headers": {"X-List": ["a", "b"]}},
        {"headers": ["a"]},
        {"cookies": ["a=1\r\nX-Other: b"]},
        {"cookies": "a=1"},
        {"cookies": [["a"]]},
        {"body": "not base64!", "isBase64Encoded": True},
    ],
)
def test_what_is_malformed_is_no_answer(response: Any, status: object) -> None:
    with pytest.raises(Malformed) as refused:
        read(json.dumps({"statusCode": status, **response}).encode())
    assert refused.value.status == 502


@pytest.mark.parametrize("status", [None, "abc", "", True, 99, 100, 199, 600, -200, 200.5, [], {}, "20000", 10**30])
def test_what_is_no_status(status: object) -> None:
    with pytest.raises(Malformed):
        read(json.dumps({"statusCode": status}).encode())


def test_a_header_that_was_renamed_already_is_an_internal_error() -> None:
    """As of AWS: a function that hands on another function's answer meets it."""
    with pytest.raises(Malformed) as refused:
        read(b'{"statusCode": 200, "headers": {"x-amzn-Remapped-Date": "today"}}')
    assert refused.value.status == 500


def test_a_streamed_response_that_was_collected() -> None:
    """A function that streams, behind a URL that does not."""
    prelude = json.dumps({"statusCode": 404, "headers": {"X-A": "1"}, "cookies": ["c=1"]}).encode()
    answer = read(prelude + b"\0" * 8 + b"\0not found")
    assert (answer.status, answer.body) == (404, b"\0not found")
    assert answer.headers == [
        (b"x-a", b"1"),
        (b"content-type", b"application/octet-stream"),
        (b"set-cookie", b"c=1"),
    ]
    assert read(b"just text").body == b"just text"
    assert read(b"").body == b""
    deep = b"[" * 100_000 + b"]" * 100_000
    assert read(deep).body == deep


def test_a_prelude() -> None:
    assert read_prelude(b"{}").status == 200
    assert read_prelude(b'{"statusCode": "302", "headers": {"Location": "/x"}}').headers[0] == (b"location", b"/x")
    for malformed in (b"", b"[]", b"{", b'{"statusCode": 1}', b'{"headers": {"a": "\\r\\n"}}'):
        with pytest.raises(Malformed):
            read_prelude(malformed)


def test_both_ways_read_the_same() -> None:
    """A number as a status takes the short way, the same as text the longer one."""
    common = {
        "headers": {"Content-Type": "image/png", "X-Name": "é", "Date": "d"},
        "cookies": ["a=1"],
        "body": base64.b64encode(b"\x89PNG").decode(),
        "isBase64Encoded": True,
    }
    assert read(json.dumps({"statusCode": 201, **common}).encode()) == read(
        json.dumps({"statusCode": "201", **common}).encode()
    )
