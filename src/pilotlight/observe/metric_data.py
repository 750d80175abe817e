"""GetMetricData: metrics and expressions over them, in pages.

What AWS refuses is refused in its words as far as they are known (all faults of a request at once, a line each); what
it has and this has not, with a sentence, never passed over. The whole request is answered from one consistent state of
the log database, in a thread that reads.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from pilotlight.errors import InvalidNextToken, InvalidParameterException, ValidationException
from pilotlight.observe import metric_math, metric_store
from pilotlight.observe.database import LogDatabase
from pilotlight.observe.log_names import decode_token, encode_token
from pilotlight.observe.metric_functions import MOST_POINTS, Line, MathError, Span, Value, points_in
from pilotlight.observe.metric_labels import BadLabel, filled_in, time_zone
from pilotlight.observe.metric_search import searched
from pilotlight.observe.metric_statistics import statistic
from pilotlight.observe.metrics import Dimensions, Distribution, Series
from pilotlight.wire.messages import Call

_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
_MOST_QUERIES = 500
_MOST_POINTS = 100_800
_MOST_FOUND = 500
SHORT_PERIODS = (1, 5, 10, 20, 30)


class _Query(msgspec.Struct, frozen=True):
    id: str
    shown: bool
    label: str | None
    period_s: int
    """0: an expression that goes by its metrics."""
    expression: str = ""
    series: Series | None = None
    stat: str = ""


class MetricDataRequest:
    """One request, checked. `answer` is to be called within a transaction of a reading thread."""

    def __init__(self, call: Call, now_s: int) -> None:
        params = call.params
        self._account, self._region, self._now_s = call.account, call.region, now_s
        start, end = params["StartTime"].timestamp(), params["EndTime"].timestamp()
        if start == end:
            raise ValidationException("The parameter StartTime must not equal parameter EndTime.")
        if start > end:
            raise ValidationException("The parameter StartTime must be less than the parameter EndTime.")
        self._start, self._end = start, end
        self._most = params.get("MaxDatapoints", _MOST_POINTS)
        if not 1 <= self._most <= _MOST_POINTS:
            raise ValidationException(f"The parameter MaxDatapoints must be between 1 and {_MOST_POINTS}.")
        self._descending = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        self._zone = _zone(params.get("LabelOptions", {}).get("Timezone"))
        self._position = _position(params.get("NextToken"))
        self._queries = _queries(call)

    def answer(self, database: LogDatabase) -> dict[str, Any]:
        evaluation = _Evaluation(self, database)
        results: list[tuple[_Query, Line]] = []
        for query in self._queries:
            if query.shown:
                results += [(query, line) for line in evaluation.lines(query)]
        return self._page(results)

    def _page(self, results: list[tuple[_Query, Line]]) -> dict[str, Any]:
        """From behind the position on, as many points as were asked for."""
        first, after = self._position or (0, None)
        left = self._most
        shown: list[dict[str, Any]] = []
        token = None
        for index in range(first, len(results)):
            query, line = results[index]
            order = sorted(line.values, reverse=self._descending)
            if index == first and after is not None:
                order = [at for at in order if (at < after if self._descending else at > after)]
            taken = order[:left]
            left -= len(taken)
            complete = len(taken) == len(order)
            if taken or complete:
                shown.append(
                    {
                        "Id": query.id,
                        "Label": line.label,
                        "Timestamps": [datetime.fromtimestamp(at, UTC) for at in taken],
                        "Values": [line.values[at] for at in taken],
                        "StatusCode": "Complete" if complete else "PartialData",
                    }
                )
            if not complete:
                last = taken[-1] if taken else after
                token = encode_token(index, "" if last is None else str(last))
                break
        answer: dict[str, Any] = {"MetricDataResults": shown, "Messages": []}
        if token is not None:
            answer["NextToken"] = token
        return answer

    # what an evaluation asks of its request

    @property
    def queries(self) -> Mapping[str, _Query]:
        return {query.id: query for query in self._queries}

    def series(self, namespace: str, name: str, dimensions: Dimensions) -> Series:
        return Series(self._account, self._region, namespace, name, dimensions, "")

    def found(self, database: LogDatabase, namespace: str) -> Iterator[metric_store.ListedMetric]:
        return metric_store.listed(database, self._account, self._region, namespace=namespace, now_s=self._now_s)

    def span(self, period_s: int) -> Span:
        begin_s = metric_store.rounded_start(self._start, period_s, self._now_s)
        # Nothing is filled in for a time that has not come.
        return Span(begin_s, min(math.ceil(self._end), self._now_s + 1), period_s)

    def points(self, database: LogDatabase, series: Series, stat: str, period_s: int) -> dict[int, float]:
        compute = statistic(stat)
        assert compute is not None
        begin_s = metric_store.rounded_start(self._start, period_s, self._now_s)
        by_unit = metric_store.read(database, series, begin_s, math.ceil(self._end), period_s)
        together: dict[int, Distribution] = {}
        for points in by_unit.values():
            for at, values in points.items():
                if at in together:
                    together[at].merge(values)
                else:
                    together[at] = values
        return {at: result for at, values in together.items() if (result := compute(values)) is not None}

    def labelled(self, query: _Query, line: Line, properties: Mapping[str, str]) -> str:
        if query.label is None:
            return line.label
        try:
            return filled_in(query.label, line, properties, self._zone)
        except BadLabel as error:
            raise ValidationException(f"Invalid dynamic label ${{{error}}} for query '{query.id}'.") from error

    @property
    def account(self) -> str:
        return self._account

    @property
    def region(self) -> str:
        return self._region


class _Evaluation:
    """Computes each query once, and those it refers to before it."""

    def __init__(self, request: MetricDataRequest, database: LogDatabase) -> None:
        self._request = request
        self._database = database
        self._queries = request.queries
        self._known: dict[str, Value] = {}
        self._points = 0
        self._open: list[str] = []

    def lines(self, query: _Query) -> list[Line]:
        """What the answer shows of a query, with its labels."""
        value = self._value(query)
        if not isinstance(value, Line | list):
            raise _bad_expression(query.id, "it must come to a time series, and comes to a number")
        lines = value if isinstance(value, list) else [Line(value.label, value.period_s, value.values)]
        shown: list[Line] = []
        for line in lines:
            if query.expression and not isinstance(value, list):
                line.label = query.id
            label = self._request.labelled(query, line, self._properties(query))
            shown.append(Line(label, line.period_s, line.values))
        return shown

    def _properties(self, query: _Query) -> dict[str, str]:
        found = {"AccountId": self._request.account, "Region": self._request.region}
        if query.series is not None:
            found |= {
                "Namespace": query.series.namespace,
                "MetricName": query.series.name,
                "Period": str(query.period_s),
                "Stat": query.stat,
            }
            found |= {f"Dim.{name}": value for name, value in query.series.dimensions}
        return found

    def _value(self, query: _Query) -> Value:
        if query.id not in self._known:
            value = self._metric(query) if query.series is not None else self._expression(query)
            self._count(points_in(value))
            self._known[query.id] = value
        return self._known[query.id]

    def _count(self, points: int) -> None:
        self._points += points
        if self._points > MOST_POINTS:
            raise ValidationException(
                f"The metrics and expressions of the request come to more than {MOST_POINTS} values. You may reduce "
                "them by increasing Period, or decreasing the time range."
            )

    def _metric(self, query: _Query) -> Line:
        assert query.series is not None
        points = self._request.points(self._database, query.series, query.stat, query.period_s)
        return Line(query.series.name, query.period_s, points)

    def _expression(self, query: _Query) -> Value:
        if query.id in self._open:
            raise _bad_expression(query.id, "it refers to itself")
        self._open.append(query.id)
        metric_ids = [other.id for other in self._queries.values() if other.series is not None]
        periods = [other.period_s for other in self._queries.values() if other.series is not None]
        period_s = query.period_s or min(periods, default=60)
        surroundings = metric_math.Surroundings(self._request.span(period_s), self._named, metric_ids, self._search)
        try:
            value = metric_math.evaluate(query.expression, surroundings)
        except MathError as error:
            raise _bad_expression(query.id, str(error)) from error
        self._open.pop()
        return value

    def _named(self, name: str) -> Value:
        query = self._queries.get(name)
        if query is None:
            raise MathError(f"the id {name} is not defined")
        return self._value(query)

    def _search(self, expression: str, stat: str, period_s: int) -> list[Line]:
        if statistic(stat) is None:
            raise MathError(f"SEARCH does not know the statistic {stat}")
        if not is_period(period_s):
            raise MathError(f"SEARCH cannot have the period {period_s}")
        namespace, matches = searched(expression)
        lines: list[Line] = []
        for metric in self._request.found(self._database, namespace):
            if not matches(metric):
                continue
            if len(lines) == _MOST_FOUND:
                raise MathError(f"SEARCH finds more than {_MOST_FOUND} metrics")
            series = self._request.series(metric.namespace, metric.name, metric.dimensions)
            label = " ".join([*(value for _, value in metric.dimensions), metric.name])
            lines.append(Line(label, period_s, self._request.points(self._database, series, stat, period_s)))
            if points_in(lines) > MOST_POINTS:
                raise MathError(f"SEARCH finds more than {MOST_POINTS} values")
        return lines


def is_period(seconds: int) -> bool:
    return seconds in SHORT_PERIODS or (seconds > 0 and seconds % 60 == 0)


def _bad_expression(query_id: str, why: str) -> ValidationException:
    return ValidationException(f"Error in expression '{query_id}': {why}.")


def _zone(text: str | None) -> Any:
    if text is None:
        return UTC
    try:
        return time_zone(text)
    except ValueError as error:
        raise ValidationException(f"The value {text} for parameter LabelOptions.Timezone is invalid.") from error


def _position(token: str | None) -> tuple[int, int | None] | None:
    try:
        found = decode_token(token, int, str)
    except InvalidParameterException as error:
        raise InvalidNextToken("The specified NextToken is invalid.") from error
    if found is None:
        return None
    index, last = found
    if index < 0 or (last and not last.lstrip("-").isdecimal()):
        raise InvalidNextToken("The specified NextToken is invalid.")
    return index, int(last) if last else None


def _queries(call: Call) -> list[_Query]:
    given: list[dict[str, Any]] = call.params["MetricDataQueries"]
    if not given:
        raise ValidationException("The parameter MetricDataQueries is required.")
    if len(given) > _MOST_QUERIES:
        raise ValidationException(
            f"The collection MetricDataQueries must not have a size greater than {_MOST_QUERIES}."
        )
    faults: list[str] = []
    queries = [_query(call, number, one, faults) for number, one in enumerate(given, 1)]
    if len({query.id for query in queries}) < len(queries):
        faults.append("The values for parameter id in MetricDataQueries are not unique.")
    if faults:
        raise ValidationException("\n".join(faults))
    return queries


def _query(call: Call, number: int, given: dict[str, Any], faults: list[str]) -> _Query:
    place = f"MetricDataQueries.member.{number}"
    query_id: str = given["Id"]
    if not _ID.fullmatch(query_id):
        faults.append(
            f"The value {query_id} for parameter {place}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
        )
    if given.get("AccountId", call.account) != call.account:
        faults.append(
            f"The value {given['AccountId']} for parameter {place}.AccountId is invalid: no account is linked."
        )
    shown, label = given.get("ReturnData", True), given.get("Label")
    metric_stat, expression = given.get("MetricStat"), given.get("Expression")
    if (metric_stat is None) == (expression is None):
        faults.append(f"Exactly one of the parameters {place}.MetricStat and {place}.Expression must be specified.")
    if "Period" in given and not is_period(given["Period"]):
        faults.append(bad_period(f"{place}.Period"))
    if metric_stat is None:
        text = expression or ""
        if text.strip()[:7].upper() == "SELECT ":
            faults.append(f"Error in expression '{query_id}': Metrics Insights queries are not supported.")
        return _Query(query_id, shown, label, given.get("Period", 0), text)
    metric, period_s, stat = metric_stat["Metric"], metric_stat["Period"], metric_stat["Stat"]
    if not is_period(period_s):
        faults.append(bad_period(f"{place}.MetricStat.Period"))
    if statistic(stat) is None:
        faults.append(f"The value {stat} for parameter {place}.MetricStat.Stat is not a valid statistic.")
    for name in ("Namespace", "MetricName"):
        if name not in metric:
            faults.append(f"The parameter {place}.MetricStat.Metric.{name} is required.")
    dimensions = dimensions_of(metric.get("Dimensions", []))
    series = Series(
        call.account,
        call.region,
        metric.get("Namespace", ""),
        metric.get("MetricName", ""),
        dimensions,
        metric_stat.get("Unit", ""),
    )
    return _Query(query_id, shown, label, period_s, series=series, stat=stat)


def dimensions_of(given: list[dict[str, str]]) -> Dimensions:
    return tuple(sorted((one["Name"], one["Value"]) for one in given))


def bad_period(place: str) -> str:
    shorter = ", ".join(map(str, SHORT_PERIODS))
    return f"The parameter {place} must be a value in the set [ {shorter} ] or a multiple of 60."
