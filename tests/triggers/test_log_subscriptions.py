"""Subscription filters end to end: what the API takes and refuses, what functions are given, and that none is lost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pilotlight.observe.database import LogDatabase
from tests.e2e.functions import create, invoke
from tests.support import NodeProcess, eventually, make_zip, node_process

#: prints what it is given, as it was before it was packed
CONSUMER = """
import base64, gzip, json
def handler(event, context):
    print('GIVEN ' + gzip.decompress(base64.b64decode(event['awslogs']['data'])).decode())
"""
PRODUCER = (
    "def handler(event, context):\n    for line in event:\n        print(line)\n    return context.log_stream_name\n"
)


def subscriber(node: NodeProcess, name: str, principal: str = "logs.amazonaws.com", **permission: str) -> str:
    """A consumer that CloudWatch Logs may invoke; its ARN."""
    client = node.client("lambda")
    arn = create(client, name, CONSUMER)["FunctionArn"]
    client.add_permission(
        FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal=principal, **permission
    )
    return arn


def producer(node: NodeProcess, name: str) -> str:
    """A function with a log group; the group's name."""
    create(node.client("lambda"), name, PRODUCER)
    node.client("logs").create_log_group(logGroupName=f"/aws/lambda/{name}")
    return f"/aws/lambda/{name}"


def subscribe(node: NodeProcess, group: str, arn: str, pattern: str = "", name: str = "all", **members: Any) -> None:
    node.client("logs").put_subscription_filter(
        logGroupName=group, filterName=name, filterPattern=pattern, destinationArn=arn, **members
    )


