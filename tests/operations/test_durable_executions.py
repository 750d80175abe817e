"""Durable executions: records, lists, history, stop, pause, deletion, and what the clock brings."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pilotlight.catalog import durable_life
from pilotlight.catalog.durable import DAY_MS, ENDED, STATUSES, DurableExecution
from pilotlight.clock import ManualClock
from pilotlight.errors import DurableExecutionAlreadyStartedException
from pilotlight.operations.collection import collect_unused
from tests.operations.durable import ACCOUNT, Durable, Run, step, update
from tests.operations.errors import refused
from tests.operations.plane import Plane
from tests.operations.test_functions import without_metadata

NOT_FOUND = ("ResourceNotFoundException", "Durable Execution does not exist", 404)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Its clock stands still, and states last 100 ms of it."""
    with Plane(tmp_path_factory.mktemp("durable"), clock=ManualClock(), state_delay_ms=100) as opened:
        yield opened


@pytest.fixture
def durable(plane: Plane, unique_name: str) -> Durable:
    """A durable function of the test's own."""
    opened = Durable(plane, unique_name)
    plane.advance(1000)
    return opened


def restarted(durable: Durable) -> Any:
    """The client of a node that has read everything from its disk."""
    durable.plane.restart()
    durable.client = durable.plane.client()
    return durable.client


# --- start and get ---


def test_what_a_running_execution_shows(durable: Durable) -> None:
    run = durable.running("order-1")
    started = run.get()["StartTimestamp"]
    assert re.fullmatch(
        rf"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{durable.function}:1/durable-execution/order-1/[0-9a-f-]{{36}}",
        run.arn,
    )
    expected = {
        "DurableExecutionArn": run.arn,
        "DurableExecutionName": "order-1",
        "FunctionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{durable.function}:1",
        "InputPayload": '{"a": 1}',
        "StartTimestamp": started,
        "Status": "RUNNING",
        "Version": "1",
        "ExecutionDataIncluded": True,
        "DurableConfig": {"ExecutionTimeout": 3600, "RetentionPeriodInDays": 7},
        "ExpectedExecutionTimeoutTimestamp": started + timedelta(seconds=3600),
    }
    assert without_metadata(run.get()) == expected
    compact = without_metadata(run.get(IncludeExecutionData=False))
    assert compact == {**{k: v for k, v in expected.items() if k != "InputPayload"}, "ExecutionDataIncluded": False}
    client = restarted(durable)
    assert without_metadata(client.get_durable_execution(DurableExecutionArn=run.arn)) == expected


def test_an_execution_without_a_name_gets_one(durable: Durable) -> None:
    names = {durable.start().name for _ in range(3)}
    assert len(names) == 3
    assert all(re.fullmatch(r"[0-9a-f-]{36}", name) for name in names)


def test_the_same_name_and_input_is_the_same_execution(durable: Durable) -> None:
    first = durable.start("order-1")
    assert durable.start("order-1").arn == first.arn
    restarted(durable)
    assert durable.start("order-1").arn == first.arn


@pytest.mark.parametrize("changes", [{"input": "2"}, {"number": "$LATEST"}])
def test_a_name_stands_for_one_execution(durable: Durable, changes: dict[str, Any]) -> None:
    first = durable.start("order-1")
    with pytest.raises(DurableExecutionAlreadyStartedException) as caught:
        durable.start("order-1", **changes)
    assert caught.value.message == f"Execution already started: {first.arn}"
    assert (caught.value.code, caught.value.status) == ("DurableExecutionAlreadyStartedException", 409)


def test_a_name_is_free_again_when_its_retention_is_over(durable: Durable) -> None:
    run = durable.running("order-1")
    run.checkpoint(update("x", "EXECUTION", "SUCCEED", Payload="1"))
    durable.plane.advance(7 * DAY_MS - 1)
    assert run.get()["Result"] == "1"
    durable.plane.advance(1)
    with refused(*NOT_FOUND[:2], 404):
        run.get()
    assert durable.client.list_durable_executions_by_function(FunctionName=durable.function)["DurableExecutions"] == []
    assert durable.start("order-1", "2").arn != run.arn
    with refused(*NOT_FOUND[:2], 404):
        run.get()


