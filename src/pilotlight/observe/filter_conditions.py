"""The conditions of JSON and space-delimited filter patterns: `subject operator value`, joined by && and ||.

Both kinds share one parser; they differ in what a subject is (`$.a.b[0]` or a field's name) and where its values come
from. A condition holds when it holds for any of its subject's values, and never for a subject that has none.
"""

from __future__ import annotations

import fnmatch
import math
import operator
import re
from collections.abc import Callable
from typing import Any, cast

import msgspec
import re2

Predicate = Callable[[str], bool]
Values = Callable[[Any], list[Any]]
"""From a parsed message to the values of a subject in it."""
Condition = Callable[[Any], bool]

_RE2: Any = re2  # it has no types
_MAX_DEPTH = 50

_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")
_REGEX_ALLOWED = re.compile(r"[A-Za-z0-9:_#=@/;,\-^$?\[\]{}|\\*+.]*$")
_OPERATOR = re.compile(r"\s*(!=|=!|<=|>=|=|<|>|(?:IS\s+NOT|IS|NOT\s+EXISTS|EXISTS)(?![\w]))", re.I)
_VALUE = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|%(?P<regex>[^%]*)%|(?P<bare>[^\s"%()&|,]+))', re.S)
_SELECTOR = re.compile(r"\s*\$")
_STEP = re.compile(
    r"""\.(?P<name>[\w\-]+|\*)|\[\s*(?:(?P<index>\d+|\*)|'(?P<single>[^']*)'|"(?P<double>[^"]*)")\s*\]"""
)
_FIELD_NAME = re.compile(r"\s*(?P<name>[\w\-]+)")
_FIELD_START = re.compile(r"\S")
_BRACKETED = re.compile(r"\[([^\]]*)\]")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_BARE = re.compile(r"\S+")


class InvalidFilterPattern(ValueError):
    """The pattern does not follow the grammar; the text is AWS's message."""


def compile_regex(text: str) -> Predicate:
    """Only what the user guide allows: no groups, no multi-byte characters."""
    if not _REGEX_ALLOWED.match(text):
        raise InvalidFilterPattern("Invalid filter pattern")
    options = _RE2.Options()
    options.log_errors = False
    try:
        search: Callable[[str], object] = _RE2.compile(text, options).search
    except _RE2.error as error:
        raise InvalidFilterPattern("Invalid filter pattern") from error
    return lambda message: search(message) is not None


def json_filter(text: str) -> Predicate:
    """The inside of `{ ... }`. Messages that are not JSON do not match."""
    condition = Conditions(text, Conditions.selector).parse()
    decode = msgspec.json.Decoder().decode

    def matches(message: str) -> bool:
        if not message.lstrip().startswith(("{", "[")):
            return False
        try:
            return condition(decode(message))
        except (msgspec.DecodeError, RecursionError):
            return False

    return matches


def delimited_filter(text: str) -> Predicate:
    """The inside of `[ ... ]`: fields by position, `...` for any number of them, each with conditions or without."""
    fields = _split_fields(text)
    if fields.count("...") > 1:
        raise InvalidFilterPattern("Invalid filter pattern")
    ellipsis = fields.index("...") if "..." in fields else -1
    conditions = [None if field == "..." else _field_condition(field) for field in fields]

    def matches(message: str) -> bool:
        values = _fields(message)
        checks = conditions
        if ellipsis >= 0:
            skipped = len(values) - (len(fields) - 1)
            if skipped < 0:
                return False
            checks = conditions[:ellipsis] + [None] * skipped + conditions[ellipsis + 1 :]
        if len(checks) != len(values):
            return False
        return all(check is None or check(value) for check, value in zip(checks, values, strict=True))

    return matches


def delimited_fields(text: str) -> Callable[[str], dict[str, str]]:
    """What the inside of `[ ... ]` calls the fields of a message that matches; `$3` is one without a name."""
    fields = _split_fields(text)
    ellipsis = fields.index("...") if "..." in fields else len(fields)
    names = [found["name"] if (found := _FIELD_NAME.match(field)) else "" for field in fields]

    def extract(message: str) -> dict[str, str]:
        values = _fields(message)
        skipped = len(values) - len(names) + 1
        named = [*names[:ellipsis], *[""] * skipped, *names[ellipsis + 1 :]] if ellipsis < len(names) else names
        return {name or f"${n}": value for n, (name, value) in enumerate(zip(named, values, strict=False), 1)}

    return extract


def _fields(message: str) -> list[str]:
    """A message's fields: in brackets, in quotes, or between spaces.

    In one pass: a bracket or quote that is never closed is looked for once, not again from each that follows.
    """
    found: list[str] = []
    closed = {"[": _BRACKETED, '"': _QUOTED}
    at = 0
    while start := _FIELD_START.search(message, at):
        field = None
        if pattern := closed.get(start[0]):
            field = pattern.match(message, start.start())
            if field is None:
                del closed[start[0]]
        field = field or _BARE.match(message, start.start())
        assert field is not None
        found.append(field[field.lastindex or 0])
        at = field.end()
    return found


def _split_fields(text: str) -> list[str]:
    fields, depth, quote, current = list[str](), 0, "", ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in '"%':
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "," and depth == 0:
            fields.append(current.strip())
            current = ""
            continue
        current += character
    return [*fields, current.strip()]


def _field_condition(field: str) -> Condition | None:
    if not field or _FIELD_NAME.fullmatch(field):
        return None
    return Conditions(field, Conditions.field_name).parse()


class Conditions:
    """One parse of an expression: `or` of `and`s of conditions and parenthesised expressions."""

    def __init__(self, text: str, subject: Callable[[Conditions], Values]) -> None:
        self._text = text
        self._subject = subject
        self._position = 0
        self._depth = 0

    def parse(self) -> Condition:
        condition = self._any()
        if self._text[self._position :].strip():
            raise self._wrong()
        return condition

    @staticmethod
    def unescape(text: str) -> str:
        return re.sub(r"\\(.)", r"\1", text, flags=re.S) if "\\" in text else text

    def selector(self) -> Values:
        """`$.name`, `$['name']`, `[3]`, `[*]` and `.*`, in any sequence."""
        if self._take(_SELECTOR) is None:
            raise self._wrong()
        steps: list[str | int | None] = []
        while step := self._take(_STEP):
            key = next(value for value in step.groups() if value is not None)
            if step["index"] is not None and key != "*":
                steps.append(int(key))
            else:
                steps.append(None if key == "*" and step["single"] is None and step["double"] is None else key)
        return lambda document: _follow(document, steps)

    def field_name(self) -> Values:
        if self._take(_FIELD_NAME) is None:
            raise self._wrong()
        return lambda value: [value]

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._literal("||"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda document: any(part(document) for part in parts)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._literal("&&"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda document: all(part(document) for part in parts)

    def _one(self) -> Condition:
        if self._literal("("):
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                raise self._wrong()
            condition = self._any()
            if not self._literal(")"):
                raise self._wrong()
            self._depth -= 1
            return condition
        values = self._subject(self)
        found = self._take(_OPERATOR)
        if found is None:
            raise self._wrong()
        name = " ".join(found[1].upper().split())
        if name == "NOT EXISTS":
            return lambda document: not values(document)
        if name == "EXISTS":
            return lambda document: bool(values(document))
        holds = self._is(name) if name.startswith("IS") else self._comparison(name.replace("=!", "!="))
        return lambda document: any(holds(value) for value in values(document))

    def _is(self, name: str) -> Condition:
        constants = {"NULL": None, "TRUE": True, "FALSE": False}
        found = self._take(_VALUE)
        word = (found["bare"] or "").upper() if found else ""
        if word not in constants:
            raise self._wrong()
        constant = constants[word]
        return (lambda value: value is not constant) if name == "IS NOT" else (lambda value: value is constant)

    def _comparison(self, name: str) -> Condition:
        found = self._take(_VALUE)
        if found is None:
            raise self._wrong()
        if found["regex"] is not None:
            if name not in ("=", "!="):
                raise self._wrong()
            search, wanted = compile_regex(found["regex"]), name == "="
            return lambda value: (text := _text(value)) is not None and search(text) is wanted
        text = self.unescape(found["quoted"]) if found["quoted"] is not None else found["bare"]
        number = float(text) if found["quoted"] is None and _NUMBER.match(text) else None
        if name in _ORDER:
            if number is None:
                raise self._wrong()
            compare, limit = _ORDER[name], number
            return lambda value: (it := _number(value)) is not None and compare(it, limit)
        equal = _equals(text, number)
        wanted = name == "="
        return lambda value: (answer := equal(value)) is not None and answer is wanted

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._position)
        if found is not None:
            self._position = found.end()
        return found

    def _literal(self, literal: str) -> bool:
        rest = self._text[self._position :]
        stripped = rest.lstrip()
        if not stripped.startswith(literal):
            return False
        self._position += len(rest) - len(stripped) + len(literal)
        return True

    def _wrong(self) -> InvalidFilterPattern:
        rest = self._text[self._position :].strip()
        if not rest:
            return InvalidFilterPattern("Invalid filter pattern")
        return InvalidFilterPattern(f"Invalid character(s) in term '{rest[0]}'")


def _follow(document: Any, steps: list[str | int | None]) -> list[Any]:
    """The values that `steps` lead to: a str is a member, an int an element, None every one of either."""
    found: list[Any] = [document]
    for step in steps:
        following: list[Any] = []
        for value in found:
            if step is None:
                following += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
            elif _has(value, step):
                following.append(value[step])
        found = following
    return found


def _has(value: Any, step: str | int) -> bool:
    if isinstance(step, str):
        return isinstance(value, dict) and step in value
    return isinstance(value, list) and step < len(cast("list[Any]", value))


def _equals(text: str, number: float | None) -> Callable[[Any], bool | None]:
    """Whether a value is what the pattern says; None for what cannot be compared (objects, arrays, null)."""
    wild = re.compile(fnmatch.translate(re.sub(r"([\[?])", r"[\1]", text))).match if "*" in text else None

    def equal(value: Any) -> bool | None:
        own = _text(value)
        if own is None:
            return None
        if number is not None and (own_number := _number(value)) is not None:
            return own_number == number
        if wild is not None:
            return wild(own) is not None
        return own == text

    return equal


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:  # JSON has integers that no float can hold
            return math.inf if value > 0 else -math.inf
    return float(value) if isinstance(value, str) and _NUMBER.match(value) else None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return None