def given(node: NodeProcess, name: str) -> list[dict[str, Any]]:
    """What a consumer was invoked with."""
    try:
        pages = node.client("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
        messages = [event["message"] for page in pages for event in page["events"]]
    except ClientError:
        return []
    return [json.loads(line.removeprefix("GIVEN ")) for line in messages if line.startswith("GIVEN ")]


def lines_given(node: NodeProcess, name: str) -> list[str]:
    return [event["message"] for message in given(node, name) for event in message["logEvents"]]


def refused(node: NodeProcess, operation: str, **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        getattr(node.client("logs"), operation)(**params)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_function_is_given_what_another_logs(node: NodeProcess, unique_name: str) -> None:
    group = producer(node, f"{unique_name}-p")
    arn = subscriber(node, f"{unique_name}-c")
    subscribe(node, group, arn)
    stream = invoke(node.client("lambda"), f"{unique_name}-p", ["one", "two"])
    eventually(lambda: len(lines_given(node, f"{unique_name}-c")) >= 6, what="all of its lines")
    messages = given(node, f"{unique_name}-c")
    events = [event for message in messages for event in message["logEvents"]]
    assert [event["message"].split(" ")[0].strip() for event in events] == [
        "INIT_START", "START", "one", "two", "END", "REPORT",
    ]  # fmt: skip
    for message in messages:
        assert list(message) == [
            "messageType", "owner", "logGroup", "logStream", "subscriptionFilters", "logEvents",
        ]  # fmt: skip
        assert (message["messageType"], message["owner"]) == ("DATA_MESSAGE", "000000000000")
        assert (message["logGroup"], message["logStream"]) == (group, stream)
        assert message["subscriptionFilters"] == ["all"]
    stored = node.client("logs").filter_log_events(logGroupName=group)["events"]
    assert [(event["id"], event["timestamp"], event["message"]) for event in events] == [
        (event["eventId"], event["timestamp"], event["message"]) for event in stored
    ]


@pytest.mark.parametrize(
    ("pattern", "matching", "fields"),
    [
        ("ERROR", "an ERROR here", None),
        ('{ $.level = "error" }', '{"level": "error", "n": 1}', None),
        # four fields: three has END, whose last, the request id, may begin with anything
        (
            "[ip, user, method, code=5*]",
            "10.0.0.1 anna GET 503",
            {"ip": "10.0.0.1", "user": "anna", "method": "GET", "code": "503"},
        ),
        ("[first, ..., last=end]", "a b c end", {"first": "a", "$2": "b", "$3": "c", "last": "end"}),
    ],
)
def test_a_pattern_chooses_and_extracts(
    node: NodeProcess, unique_name: str, pattern: str, matching: str, fields: dict[str, str] | None
) -> None:
    group = producer(node, f"{unique_name}-p")
    subscribe(node, group, subscriber(node, f"{unique_name}-c"), pattern)
    invoke(node.client("lambda"), f"{unique_name}-p", ["nothing", matching, "nothing of the kind"])
    (message,) = eventually(lambda: given(node, f"{unique_name}-c"), what="the event that matches")
    (event,) = message["logEvents"]
    assert event["message"] == matching + "\n"
    assert event.get("extractedFields") == fields


def test_events_that_clients_put_are_delivered_too(node: NodeProcess, unique_name: str) -> None:
    logs = node.client("logs")
    group = producer(node, f"{unique_name}-p")
    logs.create_log_stream(logGroupName=group, logStreamName="mine")
    put = {"logGroupName": group, "logStreamName": "mine"}
    now_ms = int(time.time() * 1000)
    logs.put_log_events(logEvents=[{"timestamp": now_ms, "message": "before"}], **put)
    subscribe(node, group, subscriber(node, f"{unique_name}-c"))
    logs.put_log_events(logEvents=[{"timestamp": now_ms, "message": "after"}], **put)
    eventually(lambda: lines_given(node, f"{unique_name}-c") == ["after"], what="what came after the filter")


def test_the_filters_of_a_group(node: NodeProcess, unique_name: str) -> None:
    logs, group = node.client("logs"), producer(node, unique_name)
    arn = subscriber(node, f"{unique_name}-c")
    assert logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"] == []
    for name in ("b", "a"):
        subscribe(node, group, arn, "x", name)
    assert refused(
        node, "put_subscription_filter", logGroupName=group, filterName="c", filterPattern="", destinationArn=arn
    ) == ("LimitExceededException", "Resource limit exceeded.")
    subscribe(node, group, f"{arn}:$LATEST", "y", "a")  # an update is none more
    first, second = logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
    created = first.pop("creationTime")
    assert abs(created - time.time() * 1000) < 60_000
    assert first == {
        "filterName": "a",
        "logGroupName": group,
        "filterPattern": "y",
        "destinationArn": f"{arn}:$LATEST",
        "distribution": "ByLogStream",
        "applyOnTransformedLogs": False,
    }
    page = logs.describe_subscription_filters(logGroupName=group, limit=1)
    assert [held["filterName"] for held in page["subscriptionFilters"]] == ["a"]
    page = logs.describe_subscription_filters(logGroupName=group, limit=1, nextToken=page["nextToken"])
    assert [held["filterName"] for held in page["subscriptionFilters"]] == ["b"] and "nextToken" not in page
    found = logs.describe_subscription_filters(logGroupName=group, filterNamePrefix="b")["subscriptionFilters"]
    assert found == [second]
    logs.delete_subscription_filter(logGroupName=group, filterName="a")
    assert logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"] == [second]
    assert refused(node, "delete_subscription_filter", logGroupName=group, filterName="a") == (
        "ResourceNotFoundException",
        "The specified subscription filter does not exist.",
    )
    logs.delete_log_group(logGroupName=group)
    logs.create_log_group(logGroupName=group)
    assert logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"] == []


@pytest.mark.parametrize(
    ("destination", "role", "code", "message"),
    [
        ("arn:aws:sns:us-east-1:000000000000:t", None, "InvalidParameterException",
         "PutSubscriptionFilter operation cannot work with destinationArn for vendor sns"),
        ("arn:aws:kinesis:us-east-1:000000000000:stream/s", None, "InvalidParameterException",
         "destinationArn for vendor kinesis cannot be used without roleArn"),
        ("arn:aws:kinesis:us-east-1:000000000000:stream/s", "arn:aws:iam::000000000000:role/r",
         "NotImplementedException",
         "Subscription filters deliver to Lambda functions; destinations of kinesis do not exist here."),
        ("arn:aws:lambda:us-east-1:000000000000:function:no", "arn:aws:iam::000000000000:role/r",
         "InvalidParameterException", "destinationArn for vendor lambda cannot be used with roleArn"),
        ("arn:aws:lambda:eu-west-1:000000000000:function:no", None, "InvalidParameterException",
         "The destination function must be in the same account and Region as the log group."),
        ("arn:aws:lambda:us-east-1:000000000000:function:no", None, "InvalidParameterException",
         "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute your "
         "function."),
        ("somewhere", None, "InvalidParameterException", "Invalid destinationArn: somewhere"),
    ],
)  # fmt: skip
def test_destinations_that_are_refused(
    node: NodeProcess, unique_name: str, destination: str, role: str | None, code: str, message: str
) -> None:
    group = producer(node, unique_name)
    params = {"logGroupName": group, "filterName": "f", "filterPattern": "", "destinationArn": destination}
    if role:
        params["roleArn"] = role
    assert refused(node, "put_subscription_filter", **params) == (code, message)


def test_other_refusals(node: NodeProcess, unique_name: str) -> None:
    group = producer(node, unique_name)
    arn = subscriber(node, f"{unique_name}-c")
    wanted = {"logGroupName": group, "filterName": "f", "filterPattern": "", "destinationArn": arn}
    no_group = ("ResourceNotFoundException", "The specified log group does not exist.")
    assert refused(node, "put_subscription_filter", **{**wanted, "logGroupName": "no"}) == no_group
    assert refused(node, "describe_subscription_filters", logGroupName="no") == no_group
    assert refused(node, "delete_subscription_filter", logGroupName="no", filterName="f") == no_group
    assert refused(node, "put_subscription_filter", **{**wanted, "filterPattern": "{ $.a = "})[0] == (
        "InvalidParameterException"
    )
    assert refused(node, "put_subscription_filter", **wanted, emitSystemFields=["@aws.account"]) == (
        "NotImplementedException",
        "Subscription filters with emitSystemFields do not exist here.",
    )


@pytest.mark.parametrize(
    ("principal", "source_arn", "works"),
    [
        ("logs.us-east-1.amazonaws.com", "arn:aws:logs:us-east-1:000000000000:log-group:{group}:*", True),
        ("logs.amazonaws.com", "arn:aws:logs:us-east-1:000000000000:log-group:*", True),
        ("logs.amazonaws.com", "arn:aws:logs:us-east-1:000000000000:log-group:{group}", False),
        ("logs.eu-west-1.amazonaws.com", "arn:aws:logs:us-east-1:000000000000:log-group:{group}:*", False),
        ("events.amazonaws.com", "arn:aws:logs:us-east-1:000000000000:log-group:{group}:*", False),
    ],
)
def test_who_has_to_be_permitted(
    node: NodeProcess, unique_name: str, principal: str, source_arn: str, works: bool
) -> None:
    group = producer(node, unique_name)
    arn = subscriber(node, f"{unique_name}-c", principal, SourceArn=source_arn.format(group=group))
    if works:
        subscribe(node, group, arn)
        return
    params = {"logGroupName": group, "filterName": "f", "filterPattern": "", "destinationArn": arn}
    assert refused(node, "put_subscription_filter", **params)[1].startswith("Could not execute the lambda function.")


def test_a_permission_taken_back_ends_deliveries(node: NodeProcess, unique_name: str) -> None:
    client, group = node.client("lambda"), producer(node, f"{unique_name}-p")
    first, second = (subscriber(node, f"{unique_name}-{letter}") for letter in "xy")
    subscribe(node, group, first, "line", "x")
    subscribe(node, group, second, "line", "y")
    client.remove_permission(FunctionName=f"{unique_name}-x", StatementId="s")
    invoke(client, f"{unique_name}-p", ["line"])
    eventually(lambda: lines_given(node, f"{unique_name}-y") == ["line\n"])
    assert given(node, f"{unique_name}-x") == []


def test_a_function_is_never_given_its_own_log(node: NodeProcess, unique_name: str) -> None:
    client, logs = node.client("lambda"), node.client("logs")
    arn = subscriber(node, unique_name)
    own = f"/aws/lambda/{unique_name}"
    logs.create_log_group(logGroupName=own)
    params = {"logGroupName": own, "filterName": "f", "filterPattern": "", "destinationArn": arn}
    assert refused(node, "put_subscription_filter", **params) == (
        "InvalidParameterException",
        "The log group provided is reserved for the function logs of the destination function.",
    )
    # ... nor when it is told to log into the group only after the filter was put
    other = producer(node, f"{unique_name}-p")
    subscribe(node, other, arn, "", "f")
    client.update_function_configuration(FunctionName=unique_name, LoggingConfig={"LogGroup": other})
    client.get_waiter("function_updated_v2").wait(FunctionName=unique_name, WaiterConfig={"Delay": 0.05})
    invoke(client, f"{unique_name}-p", ["a line"])
    eventually(lambda: "is not served" in node.log(), what="a warning in the node's own log")
    messages = [event["message"] for event in logs.filter_log_events(logGroupName=other)["events"]]
    assert "a line\n" in messages and not any(message.startswith("GIVEN ") for message in messages)


def test_a_burst_comes_in_batches_of_bounded_size(node: NodeProcess, unique_name: str) -> None:
    group = producer(node, f"{unique_name}-p")
    create(
        node.client("lambda"),
        f"{unique_name}-c",
        "import base64, gzip, json\n"
        "def handler(event, context):\n"
        "    message = json.loads(gzip.decompress(base64.b64decode(event['awslogs']['data'])))\n"
        "    numbers = [int(e['message'].split()[0]) for e in message['logEvents']]\n"
        "    size = sum(len(e['message']) for e in message['logEvents'])\n"
        "    print('GIVEN', json.dumps({'numbers': numbers, 'size': size}))\n",
    )
    node.client("lambda").add_permission(
        FunctionName=f"{unique_name}-c", StatementId="s", Action="lambda:InvokeFunction", Principal="logs.amazonaws.com"
    )
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{unique_name}-c"
    subscribe(node, group, arn, "line")
    node.client("lambda").update_function_code(
        FunctionName=f"{unique_name}-p",
        ZipFile=make_zip("def handler(e, c):\n    for n in range(30_000):\n        print(n, 'a line', 'x' * 60)\n"),
    )
    node.client("lambda").get_waiter("function_updated_v2").wait(
        FunctionName=f"{unique_name}-p", WaiterConfig={"Delay": 0.05}
    )
    invoke(node.client("lambda"), f"{unique_name}-p")

    def all_numbers() -> list[int]:
        return sorted(number for batch in given(node, f"{unique_name}-c") for number in batch["numbers"])

    eventually(lambda: all_numbers() == list(range(30_000)), what="each line once")
    sizes = [batch["size"] for batch in given(node, f"{unique_name}-c")]
    assert max(sizes) <= 512 * 1024 and len(sizes) < 200


def test_what_was_logged_before_a_kill_is_delivered_after_it(tmp_path: Path) -> None:
    with node_process(data_dir=tmp_path / "data", state_delay_ms=0, neighbours=False) as node:
        group = producer(node, "p")
        subscribe(node, group, subscriber(node, "c"), "line")
        node.kill()
        database = LogDatabase(tmp_path / "data" / "logs" / "logs.db")
        now_ms = int(time.time() * 1000)
        with database.transaction():  # what the log process had written and nobody had looked at
            group_id, stream = database.written_stream("000000000000", "us-east-1", group, "s", now_ms)
            database.write(group_id, stream.id, [(now_ms, f"line {n}\n") for n in range(50)], now_ms)
        database.close()
        node.start()
        eventually(lambda: lines_given(node, "c") == [f"line {n}\n" for n in range(50)], what="every line")