def test_what_is_forgotten_leaves_the_disk(durable: Durable) -> None:
    gone = durable.running("gone")
    gone.checkpoint(update("x", "EXECUTION", "SUCCEED"))
    durable.plane.advance(8 * DAY_MS)
    kept = durable.running("kept")
    durable.plane.run(collect_unused(durable.plane.context, 0))
    left = durable.plane.catalog.durable_executions.all(ACCOUNT, "us-east-1")
    assert [execution.name for execution in left if execution.function == durable.function] == ["kept"]
    assert kept.get()["Status"] == "RUNNING"


def test_an_execution_that_is_not_there(durable: Durable) -> None:
    arn = durable.start("order-1").arn
    client = durable.client
    others = [arn[:-1] + ("0" if arn[-1] != "0" else "1"), arn.replace(":1/", ":2/"), arn.replace("order-1", "order-2")]
    for other in (*others, arn.replace("us-east-1", "eu-west-1")):
        for operation in ("get_durable_execution", "get_durable_execution_history", "stop_durable_execution"):
            with refused(*NOT_FOUND[:2], 404):
                getattr(client, operation)(DurableExecutionArn=other)
        for operation in ("pause_durable_execution", "resume_durable_execution", "delete_durable_execution"):
            with refused(*NOT_FOUND[:2], 404):
                getattr(client, operation)(DurableExecutionArn=other)


def test_another_accounts_execution_is_denied(durable: Durable) -> None:
    arn = durable.start("order-1").arn
    other = durable.plane.client(account="111122223333")
    with refused(
        "AccessDeniedException",
        "User: arn:aws:iam::111122223333:root is not authorized to perform: lambda:GetDurableExecution on resource: "
        f"{arn} because no resource-based policy allows the lambda:GetDurableExecution action",
        403,
    ):
        other.get_durable_execution(DurableExecutionArn=arn)


# --- list ---


def listed(durable: Durable, **params: Any) -> list[str]:
    answer = durable.client.list_durable_executions_by_function(FunctionName=durable.function, **params)
    return [execution["DurableExecutionName"] for execution in answer["DurableExecutions"]]


def test_list_newest_first_and_filtered(durable: Durable) -> None:
    plane = durable.plane
    runs: list[Run] = []
    for name in ("one", "two", "three"):
        runs.append(durable.running(name, number="$LATEST" if name == "three" else "1"))
        plane.advance(1000)
    runs[0].checkpoint(update("x", "EXECUTION", "FAIL", Error={"ErrorType": "E"}))
    Durable(plane, f"{durable.function}-2").start("elsewhere")
    assert listed(durable) == ["three", "two", "one"]
    assert listed(durable, ReverseOrder=True) == ["one", "two", "three"]
    assert listed(durable, DurableExecutionName="two") == ["two"]
    assert listed(durable, Statuses=["RUNNING"]) == ["three", "two"]
    assert listed(durable, Statuses=["FAILED", "STOPPED"]) == ["one"]
    assert listed(durable, Qualifier="1") == ["two", "one"]
    assert listed(durable, Qualifier="$LATEST") == ["three"]
    second = runs[1].get()["StartTimestamp"]
    assert listed(durable, StartedAfter=second) == ["three"]
    assert listed(durable, StartedBefore=second) == ["one"]
    assert restarted(durable) and listed(durable) == ["three", "two", "one"]


def test_an_entry_of_the_list(durable: Durable) -> None:
    run = durable.running("one")
    durable.plane.advance(500)
    run.checkpoint(update("x", "EXECUTION", "SUCCEED"))
    got = run.get()
    (entry,) = durable.client.list_durable_executions_by_function(FunctionName=durable.function)["DurableExecutions"]
    assert entry == {
        "DurableExecutionArn": run.arn,
        "DurableExecutionName": "one",
        "FunctionArn": got["FunctionArn"],
        "Status": "SUCCEEDED",
        "StartTimestamp": got["StartTimestamp"],
        "EndTimestamp": got["StartTimestamp"] + timedelta(milliseconds=500),
    }


