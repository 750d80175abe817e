"""Callbacks of durable executions: answered from outside, kept alive by heartbeats, timed out by the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.config import Config

from pilotlight.clock import ManualClock
from tests.operations.durable import Durable, Run, update
from tests.operations.errors import refused
from tests.operations.plane import Plane

CLOSED = ("CallbackTimeoutException", "The callback is either timed out or already completed")


@pytest.fixture(scope="module")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Durable]:
    """A durable function on a plane whose clock stands still; each test has an execution of its own."""
    with Plane(tmp_path_factory.mktemp("durable"), clock=ManualClock()) as plane:
        yield Durable(plane)


@pytest.fixture
def run(durable: Durable) -> Run:
    return durable.running()


def begin(run: Run, **options: int) -> str:
    """A callback named `c`; its id."""
    (operation,) = run.checkpoint(update("c", "CALLBACK", "START", CallbackOptions=options))
    return operation["CallbackDetails"]["CallbackId"]


def callback(run: Run) -> dict[str, Any]:
    return run.state()[-1]


def test_success(durable: Durable, run: Run) -> None:
    id = begin(run)
    durable.plane.advance(10)
    durable.plane.restart()
    run.client = durable.client = durable.plane.client()
    run.client.send_durable_execution_callback_success(CallbackId=id, Result=b'{"approved": true}')
    (operation,) = run.checkpoint()
    start = run.get()["StartTimestamp"]
    assert operation == {
        "Id": "c",
        "Type": "CALLBACK",
        "StartTimestamp": start,
        "EndTimestamp": start + timedelta(milliseconds=10),
        "Status": "SUCCEEDED",
        "CallbackDetails": {"CallbackId": id, "Result": '{"approved": true}'},
    }
    event = run.history()[-1]
    assert event["EventType"] == "CallbackSucceeded"
    assert event["CallbackSucceededDetails"] == {"Result": {"Payload": '{"approved": true}', "Truncated": False}}


def test_failure(durable: Durable, run: Run) -> None:
    id = begin(run)
    error = {"ErrorMessage": "no", "ErrorType": "Denied", "ErrorData": "d", "StackTrace": ["x"]}
    run.client.send_durable_execution_callback_failure(CallbackId=id, Error=error)
    (operation,) = run.checkpoint()
    assert (operation["Status"], operation["CallbackDetails"]) == ("FAILED", {"CallbackId": id, "Error": error})
    assert run.history()[-1]["CallbackFailedDetails"] == {"Error": {"Payload": error, "Truncated": False}}


def test_answers_may_be_empty(durable: Durable) -> None:
    one, two = durable.running(), durable.running()
    one.client.send_durable_execution_callback_success(CallbackId=begin(one))
    two.client.send_durable_execution_callback_failure(CallbackId=begin(two))
    assert "Result" not in callback(one)["CallbackDetails"]
    assert callback(two)["Status"] == "FAILED" and not callback(two)["CallbackDetails"].get("Error")


def test_a_callback_is_answered_once(run: Run) -> None:
    id = begin(run)
    run.client.send_durable_execution_callback_success(CallbackId=id)
    for again in ("success", "failure", "heartbeat"):
        with refused(*CLOSED):
            getattr(run.client, f"send_durable_execution_callback_{again}")(CallbackId=id)


def test_timeout(durable: Durable, run: Run) -> None:
    id = begin(run, TimeoutSeconds=60)
    started = run.history()[-1]
    assert started["CallbackStartedDetails"] == {"CallbackId": id, "Timeout": 60}
    durable.plane.advance(59_999)
    assert callback(run)["Status"] == "STARTED"
    durable.plane.advance(10_000)
    with refused(*CLOSED):
        run.client.send_durable_execution_callback_success(CallbackId=id)
    (operation,) = run.checkpoint()
    assert operation["Status"] == "TIMED_OUT"
    assert operation["EndTimestamp"] == operation["StartTimestamp"] + timedelta(seconds=60)
    error = {"ErrorMessage": "Callback timed out", "ErrorType": "Callback.Timeout"}
    assert operation["CallbackDetails"] == {"CallbackId": id, "Error": error}
    event = run.history()[-1]
    assert event["EventTimestamp"] == operation["EndTimestamp"]
    named = {"ErrorType": "Callback.Timeout"}
    assert event["CallbackTimedOutDetails"] == {"Error": {"Payload": named, "Truncated": False}}


def test_heartbeats_keep_it_alive(durable: Durable, run: Run) -> None:
    id = begin(run, HeartbeatTimeoutSeconds=10, TimeoutSeconds=25)
    assert run.history()[-1]["CallbackStartedDetails"] == {"CallbackId": id, "HeartbeatTimeout": 10, "Timeout": 25}
    for _ in range(2):
        durable.plane.advance(9_000)
        run.client.send_durable_execution_callback_heartbeat(CallbackId=id)
    assert run.checkpoint() == []
    durable.plane.advance(6_999)
    assert callback(run)["Status"] == "STARTED"
    durable.plane.advance(1)
    assert callback(run)["CallbackDetails"]["Error"]["ErrorType"] == "Callback.Timeout"


def test_a_missed_heartbeat(durable: Durable, run: Run) -> None:
    id = begin(run, HeartbeatTimeoutSeconds=10)
    durable.plane.advance(10_000)
    with refused(*CLOSED):
        run.client.send_durable_execution_callback_heartbeat(CallbackId=id)
    error = {"ErrorMessage": "Callback timed out on heartbeat", "ErrorType": "Callback.Heartbeat"}
    assert callback(run)["CallbackDetails"]["Error"] == error


def test_a_heartbeat_without_a_timeout_changes_nothing(run: Run) -> None:
    id = begin(run)
    run.client.send_durable_execution_callback_heartbeat(CallbackId=id)
    assert callback(run)["Status"] == "STARTED"


def test_a_cancelled_callback_is_closed(run: Run) -> None:
    id = begin(run, TimeoutSeconds=1)
    (operation,) = run.checkpoint(update("c", "CALLBACK", "CANCEL"))
    assert operation["Status"] == "CANCELLED"
    with refused(*CLOSED):
        run.client.send_durable_execution_callback_success(CallbackId=id)


def test_the_execution_is_over(run: Run) -> None:
    id = begin(run)
    run.client.stop_durable_execution(DurableExecutionArn=run.arn)
    with refused(*CLOSED):
        run.client.send_durable_execution_callback_success(CallbackId=id)


def test_another_account_cannot_answer(durable: Durable, run: Run) -> None:
    id = begin(run)
    other = durable.plane.client(account="111122223333")
    with refused(*CLOSED):
        other.send_durable_execution_callback_success(CallbackId=id)
    elsewhere = durable.plane.client(region="eu-west-1")
    with refused(*CLOSED):
        elsewhere.send_durable_execution_callback_success(CallbackId=id)
    assert callback(run)["Status"] == "STARTED"


@pytest.mark.parametrize("id", ["bm90aGluZw==", "abc", "kw==", "AAAA"])
def test_an_id_that_was_never_given(run: Run, id: str) -> None:
    with refused("InvalidParameterValueException", "Invalid callback id"):
        run.client.send_durable_execution_callback_success(CallbackId=id)


def test_an_error_that_is_too_large(run: Run) -> None:
    id = begin(run)
    with refused("InvalidParameterValueException", "Error object size must be less than 1048576 bytes."):
        run.client.send_durable_execution_callback_failure(CallbackId=id, Error={"ErrorData": "x" * 1_048_576})


def test_a_result_that_is_too_large(durable: Durable, run: Run) -> None:
    id = begin(run)
    client = durable.plane.client(config=Config(parameter_validation=False))
    with refused(
        "ValidationException",
        "1 validation error detected: Value at 'result' failed to satisfy constraint: "
        "Member must have length less than or equal to 1048576",
    ):
        client.send_durable_execution_callback_success(CallbackId=id, Result=b"x" * 1_048_577)
