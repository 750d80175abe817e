"""Metric math: reads an expression as GetMetricData takes it, and computes it on the way.

Grammar and functions are AWS's; a function that is not here is refused by name. What an id or SEARCH stands for, the
caller knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

from pilotlight.observe.metric_functions import (
    FUNCTIONS,
    MOST_POINTS,
    OPERATORS,
    Argument,
    Line,
    MathError,
    Span,
    Value,
    as_lines,
    combine,
    each,
    points_in,
)

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")|(?P<sign>&&|\|\||[<>=!]=|[-+*/^(),<>\[\]]))"
)
_MOST_DEPTH = 32
#: in a list, each time that a series is in it: lists of lists would grow without end
_MOST_LINES = 10_000
#: binary operators, those that bind least first
_LEVELS = (
    frozenset({"||", "OR"}),
    frozenset({"&&", "AND"}),
    frozenset({"<", ">", "<=", ">=", "==", "!="}),
    frozenset({"+", "-"}),
    frozenset({"*", "/"}),
)
_FILLERS = frozenset({"REPEAT", "LINEAR"})


class Surroundings(msgspec.Struct, frozen=True):
    """What an expression may name."""

    span: Span
    value_of: Callable[[str], Value]
    """What an id stands for; MathError for one that nobody has."""
    metric_ids: Sequence[str]
    """Of the metrics that METRICS() is about."""
    search: Callable[[str, str, int], list[Line]]
    """SEARCH(expression, statistic, period in seconds)."""


def evaluate(expression: str, surroundings: Surroundings) -> Value:
    """Raises MathError."""
    return _Reader(expression, surroundings).value()


class _Reader:
    def __init__(self, expression: str, surroundings: Surroundings) -> None:
        self._tokens = list(_tokens(expression))
        self._at = 0
        self._depth = 0
        self._around = surroundings

    def value(self) -> Value:
        value = self._level(0)
        if self._at < len(self._tokens):
            raise MathError(f"unexpected {self._peek()}")
        return value

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            raise MathError("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, sign: str) -> None:
        if self._take()[1] != sign:
            raise MathError(f"a {sign} is missing")

    def _nested(self, read: Callable[[], Value]) -> Value:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise MathError("it is nested too deeply")
        value = read()
        self._depth -= 1
        return value

    def _level(self, level: int) -> Value:
        if level == len(_LEVELS):
            return self._signed()
        left = self._level(level + 1)
        while self._peek() in _LEVELS[level]:
            sign = self._take()[1]
            left = combine(left, self._level(level + 1), OPERATORS[sign])
        return left

    def _signed(self) -> Value:
        if self._peek() == "-":
            self._take()
            return each(self._nested(self._signed), lambda number: -number)
        base = self._operand()
        if self._peek() == "^":
            self._take()
            return combine(base, self._nested(self._signed), OPERATORS["^"])
        return base

    def _operand(self) -> Value:
        kind, token = self._take()
        if kind == "number":
            return float(token)
        if token == "(":
            value = self._nested(lambda: self._level(0))
            self._expect(")")
            return value
        if token == "[":
            return self._nested(self._list)
        if kind != "name":
            raise MathError(f"unexpected {token}")
        if self._peek() == "(":
            self._take()
            return self._nested(lambda: self._call(token))
        return self._around.value_of(token)

    def _list(self) -> list[Line]:
        lines: list[Line] = []
        while True:
            lines += as_lines(self._level(0), "a list")
            if len(lines) > _MOST_LINES or points_in(lines) > MOST_POINTS:
                raise MathError(f"a list has {_MOST_LINES} time series and {MOST_POINTS} values at most")
            if self._peek() == "]":
                self._take()
                return lines
            self._expect(",")

    def _call(self, name: str) -> Value:
        arguments: list[Argument] = []
        while self._peek() != ")":
            arguments.append(self._argument())
            if self._peek() != ")":
                self._expect(",")
        self._take()
        if name == "METRICS":
            return self._metrics(arguments)
        if name == "SEARCH":
            return self._search(arguments)
        known = FUNCTIONS.get(name)
        if known is None:
            raise MathError(f"the function {name} is not supported")
        fewest, most, compute = known
        if not fewest <= len(arguments) <= most:
            raise MathError(f"{name} does not take {len(arguments)} arguments")
        return compute(arguments, self._around.span)

    def _argument(self) -> Argument:
        """Text, where a function takes it; it keeps its quotes, to be told from the words of FILL."""
        if self._at < len(self._tokens):
            kind, token = self._tokens[self._at]
            if kind == "text" or token in _FILLERS:
                self._at += 1
                return token
        return self._level(0)

    def _metrics(self, arguments: list[Argument]) -> list[Line]:
        part = _unquoted(arguments[0]) if len(arguments) == 1 else ""
        if len(arguments) > 1 or part is None:
            raise MathError("METRICS takes one string at most")
        found: list[Line] = []
        for name in self._around.metric_ids:
            if part in name:
                found += as_lines(self._around.value_of(name), "METRICS")
        return found

    def _search(self, arguments: list[Argument]) -> list[Line]:
        texts = [_unquoted(argument) for argument in arguments[:2]]
        period = arguments[2] if len(arguments) == 3 else float(self._around.span.period_s)
        if len(texts) < 2 or texts[0] is None or texts[1] is None or not isinstance(period, float):
            raise MathError("SEARCH takes a search expression, a statistic and a period")
        return self._around.search(texts[0], texts[1], int(period))


def _unquoted(argument: Argument) -> str | None:
    return argument[1:-1] if isinstance(argument, str) and argument[0] in "'\"" else None


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    at, end = 0, len(expression.rstrip())
    while at < end:
        found = _TOKEN.match(expression, at)
        if found is None or found.lastgroup is None:
            raise MathError(f"unexpected {expression[at:].strip()[:1]}")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()
