"""Event streams, read back with botocore's own decoder."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import botocore.parsers
import pytest
from botocore.eventstream import EventStreamBuffer, EventStreamMessage
from botocore.exceptions import EventStreamError

from pilotlight import errors
from pilotlight.wire import Call, ServiceApi, WireRequest, WireResponse
from pilotlight.wire.eventstream import encode_headers, encode_message
from tests.wire import oracle


def decode(data: bytes) -> list[EventStreamMessage]:
    """Checks both checksums of each message."""
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return list(buffer)


def test_every_kind_of_header_comes_back() -> None:
    moment = datetime(2026, 11, 21, 3, 32, 0, 250_000, tzinfo=UTC)
    headers: dict[str, Any] = {
        "yes": True,
        "no": False,
        "small": -5,
        "large": 2**40,
        "bytes": b"\x00\xff",
        "text": "é",
        "when": moment,
    }
    (message,) = decode(encode_message(encode_headers(headers), b"payload"))
    assert message.headers == {**headers, "when": int(moment.timestamp() * 1000)}
    assert message.payload == b"payload"


def test_a_flipped_bit_is_noticed_by_the_checksum() -> None:
    data = bytearray(encode_message(encode_headers({"a": "b"}), b"payload"))
    data[-6] ^= 1
    with pytest.raises(botocore.eventstream.ChecksumMismatch):
        decode(bytes(data))


class Tail:
    """A stream of events that knows whether it was closed; raises `end` when it has no more."""

    def __init__(self, *events: dict[str, Any], end: Exception | None = None) -> None:
        self.events = list(events)
        self.end = end
        self.closed = False

    def __aiter__(self) -> Tail:
        return self

    async def __anext__(self) -> dict[str, Any]:
        if self.events:
            return self.events.pop(0)
        raise self.end or StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


START = {"sessionStart": {"requestId": "r", "sessionId": "s", "logGroupIdentifiers": ["g"]}}
UPDATE = {
    "sessionUpdate": {
        "sessionMetadata": {"sampled": False},
        "sessionResults": [{"logStreamName": "a", "message": "hello", "timestamp": 5}],
    }
}


async def live_tail(tail: Tail) -> WireResponse:
    async def handler(call: Call) -> dict[str, Any]:
        assert call.params == {"logGroupIdentifiers": ["arn:aws:logs:eu-west-1:111122223333:log-group:g"]}
        return {"responseStream": tail}

    body = b'{"logGroupIdentifiers": ["arn:aws:logs:eu-west-1:111122223333:log-group:g"]}'
    headers = {"x-amz-target": "Logs_20140328.StartLiveTail"}
    request = WireRequest("POST", "/", "", headers, body, "111122223333", "eu-west-1", "id")
    return await ServiceApi("logs", {"StartLiveTail": handler}).handle(request)


async def read(response: WireResponse) -> list[EventStreamMessage]:
    assert not isinstance(response.body, bytes)
    return decode(b"".join([piece async for piece in response.body]))


def as_client(service: str, name: str, messages: list[EventStreamMessage]) -> list[Any]:
    """The events as boto3 gives them to its caller; the code and message of an error in place of one."""
    operation = oracle.service_model(service).operation_model(name)
    output = operation.output_shape
    assert output is not None
    shape = output.members[output.event_stream_name]
    parser = botocore.parsers.EventStreamJSONParser()
    out: list[Any] = []
    for message in messages:
        parsed = parser.parse(message.to_response_dict(), shape)
        if message.to_response_dict()["status_code"] != 200:
            raise EventStreamError(parsed, name)
        out.append(parsed)
    return out


async def test_a_live_tail_opens_with_an_initial_response_and_closes_its_source() -> None:
    tail = Tail(START, UPDATE)
    response = await live_tail(tail)
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/vnd.amazon.eventstream"
    initial, *events = await read(response)
    assert initial.headers[":event-type"] == "initial-response"
    assert initial.payload == b"{}"
    assert as_client("logs", "StartLiveTail", events) == [START, UPDATE]
    assert tail.closed


async def test_closing_the_response_closes_the_source() -> None:
    tail = Tail(START, UPDATE)
    response = await live_tail(tail)
    assert not isinstance(response.body, bytes)
    async for _ in response.body:
        break
    await response.body.aclose()  # type: ignore[attr-defined]
    assert tail.closed
    assert tail.events == [START, UPDATE]


class SessionTimeoutException(errors.AwsError):
    code = "SessionTimeoutException"
    status = 400


@pytest.mark.parametrize(
    ("end", "code", "message"),
    [
        (SessionTimeoutException("over"), "SessionTimeoutException", "over"),
        (errors.ServiceUnavailableException("down"), "ServiceUnavailableException", "down"),
        (errors.ServiceUnavailableException("x" * 100_000), "ServiceUnavailableException", "x" * 100),
        (RuntimeError("a secret path"), "ServiceException", "An internal error ended the stream"),
    ],
    ids=["modelled", "unmodelled", "longer than a header", "unforeseen"],
)
async def test_an_error_ends_a_stream_by_its_name(
    end: Exception, code: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        _, start, last = await read(await live_tail(Tail(START, end=end)))
    assert as_client("logs", "StartLiveTail", [start]) == [START]
    with pytest.raises(EventStreamError) as caught:
        as_client("logs", "StartLiveTail", [last])
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["Error"]["Message"].startswith(message)
    assert ("a secret path" in caplog.text) == isinstance(end, RuntimeError)


async def test_a_streamed_invocation_sends_raw_chunks_and_a_last_event() -> None:
    async def events() -> AsyncIterator[dict[str, Any]]:
        yield {"PayloadChunk": {"Payload": b"\xff one"}}
        yield {"PayloadChunk": {"Payload": b""}}
        yield {"InvokeComplete": {"ErrorCode": "Unhandled", "LogResult": None}}

    async def handler(call: Call) -> dict[str, Any]:
        return {"StatusCode": 200, "ExecutedVersion": "7", "EventStream": events()}

    path = "/2021-11-15/functions/f/response-streaming-invocations"
    request = WireRequest("POST", path, "", {}, b"{}", "111122223333", "eu-west-1", "id")
    response = await ServiceApi("lambda", {"InvokeWithResponseStream": handler}).handle(request)
    assert response.headers["X-Amz-Executed-Version"] == "7"
    assert response.headers["Content-Type"] == "application/vnd.amazon.eventstream"
    messages = await read(response)
    assert [message.headers[":event-type"] for message in messages] == [
        "PayloadChunk",
        "PayloadChunk",
        "InvokeComplete",
    ]
    assert messages[0].headers[":content-type"] == "application/octet-stream"
    assert as_client("lambda", "InvokeWithResponseStream", messages) == [
        {"PayloadChunk": {"Payload": b"\xff one"}},
        {"PayloadChunk": {"Payload": b""}},
        {"InvokeComplete": {"ErrorCode": "Unhandled"}},
    ]
