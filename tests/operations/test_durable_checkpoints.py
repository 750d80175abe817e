"""Checkpoints of durable executions: tokens, what each update does, what is refused and how it is said."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from pilotlight.catalog.durable_updates import TRANSITIONS
from pilotlight.clock import ManualClock
from tests.operations.durable import ACCOUNT, Durable, Run, step, update
from tests.operations.errors import refused
from tests.operations.plane import Plane

INVALID = "InvalidParameterValueException"
BAD_TOKEN = (INVALID, "Invalid checkpoint token")
WAIT = {"WaitOptions": {"WaitSeconds": 5}}
INVOKE = {"ChainedInvokeOptions": {"FunctionName": "thumb:1"}}
OPTIONS: dict[str, dict[str, Any]] = {"WAIT": WAIT, "CHAINED_INVOKE": INVOKE}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Its clock stands still; each test has an execution of its own."""
    with Plane(tmp_path_factory.mktemp("durable"), clock=ManualClock(), durable_max_operations=30) as opened:
        yield opened


@pytest.fixture(scope="module")
def durable(plane: Plane) -> Durable:
    return Durable(plane)


@pytest.fixture
def run(durable: Durable) -> Run:
    return durable.running()


# --- tokens ---


def test_a_token_is_good_for_one_checkpoint(run: Run) -> None:
    first = run.token
    run.checkpoint()
    assert run.token != first
    with refused(*BAD_TOKEN):
        run.checkpoint(CheckpointToken=first)
    assert run.checkpoint() == []


@pytest.mark.parametrize("token", ["bm90aGluZw==", "abc", "A"])
def test_a_token_that_was_never_given(run: Run, token: str) -> None:
    with refused(*BAD_TOKEN):
        run.checkpoint(CheckpointToken=token)
    with refused(*BAD_TOKEN):
        run.state(CheckpointToken=token)


def test_a_token_of_another_execution(durable: Durable, run: Run) -> None:
    other = durable.running()
    for arn in (run.arn, run.arn[:-3] + "000"):
        with refused(INVALID, "Checkpoint token is not valid for the durable execution ARN"):
            run.client.checkpoint_durable_execution(DurableExecutionArn=arn, CheckpointToken=other.token)
        with refused(INVALID, "Checkpoint token is not valid for the durable execution ARN"):
            run.client.get_durable_execution_state(DurableExecutionArn=arn, CheckpointToken=other.token)


def test_an_execution_that_is_gone(durable: Durable, run: Run) -> None:
    token = run.token
    run.checkpoint(update("x", "EXECUTION", "SUCCEED"))
    run.client.delete_durable_execution(DurableExecutionArn=run.arn)
    with refused(*BAD_TOKEN):
        run.checkpoint(CheckpointToken=token)
    with refused(*BAD_TOKEN):
        run.state(CheckpointToken=token)


def test_a_token_belongs_to_its_invocation(durable: Durable, run: Run) -> None:
    old = run.token
    durable.complete(run.execution)
    with refused(*BAD_TOKEN):
        run.checkpoint()
    run.token = durable.invoke(run.execution)
    with refused(*BAD_TOKEN):
        run.checkpoint(CheckpointToken=old)
    run.checkpoint()


def test_a_repeated_checkpoint_is_answered_again(durable: Durable, run: Run, plane: Plane) -> None:
    first = run.token
    news = run.checkpoint(step("s", "START"), ClientToken="c")
    second = run.token
    plane.advance(15 * 60 * 1000 - 1)
    assert run.checkpoint(step("s", "START"), ClientToken="c", CheckpointToken=first) == news
    assert run.token == second
    with refused(*BAD_TOKEN):
        run.checkpoint(step("s", "START"), ClientToken="d", CheckpointToken=first)
    with refused(*BAD_TOKEN):
        run.checkpoint(step("t", "START"), ClientToken="c", CheckpointToken=first)
    plane.advance(1)
    with refused(*BAD_TOKEN):
        run.checkpoint(step("s", "START"), ClientToken="c", CheckpointToken=first)
    assert run.event_types() == ["ExecutionStarted", "StepStarted"]


def test_only_the_last_checkpoint_is_answered_again(durable: Durable, run: Run) -> None:
    first = run.token
    run.checkpoint(ClientToken="c")
    run.checkpoint()
    with refused(*BAD_TOKEN):
        run.checkpoint(ClientToken="c", CheckpointToken=first)


