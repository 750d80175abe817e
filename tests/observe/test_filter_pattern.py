"""Filter patterns: the examples of AWS's user guide, and what a pattern may not be."""

from __future__ import annotations

import json
import time

import pytest

from pilotlight.observe.filter_pattern import InvalidFilterPattern, compile_filter, extraction

BOTH, ERROR, WARN = "ERROR WARN message", "ERROR message", "WARN message"
ACCESS = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'
DOCUMENT = {
    "eventType": "UpdateTrail",
    "sourceIPAddress": "111.111.111.111",
    "arrayKey": ["value", "another value"],
    "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
    "SomeObject": None,
    "ThisFlag": True,
    "user": {"id": 1, "email": "John.Stiles@example.com"},
    "users": [{"id": 2, "email": "John.Doe@example.com"}, {"id": 3, "email": "Jane.Doe@example.com"}],
    "actions": ["GET", "PUT", "DELETE"],
    "coordinates": [[0, 1, 2], [4, 5, 6], [7, 8, 9]],
    "latency": 500.5,
    "errorCode": "400",
    "detail-type": "x y",
    "cluster.name": "c",
    "big": 10**400,
}


@pytest.mark.parametrize(
    ("pattern", "matching"),
    [
        ("", [BOTH, ERROR, WARN]),
        ("ERROR", [BOTH, ERROR]),
        ("ERROR WARN", [BOTH]),
        ("?ERROR ?WARN", [BOTH, ERROR, WARN]),
        ("?WARN ?nothing", [BOTH, WARN]),
        ("ERROR -WARN", [ERROR]),
        ('"ERROR" - "WARN"', [ERROR]),
        ("-WARN", [ERROR]),
        ('"WARN message"', [BOTH, WARN]),
        ('"ERROR message"', [ERROR]),
        ("error", []),
        ("%^WARN%", [WARN]),
        ("%ERROR|nothing%", [BOTH, ERROR]),
        ("?ERROR message -WARN", [ERROR]),
    ],
)
def test_terms(pattern: str, matching: list[str]) -> None:
    matches = compile_filter(pattern)
    assert [message for message in (BOTH, ERROR, WARN) if matches(message)] == matching


def test_quoted_terms_have_escapes() -> None:
    assert compile_filter(r'"say \"hi\""')('they say "hi" again')
    assert compile_filter(r'"back\\slash"')("back\\slash")


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ('{ $.eventType = "UpdateTrail" }', True),
        ("{ $.eventType = UpdateTrail }", True),
        ("{ $.eventType = Update* }", True),
        ('{ $.eventType = "*Trail" }', True),
        ("{ $.eventType != UpdateTrail }", False),
        ("{ $.eventType = %[A-Z]pdate% }", True),
        ("{ $.eventType != %[A-Z]pdate% }", False),
        ("{ $.sourceIPAddress != 123.123.* }", True),
        ('{ $.arrayKey[0] = "value" }', True),
        ('{ $.arrayKey[5] = "value" }', False),
        ("{ $.objectList[1].id = 2 }", True),
        ("{ $.objectList[*].id = 2 }", True),
        ("{ $.objectList[*].id = 7 }", False),
        ("{ $.SomeObject IS NULL }", True),
        ("{ $.eventType IS NULL }", False),
        ("{ $.SomeOtherObject NOT EXISTS }", True),
        ("{ $.eventType NOT EXISTS }", False),
        ("{ $.ThisFlag IS TRUE }", True),
        ("{ $.ThisFlag IS FALSE }", False),
        ('{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }', True),
        ('{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }', False),
        (
            '{ $.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch && $.actions[2] = nomatch }',
            True,
        ),
        (
            '{ ($.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = non) && $.actions[2] = nomatch }',
            False,
        ),
        ("{ $.users = 1 }", False),
        ("{ $.users != 1 }", False),
        ("{ $.nothing != 1 }", False),
        ("{ $.latency >= 500 }", True),
        ("{ $.latency < 5e2 }", False),
        ("{ $.latency > +500.25 }", True),
        ("{ $.latency = * }", True),
        ("{ $.errorCode = 400 }", True),
        ("{ $.errorCode = 4* }", True),
        ("{ $.big > 10 }", True),
        ('{ $.detail-type = "x y" }', True),
        ("{ $['cluster.name'] = c }", True),
        ('{ $["cluster.name"] = d }', False),
        ("{$.user.id=1&&$.latency>1}", True),
    ],
)
def test_json_conditions(pattern: str, matches: bool) -> None:
    assert compile_filter(pattern)(json.dumps(DOCUMENT)) is matches


