"""What metric math computes with: numbers, series and lists of series, and the functions on them.

Arithmetic goes timestamp by timestamp: one that either of two series lacks is left out, and so is what has no answer,
such as a division by zero. Source: Amazon CloudWatch user guide, "Using math expressions with CloudWatch metrics".
"""

from __future__ import annotations

import math
import operator
import statistics
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import cast

import msgspec


class Line(msgspec.Struct):
    """One series: what it is called, how far its timestamps (epoch seconds) are apart, and its values by them."""

    label: str
    period_s: int
    values: dict[int, float]


Value = float | Line | list[Line]
"""AWS's S, TS and TS[]."""


class MathError(ValueError):
    """The expression cannot be understood, or means nothing; the message says why."""


_MOST_MOMENTS = 100_800
MOST_POINTS = 5_000_000
"""That a request comes to, of all its metrics and expressions together: half a gigabyte."""


class Span(msgspec.Struct, frozen=True):
    """The time an expression is about: from the first timestamp (epoch seconds) on, and before the end."""

    from_s: int
    before_s: int
    period_s: int
    """Of what has no period of its own."""

    def moments(self, period_s: int) -> range:
        """Every timestamp of a series without gaps. MathError when there are too many of them."""
        moments = range(self.from_s, self.before_s, period_s)
        if len(moments) > _MOST_MOMENTS:
            raise MathError(f"a time series without gaps has {_MOST_MOMENTS} timestamps at most")
        return moments


# --- arithmetic ---


def each(value: Value, compute: Callable[[float], float]) -> Value:
    """`compute` of every number."""
    if isinstance(value, list):
        return [cast("Line", each(line, compute)) for line in value]
    if isinstance(value, Line):
        values = {at: result for at, number in value.values.items() if (result := _tried(compute, number)) is not None}
        return Line(value.label, value.period_s, values)
    result = _tried(compute, value)
    if result is None:
        raise MathError("a number is divided by zero, or is not in a function's domain")
    return result


def combine(left: Value, right: Value, compute: Callable[[float, float], float]) -> Value:
    """`compute` of two values at each timestamp."""
    if isinstance(left, list):
        if isinstance(right, list):
            raise MathError("two lists of time series cannot be combined")
        return [cast("Line", combine(line, right, compute)) for line in left]
    if isinstance(right, list):
        return [cast("Line", combine(left, line, compute)) for line in right]
    if isinstance(left, Line):
        if isinstance(right, Line):
            return _both(left, right, compute)
        return each(left, lambda number: compute(number, right))
    if isinstance(right, Line):
        return each(right, lambda number: compute(left, number))
    return each(left, lambda number: compute(number, right))


def _both(left: Line, right: Line, compute: Callable[[float, float], float]) -> Line:
    values: dict[int, float] = {}
    for at in left.values.keys() & right.values.keys():
        other = right.values[at]
        result = _tried(lambda number, other=other: compute(number, other), left.values[at])
        if result is not None:
            values[at] = result
    return Line(left.label, same_period((left, right)), values)


def _tried(compute: Callable[[float], float], number: float) -> float | None:
    try:
        result = compute(number)
    except (ZeroDivisionError, ValueError, OverflowError):
        return None
    return float(result) if math.isfinite(result) else None


OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda left, right: left / right,
    "^": math.pow,
    "<": lambda left, right: float(left < right),
    ">": lambda left, right: float(left > right),
    "<=": lambda left, right: float(left <= right),
    ">=": lambda left, right: float(left >= right),
    "==": lambda left, right: float(left == right),
    "!=": lambda left, right: float(left != right),
    "&&": lambda left, right: float(bool(left) and bool(right)),
    "AND": lambda left, right: float(bool(left) and bool(right)),
    "||": lambda left, right: float(bool(left) or bool(right)),
    "OR": lambda left, right: float(bool(left) or bool(right)),
}


def as_lines(value: Value, who: str) -> list[Line]:
    if isinstance(value, list):
        return value
    if isinstance(value, Line):
        return [value]
    raise MathError(f"{who} takes time series, not numbers")


def points_in(value: Value) -> int:
    """How many numbers it is made of."""
    if isinstance(value, list):
        return sum(len(line.values) for line in value)
    return len(value.values) if isinstance(value, Line) else 1


def same_period(lines: Sequence[Line]) -> int:
    periods = {line.period_s for line in lines}
    if len(periods) > 1:
        raise MathError("metrics of different periods in one expression are not supported")
    return periods.pop() if periods else 60


# --- functions ---

Argument = Value | str
Function = Callable[[list[Argument], Span], Value]


def _value(argument: Argument, who: str) -> Value:
    if isinstance(argument, str):
        raise MathError(f"{who} does not take {argument}")
    return argument


def _of_each(who: str, compute: Callable[[float], float]) -> Function:
    return lambda arguments, span: each(_value(arguments[0], who), compute)


def _aggregate(who: str, compute: Callable[[Sequence[float]], float]) -> Function:
    """Of one series a number, of a list of them a series."""

    def aggregated(arguments: list[Argument], span: Span) -> Value:
        value = _value(arguments[0], who)
        if isinstance(value, list):
            together: dict[int, list[float]] = {}
            for line in value:
                for at, number in line.values.items():
                    together.setdefault(at, []).append(number)
            return Line("", same_period(value), {at: compute(numbers) for at, numbers in together.items()})
        if isinstance(value, Line):
            return compute(list(value.values.values())) if value.values else 0.0
        raise MathError(f"{who} takes time series, not numbers")

    return aggregated