def test_the_answer_survives_a_restart(tmp_path: Path) -> None:
    with Plane(tmp_path, clock=ManualClock()) as plane:
        run = Durable(plane).running("one")
        first = run.token
        news = run.checkpoint(step("s", "SUCCEED", Payload="1"), ClientToken="c")
        state, history = run.state(), run.history()
        plane.restart()
        run.client = plane.client()
        assert run.checkpoint(step("s", "SUCCEED", Payload="1"), ClientToken="c", CheckpointToken=first) == news
        assert (run.state(), run.history()) == (state, history)
        run.checkpoint(step("t", "START"))


# --- what is news, and the state ---


def test_news_is_what_changed_since_the_last_checkpoint(run: Run, plane: Plane) -> None:
    assert [op["Id"] for op in run.checkpoint(update("w", "WAIT", "START", **WAIT), step("s", "START"))] == ["w", "s"]
    assert [op["Id"] for op in run.checkpoint(step("t", "START"))] == ["t"]
    assert run.checkpoint() == []
    plane.advance(5000)
    (wait,) = run.checkpoint()
    assert (wait["Id"], wait["Status"]) == ("w", "SUCCEEDED")
    assert wait["EndTimestamp"] == wait["WaitDetails"]["ScheduledEndTimestamp"]


def test_a_new_invocation_has_seen_everything(durable: Durable, run: Run, plane: Plane) -> None:
    run.checkpoint(update("w", "WAIT", "START", **WAIT))
    durable.complete(run.execution)
    plane.advance(5000)
    run.token = durable.invoke(run.execution)
    assert run.checkpoint() == []


def test_state_leaves_out_what_an_ended_context_did(run: Run) -> None:
    run.checkpoint(
        update("closed", "CONTEXT", "START"),
        step("in-closed", "START", ParentId="closed"),
        update("deep", "CONTEXT", "START", ParentId="closed"),
        step("in-deep", "START", ParentId="deep"),
        update("replayed", "CONTEXT", "START"),
        step("in-replayed", "START", ParentId="replayed"),
        update("open", "CONTEXT", "START"),
        step("in-open", "START", ParentId="open"),
    )
    run.checkpoint(
        update("closed", "CONTEXT", "SUCCEED", Payload="1"),
        update("replayed", "CONTEXT", "FAIL", ContextOptions={"ReplayChildren": True}, Error={"ErrorType": "E"}),
    )
    state = run.state()
    assert [op["Id"] for op in state][1:] == ["closed", "replayed", "in-replayed", "open", "in-open"]
    assert state[1]["ContextDetails"] == {"Result": "1"}
    assert state[2]["ContextDetails"] == {"ReplayChildren": True, "Error": {"ErrorType": "E"}}


def test_state_begins_with_the_execution(run: Run) -> None:
    (operation,) = run.state()
    assert operation == {
        "Id": run.execution.id,
        "Name": run.execution.name,
        "Type": "EXECUTION",
        "StartTimestamp": run.get()["StartTimestamp"],
        "Status": "STARTED",
        "ExecutionDetails": {"InputPayload": '{"a": 1}'},
    }


def test_state_pages(run: Run) -> None:
    run.checkpoint(*(step(f"s{number}", "START") for number in range(4)))
    pages = list(
        run.client.get_paginator("get_durable_execution_state").paginate(
            DurableExecutionArn=run.arn, CheckpointToken=run.token, PaginationConfig={"PageSize": 2}
        )
    )
    assert [op["Id"] for page in pages for op in page["Operations"]][1:] == ["s0", "s1", "s2", "s3"]
    assert [len(page["Operations"]) for page in pages] == [2, 2, 1]
    assert pages[-1]["NextMarker"] == ""


# --- steps ---


