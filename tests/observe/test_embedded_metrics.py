"""Metrics that functions print, in CloudWatch's embedded metric format."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pilotlight.observe.embedded_metrics import metrics_in
from tests.e2e.functions import create, invoke
from tests.support import NodeProcess, eventually

NOW_MS = 1_730_566_291_587


def line(**members: Any) -> str:
    directive = {
        "Namespace": "Shop",
        "Dimensions": [["service"]],
        "Metrics": [{"Name": "Orders", "Unit": "Count"}, {"Name": "Took", "Unit": "Milliseconds"}],
    }
    whole = {"_aws": {"Timestamp": NOW_MS, "CloudWatchMetrics": [directive]}, "service": "booking", "Orders": 1}
    return json.dumps({**whole, **members})


def test_what_a_line_says() -> None:
    (params,) = metrics_in(line(Took=[1, 2.5], note="no metric"))
    assert params["Namespace"] == "Shop"
    orders, took = params["MetricData"]
    assert orders == {
        "MetricName": "Orders",
        "Dimensions": [{"Name": "service", "Value": "booking"}],
        "Timestamp": datetime.fromtimestamp(NOW_MS / 1000, UTC),
        "Unit": "Count",
        "StorageResolution": 60,
        "Values": [1.0],
    }
    assert (took["MetricName"], took["Values"]) == ("Took", [1.0, 2.5])


def test_each_set_of_dimensions_has_its_own() -> None:
    directive = {
        "Namespace": "Shop",
        "Dimensions": [["service"], ["service", "stage"], []],
        "Metrics": [{"Name": "Orders", "StorageResolution": 1}],
    }
    aws = {"Timestamp": NOW_MS, "CloudWatchMetrics": [directive]}
    found = metrics_in(line(_aws=aws, stage="prod"))
    assert [[d["Name"] for d in params["MetricData"][0]["Dimensions"]] for params in found] == [
        ["service"],
        ["service", "stage"],
        [],
    ]
    assert {params["MetricData"][0]["StorageResolution"] for params in found} == {1}


@pytest.mark.parametrize(
    "members",
    [
        {"Orders": "many"},
        {"Orders": True},
        {"Orders": []},
        {"Orders": [1] * 101},
        {"Orders": 10**400},
        {"Orders": [1, -(10**400)]},
        {"Orders": 1e308},
        {"service": 7},
        {"service": None},
        {"_aws": {"Timestamp": NOW_MS}},
        {"_aws": {"Timestamp": "now", "CloudWatchMetrics": []}},
        {"_aws": {"Timestamp": 1e300, "CloudWatchMetrics": []}},
        {"_aws": 5},
    ],
)
def test_what_is_wrong_is_just_a_line(members: dict[str, Any]) -> None:
    assert metrics_in(line(**members)) == []
    assert metrics_in(line(**members)[:-1]) == []


@pytest.mark.parametrize(
    ("sets", "metrics", "value"),
    [(20_000, 100, 1), (200, 100, [1] * 100), (30_000, 0, 1)],
)
def test_a_line_that_comes_to_millions_of_metrics_is_just_a_line(sets: int, metrics: int, value: Any) -> None:
    directive = {"Namespace": "Shop", "Dimensions": [["service"]] * sets, "Metrics": [{"Name": "Orders"}] * metrics}
    text = line(_aws={"Timestamp": NOW_MS, "CloudWatchMetrics": [directive]}, Orders=value)
    started = time.perf_counter()
    assert metrics_in(text) == []
    assert time.perf_counter() - started < 0.5


def test_powertools_fullest_line_is_read() -> None:
    names = [f"m{number}" for number in range(100)]
    directive = {"Namespace": "Shop", "Dimensions": [["service"]], "Metrics": [{"Name": name} for name in names]}
    values = dict.fromkeys(names, [1.5] * 100)
    (params,) = metrics_in(line(_aws={"Timestamp": NOW_MS, "CloudWatchMetrics": [directive]}, **values))
    assert len(params["MetricData"]) == 100


def test_printed_metrics_are_read_from_cloudwatch(node: NodeProcess, unique_name: str) -> None:
    source = (
        "import json, time\n"
        "def handler(event, context):\n"
        "    for value in event:\n"
        f"        directive = {{'Namespace': '{unique_name}', 'Dimensions': [['service']],\n"
        "                     'Metrics': [{'Name': 'Took', 'Unit': 'Milliseconds'}]}\n"
        "        aws = {'Timestamp': int(time.time() * 1000), 'CloudWatchMetrics': [directive]}\n"
        "        print(json.dumps({'_aws': aws, 'service': 'booking', 'Took': value}))\n"
    )
    client, cloudwatch = node.client("lambda"), node.client("cloudwatch")
    create(client, unique_name, source)
    invoke(client, unique_name, [10, 20, [30, 40]])
    logs = node.client("logs")
    logs.create_log_group(logGroupName=unique_name)
    logs.create_log_stream(logGroupName=unique_name, logStreamName="s")
    directive = {"Namespace": unique_name, "Dimensions": [["service"]], "Metrics": [{"Name": "Took"}]}
    now_ms = int(time.time() * 1000)
    put = {"_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [directive]}, "service": "put", "Took": 5}
    logs.put_log_events(
        logGroupName=unique_name, logStreamName="s", logEvents=[{"timestamp": now_ms, "message": json.dumps(put)}]
    )
    now = datetime.now(UTC)

    def summed(service: str) -> tuple[float, float]:
        points = cloudwatch.get_metric_statistics(
            Namespace=unique_name,
            MetricName="Took",
            Dimensions=[{"Name": "service", "Value": service}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=60,
            Statistics=["Sum", "SampleCount"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points), sum(point["SampleCount"] for point in points)

    eventually(lambda: summed("booking") == (100, 4), what="the function's metrics")
    eventually(lambda: summed("put") == (5, 1), what="those of the events that were put")