def _along(who: str, compute: Callable[[Line], dict[int, float]]) -> Function:
    """Of every series another."""

    def computed(arguments: list[Argument], span: Span) -> Value:
        value = _value(arguments[0], who)
        lines = [Line(line.label, line.period_s, compute(line)) for line in as_lines(value, who)]
        return lines if isinstance(value, list) else lines[0]

    return computed


def _steps(line: Line) -> Iterable[tuple[int, int, float]]:
    """(timestamp, seconds since the one before, difference of the values)."""
    ordered = sorted(line.values)
    for before, at in pairwise(ordered):
        yield at, at - before, line.values[at] - line.values[before]


def _running_sum(line: Line) -> dict[int, float]:
    total = 0.0
    found: dict[int, float] = {}
    for at in sorted(line.values):
        total += line.values[at]
        found[at] = total
    return found


def _fill(arguments: list[Argument], span: Span) -> Value:
    value, filler = _value(arguments[0], "FILL"), arguments[1]
    if isinstance(filler, list) or (isinstance(filler, str) and filler not in ("REPEAT", "LINEAR")):
        raise MathError("FILL takes a time series, and a number, a time series, REPEAT or LINEAR")
    filled = [Line(line.label, line.period_s, _filled(line, filler, span)) for line in as_lines(value, "FILL")]
    return filled if isinstance(value, list) else filled[0]


def _filled(line: Line, filler: float | Line | str, span: Span) -> dict[int, float]:
    found = dict(line.values)
    known = sorted(line.values)
    for at in span.moments(line.period_s):
        if at in found:
            continue
        index = bisect_left(known, at)
        if isinstance(filler, Line):
            if at in filler.values:
                found[at] = filler.values[at]
        elif filler == "REPEAT":
            if index:
                found[at] = line.values[known[index - 1]]
        elif filler == "LINEAR":
            if 0 < index < len(known):
                begin, end = known[index - 1], known[index]
                share = (at - begin) / (end - begin)
                found[at] = line.values[begin] + share * (line.values[end] - line.values[begin])
        else:
            found[at] = float(filler)
    return found


def _choose(arguments: list[Argument], span: Span) -> Value:
    """IF(condition, value when it is true, value when it is false)."""
    condition = _value(arguments[0], "IF")
    chosen = [_value(argument, "IF") for argument in arguments[1:]]
    if isinstance(condition, list) or any(isinstance(value, list) for value in chosen):
        raise MathError("IF does not take a list of time series")
    if not isinstance(condition, Line):
        if len(chosen) > 1 or condition:
            return chosen[0] if condition else chosen[1]
        raise MathError("IF has no value for a condition that is false")
    found: dict[int, float] = {}
    for at, holds in condition.values.items():
        index = 0 if holds else 1
        value = chosen[index] if index < len(chosen) else None
        number = value.values.get(at) if isinstance(value, Line) else value
        if isinstance(number, float):
            found[at] = number
    return Line(condition.label, condition.period_s, found)


def _end(who: str, index: int) -> Function:
    def taken(arguments: list[Argument], span: Span) -> Value:
        value = _value(arguments[0], who)
        if not isinstance(value, list) or not value:
            raise MathError(f"{who} takes a list of time series that is not empty")
        return value[index]

    return taken


def _metric_count(arguments: list[Argument], span: Span) -> Value:
    return float(len(as_lines(_value(arguments[0], "METRIC_COUNT"), "METRIC_COUNT")))


def _period(arguments: list[Argument], span: Span) -> Value:
    return float(same_period(as_lines(_value(arguments[0], "PERIOD"), "PERIOD")))


def _time_series(arguments: list[Argument], span: Span) -> Value:
    number = _value(arguments[0], "TIME_SERIES")
    if not isinstance(number, float):
        raise MathError("TIME_SERIES takes a number")
    return Line("", span.period_s, dict.fromkeys(span.moments(span.period_s), number))


def _without_empty(arguments: list[Argument], span: Span) -> Value:
    lines = as_lines(_value(arguments[0], "REMOVE_EMPTY"), "REMOVE_EMPTY")
    return [line for line in lines if line.values]


#: name -> fewest and most arguments, and what it computes
FUNCTIONS: dict[str, tuple[int, int, Function]] = {
    "ABS": (1, 1, _of_each("ABS", abs)),
    "AVG": (1, 1, _aggregate("AVG", statistics.fmean)),
    "CEIL": (1, 1, _of_each("CEIL", math.ceil)),
    "DIFF": (1, 1, _along("DIFF", lambda line: {at: change for at, _, change in _steps(line)})),
    "DIFF_TIME": (1, 1, _along("DIFF_TIME", lambda line: {at: float(apart) for at, apart, _ in _steps(line)})),
    "FILL": (2, 2, _fill),
    "FIRST": (1, 1, _end("FIRST", 0)),
    "FLOOR": (1, 1, _of_each("FLOOR", math.floor)),
    "IF": (2, 3, _choose),
    "LAST": (1, 1, _end("LAST", -1)),
    "LOG": (1, 1, _of_each("LOG", math.log)),
    "LOG10": (1, 1, _of_each("LOG10", math.log10)),
    "MAX": (1, 1, _aggregate("MAX", max)),
    "METRIC_COUNT": (1, 1, _metric_count),
    "MIN": (1, 1, _aggregate("MIN", min)),
    "PERIOD": (1, 1, _period),
    "RATE": (1, 1, _along("RATE", lambda line: {at: change / apart for at, apart, change in _steps(line)})),
    "REMOVE_EMPTY": (1, 1, _without_empty),
    "RUNNING_SUM": (1, 1, _along("RUNNING_SUM", _running_sum)),
    "STDDEV": (1, 1, _aggregate("STDDEV", statistics.pstdev)),
    "SUM": (1, 1, _aggregate("SUM", math.fsum)),
    "TIME_SERIES": (1, 1, _time_series),
}
