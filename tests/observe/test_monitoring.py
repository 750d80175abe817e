"""CloudWatch's API on metrics, as clients of every protocol see it: statistics, lists, what is not ours."""

from __future__ import annotations

import gzip
from typing import Any

import msgspec
import pytest

from pilotlight.wire import ServiceApi, WireRequest, cbor
from tests.observe.metric_world import (
    ACCOUNT,
    REGION,
    MetricWorld,
    Refused,
    data,
    dims,
    put,
    stat,
    statistics,
)
from tests.wire import oracle

PROTOCOLS = oracle.protocols_of("cloudwatch")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_statistics_over_each_protocol(world: MetricWorld, protocol: str) -> None:
    await world.call(
        "PutMetricData",
        protocol,
        Namespace="Mine",
        MetricData=[
            {
                "MetricName": "size",
                "Values": [1.0, 10.0],
                "Counts": [2.0, 4.0],
                "Unit": "Bytes",
                "Dimensions": dims(place="a & <b>"),
                "Timestamp": world.at(-61),
            }
        ],
    )
    answer = await world.call(
        "GetMetricStatistics",
        protocol,
        Namespace="Mine",
        MetricName="size",
        Dimensions=dims(place="a & <b>"),
        StartTime=world.at(-600),
        EndTime=world.at(),
        Period=60,
        Statistics=["SampleCount", "Sum", "Maximum", "Minimum", "Average"],
    )
    assert answer["Label"] == "size"
    (point,) = answer["Datapoints"]
    when = point.pop("Timestamp")
    assert when.timestamp() == (world.at(-61).timestamp() // 60) * 60
    expected = {"SampleCount": 6, "Sum": 42, "Maximum": 10, "Minimum": 1, "Average": 7, "Unit": "Bytes"}
    assert point == expected
    listed = await world.call("ListMetrics", protocol, Namespace="Mine")
    assert listed["Metrics"] == [{"Namespace": "Mine", "MetricName": "size", "Dimensions": dims(place="a & <b>")}]
    found = await world.call(
        "GetMetricData",
        protocol,
        MetricDataQueries=[stat("a", "size"), {"Id": "b", "Expression": "SEARCH('{Mine,place}', 'Maximum', 60)"}],
        StartTime=world.at(-600),
        EndTime=world.at(),
    )
    empty, searched = found["MetricDataResults"]
    assert (empty["Values"], searched["Values"], searched["Timestamps"]) == ([], [10], [when])


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_errors_over_each_protocol(world: MetricWorld, protocol: str) -> None:
    with pytest.raises(Refused) as caught:
        await world.call(
            "PutMetricData", protocol, Namespace="AWS/Lambda", MetricData=[{"MetricName": "x", "Value": 1}]
        )
    assert caught.value.code == "InvalidParameterValue"
    assert caught.value.message == "The value AWS/Lambda for parameter Namespace is invalid."
    with pytest.raises(Refused) as caught:
        await world.call("GetMetricData", protocol, MetricDataQueries=[], StartTime=world.at(), EndTime=world.at())
    assert (caught.value.code, caught.value.message) == (
        "ValidationError",
        "The parameter StartTime must not equal parameter EndTime.",
    )


async def test_extended_statistics(world: MetricWorld) -> None:
    await put(world, "x", *map(float, range(1, 101)))
    asked = ["p50", "p99.9", "tm90", "PR(:50)"]
    span = {"StartTime": world.at(-60), "EndTime": world.at(60), "Period": 300, "ExtendedStatistics": asked}
    answer = await world.call("GetMetricStatistics", Namespace="Mine", MetricName="x", **span)
    found = answer["Datapoints"][0]["ExtendedStatistics"]
    assert list(found) == asked
    assert found["p50"] == pytest.approx(50, rel=0.01)
    assert found["p99.9"] == pytest.approx(100, rel=0.01)
    refused = await world.refused(
        "GetMetricStatistics", Namespace="Mine", MetricName="x", **{**span, "ExtendedStatistics": ["p200"]}
    )
    assert refused.message == "The value p200 for parameter ExtendedStatistics.member.1 is invalid."


REFUSED_STATISTICS = [
    ({"Statistics": []}, "ValidationError", "statistics"),
    (
        {"Statistics": None},
        "InvalidParameterCombination",
        "At least one of the parameters Statistics and ExtendedStatistics must be specified.",
    ),
    (
        {"ExtendedStatistics": ["p50"]},
        "InvalidParameterCombination",
        "The parameters Statistics and ExtendedStatistics are mutually exclusive and you have specified both.",
    ),
    (
        {"Period": 61},
        "InvalidParameterValue",
        "The parameter Period must be a value in the set [ 1, 5, 10, 20, 30 ] or a multiple of 60.",
    ),
    (
        {"StartTime": 0},
        "InvalidParameterValue",
        "The parameter StartTime must be less than the parameter EndTime.",
    ),
    (
        {"StartTime": -1440 * 60 - 120},
        "InvalidParameterCombination",
        "You have requested up to 1443 datapoints, which exceeds the limit of 1440. You may reduce the datapoints "
        "requested by increasing Period, or decreasing the time range.",
    ),
    ({"Statistics": ["Mean"]}, "ValidationError", "Member must satisfy enum value set"),
]


async def test_statistics_that_are_refused(world: MetricWorld) -> None:
    for change, code, message in REFUSED_STATISTICS:
        await _statistics_that_are_refused(world, change, code, message)


async def _statistics_that_are_refused(world: MetricWorld, change: dict[str, Any], code: str, message: str) -> None:
    asked = {"StartTime": -3600, "EndTime": 0, "Period": 60, "Statistics": ["Sum"], **change}
    params = {name: value for name, value in asked.items() if value is not None}
    params |= {name: world.at(params[name]) for name in ("StartTime", "EndTime")}
    refused = await world.refused("GetMetricStatistics", Namespace="Mine", MetricName="x", **params)
    assert refused.code == code
    assert message in refused.message


async def test_units_are_told_apart_and_asked_for(world: MetricWorld) -> None:
    await put(world, "x", 1.0, Unit="Seconds")
    await put(world, "x", 1000.0, Unit="Milliseconds")
    points = (await statistics(world, "x", ["Sum"], namespace="Mine"))["Datapoints"]
    assert {(point["Unit"], point["Sum"]) for point in points} == {("Seconds", 1), ("Milliseconds", 1000)}
    query = stat("a", "x")
    query["MetricStat"]["Unit"] = "Seconds"
    assert (await data(world, query))["MetricDataResults"][0]["Values"] == [1]
    query["MetricStat"]["Unit"] = "Count"
    assert (await data(world, query))["MetricDataResults"][0]["Values"] == []


async def test_listing_filters_and_pages(world: MetricWorld) -> None:
    data = [
        {"MetricName": f"m{number:04}", "Value": 1.0, "Dimensions": dims(n=str(number % 2))} for number in range(700)
    ]
    await world.call("PutMetricData", Namespace="Mine", MetricData=data)
    first = await world.call("ListMetrics", Namespace="Mine")
    second = await world.call("ListMetrics", Namespace="Mine", NextToken=first["NextToken"])
    assert (len(first["Metrics"]), len(second["Metrics"])) == (500, 200)
    names = [metric["MetricName"] for metric in first["Metrics"] + second["Metrics"]]
    assert names == sorted(f"m{number:04}" for number in range(700))
    assert "NextToken" not in second
    odd = await world.call("ListMetrics", Namespace="Mine", Dimensions=[{"Name": "n", "Value": "1"}])
    assert len(odd["Metrics"]) == 350
    one = await world.call("ListMetrics", MetricName="m0003")
    assert [metric["MetricName"] for metric in one["Metrics"]] == ["m0003"]
    assert (await world.call("ListMetrics", Dimensions=[{"Name": "other"}]))["Metrics"] == []
    assert (await world.refused("ListMetrics", NextToken="%%")).code == "InvalidNextToken"


async def test_what_has_been_silent_is_not_listed(world: MetricWorld) -> None:
    await put(world, "x", 1.0)
    assert (await world.call("ListMetrics", RecentlyActive="PT3H"))["Metrics"]
    world.clock.advance(4 * 3_600_000)
    assert (await world.call("ListMetrics", RecentlyActive="PT3H"))["Metrics"] == []
    assert (await world.call("ListMetrics"))["Metrics"]
    world.clock.advance(15 * 86_400_000)
    assert (await world.call("ListMetrics"))["Metrics"] == []


def request(body: bytes, **headers: str) -> WireRequest:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return WireRequest("POST", "/", "", names, body, ACCOUNT, REGION, "id")


async def test_a_compressed_form_is_read(world: MetricWorld) -> None:
    form = b"Action=PutMetricData&Namespace=Mine&MetricData.member.1.MetricName=x&MetricData.member.1.Value=1"
    headers = {"content_type": "application/x-www-form-urlencoded; charset=utf-8", "content_encoding": "GZIP"}
    compressed = request(gzip.compress(form), **headers)
    assert world.api.serves(compressed)
    assert (await world.api.handle(compressed)).status == 200
    assert await world.values("x", namespace="Mine") == [1]
    broken = await world.api.handle(request(gzip.compress(form)[:-9], **headers))
    assert broken.status == 400
    bomb = await world.api.handle(request(gzip.compress(bytes(50_000_000)), **headers))
    assert bomb.status == 413


def test_only_operations_on_metrics_are_ours() -> None:
    async def unused(call: Any) -> None: ...

    api = ServiceApi("cloudwatch", {"PutMetricData": unused})
    assert api.serves(request(b"{}", x_amz_target="GraniteServiceVersion20100801.PutMetricData"))
    assert not api.serves(request(b"{}", x_amz_target="GraniteServiceVersion20100801.DescribeAlarms"))
    assert not api.serves(request(b"Action=DescribeAlarms"))
    assert not api.serves(request(b"", smithy_protocol="rpc-v2-cbor"))


async def test_broken_cbor_is_refused(world: MetricWorld) -> None:
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    broken = msgspec.structs.replace(request(b"\xa1", smithy_protocol="rpc-v2-cbor"), raw_path=path)
    response = await world.api.handle(broken)
    assert response.status == 400
    assert response.headers["smithy-protocol"] == "rpc-v2-cbor"
    assert isinstance(response.body, bytes)
    assert cbor.decode(response.body)["__type"] == "SerializationException"
