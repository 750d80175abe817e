"""SEARCH of metric math: which metrics a search expression finds.

`{Namespace,Dimension,...}` asks for metrics of a namespace with exactly these dimensions; the words behind it, for
tokens in the metric's name, dimensions and their values. Words in double quotes match whole names and values only,
`Name=word` looks at one dimension (or MetricName, Namespace), AND is implied, OR, NOT and parentheses are as elsewhere.
Source: Amazon CloudWatch user guide, "CloudWatch search expression syntax".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pilotlight.observe.metric_functions import MathError
from pilotlight.observe.metric_store import ListedMetric

Matches = Callable[[ListedMetric], bool]

_SCHEMA = re.compile(r"\s*\{([^{}]*)\}")
_WORD = re.compile(r'\s*(?:(?P<sign>[()])|(?P<term>(?:(?:"[^"]+"|[\w.:/#-]+)\s*=\s*)?(?:"[^"]*"|[^\s(){}"=]+)))')
_TERM = re.compile(r'(?:(?:"([^"]+)"|([\w.:/#-]+))\s*=\s*)?(?:"([^"]*)"|(.+))', re.DOTALL)
_TOKENS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_MOST_DEPTH = 32


def searched(expression: str) -> tuple[str, Matches]:
    """The namespace to look in, "" for all, and what finds a metric there. Raises MathError."""
    namespace, schema = "", None
    rest = expression
    if found := _SCHEMA.match(expression):
        namespace, *names = [part.strip().strip('"') for part in found[1].split(",")]
        schema = sorted(names)
        rest = expression[found.end() :]
    matches = _Conditions(rest).read()
    if schema is None:
        return "", matches
    return namespace, lambda metric: [name for name, _ in metric.dimensions] == schema and matches(metric)


class _Conditions:
    def __init__(self, text: str) -> None:
        self._words: list[str] = []
        self._at = 0
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _WORD.match(text, at)
            if found is None:
                raise MathError(f"SEARCH does not understand {text[at:].strip()!r}")
            self._words.append(found["sign"] or found["term"])
            at = found.end()

    def read(self) -> Matches:
        if not self._words:
            return lambda metric: True
        matches = self._either(0)
        if self._at < len(self._words):
            raise MathError(f"SEARCH does not understand {self._words[self._at]!r}")
        return matches

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _either(self, depth: int) -> Matches:
        found = self._all(depth)
        while self._peek() == "OR":
            self._at += 1
            found = _or(found, self._all(depth))
        return found

    def _all(self, depth: int) -> Matches:
        found = self._one(depth)
        while self._peek() not in ("", ")", "OR"):
            if self._peek() == "AND":
                self._at += 1
            found = _and(found, self._one(depth))
        return found

    def _one(self, depth: int) -> Matches:
        if depth > _MOST_DEPTH:
            raise MathError("SEARCH is nested too deeply")
        word = self._peek()
        self._at += 1
        if word == "NOT":
            inner = self._one(depth + 1)
            return lambda metric: not inner(metric)
        if word == "(":
            matches = self._either(depth + 1)
            if self._peek() != ")":
                raise MathError("SEARCH lacks a )")
            self._at += 1
            return matches
        if word in ("", ")", "OR", "AND"):
            raise MathError("SEARCH lacks a search term")
        return _term(word)


def _or(first: Matches, second: Matches) -> Matches:
    return lambda metric: first(metric) or second(metric)


def _and(first: Matches, second: Matches) -> Matches:
    return lambda metric: first(metric) and second(metric)


def _term(word: str) -> Matches:
    found = _TERM.fullmatch(word)
    assert found is not None
    name, exact, loose = found[1] or found[2], found[3], found[4]
    if loose is not None and loose.startswith(":aws."):
        raise MathError(f"SEARCH by {loose} is not supported")
    wanted = _tokens(loose) if loose is not None else []

    def holds(text: str) -> bool:
        if exact is not None:
            return text == exact
        have = _tokens(text)
        return any(have[at : at + len(wanted)] == wanted for at in range(len(have) - len(wanted) + 1))

    def matches(metric: ListedMetric) -> bool:
        parts = (("MetricName", metric.name), ("Namespace", metric.namespace), *metric.dimensions)
        if name is not None:
            return any(key == name and holds(text) for key, text in parts)
        return any(holds(text) or (key not in ("MetricName", "Namespace") and holds(key)) for key, text in parts)

    return matches


def _tokens(text: str) -> list[str]:
    return [token.lower() for token in _TOKENS.findall(text)]
