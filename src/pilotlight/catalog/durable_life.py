"""The life of a durable execution: start, invocations, pause, end, deletion, and what the clock brings about.

Pure: each function gives the execution as it is afterwards. Timers are moments in the record, and `as_of` applies
those that have come, at their own times, whenever the execution is looked at: nothing is lost with a node, and a
reader never sees a wait that is over as running. Source: the developer guide's pages on durable executions, the model's
documentation, and AWS's own testing libraries for them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import msgspec

from pilotlight.catalog.durable import ENDED, STATUSES, DurableExecution, Error, Event, Operation, Pause
from pilotlight.catalog.records import FunctionVersion

replace = msgspec.structs.replace


def started(
    version: FunctionVersion, *, id: str, name: str, input: str | None, synchronous: bool, trace_id: str, now_ms: int
) -> DurableExecution:
    """A new execution of `version`, which has a DurableConfig; no invocation runs yet."""
    config: dict[str, Any] = version.held["DurableConfig"]
    root = Operation(id=id, type="EXECUTION", status="STARTED", started_ms=now_ms, name=name, input=input, changed=1)
    execution = DurableExecution(
        account=version.account,
        region=version.region,
        id=id,
        function=version.name,
        version=version.version,
        name=name,
        started_ms=now_ms,
        input=input,
        trace_id=trace_id,
        timeout_s=config["ExecutionTimeout"],
        retention_days=config["RetentionPeriodInDays"],
        kms_key_arn=config.get("KMSKeyArn", ""),
        synchronous=synchronous,
        operations={id: root},
        written_bytes=len((input or "").encode()),
        change=1,
    )
    details = {"ExecutionTimeout": execution.timeout_s}
    return with_event(execution, root, "ExecutionStarted", now_ms, details, "Input", input)


def with_event(
    execution: DurableExecution,
    operation: Operation | None,
    type: str,
    at_ms: int,
    details: dict[str, Any] | None = None,
    data_name: str = "",
    data: Any = None,
) -> DurableExecution:
    """`execution` with one more event; see `Event` for the rest."""
    event = new_event(len(execution.events) + 1, operation, type, at_ms, details, data_name, data)
    return replace(execution, events=(*execution.events, event))


def new_event(
    id: int,
    operation: Operation | None,
    type: str,
    at_ms: int,
    details: dict[str, Any] | None = None,
    data_name: str = "",
    data: Any = None,
) -> Event:
    return Event(
        id=id,
        type=type,
        at_ms=at_ms,
        operation_id=operation.id if operation else "",
        name=operation.name if operation else "",
        sub_type=operation.sub_type if operation else "",
        parent_id=operation.parent_id if operation else "",
        details=details or {},
        data_name=data_name,
        data=data,
    )


def error_bytes(error: Error) -> int:
    """The size of an ErrorObject as the API counts it."""
    return len(json.dumps(error, ensure_ascii=False, separators=(",", ":")).encode())


def moved(execution: DurableExecution, status: str, **changes: Any) -> DurableExecution:
    """In another status; an assertion says that `STATUSES` has such a step."""
    assert status in STATUSES[execution.status], f"{execution.status} -> {status}"
    return replace(execution, status=status, **changes)


# -- invocations ------------------------------------------------------------------------------------------------------


def invocation_begun(execution: DurableExecution, now_ms: int) -> DurableExecution:
    """An invocation starts: it is told of every operation, and is the only one that may write checkpoints."""
    assert execution.status == "RUNNING" and not execution.invocation
    return replace(
        execution,
        invocation=secrets.token_urlsafe(16),
        invocation_started_ms=now_ms,
        sequence=execution.sequence + 1,
        seen=execution.change,
    )


def invocation_completed(
    execution: DurableExecution, request_id: str, error: Error | None, now_ms: int
) -> DurableExecution:
    """It has ended, whatever it answered; a pause that waited for it takes effect."""
    details: dict[str, Any] = {
        "StartTimestamp": execution.invocation_started_ms,
        "EndTimestamp": now_ms,
        "RequestId": request_id,
    }
    named = "Error" if error is not None else ""
    execution = with_event(execution, None, "InvocationCompleted", now_ms, details, named, error)
    execution = replace(execution, invocation="")
    return paused(execution, now_ms) if execution.status == "PAUSING" else execution


# -- pause, resume, end, deletion -------------------------------------------------------------------------------------


def pause_requested(
    execution: DurableExecution, reason: str | None, timeout_paused: bool, now_ms: int
) -> DurableExecution:
    """Of a RUNNING one: PAUSING while an invocation runs, otherwise PAUSED."""
    execution = moved(
        execution, "PAUSING", pause=Pause(requested_ms=now_ms, reason=reason, timeout_paused=timeout_paused)
    )
    return execution if execution.invocation else paused(execution, now_ms)


def paused(execution: DurableExecution, now_ms: int) -> DurableExecution:
    """PAUSING comes to its end: no invocation may write checkpoints any more."""
    pause = execution.pause
    assert pause is not None
    details: dict[str, Any] = {
        "PauseRequestTimestamp": pause.requested_ms,
        "ExecutionTimeoutPaused": pause.timeout_paused,
    }
    execution = moved(execution, "PAUSED", pause=replace(pause, paused_ms=now_ms), invocation="")
    named = "Reason" if pause.reason is not None else ""
    return with_event(execution, _root(execution), "ExecutionPaused", now_ms, details, named, pause.reason)


def resumed(execution: DurableExecution, reason: str | None, now_ms: int) -> DurableExecution:
    """Of a PAUSING or PAUSED one; a pause that had not taken effect leaves no event."""
    pause = execution.pause
    assert pause is not None
    execution = moved(execution, "RUNNING", pause=None)
    if not pause.paused_ms:
        return execution
    if pause.timeout_paused:
        execution = replace(execution, paused_total_ms=execution.paused_total_ms + now_ms - pause.paused_ms)
    details = {"ResumeRequestTimestamp": now_ms}
    named = "Reason" if reason is not None else ""
    return with_event(execution, _root(execution), "ExecutionResumed", now_ms, details, named, reason)


def ended(
    execution: DurableExecution, status: str, now_ms: int, *, result: str | None = None, error: Error | None = None
) -> DurableExecution:
    """SUCCEEDED with a result, or FAILED, STOPPED or TIMED_OUT with an error."""
    root = replace(_root(execution), status=status, ended_ms=now_ms, changed=execution.change + 1)
    execution = moved(
        execution,
        status,
        ended_ms=now_ms,
        result=result,
        error=error,
        operations={**execution.operations, root.id: root},
        change=root.changed,
        pause=None,
        invocation="",
        last_checkpoint=None,
    )
    if status == "TIMED_OUT":  # AWS leaves its details empty: the error is on the execution alone
        return with_event(execution, root, "ExecutionTimedOut", now_ms)
    type = {"SUCCEEDED": "ExecutionSucceeded", "FAILED": "ExecutionFailed", "STOPPED": "ExecutionStopped"}[status]
    named, data = ("Result", result) if status == "SUCCEEDED" else ("Error", error)
    return with_event(execution, root, type, now_ms, {}, named, data)


def deletion_requested(execution: DurableExecution, now_ms: int, delay_ms: int) -> DurableExecution:
    """Of one that has ended: DELETING for so long, then gone."""
    return moved(execution, "DELETING", deletion_requested_ms=now_ms, settles_at_ms=now_ms + max(delay_ms, 1))


def _root(execution: DurableExecution) -> Operation:
    return execution.operations[execution.id]


# -- what the clock brings --------------------------------------------------------------------------------------------


def as_of(execution: DurableExecution, now_ms: int) -> DurableExecution | None:
    """The execution with every timer applied that has come by `now_ms`; None when it is deleted, or forgotten."""
    while execution.status not in ENDED and execution.status != "DELETING":
        due = min(_timers(execution), key=lambda timer: timer[0])
        if due[0] > now_ms:
            break
        execution = _timed_out(execution) if due[1] is None else _fired(execution, due[1], due[0])
    gone_ms = execution.settles_at_ms or execution.forgotten_ms
    return None if gone_ms and gone_ms <= now_ms else execution


def _timers(execution: DurableExecution) -> Iterator[tuple[int, Operation | None]]:
    """(when, of which operation); None is the execution's own timeout."""
    yield execution.times_out_ms, None
    for operation in execution.operations.values():
        if operation.type == "WAIT" and operation.status == "STARTED":
            yield operation.scheduled_end_ms, operation
        elif operation.type == "STEP" and operation.status == "PENDING":
            yield operation.next_attempt_ms, operation
        elif operation.type == "CALLBACK" and operation.status == "STARTED":
            moments = [at_ms for at_ms in (operation.callback_due_ms, operation.heartbeat_due_ms) if at_ms]
            if moments:
                yield min(moments), operation


