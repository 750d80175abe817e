"""CloudWatch's API on metrics: what Lambda measures of functions, and what functions report of themselves.

Alarms, dashboards and the rest of CloudWatch are not here: those requests go to the neighbour. Metrics can be read at
once, where AWS takes minutes. Source: Amazon CloudWatch API reference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pilotlight.clock import Clock
from pilotlight.errors import (
    InvalidNextToken,
    InvalidParameterCombinationException,
    InvalidParameterException,
    InvalidParameterValueException,
)
from pilotlight.observe import metric_store
from pilotlight.observe.counters import Counters
from pilotlight.observe.database import LogDatabase
from pilotlight.observe.log_names import decode_token, encode_token
from pilotlight.observe.logs import LogStore
from pilotlight.observe.metric_data import MetricDataRequest, bad_period, dimensions_of, is_period
from pilotlight.observe.metric_reports import reported
from pilotlight.observe.metric_statistics import SIMPLE, extended
from pilotlight.observe.metric_store import ListedMetric
from pilotlight.observe.metrics import Distribution, Series
from pilotlight.wire.messages import Call, Handler

_LISTED = 500
_MOST_POINTS = 1440


def monitoring_handlers(counters: Counters, log_store: LogStore, clock: Clock) -> dict[str, Handler]:
    """Operation -> handler, for wire.ServiceApi("cloudwatch")."""
    handlers = MonitoringHandlers(counters, log_store, clock)
    return {
        "GetMetricData": handlers.get_metric_data,
        "GetMetricStatistics": handlers.get_metric_statistics,
        "ListMetrics": handlers.list_metrics,
        "PutMetricData": handlers.put_metric_data,
    }


class MonitoringHandlers:
    def __init__(self, counters: Counters, log_store: LogStore, clock: Clock) -> None:
        self._counters = counters
        self._store = log_store
        self._clock = clock

    async def put_metric_data(self, call: Call) -> None:
        await self._counters.write(reported(call, self._clock.time_ms() // 1000))

    async def get_metric_data(self, call: Call) -> dict[str, Any]:
        request = MetricDataRequest(call, self._clock.time_ms() // 1000)
        await self._counters.flush()
        return await self._store.read(request.answer)

    async def get_metric_statistics(self, call: Call) -> dict[str, Any]:
        params = call.params
        start, end, period_s = params["StartTime"].timestamp(), params["EndTime"].timestamp(), params["Period"]
        names: list[str] = params.get("Statistics", [])
        extended_names: list[str] = params.get("ExtendedStatistics", [])
        if start >= end:
            raise InvalidParameterValueException("The parameter StartTime must be less than the parameter EndTime.")
        if not is_period(period_s):
            raise InvalidParameterValueException(bad_period("Period"))
        if not names and not extended_names:
            raise InvalidParameterCombinationException(
                "At least one of the parameters Statistics and ExtendedStatistics must be specified."
            )
        if names and extended_names:
            raise InvalidParameterCombinationException(
                "The parameters Statistics and ExtendedStatistics are mutually exclusive and you have specified both."
            )
        for number, name in enumerate(extended_names, 1):
            if extended(name) is None:
                raise InvalidParameterValueException(
                    f"The value {name} for parameter ExtendedStatistics.member.{number} is invalid."
                )
        begin_s = metric_store.rounded_start(start, period_s, self._clock.time_ms() // 1000)
        before_s = math.ceil(end)
        asked = math.ceil((before_s - begin_s) / period_s)
        if asked > _MOST_POINTS:
            raise InvalidParameterCombinationException(
                f"You have requested up to {asked} datapoints, which exceeds the limit of {_MOST_POINTS}. You may "
                "reduce the datapoints requested by increasing Period, or decreasing the time range."
            )
        dimensions = dimensions_of(params.get("Dimensions", []))
        series = Series(
            call.account,
            call.region,
            params["Namespace"],
            params["MetricName"],
            dimensions,
            params.get("Unit", ""),
        )

        def datapoints(database: LogDatabase) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            for unit, points in metric_store.read(database, series, begin_s, before_s, period_s).items():
                found += [_datapoint(at, unit, points[at], names, extended_names) for at in sorted(points)]
            return found

        await self._counters.flush()
        return {"Label": series.name, "Datapoints": await self._store.read(datapoints)}

    async def list_metrics(self, call: Call) -> dict[str, Any]:
        params = call.params
        if params.get("OwningAccount", call.account) != call.account:
            return {"Metrics": []}
        wanted: list[dict[str, str]] = params.get("Dimensions", [])
        after = _after(params.get("NextToken"))
        now_s = self._clock.time_ms() // 1000

        def page(database: LogDatabase) -> list[ListedMetric]:
            metrics = metric_store.listed(
                database,
                call.account,
                call.region,
                namespace=params.get("Namespace", ""),
                name=params.get("MetricName", ""),
                after=after,
                recent="RecentlyActive" in params,
                now_s=now_s,
            )
            return list(islice(_with_dimensions(metrics, wanted), _LISTED + 1))

        await self._counters.flush()
        metrics = await self._store.read(page)
        answer: dict[str, Any] = {"Metrics": [_described(metric) for metric in metrics[:_LISTED]]}
        if params.get("IncludeLinkedAccounts", False):
            answer["OwningAccounts"] = [call.account] * len(answer["Metrics"])
        if len(metrics) > _LISTED:
            last = metrics[_LISTED - 1]
            parts = [text for pair in last.dimensions for text in pair]
            answer["NextToken"] = encode_token("\0".join([last.namespace, last.name, *parts]))
        return answer


def _datapoint(at: int, unit: str, values: Distribution, names: list[str], extended_names: list[str]) -> dict[str, Any]:
    point: dict[str, Any] = {"Timestamp": datetime.fromtimestamp(at, UTC), "Unit": unit}
    point |= {name: float(SIMPLE[name](values)) for name in names}
    if extended_names:
        computed = {name: compute(values) for name in extended_names if (compute := extended(name)) is not None}
        point["ExtendedStatistics"] = {name: value for name, value in computed.items() if value is not None}
    return point


def _with_dimensions(metrics: Iterator[ListedMetric], wanted: list[dict[str, str]]) -> Iterator[ListedMetric]:
    for metric in metrics:
        have = dict(metric.dimensions)
        if all(one["Name"] in have and one.get("Value", have[one["Name"]]) == have[one["Name"]] for one in wanted):
            yield metric


def _described(metric: ListedMetric) -> dict[str, Any]:
    return {
        "Namespace": metric.namespace,
        "MetricName": metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
    }


def _after(token: str | None) -> ListedMetric | None:
    try:
        found = decode_token(token, str)
    except InvalidParameterException as error:
        raise InvalidNextToken("The specified NextToken is invalid.") from error
    if found is None:
        return None
    namespace, _, rest = found[0].partition("\0")
    name, *parts = rest.split("\0")
    return ListedMetric(namespace, name, tuple(zip(parts[::2], parts[1::2], strict=False)))