def test_a_step_that_is_tried_twice(run: Run, plane: Plane) -> None:
    (started,) = run.checkpoint(step("s", "START", Name="resize", SubType="Step"))
    assert (started["Status"], started["StepDetails"]) == ("STARTED", {"Attempt": 0})
    error = {"ErrorMessage": "m", "ErrorType": "T"}
    (pending,) = run.checkpoint(step("s", "RETRY", Error=error, StepOptions={"NextAttemptDelaySeconds": 7}))
    due = pending["StartTimestamp"] + timedelta(seconds=7)
    assert pending["Status"] == "PENDING" and "EndTimestamp" not in pending
    assert pending["StepDetails"] == {"Attempt": 1, "NextAttemptTimestamp": due, "Error": error}
    plane.advance(7000)
    (ready,) = run.checkpoint()
    assert (ready["Status"], ready["StepDetails"]) == ("READY", {"Attempt": 1, "Error": error})
    run.checkpoint(step("s", "START"))
    (succeeded,) = run.checkpoint(step("s", "SUCCEED", Payload='"done"'))
    assert (succeeded["Status"], succeeded["StepDetails"]) == ("SUCCEEDED", {"Attempt": 2, "Result": '"done"'})
    assert (succeeded["Name"], succeeded["SubType"]) == ("resize", "Step")
    assert run.event_types()[1:] == ["StepStarted", "StepFailed", "StepStarted", "StepSucceeded"]
    failed, again = run.history()[2], run.history()[4]
    assert failed["StepFailedDetails"] == {
        "Error": {"Payload": error, "Truncated": False},
        "RetryDetails": {"CurrentAttempt": 1, "NextAttemptDelaySeconds": 7},
    }
    assert again["StepSucceededDetails"] == {
        "Result": {"Payload": '"done"', "Truncated": False},
        "RetryDetails": {"CurrentAttempt": 2},
    }
    assert (again["Name"], again["SubType"], again["Id"]) == ("resize", "Step", "s")


def test_a_retry_without_an_error_counts_as_a_success(run: Run) -> None:
    run.checkpoint(step("s", "RETRY", Payload="1", StepOptions={"NextAttemptDelaySeconds": 1}))
    assert run.event_types()[1:] == ["StepSucceeded"]


@pytest.mark.parametrize(
    "refused_update",
    [
        step("s", "RETRY"),
        step("s", "RETRY", StepOptions={}),
        step("s", "START", StepOptions={"NextAttemptDelaySeconds": 1}),
        step("s", "SUCCEED", StepOptions={"NextAttemptDelaySeconds": 1}),
    ],
)
def test_a_delay_goes_with_a_retry_and_nothing_else(run: Run, refused_update: dict[str, Any]) -> None:
    with refused(INVALID, "Invalid StepOptions for the given action."):
        run.checkpoint(refused_update)


def test_a_retry_has_one_outcome(run: Run) -> None:
    with refused(INVALID, "Cannot provide both error and payload to RETRY a STEP."):
        run.checkpoint(step("s", "RETRY", Payload="1", Error={}, StepOptions={"NextAttemptDelaySeconds": 1}))


# --- contexts, waits, chained invocations ---


def test_a_context(run: Run) -> None:
    (context,) = run.checkpoint(update("c", "CONTEXT", "START", Name="map", SubType="Map", Payload="ignored"))
    assert (context["Status"], context["ContextDetails"]) == ("STARTED", {})
    run.checkpoint(update("c", "CONTEXT", "SUCCEED", Payload="[]"))
    assert run.history()[-1]["ContextSucceededDetails"] == {"Result": {"Payload": "[]", "Truncated": False}}


def test_a_context_may_end_without_having_started(run: Run) -> None:
    (context,) = run.checkpoint(update("c", "CONTEXT", "FAIL", Error={"ErrorType": "E"}))
    assert (context["Status"], context["StartTimestamp"]) == ("FAILED", context["EndTimestamp"])
    assert run.event_types()[1:] == ["ContextFailed"]


def test_a_wait(run: Run, plane: Plane) -> None:
    (wait,) = run.checkpoint(update("w", "WAIT", "START", **WAIT))
    due = wait["StartTimestamp"] + timedelta(seconds=5)
    assert wait["WaitDetails"] == {"ScheduledEndTimestamp": due}
    assert run.history()[-1]["WaitStartedDetails"] == {"Duration": 5, "ScheduledEndTimestamp": due}
    plane.advance(9000)
    event = run.history()[-1]
    assert event["EventType"] == "WaitSucceeded" and event["EventTimestamp"] == due
    assert event["WaitSucceededDetails"] == {"Duration": 5}


def test_a_wait_that_is_cancelled(run: Run, plane: Plane) -> None:
    run.checkpoint(update("w", "WAIT", "START", **WAIT))
    (wait,) = run.checkpoint(update("w", "WAIT", "CANCEL"))
    assert wait["Status"] == "CANCELLED" and wait["EndTimestamp"] == wait["StartTimestamp"]
    plane.advance(9000)
    assert run.event_types()[1:] == ["WaitStarted", "WaitCancelled"]
    assert run.history()[-1]["WaitCancelledDetails"] == {}