def test_list_by_alias_is_by_its_version(durable: Durable) -> None:
    durable.client.create_alias(FunctionName=durable.function, Name="prod", FunctionVersion="1")
    durable.start("one")
    durable.start("two", number="$LATEST")
    assert listed(durable, Qualifier="prod") == ["one"]


def test_list_pages(durable: Durable) -> None:
    for number in range(5):
        durable.start(f"n{number}")
    paginator = durable.client.get_paginator("list_durable_executions_by_function")
    pages = list(paginator.paginate(FunctionName=durable.function, PaginationConfig={"PageSize": 2}))
    assert [len(page["DurableExecutions"]) for page in pages] == [2, 2, 1]
    assert "NextMarker" not in pages[-1]
    names = [execution["DurableExecutionName"] for page in pages for execution in page["DurableExecutions"]]
    assert sorted(names) == [f"n{number}" for number in range(5)]


def test_a_page_of_the_list_is_a_hundred(durable: Durable) -> None:
    for number in range(101):
        durable.start(f"n{number}")
    assert len(listed(durable)) == 100
    assert len(listed(durable, MaxItems=0)) == 100
    assert len(listed(durable, MaxItems=1000)) == 101


def test_list_of_a_function_that_is_not_there(durable: Durable) -> None:
    name = durable.function
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:nothing"
    with refused("ResourceNotFoundException", f"Function not found: {arn}", 404):
        durable.client.list_durable_executions_by_function(FunctionName="nothing")
    with refused("ResourceNotFoundException", f"Function not found: {arn.replace('nothing', name)}:7", 404):
        durable.client.list_durable_executions_by_function(FunctionName=durable.function, Qualifier="7")


def test_the_function_may_go_and_its_executions_stay(durable: Durable) -> None:
    run = durable.running("one")
    durable.client.delete_function(FunctionName=durable.function)
    assert run.get()["Status"] == "RUNNING"


# --- stop ---


def test_stop(durable: Durable) -> None:
    run = durable.running("one")
    durable.plane.advance(2000)
    error = {"ErrorMessage": "enough", "ErrorType": "Mine", "StackTrace": ["a"]}
    stopped = durable.client.stop_durable_execution(DurableExecutionArn=run.arn, Error=error)
    got = run.get()
    assert stopped["StopTimestamp"] == got["EndTimestamp"] == got["StartTimestamp"] + timedelta(seconds=2)
    assert (got["Status"], got["Error"]) == ("STOPPED", error)
    assert "ExpectedExecutionTimeoutTimestamp" not in got
    assert "Error" not in run.get(IncludeExecutionData=False)
    event = run.history()[-1]
    assert event["EventType"] == "ExecutionStopped"
    assert event["ExecutionStoppedDetails"] == {"Error": {"Payload": error, "Truncated": False}}
    durable.plane.advance(1000)
    again = durable.client.stop_durable_execution(DurableExecutionArn=run.arn)
    assert again["StopTimestamp"] == stopped["StopTimestamp"]
    assert len(run.history()) == 2
    with refused("InvalidParameterValueException", "Invalid checkpoint token"):
        run.checkpoint()


def test_stop_without_an_error_leaves_an_empty_one(durable: Durable) -> None:
    run = durable.running("one")
    durable.client.stop_durable_execution(DurableExecutionArn=run.arn)
    assert run.get()["Error"] == {}


def test_stop_with_an_error_that_is_too_large(durable: Durable) -> None:
    run = durable.running("one")
    with refused("InvalidParameterValueException", "Error object size must be less than 1048576 bytes."):
        durable.client.stop_durable_execution(DurableExecutionArn=run.arn, Error={"ErrorMessage": "x" * 1_048_576})
    assert run.get()["Status"] == "RUNNING"


# --- timeout ---


