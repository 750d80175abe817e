"""PutMetricData: what is taken and what is not."""

from __future__ import annotations

from typing import Any

from tests.observe.metric_world import (
    MetricWorld,
    dims,
)

REFUSED_DATA = [
    ({}, "MissingParameter", "At least one of the parameters MetricData.member.1.Value"),
    (
        {"Value": 1.5, "Values": [1.0]},
        "InvalidParameterCombination",
        "The parameters MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive and you have "
        "specified both.",
    ),
    (
        {"Value": 1.0, "StatisticValues": {"SampleCount": 1.0, "Sum": 1.0, "Minimum": 1.0, "Maximum": 1.0}},
        "InvalidParameterCombination",
        "The parameters MetricData.member.1.Value and MetricData.member.1.StatisticValues are mutually exclusive and "
        "you have specified both.",
    ),
    (
        {"Values": [1.0, 10.0], "Counts": [2.0, 4.0, 5.0]},
        "InvalidParameterValue",
        "The parameters MetricData.member.1.Values and MetricData.member.1.Counts must be of the same size.",
    ),
    ({"Values": [1.0] * 151}, "InvalidParameterValue", "must not have a size greater than 150"),
    ({"Values": []}, "InvalidParameterValue", "must not be empty"),
    ({"Values": [1.0], "Counts": [0.0]}, "InvalidParameterValue", "Counts.member.1"),
    ({"Value": float("nan")}, "InvalidParameterValue", "The value nan for parameter MetricData.member.1.Value"),
    ({"Value": float("inf")}, "InvalidParameterValue", "The value inf for parameter"),
    ({"Value": 2.0**361}, "InvalidParameterValue", "for parameter MetricData.member.1.Value is invalid"),
    ({"Value": 1.0, "StorageResolution": 5}, "InvalidParameterValue", "must be 1 or 60"),
    ({"Value": 1.0, "Unit": "Parsecs"}, "ValidationError", "Member must satisfy enum value set"),
    ({"Value": 1.0, "Timestamp": 3 * 3600}, "InvalidParameterValue", "no more than two hours in the future"),
    ({"Value": 1.0, "Timestamp": -15 * 86_400}, "InvalidParameterValue", "within the past two weeks"),
    ({"Value": 1.0, "Dimensions": dims(a="b") * 2}, "InvalidParameterValue", "names a dimension twice"),
    ({"Value": 1.0, "Dimensions": dims(a="ü")}, "InvalidParameterValue", "Dimensions is invalid"),
    (
        {"StatisticValues": {"SampleCount": 0.0, "Sum": 1.0, "Minimum": 1.0, "Maximum": 1.0}},
        "InvalidParameterValue",
        "SampleCount",
    ),
    (
        {"StatisticValues": {"SampleCount": 1.0, "Sum": 1.0, "Minimum": 2.0, "Maximum": 1.0}},
        "InvalidParameterValue",
        "must be greater than or equal to",
    ),
]


async def test_data_that_is_refused(world: MetricWorld) -> None:
    for datum, code, message in REFUSED_DATA:
        await _data_that_is_refused(world, datum, code, message)


async def _data_that_is_refused(world: MetricWorld, datum: dict[str, Any], code: str, message: str) -> None:
    if "Timestamp" in datum:
        datum = {**datum, "Timestamp": world.at(datum["Timestamp"])}
    good = {"MetricName": "y", "Value": 1.0}
    refused = await world.refused("PutMetricData", Namespace="Mine", MetricData=[{"MetricName": "x", **datum}, good])
    assert refused.code == code
    assert message in refused.message
    assert (await world.call("ListMetrics", Namespace="Mine"))["Metrics"] == []  # all or nothing


async def test_a_request_needs_metrics_and_not_too_many(world: MetricWorld) -> None:
    assert (await world.refused("PutMetricData", Namespace="Mine")).code == "MissingParameter"
    many = [{"MetricName": "x", "Value": 1.0}] * 1001
    assert "greater than 1000" in (await world.refused("PutMetricData", Namespace="Mine", MetricData=many)).message
    entity = {
        "Entity": {"KeyAttributes": {"Type": "Service", "Name": "s"}},
        "MetricData": [{"MetricName": "x", "Value": 1.0}],
    }
    await world.call("PutMetricData", Namespace="Mine", EntityMetricData=[entity])
    assert await world.values("x", namespace="Mine") == [1]


async def test_sums_that_are_given_have_no_percentiles_unless_all_values_are_the_same(world: MetricWorld) -> None:
    given = {"SampleCount": 10.0, "Sum": 55.0, "Minimum": 1.0, "Maximum": 10.0}
    same = {"SampleCount": 2.0, "Sum": 8.0, "Minimum": 4.0, "Maximum": 4.0}
    metrics = [{"MetricName": "sums", "StatisticValues": given}, {"MetricName": "same", "StatisticValues": same}]
    await world.call("PutMetricData", Namespace="Mine", MetricData=metrics)
    assert await world.values("sums", "Average", namespace="Mine") == [5.5]
    assert await world.values("sums", "p50", namespace="Mine") == []
    assert await world.values("same", "p50", namespace="Mine") == [4]