def test_a_wait_without_a_duration(run: Run) -> None:
    with refused(INVALID, "Update for WAIT operation requires WaitOptions."):
        run.checkpoint(update("w", "WAIT", "START"))


def test_a_chained_invocation(run: Run) -> None:
    options = {"FunctionName": "thumb:1", "TenantId": "blue"}
    (invoke,) = run.checkpoint(update("i", "CHAINED_INVOKE", "START", Payload="{}", ChainedInvokeOptions=options))
    assert (invoke["Status"], invoke["ChainedInvokeDetails"]) == ("STARTED", {})
    assert run.history()[-1]["ChainedInvokeStartedDetails"] == {
        **options,
        "Input": {"Payload": "{}", "Truncated": False},
    }


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "Update for CHAINED_INVOKE operation requires ChainedInvokeOptions."),
        (
            {"ChainedInvokeOptions": {"FunctionName": "111122223333:function:thumb"}},
            "Cannot start a CHAINED_INVOKE on a function in another account.",
        ),
        (
            {"ChainedInvokeOptions": {"FunctionName": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:thumb"}},
            "Cannot start a CHAINED_INVOKE on a function in another region.",
        ),
    ],
)
def test_a_chained_invocation_that_cannot_be(run: Run, members: dict[str, Any], message: str) -> None:
    with refused(INVALID, message):
        run.checkpoint(update("i", "CHAINED_INVOKE", "START", **members))


# --- the end ---


def test_success(run: Run, plane: Plane) -> None:
    plane.advance(250)
    news = run.checkpoint(step("s", "START"), update("x", "EXECUTION", "SUCCEED", Payload='"ok"'))
    assert [(op["Id"], op["Status"]) for op in news] == [("s", "STARTED"), (run.execution.id, "SUCCEEDED")]
    assert run.token == ""
    got = run.get()
    assert (got["Status"], got["Result"]) == ("SUCCEEDED", '"ok"')
    assert got["EndTimestamp"] == got["StartTimestamp"] + timedelta(milliseconds=250)
    assert "Result" not in run.get(IncludeExecutionData=False)
    event = run.history()[-1]
    assert (event["EventType"], event["Id"]) == ("ExecutionSucceeded", run.execution.id)
    assert event["ExecutionSucceededDetails"] == {"Result": {"Payload": '"ok"', "Truncated": False}}


def test_failure(run: Run) -> None:
    error = {"ErrorMessage": "m", "ErrorType": "T", "ErrorData": "d", "StackTrace": ["a", "b"]}
    run.checkpoint(update("x", "EXECUTION", "FAIL", Error=error))
    got = run.get()
    assert (got["Status"], got["Error"]) == ("FAILED", error) and "Result" not in got
    assert run.history()[-1]["ExecutionFailedDetails"] == {"Error": {"Payload": error, "Truncated": False}}


def test_the_end_is_not_answered_again(run: Run) -> None:
    first = run.token
    run.checkpoint(update("x", "EXECUTION", "SUCCEED"), ClientToken="c")
    with refused(*BAD_TOKEN):
        run.checkpoint(update("x", "EXECUTION", "SUCCEED"), ClientToken="c", CheckpointToken=first)


# --- what is asked of a batch ---

END = update("x", "EXECUTION", "SUCCEED")
TWICE = "Cannot update the same operation twice in a single request."


