"""What is sent of an event that ended: the cases that a node meets rarely."""

from __future__ import annotations

import msgspec
import pytest

from pilotlight.catalog.attached import EventInvokeConfig
from pilotlight.errors import TooManyRequestsException
from pilotlight.invoke import async_event, results
from pilotlight.invoke.async_event import AsyncEvent
from pilotlight.invoke.deliveries import Attribute, Delivery
from pilotlight.invoke.results import Ending, Response
from pilotlight.store.interface import Enqueue
from tests.invoke.test_admission import version

LETTERS = "arn:aws:sqs:us-east-1:000000000000:letters"
FAILURES = "arn:aws:sqs:us-east-1:000000000000:failures"


def ending(response: Response | None, payload: bytes = b"{}", *, letters: str = LETTERS) -> Ending:
    event = AsyncEvent(
        account="000000000000", region="us-east-1", function="a", request_id="r", payload=payload, accepted_ms=0
    )
    of = msgspec.structs.replace(version("a"), held={"DeadLetterConfig": {"TargetArn": letters}} if letters else {})
    return Ending(event, of, "EventAgeExceeded", 2, 1_700_000_000_123, 1_700_000_000_000, response)


def sent(ended: Ending, **config: str) -> dict[str, Delivery]:
    """By target."""
    result = results.sent(ended, EventInvokeConfig(**config), lambda arn: "")
    changes = result.changes
    assert not result.lost
    found = [msgspec.msgpack.decode(change.body, type=Delivery) for change in changes if isinstance(change, Enqueue)]
    assert len(found) == len(changes)
    return {delivery.arn: delivery for delivery in found}


def test_an_event_that_was_throttled_until_it_was_too_old() -> None:
    response = results.refused(TooManyRequestsException("Rate Exceeded."))
    found = sent(ending(response), on_failure=FAILURES)
    assert set(found) == {LETTERS, FAILURES}, "both are told"
    assert found[LETTERS].attributes == {
        "RequestID": Attribute("String", "r"),
        "ErrorCode": Attribute("Number", "429"),
        "ErrorMessage": Attribute("String", "Rate Exceeded."),
    }
    record = msgspec.json.decode(found[FAILURES].message)
    assert record["timestamp"] == "2023-11-14T22:13:20.123Z"
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["responseContext"] == {"statusCode": 429, "executedVersion": "$LATEST"}
    assert record["responsePayload"] is None


def test_nothing_is_configured() -> None:
    assert sent(ending(Response(200, b"{}", "Unhandled"), letters="")) == {}
    assert sent(ending(None, letters=""), on_success=FAILURES, on_failure="") == {}


def test_payloads_stand_as_they_came() -> None:
    response = Response(200, b'{"errorMessage": "\\u00fc' + b"x" * 2000 + b'"}', "Unhandled")
    found = sent(ending(response, b'{"n": 1.0, "n": 2}'), on_failure=FAILURES)
    assert '"requestPayload":{"n": 1.0, "n": 2}' in found[FAILURES].message
    assert found[LETTERS].message == '{"n": 1.0, "n": 2}'
    assert found[LETTERS].attributes["ErrorMessage"].value == "ü" + "x" * 1023


@pytest.mark.parametrize("payload", [b"", b"not JSON", b"[1]", b'"text"', b'{"errorMessage": null}'])
def test_an_answer_without_a_message(payload: bytes) -> None:
    found = sent(ending(Response(200, payload, "Unhandled")), on_failure=FAILURES)
    assert set(found[LETTERS].attributes) == {"RequestID", "ErrorCode"}
    shown = msgspec.json.decode(found[FAILURES].message)["responsePayload"]
    assert shown == (None if not payload else "not JSON" if payload == b"not JSON" else msgspec.json.decode(payload))


@pytest.mark.parametrize("payload", [b'"\xff"', b"[" * 5000 + b"]" * 5000, b'{"errorMessage": "\\ud800"}'])
def test_an_answer_that_cannot_be_read(payload: bytes) -> None:
    found = sent(ending(Response(200, payload, "Unhandled")), on_failure=FAILURES)
    assert set(found[LETTERS].attributes) == {"RequestID", "ErrorCode"}
    shown = msgspec.json.decode(found[FAILURES].message)["responsePayload"]
    text = payload.decode(errors="replace")
    assert shown in (text, text.strip('"'))


def test_a_function_of_another_account_is_told_who_sends() -> None:
    ended = ending(Response(200, b"1", "Unhandled"), letters="")
    for account, sender in (("000000000000", ""), ("111111111111", "000000000000")):
        config = EventInvokeConfig(on_failure=f"arn:aws:lambda:us-east-1:{account}:function:b:live")
        [change] = results.sent(ended, config, lambda arn: "").changes
        assert isinstance(change, Enqueue)
        event = async_event.decode(change.body)
        assert (event.account, event.function, event.qualifier, event.sender) == (account, "b", "live", sender)


def test_a_function_that_cannot_be_sent_to_is_told_of() -> None:
    ended = ending(Response(200, b"1", "Unhandled"), letters="")
    config = EventInvokeConfig(on_failure="arn:aws:lambda:us-east-1:000000000000:function:b")
    result = results.sent(ended, config, lambda arn: f"no {arn}")
    assert (result.changes, result.event, len(result.lost)) == ([], None, 1)
    large = ending(Response(200, b'"' + b"x" * 600_000 + b'"', "Unhandled"), b'"' + b"y" * 600_000 + b'"', letters="")
    assert "too large" in results.sent(large, config, lambda arn: "").lost[0]


def test_a_topic_gets_a_large_record_without_its_payloads() -> None:
    topic = "arn:aws:sns:us-east-1:000000000000:topic"
    for size, shown in ((100_000, True), (200_000, False)):
        payload = b'"' + b"x" * size + b'"'
        ended = ending(Response(200, payload, "Unhandled"), payload, letters="")
        record = msgspec.json.decode(sent(ended, on_failure=topic)[topic].message)
        assert ("requestPayload" in record, "responsePayload" in record) == (shown, shown)
        assert record["requestContext"]["condition"] == "EventAgeExceeded"
        whole = msgspec.json.decode(sent(ended, on_failure=FAILURES)[FAILURES].message)
        assert len(whole["responsePayload"]) == size, "a queue gets it whole"