def test_an_execution_times_out(durable: Durable) -> None:
    run = durable.running("one")
    durable.plane.advance(3600_000 - 1)
    assert run.get()["Status"] == "RUNNING"
    durable.plane.advance(5000)
    got = run.get()
    assert got["Status"] == "TIMED_OUT"
    assert got["EndTimestamp"] == got["StartTimestamp"] + timedelta(seconds=3600)
    assert got["Error"] == {"ErrorMessage": "Execution timed out after 3600 seconds."}
    event = run.history()[-1]
    assert (event["EventType"], event["ExecutionTimedOutDetails"]) == ("ExecutionTimedOut", {})
    assert event["EventTimestamp"] == got["EndTimestamp"]
    assert listed(durable, Statuses=["TIMED_OUT"]) == ["one"]


# --- pause and resume ---


def pause(run: Run, **params: Any) -> None:
    answer = run.client.pause_durable_execution(DurableExecutionArn=run.arn, **params)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202


def resume(run: Run, **params: Any) -> None:
    answer = run.client.resume_durable_execution(DurableExecutionArn=run.arn, **params)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202


def test_pause_between_invocations(durable: Durable) -> None:
    run = durable.running("one")
    durable.complete(run.execution)
    pause(run, Reason="careful")
    got = run.get()
    assert got["Status"] == "PAUSED"
    assert got["PauseDetails"] == {
        "PauseRequestTimestamp": got["StartTimestamp"],
        "ExecutionTimeoutPaused": True,
        "Reason": "careful",
    }
    assert "Reason" not in run.get(IncludeExecutionData=False)["PauseDetails"]
    assert got["ExpectedExecutionTimeoutTimestamp"] == got["StartTimestamp"] + timedelta(days=366)
    durable.plane.advance(60_000)
    resume(run, Reason="go on")
    got = run.get()
    assert got["Status"] == "RUNNING" and "PauseDetails" not in got
    assert got["ExpectedExecutionTimeoutTimestamp"] == got["StartTimestamp"] + timedelta(seconds=3600 + 60)
    paused, resumed = run.history()[-2:]
    assert paused["EventType"] == "ExecutionPaused"
    assert paused["ExecutionPausedDetails"] == {
        "PauseRequestTimestamp": got["StartTimestamp"],
        "ExecutionTimeoutPaused": True,
        "Reason": {"Payload": "careful", "Truncated": False},
    }
    assert resumed["ExecutionResumedDetails"] == {
        "ResumeRequestTimestamp": got["StartTimestamp"] + timedelta(seconds=60),
        "Reason": {"Payload": "go on", "Truncated": False},
    }
    assert run.history(IncludeExecutionData=False)[-1]["ExecutionResumedDetails"]["Reason"] == {"Truncated": True}


def test_pause_waits_for_the_next_checkpoint(durable: Durable) -> None:
    run = durable.running("one")
    pause(run)
    assert run.get()["Status"] == "PAUSING"
    token = run.token
    assert run.checkpoint(step("s", "START")) == []
    assert run.token == ""
    assert run.get()["Status"] == "PAUSED"
    assert run.event_types() == ["ExecutionStarted", "StepStarted", "ExecutionPaused"]
    with refused("InvalidParameterValueException", "Invalid checkpoint token"):
        run.checkpoint(CheckpointToken=token)
    durable.complete(run.execution)
    resume(run)
    run.token = durable.invoke(run.execution)
    assert [operation["Id"] for operation in run.state()] == [run.execution.id, "s"]


def test_pause_takes_effect_when_the_invocation_ends(durable: Durable) -> None:
    run = durable.running("one")
    pause(run)
    durable.complete(run.execution)
    assert run.get()["Status"] == "PAUSED"
    assert run.event_types() == ["ExecutionStarted", "InvocationCompleted", "ExecutionPaused"]


def test_the_last_checkpoint_ends_an_execution_that_is_pausing(durable: Durable) -> None:
    run = durable.running("one")
    pause(run)
    run.checkpoint(update("x", "EXECUTION", "SUCCEED", Payload="1"))
    assert run.get()["Status"] == "SUCCEEDED"