@pytest.mark.parametrize(
    ("updates", "message"),
    [
        ([END, END], "Cannot checkpoint multiple EXECUTION updates."),
        ([END, step("s", "START")], "EXECUTION checkpoint must be the last update."),
        ([step("s", "START"), step("s", "START")], TWICE),
        ([step("s", "SUCCEED"), step("s", "FAIL")], TWICE),
        ([step("s", "START"), step("s", "SUCCEED"), step("s", "SUCCEED")], TWICE),
        ([update("w", "WAIT", "START", **WAIT), update("w", "WAIT", "CANCEL")], TWICE),
        ([step("s", "START", ParentId="nobody")], "Invalid parent operation id."),
        ([step("s", "START"), step("t", "START", ParentId="s")], "Invalid parent operation id."),
        ([step("t", "START", ParentId="c"), update("c", "CONTEXT", "START")], "Invalid parent operation id."),
        ([update("c", "CONTEXT", "RETRY")], "Invalid action for the given operation type."),
        ([update("x", "EXECUTION", "START")], "Invalid action for the given operation type."),
        ([step("s", "SUCCEED", Error={})], "Cannot provide an Error for SUCCEED action."),
        ([step("s", "FAIL", Payload="1")], "Cannot provide a Payload for FAIL action."),
        ([update("x", "EXECUTION", "SUCCEED", Error={})], "Cannot provide an Error for SUCCEED action."),
        ([update("x", "EXECUTION", "FAIL", Payload="")], "Cannot provide a Payload for FAIL action."),
        (
            [step("s", "FAIL", Error={"ErrorData": "x" * 1_048_576})],
            "Error object size must be less than 1048576 bytes.",
        ),
        (
            [step("s", "SUCCEED", Payload="ü" * 524_289)],
            "STEP output payload size must be less than or equal to 1048576 bytes.",
        ),
        (
            [update("i", "CHAINED_INVOKE", "START", Payload="x" * 1_048_577, **INVOKE)],
            "CHAINED_INVOKE input payload size must be less than or equal to 1048576 bytes.",
        ),
        (
            [update("x", "EXECUTION", "SUCCEED", Payload="x" * 1_048_577)],
            "Execution output payload size must be less than or equal to 1048576 bytes.",
        ),
    ],
)
def test_a_batch_is_refused_as_a_whole(run: Run, updates: list[dict[str, Any]], message: str) -> None:
    before = run.token
    with refused(INVALID, message):
        run.checkpoint(step("first", "START"), *updates)
    assert run.event_types() == ["ExecutionStarted"]
    run.token = before
    run.checkpoint(step("first", "START"))


def test_a_synchronous_execution_may_answer_more(durable: Durable) -> None:
    run = durable.running(synchronous=True)
    run.checkpoint(update("x", "EXECUTION", "SUCCEED", Payload="x" * 1_048_577))
    assert len(run.get()["Result"]) == 1_048_577


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"Type": "CONTEXT", "Action": "SUCCEED"}, "Inconsistent operation type."),
        ({"SubType": "Other"}, "Inconsistent operation subtype."),
        ({"Name": "other"}, "Inconsistent operation name."),
        ({"ParentId": "b"}, "Inconsistent parent operation id."),
    ],
)
def test_an_operation_stays_what_it_is(run: Run, members: dict[str, Any], message: str) -> None:
    run.checkpoint(
        update("a", "CONTEXT", "START"),
        update("b", "CONTEXT", "START"),
        step("s", "START", Name="n", SubType="Step", ParentId="a"),
    )
    same = {"Name": "n", "SubType": "Step", "ParentId": "a"}
    with refused(INVALID, message):
        run.checkpoint({**step("s", "SUCCEED", **same), **members})
    run.checkpoint(step("s", "SUCCEED"))


def test_the_execution_itself_is_no_step(run: Run) -> None:
    with refused(INVALID, "Inconsistent operation type."):
        run.checkpoint(step(run.execution.id, "START"))


def test_as_many_operations_as_the_setting_says(run: Run) -> None:
    run.checkpoint(*(step(f"s{number}", "START") for number in range(30)))
    with refused(INVALID, "A durable execution can have at most 30 operations."):
        run.checkpoint(step("one-more", "START"))
    run.checkpoint(step("s1", "SUCCEED"))


def test_as_many_bytes_as_the_setting_says(tmp_path: Path) -> None:
    with Plane(tmp_path, durable_max_bytes=1000) as plane:
        run = Durable(plane).running(input="x" * 400)
        run.checkpoint(step("s", "SUCCEED", Payload="x" * 600))
        with refused(INVALID, "A durable execution can write at most 1000 bytes."):
            run.checkpoint(step("t", "SUCCEED", Payload="x"))


# --- every action in every status ---

