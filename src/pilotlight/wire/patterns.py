"""botocore's patterns are Java regular expressions, matched against the whole value: here they become Python ones.

The differences that matter: `\\d \\w \\s` are ASCII in Java, `.` stops at more line ends, `-` after a class escape is
a literal, `[`, `&`, `|` and `~` in a class mean nothing special, and `\\p{..}` exists. What cannot be translated is not
enforced, because refusing a good value is worse than letting the handler judge a bad one.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata

_ASCII = {
    "d": "0-9",
    "w": "A-Za-z0-9_",
    "s": " \\t\\n\\x0b\\f\\r",
}
_NOT_ASCII = {
    "D": "\\x00-/:-\\U0010ffff",
    "W": "\\x00-/:-@\\[-\\^`{-\\U0010ffff",
    "S": "\\x00-\\x08\\x0e-\\x1f!-\\U0010ffff",
}
_DOT = "[^\\n\\r\\u0085\\u2028\\u2029]"
_POSIX = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "Alpha": "A-Za-z",
    "Digit": "0-9",
    "Alnum": "A-Za-z0-9",
    "ASCII": "\\x00-\\x7f",
    "Print": "\\x20-\\x7e",
    "Graph": "\\x21-\\x7e",
    "Punct": "!-/:-@\\[-`{-~",
    "Space": " \\t\\n\\x0b\\f\\r",
    "Blank": " \\t",
    "Cntrl": "\\x00-\\x1f\\x7f",
    "XDigit": "0-9A-Fa-f",
}
_SEPARATORS = " \\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"


class Untranslatable(ValueError):
    """The pattern uses something of Java's that Python's `re` has no equal of."""


@functools.cache
def compile_java(pattern: str) -> re.Pattern[str] | None:
    """The pattern to `fullmatch` with; None when it cannot be translated, which means: enforce nothing."""
    try:
        return re.compile(translate(pattern))
    except (Untranslatable, re.error):
        return None


def translate(pattern: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "[":
            text, at = _class(pattern, at)
            out.append(text)
        elif char == "\\":
            text, at = _escape(pattern, at)
            out.append(text)
        else:
            out.append(_DOT if char == "." else char)
            at += 1
    return "".join(out)


def _escape(pattern: str, at: int) -> tuple[str, int]:
    """One escape outside a class, and the index after it."""
    if at + 1 >= len(pattern):
        raise Untranslatable(pattern)
    kind = pattern[at + 1]
    if kind.lower() in _ASCII:
        return f"[{_ASCII.get(kind) or _NOT_ASCII[kind]}]", at + 2
    if kind in "pP":
        name, after = _property_name(pattern, at)
        return f"[{'^' if kind == 'P' else ''}{_property(name)}]", after
    return _plain_escape(pattern, at)


def _plain_escape(pattern: str, at: int) -> tuple[str, int]:
    """An escape that both languages read alike: of punctuation, or one of a few letters."""
    kind = pattern[at + 1]
    if kind == "z":
        return "\\Z", at + 2
    if kind == "x" and re.match(r"\\x[0-9a-fA-F]{2}", pattern[at:]):
        return pattern[at : at + 4], at + 4
    if kind == "u" and re.match(r"\\u[0-9a-fA-F]{4}", pattern[at:]):
        return pattern[at : at + 6], at + 6
    if not kind.isalnum() or kind in "tnrfabBA123456789":
        return ("\\x07" if kind == "a" else "\\" + kind), at + 2
    raise Untranslatable(pattern)


def _class(pattern: str, at: int) -> tuple[str, int]:
    """One bracketed class starting at `[`, and the index after its `]`."""
    at += 1
    negated = pattern[at : at + 1] == "^"
    at += negated
    items: list[str] = []
    properties: list[str] = []
    ranged = False  # whether the last item may open a range: a single character, not an escape for several
    first = True
    while True:
        if at >= len(pattern):
            raise Untranslatable(pattern)
        char = pattern[at]
        if char == "]" and not first:
            break
        first = False
        if char == "[" or pattern.startswith("&&", at):
            raise Untranslatable(pattern)  # a union or an intersection of classes
        if char == "-":
            opens_range = ranged and at + 1 < len(pattern) and pattern[at + 1] != "]"
            items.append("-" if opens_range else "\\-")
            # After `a-` the next character closes the range, and so cannot open one.
            ranged = False
            at += 1
            if opens_range:
                text, at = _class_character(pattern, at)
                items.append(text)
        elif char == "\\" and pattern[at + 1 : at + 2] in ("p", "P"):
            if pattern[at + 1] == "P":
                raise Untranslatable(pattern)
            name, at = _property_name(pattern, at)
            properties.append(name)
            ranged = False
        elif char == "\\" and pattern[at + 1 : at + 2].lower() in _ASCII:
            items.append(_ASCII.get(pattern[at + 1]) or _NOT_ASCII[pattern[at + 1]])
            ranged = False
            at += 2
        else:
            text, at = _class_character(pattern, at)
            items.append(text)
            ranged = True
    items.extend(_properties(properties, items))
    return f"[{'^' if negated else ''}{''.join(items)}]", at + 1


def _class_character(pattern: str, at: int) -> tuple[str, int]:
    char = pattern[at]
    if char == "\\":
        return _plain_escape(pattern, at) if at + 1 < len(pattern) else _fail(pattern)
    return ("\\" + char if char in "[&|~-" else char), at + 1


def _fail(pattern: str) -> tuple[str, int]:
    raise Untranslatable(pattern)


def _property_name(pattern: str, at: int) -> tuple[str, int]:
    match = re.compile(r"\\[pP](?:\{(?:Is|general_category=)?(\w+)\}|(\w))").match(pattern, at)
    if match is None:
        raise Untranslatable(pattern)
    return match[1] or match[2], match.end()


def _properties(names: list[str], items: list[str]) -> list[str]:
    """Letters and numbers beside an underscore, AWS's usual tag characters, are exactly Python's `\\w`."""
    rest = list(names)
    out: list[str] = []
    if "L" in names and "N" in names and "_" in items:
        out.append("\\w")
        rest = [name for name in names if name not in ("L", "N")]
    out.extend(_property(name) for name in rest)
    return out


@functools.cache
def _property(name: str) -> str:
    """The characters of a POSIX class or Unicode category, as they stand inside brackets."""
    if name in _POSIX:
        return _POSIX[name]
    if name == "Z":
        return _SEPARATORS
    if not re.fullmatch(r"[LMNPSZC][a-z&]?", name):
        raise Untranslatable(name)
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)).startswith(name):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)