def test_resume_while_pausing_takes_the_pause_back(durable: Durable) -> None:
    run = durable.running("one")
    pause(run)
    resume(run)
    assert run.get()["Status"] == "RUNNING"
    assert run.event_types() == ["ExecutionStarted"]
    run.checkpoint(step("s", "START"))
    assert run.token


def test_a_pause_that_leaves_the_timeout_running(durable: Durable) -> None:
    run = durable.running("one")
    durable.complete(run.execution)
    pause(run, ExecutionTimeoutPaused=False)
    durable.plane.advance(3600_000)
    assert run.get()["Status"] == "TIMED_OUT"


def test_a_paused_execution_lasts_366_days(durable: Durable) -> None:
    run = durable.running("one")
    durable.complete(run.execution)
    pause(run)
    durable.plane.advance(366 * DAY_MS - 1)
    assert run.get()["Status"] == "PAUSED"
    durable.plane.advance(1)
    assert run.get()["Status"] == "TIMED_OUT"


def test_waits_go_on_while_paused(durable: Durable) -> None:
    run = durable.running("one")
    run.checkpoint(update("w", "WAIT", "START", WaitOptions={"WaitSeconds": 5}))
    durable.complete(run.execution)
    pause(run)
    durable.plane.advance(6000)
    assert run.event_types()[-2:] == ["ExecutionPaused", "WaitSucceeded"]


def test_a_repeated_pause_or_resume_succeeds(durable: Durable) -> None:
    run = durable.running("one")
    durable.complete(run.execution)
    pause(run, ClientToken="a", Reason="r")
    durable.plane.advance(15 * 60 * 1000 - 1)
    pause(run, ClientToken="a", Reason="r")
    conflict = ("ResourceConflictException", "Durable Execution cannot be paused in status PAUSED", 409)
    with refused(*conflict):
        pause(run, ClientToken="b", Reason="r")
    with refused(*conflict):
        pause(run, ClientToken="a", Reason="another")
    durable.plane.advance(1)
    with refused(*conflict):
        pause(run, ClientToken="a", Reason="r")
    resume(run, ClientToken="c")
    run.client = restarted(durable)
    resume(run, ClientToken="c")
    with refused("ResourceConflictException", "Durable Execution cannot be resumed in status RUNNING", 409):
        resume(run, ClientToken="d")


def test_what_has_ended_cannot_be_paused(durable: Durable) -> None:
    run = durable.running("one")
    run.checkpoint(update("x", "EXECUTION", "SUCCEED"))
    with refused("ResourceConflictException", "Durable Execution cannot be paused in status SUCCEEDED", 409):
        pause(run)


def test_a_paused_execution_can_be_stopped(durable: Durable) -> None:
    run = durable.running("one")
    durable.complete(run.execution)
    pause(run)
    durable.client.stop_durable_execution(DurableExecutionArn=run.arn)
    got = run.get()
    assert got["Status"] == "STOPPED" and "PauseDetails" not in got


# --- delete ---


def test_delete(durable: Durable) -> None:
    run = durable.running("one")
    with refused("ResourceConflictException", "Durable Execution must be in a terminal state to be deleted", 409):
        durable.client.delete_durable_execution(DurableExecutionArn=run.arn)
    run.checkpoint(update("x", "EXECUTION", "SUCCEED", Payload="1"))
    durable.plane.advance(1000)
    answer = durable.client.delete_durable_execution(DurableExecutionArn=run.arn)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    got = run.get()
    assert answer["DeletionRequestTimestamp"] == got["StartTimestamp"] + timedelta(seconds=1)
    assert got["Status"] == "DELETING" and "Result" not in got and "EndTimestamp" not in got
    again = durable.client.delete_durable_execution(DurableExecutionArn=run.arn)
    assert again["DeletionRequestTimestamp"] == answer["DeletionRequestTimestamp"]
    with pytest.raises(DurableExecutionAlreadyStartedException):
        durable.start("one")
    durable.plane.advance(100)
    with refused(*NOT_FOUND[:2], 404):
        run.get()
    assert durable.start("one").arn != run.arn


