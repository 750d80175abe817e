"""Metrics as users meet them: boto3 and raw requests against a real node, functions that report, Prometheus."""

from __future__ import annotations

import gzip
import re
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pilotlight.observe.exposition import FAMILIES
from pilotlight.observe.totals import EVENT_COUNTERS, EVENT_SUMMARIES
from pilotlight.wire import WireResponse
from tests.e2e.functions import create, invoke, invoke_failing
from tests.support import NodeProcess, eventually, make_zip, node_process
from tests.wire import oracle

SOURCE = """
import time

def handler(event, context):
    time.sleep((event or {}).get("seconds", 0))
    if (event or {}).get("fail"):
        raise ValueError("as asked")
    return context.function_version
"""
REPORTS = """
import boto3

def handler(event, context):
    client = boto3.client("cloudwatch")
    client.put_metric_data(Namespace=event, MetricData=[{"MetricName": "sold", "Value": 7, "Unit": "Count"}])
"""


def values(node: NodeProcess, metric: str, stat: str, namespace: str = "AWS/Lambda", **dimensions: str) -> list[float]:
    """Of the last hour as one period: at most one value, unless an hour's border lies in it."""
    now = datetime.now(UTC)
    named = {
        "Namespace": namespace,
        "MetricName": metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
    query = {"Id": "m", "MetricStat": {"Metric": named, "Period": 7200, "Stat": stat}}
    client = node.client("cloudwatch")
    span = {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(seconds=60)}
    return client.get_metric_data(MetricDataQueries=[query], **span)["MetricDataResults"][0]["Values"]


def test_invocations_are_counted_and_timed(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, SOURCE)
    for milliseconds in (20, 40, 60, 80):
        invoke(client, unique_name, {"seconds": milliseconds / 1000})
    invoke_failing(client, unique_name, {"fail": True})
    client.put_function_concurrency(FunctionName=unique_name, ReservedConcurrentExecutions=0)
    with pytest.raises(client.exceptions.TooManyRequestsException):
        invoke(client, unique_name)
    of = {"FunctionName": unique_name}
    assert values(node, "Invocations", "Sum", **of) == [5]
    assert values(node, "Invocations", "Sum", **of, Resource=unique_name) == [5]
    assert values(node, "Errors", "Sum", **of) == [1]
    assert values(node, "Errors", "Average", **of) == [0.2]
    assert values(node, "Throttles", "Sum", **of) == [1]
    (longest,), (ninth,), (median,) = (values(node, "Duration", stat, **of) for stat in ("Maximum", "p90", "p60"))
    assert longest >= 80
    assert ninth == pytest.approx(longest, rel=0.01)
    assert 40 <= median * 1.01 < 80
    assert values(node, "ConcurrentExecutions", "Maximum", **of) == [1]
    assert values(node, "ConcurrentExecutions", "Maximum") >= [1]
    assert values(node, "Invocations", "Sum") >= [5]


def test_a_weighted_alias_shows_what_ran(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, SOURCE, Publish=True)
    client.update_function_code(FunctionName=unique_name, ZipFile=make_zip(SOURCE + "# two\n"), Publish=True)
    client.get_waiter("published_version_active").wait(FunctionName=unique_name, Qualifier="2")
    weights = {"AdditionalVersionWeights": {"2": 0.5}}
    client.create_alias(FunctionName=unique_name, Name="live", FunctionVersion="1", RoutingConfig=weights)
    ran = [invoke(client, unique_name, Qualifier="live") for _ in range(20)]
    of = {"FunctionName": unique_name, "Resource": f"{unique_name}:live"}
    assert values(node, "Invocations", "Sum", **of) == [20]
    for number in set(ran):
        assert values(node, "Invocations", "Sum", **of, ExecutedVersion=number) == [ran.count(number)]


def test_events_have_their_metrics(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, SOURCE)
    client.put_function_event_invoke_config(FunctionName=unique_name, MaximumRetryAttempts=0)
    client.invoke(FunctionName=unique_name, InvocationType="Event", Payload=b'{"fail": true}')
    of = {"FunctionName": unique_name}
    eventually(lambda: values(node, "AsyncEventsDropped", "Sum", **of) == [1])
    assert values(node, "AsyncEventsReceived", "Sum", **of) == [1]
    assert values(node, "AsyncEventAge", "SampleCount", **of) == [1]


def test_a_function_reports_of_itself(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, REPORTS, Timeout=30)
    invoke(client, unique_name, unique_name)
    assert values(node, "sold", "Sum", unique_name) == [7]
    listed = node.client("cloudwatch").list_metrics(Namespace=unique_name)["Metrics"]
    assert listed == [{"Namespace": unique_name, "MetricName": "sold", "Dimensions": []}]


def send(node: NodeProcess, operation: str, params: dict[str, Any], protocol: str) -> dict[str, Any]:
    """As an SDK that speaks `protocol` would; not signed, but for the scope by which the service is known."""
    model = oracle.service_model("cloudwatch").operation_model(operation)
    request = oracle.serialize(model, params, protocol=protocol)
    scope = (
        "AWS4-HMAC-SHA256 Credential=test/20261130/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=0"
    )
    headers = {**request.headers, "authorization": scope}
    raw = urllib.request.Request(node.endpoint + request.raw_path, request.body, headers, method="POST")
    try:
        with urllib.request.urlopen(raw) as answer:
            status, body, got = answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            status, body, got = error.code, error.read(), dict(error.headers)
    return oracle.parse(model, WireResponse(status, got, body), protocol)


@pytest.mark.parametrize("protocol", oracle.protocols_of("cloudwatch"))
def test_every_protocol_is_spoken(node: NodeProcess, unique_name: str, protocol: str) -> None:
    data = [{"MetricName": "size", "Values": [1.0, 5.0], "Unit": "Bytes"}]
    send(node, "PutMetricData", {"Namespace": unique_name, "MetricData": data}, protocol)
    assert send(node, "ListMetrics", {"Namespace": unique_name}, protocol)["Metrics"][0]["MetricName"] == "size"
    now = datetime.now(UTC).replace(microsecond=0)
    span = {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(minutes=1), "Period": 7200}
    asked = {"Namespace": unique_name, "MetricName": "size", **span, "Statistics": ["Sum", "Maximum"]}
    (point,) = send(node, "GetMetricStatistics", asked, protocol)["Datapoints"]
    assert (point["Sum"], point["Maximum"], point["Unit"]) == (6, 5, "Bytes")
    refused = send(node, "GetMetricStatistics", {**asked, "StartTime": now + timedelta(days=1)}, protocol)["Error"]
    assert refused["Code"] == "InvalidParameterValue"
    assert refused["Message"] == "The parameter StartTime must be less than the parameter EndTime."


@pytest.mark.parametrize("protocol", ["json", "query"])  # moto does not read CBOR
def test_alarms_are_the_neighbours(node: NodeProcess, unique_name: str, protocol: str) -> None:
    alarm = {
        "AlarmName": unique_name,
        "MetricName": "Errors",
        "Namespace": "AWS/Lambda",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    send(node, "PutMetricAlarm", alarm, protocol)
    found = send(node, "DescribeAlarms", {"AlarmNames": [unique_name]}, protocol)
    assert [one["AlarmName"] for one in found["MetricAlarms"]] == [unique_name]
    assert node.client("cloudwatch").describe_alarms(AlarmNames=[unique_name])["MetricAlarms"]


def test_signed_requests_are_read_whole_and_passed_on_unharmed() -> None:
    keys = {"aws_access_key_id": "AKIAPILOTLIGHT", "aws_secret_access_key": "secret"}
    with node_process(auth="sigv4", access_keys={"AKIAPILOTLIGHT": "secret"}, state_delay_ms=0) as node:
        client = node.client("cloudwatch", **keys)
        many = [{"MetricName": f"metric-{number}", "Value": 1.0} for number in range(200)]  # over 10 KB: compressed
        client.put_metric_data(Namespace="Mine", MetricData=many)
        assert len(client.list_metrics(Namespace="Mine")["Metrics"]) == 200
        assert client.describe_alarms()["MetricAlarms"] == []
        stranger = node.client("cloudwatch", aws_access_key_id="AKIASTRANGER", aws_secret_access_key="x")
        for call in (stranger.list_metrics, stranger.describe_alarms):
            with pytest.raises(stranger.exceptions.ClientError) as caught:
                call()
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
        forger = node.client("cloudwatch", aws_access_key_id="AKIAPILOTLIGHT", aws_secret_access_key="wrong")
        with pytest.raises(forger.exceptions.ClientError, match="ignature"):
            forger.list_metrics()


def test_what_was_written_survives_a_kill(unique_name: str) -> None:
    with node_process(state_delay_ms=0) as node:
        create(node.client("lambda"), unique_name, SOURCE)
        for _ in range(5):
            invoke(node.client("lambda"), unique_name)
        assert values(node, "Invocations", "Sum", FunctionName=unique_name) == [5]  # reading writes
        node.kill()
        node.start()
        invoke(node.client("lambda"), unique_name)
        assert values(node, "Invocations", "Sum", FunctionName=unique_name) == [6]


# --- Prometheus ---


def scrape(node: NodeProcess, method: str = "GET", **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(f"{node.endpoint}/_pilotlight/metrics", headers=headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_scrape_shows_what_the_node_is_and_did(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, SOURCE)
    for _ in range(3):
        invoke(client, unique_name)
    client.invoke(FunctionName=unique_name, InvocationType="Event", Payload=b"{}")
    inside = f'account="000000000000",region="us-east-1",function="{unique_name}"'
    eventually(lambda: f"pilotlight_invocations_total{{{inside}}} 4\n" in scrape(node)[1])
    eventually(lambda: f"pilotlight_async_queue_events{{{inside}}}" not in scrape(node)[1])
    _, page = scrape(node)
    assert f"pilotlight_duration_seconds_count{{{inside}}} 4\n" in page
    assert f"pilotlight_async_event_age_seconds_count{{{inside}}} 1\n" in page
    assert "\npilotlight_concurrent_executions 0\n" in page
    assert re.search(r'\npilotlight_environments\{state="idle"\} [1-9]', page)
    shown = set(re.findall(r"^# TYPE (\w+)", page, flags=re.MULTILINE))
    events = {*EVENT_COUNTERS.values(), *EVENT_SUMMARIES.values()}
    rare = events | {"pilotlight_async_queue_events", "pilotlight_deliveries_waiting"}
    assert shown | rare == set(FAMILIES), "what is documented is shown"
    assert scrape(node, "HEAD") == (200, "")


def test_a_queue_is_shown_with_its_depth(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, SOURCE)
    client.invoke(FunctionName=unique_name, InvocationType="Event", Payload=b'{"fail": true}')
    inside = f'account="000000000000",region="us-east-1",function="{unique_name}"'
    # It failed, and waits for a minute to be tried again.
    eventually(lambda: f"pilotlight_errors_total{{{inside}}} 1\n" in scrape(node)[1])
    assert f"pilotlight_async_queue_events{{{inside}}} 1\n" in scrape(node)[1]


def test_web_pages_and_other_hosts_are_kept_out(node: NodeProcess) -> None:
    assert scrape(node, Host="evil.example")[0] == 403
    assert scrape(node, Origin="http://evil.example")[0] == 403


def test_a_client_that_compresses_a_form(node: NodeProcess, unique_name: str) -> None:
    form = f"Action=PutMetricData&Namespace={unique_name}&MetricData.member.1.MetricName=x&MetricData.member.1.Value=1"
    scope = (
        "AWS4-HMAC-SHA256 Credential=test/20261130/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=0"
    )
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "content-encoding": "gzip",
        "authorization": scope,
    }
    request = urllib.request.Request(node.endpoint, gzip.compress(form.encode()), headers, method="POST")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    assert values(node, "x", "Sum", unique_name) == [1]


def test_without_neighbours_alarms_are_refused_in_the_protocol_they_were_asked_in() -> None:
    with node_process(neighbours=False, state_delay_ms=0) as node:
        for protocol in oracle.protocols_of("cloudwatch"):
            refused = send(node, "DescribeAlarms", {}, protocol)["Error"]
            assert refused["Code"].startswith("ServiceUnavailable"), protocol
            assert "monitoring" in refused["Message"]
        assert node.client("cloudwatch").list_metrics()["Metrics"] == []
