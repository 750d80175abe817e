"""Putting, getting and filtering events, as boto3 sees them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pilotlight.observe.logs import LogStream

GROUP = "/aws/lambda/hello"


async def call(operation: Callable[..., dict[str, Any]], **params: Any) -> dict[str, Any]:
    return await asyncio.to_thread(operation, **params)


def texts(answer: dict[str, Any]) -> list[str]:
    return [event["message"] for event in answer["events"]]


@pytest.fixture
async def empty_stream(logs_client: Any) -> dict[str, str]:
    await call(logs_client.create_log_group, logGroupName=GROUP)
    await call(logs_client.create_log_stream, logGroupName=GROUP, logStreamName="s")
    return {"logGroupName": GROUP, "logStreamName": "s"}


async def test_put_then_get(logs_client: Any, empty_stream: dict[str, str]) -> None:
    now = int(time.time() * 1000)
    events = [{"timestamp": now - 10, "message": "one"}, {"timestamp": now, "message": "zwei ✓"}]
    answer = await call(logs_client.put_log_events, **empty_stream, logEvents=events)
    assert "rejectedLogEventsInfo" not in answer
    assert answer["nextSequenceToken"]
    found = await call(logs_client.get_log_events, **empty_stream)
    assert [{k: event[k] for k in ("timestamp", "message")} for event in found["events"]] == events
    assert all(event["ingestionTime"] >= now for event in found["events"])


async def test_put_rejects_what_is_too_old_or_too_new_and_keeps_the_rest(
    logs_client: Any, empty_stream: dict[str, str]
) -> None:
    now, hour = int(time.time() * 1000), 3_600_000
    old = [now - 14 * 24 * hour - 2000, now - 14 * 24 * hour - 1000, now - 14 * 24 * hour + 60_000]
    answer = await call(
        logs_client.put_log_events, **empty_stream, logEvents=[{"timestamp": t, "message": str(t)} for t in old]
    )
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 2}
    new = [now, now + 2 * hour - 60_000, now + 2 * hour + 60_000]
    answer = await call(
        logs_client.put_log_events, **empty_stream, logEvents=[{"timestamp": t, "message": str(t)} for t in new]
    )
    assert answer["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 2}
    found = await call(logs_client.get_log_events, **empty_stream, startFromHead=True)
    assert texts(found) == [str(t) for t in [old[2], *new[:2]]]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (
            [(2000, "b"), (1000, "a")],
            "Log events in a single PutLogEvents request must be in chronological order.",
        ),
        (
            [(0, "a"), (86_400_001, "b")],
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ),
        ([(0, "x" * 1_048_576)], "Log event too large: 1048602 bytes exceeds limit of 1048576"),
        ([(0, "x" * 600_000), (0, "x" * 600_000)], "Upload too large: 1200052 bytes exceeds limit of 1048576"),
    ],
)
async def test_put_refuses_a_bad_batch(
    logs_client: Any, empty_stream: dict[str, str], events: list[tuple[int, str]], message: str
) -> None:
    with pytest.raises(ClientError) as caught:
        await call(
            logs_client.put_log_events,
            **empty_stream,
            logEvents=[{"timestamp": at, "message": text} for at, text in events],
        )
    assert caught.value.response["Error"] == {"Code": "InvalidParameterException", "Message": message}


async def test_get_pages_forward_and_stays_at_the_end(logs_client: Any, stream_of: Callable[..., LogStream]) -> None:
    stream = stream_of("s")
    for number in range(5):
        stream.append(1000 + number // 2, f"{number}\n")
    at = {"logGroupName": GROUP, "logStreamName": "s", "limit": 2}
    first = await call(logs_client.get_log_events, **at, startFromHead=True)
    second = await call(logs_client.get_log_events, **at, nextToken=first["nextForwardToken"])
    third = await call(logs_client.get_log_events, **at, nextToken=second["nextForwardToken"])
    end = await call(logs_client.get_log_events, **at, nextToken=third["nextForwardToken"])
    assert [texts(page) for page in (first, second, third, end)] == [["0\n", "1\n"], ["2\n", "3\n"], ["4\n"], []]
    assert end["nextForwardToken"] == third["nextForwardToken"]
    stream.append(1002, "5\n")
    later = await call(logs_client.get_log_events, **at, nextToken=end["nextForwardToken"])
    assert texts(later) == ["5\n"]


async def test_get_gives_the_latest_first_and_pages_back(logs_client: Any, stream_of: Callable[..., LogStream]) -> None:
    stream_of("s").extend([(1000 + number, f"{number}\n") for number in range(5)])
    at = {"logGroupName": GROUP, "logStreamName": "s", "limit": 2}
    last = await call(logs_client.get_log_events, **at)
    middle = await call(logs_client.get_log_events, **at, nextToken=last["nextBackwardToken"])
    first = await call(logs_client.get_log_events, **at, nextToken=middle["nextBackwardToken"])
    end = await call(logs_client.get_log_events, **at, nextToken=first["nextBackwardToken"])
    assert [texts(page) for page in (last, middle, first, end)] == [["3\n", "4\n"], ["1\n", "2\n"], ["0\n"], []]
    assert end["nextBackwardToken"] == first["nextBackwardToken"]
    forward = await call(logs_client.get_log_events, **at, nextToken=first["nextForwardToken"])
    assert texts(forward) == ["1\n", "2\n"]


async def test_get_on_an_empty_stream_gives_tokens_to_go_on_with(
    logs_client: Any, empty_stream: dict[str, str], stream_of: Callable[..., LogStream]
) -> None:
    answer = await call(logs_client.get_log_events, **empty_stream, startFromHead=True)
    assert answer["events"] == []
    stream_of("s").append(5, "now\n")
    answer = await call(logs_client.get_log_events, **empty_stream, nextToken=answer["nextForwardToken"])
    assert texts(answer) == ["now\n"]


async def test_times_bound_get_exclusively_and_filter_inclusively(
    logs_client: Any, stream_of: Callable[..., LogStream]
) -> None:
    stream_of("s").extend([(1000 + number, f"{number}\n") for number in range(5)])
    bounds = {"logGroupName": GROUP, "startTime": 1001, "endTime": 1003}
    got = await call(logs_client.get_log_events, logStreamName="s", startFromHead=True, **bounds)
    assert texts(got) == ["1\n", "2\n"]
    assert texts(await call(logs_client.get_log_events, logStreamName="s", **bounds)) == ["1\n", "2\n"]
    assert texts(await call(logs_client.filter_log_events, **bounds)) == ["1\n", "2\n", "3\n"]


async def test_a_page_holds_at_most_one_megabyte(logs_client: Any, stream_of: Callable[..., LogStream]) -> None:
    stream_of("s").extend([(1000 + number, "é" * 100_000) for number in range(12)])
    at = {"logGroupName": GROUP, "logStreamName": "s"}
    page = await call(logs_client.get_log_events, **at, startFromHead=True)
    assert len(page["events"]) == 5
    rest = await call(logs_client.get_log_events, **at, nextToken=page["nextForwardToken"])
    assert [event["timestamp"] for event in rest["events"]] == [1005, 1006, 1007, 1008, 1009]
    filtered = await call(logs_client.filter_log_events, logGroupName=GROUP)
    assert len(filtered["events"]) == 5
    assert "nextToken" in filtered


async def test_filter_merges_streams_in_order_of_time(logs_client: Any, stream_of: Callable[..., LogStream]) -> None:
    for number in range(30):
        stream_of("abc"[number % 3]).append(1000 + number * 40_000, f"{number}\n")

    def everything(**params: Any) -> list[str]:
        pages = logs_client.get_paginator("filter_log_events").paginate(
            logGroupName=GROUP, PaginationConfig={"PageSize": 7}, **params
        )
        return [event["message"] for page in pages for event in page["events"]]

    assert await asyncio.to_thread(everything) == [f"{number}\n" for number in range(30)]
    newest_first = await asyncio.to_thread(lambda: everything(startFromHead=False))
    assert newest_first == [f"{number}\n" for number in reversed(range(30))]
    of_two = await asyncio.to_thread(lambda: everything(logStreamNames=["a", "c"]))
    assert of_two == [f"{number}\n" for number in range(30) if number % 3 != 1]
    by_prefix = await asyncio.to_thread(lambda: everything(logStreamNamePrefix="b"))
    assert by_prefix == [f"{number}\n" for number in range(30) if number % 3 == 1]
    none = await asyncio.to_thread(lambda: everything(logStreamNamePrefix="x"))
    assert none == []


async def test_filter_by_pattern_says_where_events_are(logs_client: Any, stream_of: Callable[..., LogStream]) -> None:
    stream_of("a").append(1, '{"level": "ERROR", "ms": 12}\n')
    stream_of("b").append(2, '{"level": "INFO", "ms": 700}\n')
    found = await call(
        logs_client.filter_log_events, logGroupName=GROUP, filterPattern='{ $.level = "ERROR" || $.ms > 1000 }'
    )
    (event,) = found["events"]
    assert (event["logStreamName"], event["timestamp"]) == ("a", 1)
    assert len(event["eventId"]) == 56
    assert "nextToken" not in found


async def test_the_last_page_of_filter_has_no_token(logs_client: Any, stream_of: Callable[..., LogStream]) -> None:
    stream_of("a").extend([(number, "hit\n" if number < 2 else "miss\n") for number in range(10)])
    answer = await call(logs_client.filter_log_events, logGroupName=GROUP, filterPattern="hit", limit=2)
    assert texts(answer) == ["hit\n", "hit\n"]
    assert "nextToken" not in answer
    answer = await call(logs_client.filter_log_events, logGroupName=GROUP, filterPattern="hit", limit=1)
    answer = await call(
        logs_client.filter_log_events, logGroupName=GROUP, filterPattern="hit", nextToken=answer["nextToken"]
    )
    assert texts(answer) == ["hit\n"]


async def test_a_step_back_in_time_keeps_the_order_of_writing(
    logs_client: Any, stream_of: Callable[..., LogStream]
) -> None:
    stream = stream_of("s")
    stream.append(1_005, "read from the pipe\n")
    stream.append(1_003, "stamped by the runtime\n")
    await call(logs_client.describe_log_groups)
    stream.append(1_004, "in a later batch\n")
    answer = await call(logs_client.get_log_events, logGroupName=GROUP, logStreamName="s")
    assert texts(answer) == ["read from the pipe\n", "stamped by the runtime\n", "in a later batch\n"]
