"""CloudWatch Logs' filter patterns, compiled: terms, `{ JSON conditions }` and `[space-delimited fields]`.

The grammar is that of the user guide (Filter pattern syntax for metric filters, subscription filters, filter log
events, and Live Tail). Patterns and messages both come from strangers, so regular expressions run on RE2, which takes
linear time whatever it is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pilotlight.observe.filter_conditions import (
    Conditions,
    InvalidFilterPattern,
    Predicate,
    compile_regex,
    delimited_fields,
    delimited_filter,
    json_filter,
)

__all__ = ["InvalidFilterPattern", "compile_filter", "extraction"]

Matcher = Callable[[str], bool]

_TERM = re.compile(
    r'\s*(?P<mark>[?]|-\s*)?(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|%(?P<regex>[^%]*)%|(?P<bare>[^\s"]+))', re.S
)
_NOT_IN_A_TERM = re.compile(r"[^\w]")


def compile_filter(pattern: str) -> Matcher:
    """A predicate over messages. Raises InvalidFilterPattern, whose text is AWS's message."""
    text = pattern.strip()
    if text.startswith("{"):
        return json_filter(_inside(text, "}"))
    if text.startswith("["):
        return delimited_filter(_inside(text, "]"))
    return _terms(text)


def extraction(pattern: str) -> Callable[[str], dict[str, str]] | None:
    """What a valid pattern extracts of a message that matches it: the fields of a space-delimited one."""
    text = pattern.strip()
    return delimited_fields(_inside(text, "]")) if text.startswith("[") else None


def _inside(text: str, closing: str) -> str:
    if len(text) < 2 or not text.endswith(closing):
        raise InvalidFilterPattern("Invalid filter pattern")
    return text[1:-1]


def _terms(text: str) -> Matcher:
    """All plain terms and none of those after `-`; or, when there are only `?terms`, any of them.

    As on AWS, `?terms` beside others count for nothing.
    """
    wanted: list[Predicate] = []
    unwanted: list[Predicate] = []
    any_of: list[Predicate] = []
    position = 0
    while position < len(text.rstrip()):
        found = _TERM.match(text, position)
        if found is None:
            raise InvalidFilterPattern(f"Invalid character(s) in term '{text[position:].strip()[0]}'")
        position = found.end()
        kind = {"?": any_of, "-": unwanted}.get((found["mark"] or " ")[0], wanted)
        kind.append(_term(found))
    if any_of and not wanted and not unwanted:
        return lambda message: any(matches(message) for matches in any_of)
    return lambda message: (
        all(matches(message) for matches in wanted) and not any(matches(message) for matches in unwanted)
    )


def _term(found: re.Match[str]) -> Predicate:
    if found["regex"] is not None:
        return compile_regex(found["regex"])
    term = Conditions.unescape(found["quoted"]) if found["quoted"] is not None else found["bare"]
    if found["quoted"] is None and (wrong := _NOT_IN_A_TERM.search(term)):
        raise InvalidFilterPattern(f"Invalid character(s) in term '{wrong[0]}'")
    return lambda message: term in message