ACTIONS = ("START", "SUCCEED", "FAIL", "RETRY", "CANCEL")
#: how an operation gets into a status, by what the function and the clock do
WAYS: dict[tuple[str, str], list[str]] = {
    ("CONTEXT", "STARTED"): ["START"],
    ("CONTEXT", "SUCCEEDED"): ["SUCCEED"],
    ("CONTEXT", "FAILED"): ["FAIL"],
    ("STEP", "STARTED"): ["START"],
    ("STEP", "PENDING"): ["RETRY"],
    ("STEP", "READY"): ["RETRY", "clock"],
    ("STEP", "SUCCEEDED"): ["SUCCEED"],
    ("STEP", "FAILED"): ["FAIL"],
    ("WAIT", "STARTED"): ["START"],
    ("WAIT", "SUCCEEDED"): ["START", "clock"],
    ("WAIT", "CANCELLED"): ["START", "CANCEL"],
    ("CALLBACK", "STARTED"): ["START"],
    ("CALLBACK", "CANCELLED"): ["START", "CANCEL"],
    ("CHAINED_INVOKE", "STARTED"): ["START"],
    ("CHAINED_INVOKE", "CANCELLED"): ["START", "CANCEL"],
}
CASES = [
    (type, status, action)
    for (type, status), action in itertools.product(
        [*WAYS, *((type, "") for type in ("CONTEXT", "STEP", "WAIT", "CALLBACK", "CHAINED_INVOKE"))], ACTIONS
    )
]


def act(type: str, action: str) -> dict[str, Any]:
    options = {"StepOptions": {"NextAttemptDelaySeconds": 5}} if action == "RETRY" else {}
    return update("o", type, action, **(OPTIONS.get(type, {}) if action == "START" else options))


@pytest.mark.parametrize(("type", "status", "action"), CASES)
def test_every_action_in_every_status(run: Run, plane: Plane, type: str, status: str, action: str) -> None:
    for way in WAYS.get((type, status), []):
        if way == "clock":
            plane.advance(5000)
        else:
            run.checkpoint(act(type, way))
    if status:
        assert run.state()[-1]["Status"] == status
    transition = TRANSITIONS.get((type, action))
    if transition is None:
        with refused(INVALID, "Invalid action for the given operation type."):
            run.checkpoint(act(type, action))
    elif status not in transition.allowed:
        with refused(INVALID, transition.refusal):
            run.checkpoint(act(type, action))
    else:
        (operation,) = run.checkpoint(act(type, action))
        assert operation["Status"] == transition.becomes


def test_the_table_of_actions() -> None:
    """As AWS's testing libraries for durable functions have them."""
    allowed = {key: set(transition.allowed) for key, transition in TRANSITIONS.items()}
    assert allowed == {
        ("EXECUTION", "SUCCEED"): {"STARTED"},
        ("EXECUTION", "FAIL"): {"STARTED"},
        ("CONTEXT", "START"): {""},
        ("CONTEXT", "SUCCEED"): {"", "STARTED"},
        ("CONTEXT", "FAIL"): {"", "STARTED"},
        ("STEP", "START"): {"", "READY"},
        ("STEP", "SUCCEED"): {"", "STARTED", "READY"},
        ("STEP", "FAIL"): {"", "STARTED", "READY"},
        ("STEP", "RETRY"): {"", "STARTED", "READY"},
        ("WAIT", "START"): {""},
        ("WAIT", "CANCEL"): {"STARTED"},
        ("CALLBACK", "START"): {""},
        ("CALLBACK", "CANCEL"): {"STARTED"},
        ("CHAINED_INVOKE", "START"): {""},
        ("CHAINED_INVOKE", "CANCEL"): {"STARTED"},
    }
    messages = {transition.refusal for transition in TRANSITIONS.values()}
    assert messages == {
        "Invalid EXECUTION action.",
        "Invalid current CONTEXT state to close.",
        "Invalid current STEP state to start.",
        "Invalid current STEP state to close.",
        "Invalid current STEP state to re-attempt.",
        *(f"Cannot start a {type} that already exist." for type in ("CONTEXT", "WAIT", "CALLBACK", "CHAINED_INVOKE")),
        *(
            f"Cannot cancel a {type} that does not exist or has already completed."
            for type in ("WAIT", "CALLBACK", "CHAINED_INVOKE")
        ),
    }


def test_an_update_outside_of_the_model(run: Run) -> None:
    client = run.durable.plane.client(config=Config(parameter_validation=False))
    with refused(
        "ValidationException",
        "1 validation error detected: Value 'not good' at 'updates.1.member.subType' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9-_]+",
    ):
        client.checkpoint_durable_execution(
            DurableExecutionArn=run.arn, CheckpointToken=run.token, Updates=[step("s", "START", SubType="not good")]
        )
