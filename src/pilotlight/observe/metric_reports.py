"""PutMetricData: what a function or a program reports of itself, checked and made a batch for the metric store.

Messages are AWS's where they have been seen. An entity that comes with metrics is taken and not kept: nothing here
shows entities.
"""

from __future__ import annotations

import math
from typing import Any

from pilotlight.errors import (
    AwsError,
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    MissingRequiredParameterException,
)
from pilotlight.observe.metric_data import dimensions_of
from pilotlight.observe.metric_store import Batch
from pilotlight.observe.metrics import Distribution, Period, Series
from pilotlight.wire.messages import Call

_MOST_METRICS = 1000
_MOST_VALUES = 150
_LARGEST = 2.0**360
_OLDEST_S = 14 * 86_400
_FUTURE_S = 2 * 3600


def reported(call: Call, now_s: int) -> Batch:
    """What a request reports. All of it is right, or an error of AWS's is raised."""
    params = call.params
    namespace: str = params["Namespace"]
    if namespace.startswith("AWS/"):
        raise InvalidParameterValueException(f"The value {namespace} for parameter Namespace is invalid.")
    given = [(f"MetricData.member.{number}", datum) for number, datum in enumerate(params.get("MetricData", []), 1)]
    for outer, entity in enumerate(params.get("EntityMetricData", []), 1):
        for number, datum in enumerate(entity.get("MetricData", []), 1):
            given.append((f"EntityMetricData.member.{outer}.MetricData.member.{number}", datum))
    if not given:
        raise MissingRequiredParameterException("The parameter MetricData is required.")
    if len(given) > _MOST_METRICS:
        raise InvalidParameterValueException(
            f"The collection MetricData must not have a size greater than {_MOST_METRICS}."
        )
    batch: Batch = {}
    for place, datum in given:
        period = _period(place, datum, now_s)
        series = Series(
            call.account,
            call.region,
            namespace,
            datum["MetricName"],
            _dimensions(place, datum),
            datum.get("Unit", "None"),
        )
        values = _values(place, datum)
        if (series, period) in batch:
            batch[series, period].merge(values)
        else:
            batch[series, period] = values
    return batch


def _period(place: str, datum: dict[str, Any], now_s: int) -> Period:
    length_s = datum.get("StorageResolution", 60)
    if length_s not in (1, 60):
        raise InvalidParameterValueException(f"The parameter {place}.StorageResolution must be 1 or 60.")
    at_s = datum["Timestamp"].timestamp() if "Timestamp" in datum else now_s
    if at_s > now_s + _FUTURE_S:
        raise InvalidParameterValueException(
            f"The parameter {place}.Timestamp must specify a time no more than two hours in the future."
        )
    if at_s < now_s - _OLDEST_S:
        raise InvalidParameterValueException(
            f"The parameter {place}.Timestamp must specify a time within the past two weeks."
        )
    return Period(int(at_s // length_s * length_s), length_s)


def _dimensions(place: str, datum: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    dimensions = dimensions_of(datum.get("Dimensions", []))
    names = [name for name, _ in dimensions]
    if len(set(names)) < len(names):
        raise InvalidParameterValueException(f"The parameter {place}.Dimensions names a dimension twice.")
    for name, value in dimensions:
        if name.startswith(":") or not name.strip() or not value.strip() or not (name + value).isascii():
            raise InvalidParameterValueException(f"The value {name} for parameter {place}.Dimensions is invalid.")
    return dimensions


def _values(place: str, datum: dict[str, Any]) -> Distribution:
    single, several, summed = (datum.get(name) for name in ("Value", "Values", "StatisticValues"))
    if single is not None and (several is not None or summed is not None):
        other = "Values" if several is not None else "StatisticValues"
        raise InvalidParameterCombinationException(
            f"The parameters {place}.Value and {place}.{other} are mutually exclusive and you have specified both."
        )
    if summed is not None:  # AWS takes Values beside it, for no reason known
        return _summed(f"{place}.StatisticValues", summed)
    values = Distribution()
    if several is None:
        if single is None:
            raise MissingRequiredParameterException(
                f"At least one of the parameters {place}.Value, {place}.Values and {place}.StatisticValues must be "
                "specified."
            )
        values.record(_number(f"{place}.Value", single))
        return values
    counts: list[float] = datum.get("Counts", [1.0] * len(several))
    if len(counts) != len(several):
        raise InvalidParameterValueException(
            f"The parameters {place}.Values and {place}.Counts must be of the same size."
        )
    if not several:
        raise InvalidParameterValueException(f"The collection {place}.Values must not be empty.")
    if len(several) > _MOST_VALUES:
        raise InvalidParameterValueException(
            f"The collection {place}.Values must not have a size greater than {_MOST_VALUES}."
        )
    for number, (value, count) in enumerate(zip(several, counts, strict=True), 1):
        if _number(f"{place}.Counts.member.{number}", count) <= 0:
            raise _invalid(f"{place}.Counts.member.{number}", count)
        values.record(_number(f"{place}.Values.member.{number}", value), count)
    return values


def _summed(place: str, given: dict[str, float]) -> Distribution:
    """Without a histogram, unless all values are the same: CloudWatch has no percentiles of it either."""
    count, total, low, high = (
        _number(f"{place}.{name}", given[name]) for name in ("SampleCount", "Sum", "Minimum", "Maximum")
    )
    if count <= 0:
        raise _invalid(f"{place}.SampleCount", count)
    if low > high:
        raise InvalidParameterValueException(
            f"The parameter {place}.Maximum must be greater than or equal to {place}.Minimum."
        )
    values = Distribution()
    if low == high:
        values.record(low, count)
    return Distribution(count, total, low, high, values.histogram)


def _number(place: str, value: float) -> float:
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise _invalid(place, value)
    return value


def _invalid(place: str, value: float) -> AwsError:
    return InvalidParameterValueException(f"The value {value} for parameter {place} is invalid.")