def test_delete_without_a_delay_is_at_once(tmp_path: Path) -> None:
    with Plane(tmp_path, clock=ManualClock()) as plane:
        run = Durable(plane).running("one")
        run.checkpoint(update("x", "EXECUTION", "SUCCEED"))
        plane.client().delete_durable_execution(DurableExecutionArn=run.arn)
        with refused(*NOT_FOUND[:2], 404):
            run.get()


def test_a_node_that_stopped_deletes_when_it_starts(durable: Durable) -> None:
    run = durable.running("one")
    run.checkpoint(update("x", "EXECUTION", "SUCCEED"))
    durable.client.delete_durable_execution(DurableExecutionArn=run.arn)
    client = restarted(durable)
    with refused(*NOT_FOUND[:2], 404):
        client.get_durable_execution(DurableExecutionArn=run.arn)


# --- the machine ---


@pytest.mark.parametrize(("status", "following"), list(itertools.product(STATUSES, STATUSES)))
def test_every_step_between_statuses(status: str, following: str) -> None:
    execution = DurableExecution(
        account=ACCOUNT, region="us-east-1", id="i", function="f", version="1", name="n", status=status, started_ms=0,
        timeout_s=1, retention_days=1,
    )  # fmt: skip
    allowed = {
        "RUNNING": {"PAUSING", "PAUSED"} | ENDED,
        "PAUSING": {"RUNNING", "PAUSED"} | ENDED,
        "PAUSED": {"RUNNING", "TIMED_OUT", "STOPPED"},
        "DELETING": set(),
    }.get(status, {"DELETING"})
    if following in allowed:
        assert durable_life.moved(execution, following).status == following
    else:
        with pytest.raises(AssertionError):
            durable_life.moved(execution, following)


# --- history ---


def test_history_pages_both_ways(durable: Durable) -> None:
    run = durable.running("one")
    for number in range(4):
        run.checkpoint(step(f"s{number}", "START"))
    paginator = run.client.get_paginator("get_durable_execution_history")
    for reverse, expected in ((False, [1, 2, 3, 4, 5]), (True, [5, 4, 3, 2, 1])):
        pages = list(
            paginator.paginate(DurableExecutionArn=run.arn, ReverseOrder=reverse, PaginationConfig={"PageSize": 2})
        )
        assert [event["EventId"] for page in pages for event in page["Events"]] == expected
        assert [len(page["Events"]) for page in pages] == [2, 2, 1]
    with refused("InvalidParameterValueException", "The Marker is not one this operation has given."):
        run.history(Marker="nonsense")


def test_the_first_event(durable: Durable) -> None:
    run = durable.running("one")
    assert run.history() == [
        {
            "EventType": "ExecutionStarted",
            "EventId": 1,
            "Id": run.execution.id,
            "Name": "one",
            "EventTimestamp": run.get()["StartTimestamp"],
            "ExecutionStartedDetails": {
                "Input": {"Payload": '{"a": 1}', "Truncated": False},
                "ExecutionTimeout": 3600,
            },
        }
    ]
    (event,) = run.history(IncludeExecutionData=False)
    assert event["ExecutionStartedDetails"]["Input"] == {"Truncated": True}


def test_invocations_in_the_history(durable: Durable) -> None:
    run = durable.running("one")
    durable.plane.advance(30)
    durable.complete(run.execution, {"ErrorType": "Boom"})
    start = run.get()["StartTimestamp"]
    assert run.history()[-1] == {
        "EventType": "InvocationCompleted",
        "EventId": 2,
        "EventTimestamp": start + timedelta(milliseconds=30),
        "InvocationCompletedDetails": {
            "StartTimestamp": start,
            "EndTimestamp": start + timedelta(milliseconds=30),
            "RequestId": "request-1",
            "Error": {"Payload": {"ErrorType": "Boom"}, "Truncated": False},
        },
    }