@pytest.mark.parametrize("message", ["plain", "", "{", '{"a": 1', "[" * 100_000, '{"a": 2}', '"a"', "[1]"])
def test_what_is_not_the_json_meant_does_not_match(message: str) -> None:
    assert not compile_filter("{ $.a = 1 }")(message)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("[ip, user, username, timestamp, request, status_code, bytes]", True),
        ("[ip, user, username, timestamp, request, status_code]", False),
        ("[..., status_code, bytes]", True),
        ("[ip, user, ..., status_code, bytes]", True),
        ("[ip, user, ...]", True),
        ("[ip, ..., a, b, c, d, e, f, g, h]", False),
        ("[ip, user, username, timestamp, request, status_code, bytes > 1000]", True),
        ("[ip, user, username, timestamp, request, status_code, bytes > 2000]", False),
        ("[ip, user, username, timestamp, request = *html*, status_code = 4*, bytes]", True),
        ("[ip, user, username, timestamp, request, status_code = 4* && status_code != 403, bytes]", True),
        ("[ip, user, username, timestamp, request, status_code = 5* || status_code = 404, bytes]", True),
        ("[..., request=*.html*, status_code=4*,]", True),
        ("[ip=!127*, ...]", False),
        (r"[ip=%127\.0\.0\.[1-9]%, ...]", True),
    ],
)
def test_fields_between_spaces(pattern: str, matches: bool) -> None:
    assert compile_filter(pattern)(ACCESS) is matches


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("?Status: timeout", "Invalid character(s) in term ':'"),
        ("a(b", "Invalid character(s) in term '('"),
        ('"open', "Invalid character(s) in term '\"'"),
        ("{ $.a", "Invalid filter pattern"),
        ("{ $.a = }", "Invalid filter pattern"),
        ("{ $.a > x }", "Invalid filter pattern"),
        ("{ $.a = 1 && }", "Invalid filter pattern"),
        ("{ a = 1 }", "Invalid character(s) in term 'a'"),
        ("{ $.a = 1 $.b = 2 }", "Invalid character(s) in term '$'"),
        ("{" + "(" * 300 + "$.a = 1" + ")" * 300 + "}", "Invalid character(s) in term '('"),
        ("[a, b", "Invalid filter pattern"),
        ("[..., a, ...]", "Invalid filter pattern"),
        ("%(group)%", "Invalid filter pattern"),
        ("%[a%", "Invalid filter pattern"),
    ],
)
def test_what_is_no_pattern_is_refused_as_aws_refuses_it(pattern: str, message: str) -> None:
    with pytest.raises(InvalidFilterPattern) as caught:
        compile_filter(pattern)
    assert str(caught.value) == message


def test_no_pattern_takes_more_than_linear_time() -> None:
    message = "a" * 1_000_000
    started = time.perf_counter()
    assert not compile_filter("%a*a*a*a*a*a*b%")(message)
    assert not compile_filter('{ $.x = "*a*a*a*a*a*a*b" }')(json.dumps({"x": message}))
    assert time.perf_counter() - started < 5
    for unclosed in ("[ ", "[a "):
        fields = extraction("[first, ...]")
        assert fields is not None
        assert compile_filter("[first, ...]")(unclosed * 100_000)
        assert fields(unclosed * 100_000)["first"] == unclosed.strip()
    assert time.perf_counter() - started < 10


def test_brackets_and_quotes_that_are_not_closed_are_text() -> None:
    fields = extraction("[a, b, c, d, e, f]")
    assert fields is not None
    assert list(fields('[one two] "three \\" four" five [six "seven eight').values()) == [
        "one two",
        'three \\" four',
        "five",
        "[six",
        '"seven',
        "eight",
    ]