def _timed_out(execution: DurableExecution) -> DurableExecution:
    error = {"ErrorMessage": f"Execution timed out after {execution.timeout_s} seconds."}
    return ended(execution, "TIMED_OUT", execution.times_out_ms, error=error)


def _fired(execution: DurableExecution, operation: Operation, at_ms: int) -> DurableExecution:
    if operation.type == "WAIT":
        duration_s = (operation.scheduled_end_ms - operation.started_ms) // 1000
        execution = with_operation(execution, replace(operation, status="SUCCEEDED", ended_ms=at_ms))
        return with_event(execution, operation, "WaitSucceeded", at_ms, {"Duration": duration_s})
    if operation.type == "STEP":
        return with_operation(execution, replace(operation, status="READY", next_attempt_ms=0))
    missed = operation.heartbeat_due_ms == at_ms and operation.callback_due_ms != at_ms
    kind, message = ("Heartbeat", "Callback timed out on heartbeat") if missed else ("Timeout", "Callback timed out")
    error = {"ErrorMessage": message, "ErrorType": f"Callback.{kind}"}
    timed_out = replace(
        operation, status="TIMED_OUT", ended_ms=at_ms, error=error, callback_due_ms=0, heartbeat_due_ms=0
    )
    execution = with_operation(execution, timed_out)
    # The event names the type alone.
    named = {"ErrorType": error["ErrorType"]}
    return with_event(execution, operation, "CallbackTimedOut", at_ms, {}, "Error", named)


def with_operation(execution: DurableExecution, operation: Operation) -> DurableExecution:
    """`execution` with that operation as it is now, which is news to the function."""
    change = execution.change + 1
    operation = replace(operation, changed=change)
    return replace(execution, operations={**execution.operations, operation.id: operation}, change=change)


def callback_answered(
    execution: DurableExecution,
    operation: Operation,
    now_ms: int,
    *,
    succeeded: bool,
    result: str | None = None,
    error: Error | None = None,
) -> DurableExecution:
    """A CALLBACK that waits is given its result, or its error (or neither: who answers may leave it out)."""
    written = len((result or "").encode()) + (error_bytes(error) if error else 0)
    answered = replace(
        operation,
        status="SUCCEEDED" if succeeded else "FAILED",
        ended_ms=now_ms,
        result=result,
        error=error,
        callback_due_ms=0,
        heartbeat_due_ms=0,
    )
    execution = with_operation(replace(execution, written_bytes=execution.written_bytes + written), answered)
    if succeeded:
        return with_event(execution, operation, "CallbackSucceeded", now_ms, {}, "Result", result)
    return with_event(execution, operation, "CallbackFailed", now_ms, {}, "Error", error)
