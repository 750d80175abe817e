"""StartLiveTail through boto3: events come as they are appended, filtered, and the session leaves nothing behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pilotlight.clock import SystemClock
from pilotlight.observe import live_tail
from pilotlight.observe.logs import LogStore, LogStream
from pilotlight.wire.messages import Call
from tests.observe.conftest import ACCOUNT, GROUP, REGION, LogsServer
from tests.support.waiting import eventually_async

ARN = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}"


Tail = Iterator[dict[str, Any]]
OpenTail = Callable[..., Awaitable[Tail]]


@pytest.fixture
async def open_tail(logs_client: Any) -> AsyncIterator[OpenTail]:
    streams: list[Any] = []

    async def open_tail(**params: Any) -> Tail:
        answer = await asyncio.to_thread(logs_client.start_live_tail, logGroupIdentifiers=[ARN], **params)
        streams.append(answer["responseStream"])
        tail = iter(answer["responseStream"])
        assert "sessionStart" in await asyncio.to_thread(next, tail)
        return tail

    yield open_tail
    for stream in streams:
        await asyncio.to_thread(stream.close)


async def next_results(tail: Tail) -> list[dict[str, Any]]:
    """The events of the next update that has any."""
    while True:
        update = await asyncio.to_thread(next, tail)
        if results := update["sessionUpdate"]["sessionResults"]:
            return results


async def test_events_come_as_they_are_appended(open_tail: OpenTail, stream_of: Callable[..., LogStream]) -> None:
    stream = stream_of("s")
    stream.append(1, "before\n")
    tail = await open_tail()
    stream.append(2, "one\n")
    appended = time.perf_counter()
    (event,) = await next_results(tail)
    assert time.perf_counter() - appended < 0.5, "an update comes with the event, not at the end of a second"
    assert (event["message"], event["timestamp"], event["logStreamName"]) == ("one\n", 2, "s")
    assert event["logGroupIdentifier"] == f"{ACCOUNT}:{GROUP}"
    stream_of("new").append(3, "from a stream that came later\n")
    (event,) = await next_results(tail)
    assert event["logStreamName"] == "new"


async def test_put_log_events_are_seen_too(logs_client: Any, open_tail: OpenTail) -> None:
    await asyncio.to_thread(logs_client.create_log_group, logGroupName=GROUP)
    await asyncio.to_thread(logs_client.create_log_stream, logGroupName=GROUP, logStreamName="s")
    tail = await open_tail()
    event = {"timestamp": int(time.time() * 1000), "message": "put"}
    await asyncio.to_thread(logs_client.put_log_events, logGroupName=GROUP, logStreamName="s", logEvents=[event])
    (seen,) = await next_results(tail)
    assert seen["message"] == "put"


async def test_only_what_was_asked_for(open_tail: OpenTail, stream_of: Callable[..., LogStream]) -> None:
    streams = {name: stream_of(name) for name in ("blue1", "blue2", "red")}
    streams["red"].append(1, "x\n")
    tails = [
        await open_tail(logEventFilterPattern="ERROR"),
        await open_tail(logStreamNames=["red"]),
        await open_tail(logStreamNamePrefixes=["blue"]),
    ]
    for number, (name, text) in enumerate([("blue1", "ERROR a\n"), ("red", "b\n"), ("blue2", "c\n")]):
        streams[name].append(number, text)

    async def first_messages(tail: Tail, count: int) -> list[str]:
        found: list[str] = []
        while len(found) < count:
            found += [event["message"] for event in await next_results(tail)]
        return found

    assert await first_messages(tails[0], 1) == ["ERROR a\n"]
    assert await first_messages(tails[1], 1) == ["b\n"]
    assert await first_messages(tails[2], 2) == ["ERROR a\n", "c\n"]


async def test_a_session_that_its_client_left_is_over(
    logs_client: Any, logs_server: LogsServer, log_store: LogStore, stream_of: Callable[..., LogStream]
) -> None:
    stream = stream_of("s")
    stream.append(1, "x\n")
    answer = await asyncio.to_thread(logs_client.start_live_tail, logGroupIdentifiers=[ARN])
    await asyncio.to_thread(next, iter(answer["responseStream"]))
    assert len(stream.group.listeners) == 1
    await asyncio.to_thread(answer["responseStream"].close)
    await eventually_async(lambda: not stream.group.listeners and not logs_server.open_streams)


async def test_what_a_slow_client_does_not_take_is_bounded_and_said(
    log_store: LogStore, stream_of: Callable[..., LogStream]
) -> None:
    stream = stream_of("s")
    stream.append(0, "x\n")
    handler = live_tail.live_tail_handler(log_store, SystemClock())
    answer = await handler(Call("StartLiveTail", {"logGroupIdentifiers": [ARN]}, ACCOUNT, REGION, "r"))
    assert answer is not None
    updates = answer["responseStream"]
    await anext(updates)
    stream.extend([(number, f"{number}\n") for number in range(6_000)])
    first = (await anext(updates))["sessionUpdate"]
    assert first["sessionMetadata"] == {"sampled": True}
    assert len(first["sessionResults"]) == 500
    assert first["sessionResults"][0]["message"] == "1000\n"
    second = (await anext(updates))["sessionUpdate"]
    assert second["sessionMetadata"] == {"sampled": False}
    await updates.aclose()


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"logGroupIdentifiers": [GROUP]}, "InvalidParameterException"),
        ({"logGroupIdentifiers": [f"{ARN}-missing"]}, "ResourceNotFoundException"),
        (
            {"logGroupIdentifiers": [ARN], "logStreamNames": ["a"], "logStreamNamePrefixes": ["a"]},
            "InvalidParameterException",
        ),
        ({"logGroupIdentifiers": [ARN], "logEventFilterPattern": "{ $.a"}, "InvalidParameterException"),
    ],
)
async def test_what_cannot_be_tailed(
    logs_client: Any, stream_of: Callable[..., LogStream], params: dict[str, Any], code: str
) -> None:
    stream_of("s").append(1, "x\n")
    with pytest.raises(ClientError) as caught:
        await asyncio.to_thread(logs_client.start_live_tail, **params)
    assert caught.value.response["Error"]["Code"] == code
