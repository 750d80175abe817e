"""A checkpoint's updates applied to a durable execution: all of them, or none and an error.

`TRANSITIONS` says which action an operation of each type takes in which status. Wording and order of the checks are
those of the service as AWS's own testing libraries for durable functions give them (aws-durable-execution-sdk-js and
-python), sizes the model's.
"""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import msgspec

from pilotlight.catalog import names
from pilotlight.catalog.durable import DurableExecution, Error, Event, Operation
from pilotlight.catalog.durable_life import ended, error_bytes, new_event
from pilotlight.catalog.durable_tokens import CallbackId, encode
from pilotlight.errors import InvalidParameterValueException, ResourceNotFoundException, ValidationException

replace = msgspec.structs.replace

MAX_OPERATION_BYTES = 1_048_576
MAX_ERROR_BYTES = 1_048_576
MAX_SYNCHRONOUS_RESULT_BYTES = 6_291_456
MAX_ASYNCHRONOUS_RESULT_BYTES = 1_048_576

Update = dict[str, Any]
"""OperationUpdate of the model, by its member names."""


class Transition(NamedTuple):
    allowed: frozenset[str]
    """Statuses it is taken from; "" when there is no such operation yet."""
    becomes: str
    refusal: str


_NEW = frozenset({""})
_OPEN_STEP = frozenset({"", "STARTED", "READY"})
_CLOSE_STEP = "Invalid current STEP state to close."
_CLOSE_CONTEXT = "Invalid current CONTEXT state to close."


def _start(type: str) -> Transition:
    return Transition(_NEW, "STARTED", f"Cannot start a {type} that already exist.")


def _cancel(type: str) -> Transition:
    refusal = f"Cannot cancel a {type} that does not exist or has already completed."
    return Transition(frozenset({"STARTED"}), "CANCELLED", refusal)


#: (type, action) -> what it does; what is not here is no action of that type
TRANSITIONS: dict[tuple[str, str], Transition] = {
    ("EXECUTION", "SUCCEED"): Transition(frozenset({"STARTED"}), "SUCCEEDED", "Invalid EXECUTION action."),
    ("EXECUTION", "FAIL"): Transition(frozenset({"STARTED"}), "FAILED", "Invalid EXECUTION action."),
    ("CONTEXT", "START"): _start("CONTEXT"),
    ("CONTEXT", "SUCCEED"): Transition(frozenset({"", "STARTED"}), "SUCCEEDED", _CLOSE_CONTEXT),
    ("CONTEXT", "FAIL"): Transition(frozenset({"", "STARTED"}), "FAILED", _CLOSE_CONTEXT),
    ("STEP", "START"): Transition(frozenset({"", "READY"}), "STARTED", "Invalid current STEP state to start."),
    ("STEP", "SUCCEED"): Transition(_OPEN_STEP, "SUCCEEDED", _CLOSE_STEP),
    ("STEP", "FAIL"): Transition(_OPEN_STEP, "FAILED", _CLOSE_STEP),
    ("STEP", "RETRY"): Transition(_OPEN_STEP, "PENDING", "Invalid current STEP state to re-attempt."),
    ("WAIT", "START"): _start("WAIT"),
    ("WAIT", "CANCEL"): _cancel("WAIT"),
    ("CALLBACK", "START"): _start("CALLBACK"),
    ("CALLBACK", "CANCEL"): _cancel("CALLBACK"),
    ("CHAINED_INVOKE", "START"): _start("CHAINED_INVOKE"),
    ("CHAINED_INVOKE", "CANCEL"): _cancel("CHAINED_INVOKE"),
}

#: what an event is called: Type + outcome (there is none for a callback or a chained invocation that is cancelled)
_EVENT_NAMES = {"CONTEXT": "Context", "STEP": "Step"}


def updated(
    execution: DurableExecution, updates: list[Update], now_ms: int, *, max_operations: int, max_bytes: int
) -> DurableExecution:
    """`execution` after all of `updates`, in their order; InvalidParameterValueException when one is not legal."""
    _check_batch(updates, execution)
    draft = _Draft(execution, now_ms)
    for update in updates:
        draft.apply(update)
    execution = draft.finished()
    if len(execution.operations) - 1 > max_operations:
        raise InvalidParameterValueException(f"A durable execution can have at most {max_operations} operations.")
    if execution.written_bytes > max_bytes:
        raise InvalidParameterValueException(f"A durable execution can write at most {max_bytes} bytes.")
    closing = updates[-1] if updates and updates[-1]["Type"] == "EXECUTION" else None
    if closing is None:
        return execution
    succeeded = closing["Action"] == "SUCCEED"
    result, error = (closing.get("Payload"), None) if succeeded else (None, closing.get("Error", {}))
    return ended(execution, "SUCCEEDED" if succeeded else "FAILED", now_ms, result=result, error=error)


def _check_batch(updates: list[Update], execution: DurableExecution) -> None:
    """What is asked of the updates together: one EXECUTION at most, and last; parents that are contexts; no operation
    twice, but for a STEP or CONTEXT that starts and goes on."""
    if sum(update["Type"] == "EXECUTION" for update in updates) > 1:
        raise InvalidParameterValueException("Cannot checkpoint multiple EXECUTION updates.")
    if any(update["Type"] == "EXECUTION" for update in updates[:-1]):
        raise InvalidParameterValueException("EXECUTION checkpoint must be the last update.")
    last: dict[str, Update] = {}
    begun: dict[str, str] = {}
    for update in updates:
        before = last.get(update["Id"])
        if before is not None and not (
            before["Type"] in ("STEP", "CONTEXT") and before["Action"] == "START" and update["Action"] != "START"
        ):
            raise InvalidParameterValueException("Cannot update the same operation twice in a single request.")
        last[update["Id"]] = update
        parent = update.get("ParentId")
        if parent is not None:
            known = execution.operations.get(parent)
            if (begun.get(parent) or (known.type if known else "")) != "CONTEXT":
                raise InvalidParameterValueException("Invalid parent operation id.")
        if update["Action"] == "START":
            begun[update["Id"]] = update["Type"]


class _Draft:
    """The operations and events as they become while updates are applied; the execution itself stays as it is."""

    def __init__(self, execution: DurableExecution, now_ms: int) -> None:
        self._execution = execution
        self._now_ms = now_ms
        self._operations = dict(execution.operations)
        self._events: list[Event] = list(execution.events)
        self._change = execution.change
        self._written_bytes = execution.written_bytes

    def finished(self) -> DurableExecution:
        return replace(
            self._execution,
            operations=self._operations,
            events=tuple(self._events),
            change=self._change,
            written_bytes=self._written_bytes,
        )

    def apply(self, update: Update) -> None:
        type, action = update["Type"], update["Action"]
        id = self._execution.id if type == "EXECUTION" else update["Id"]
        before = self._operations.get(id)
        if before is not None and type != "EXECUTION":
            _check_same(before, update)
        self._check_sizes(update)
        transition = TRANSITIONS.get((type, action))
        if transition is None:
            raise InvalidParameterValueException("Invalid action for the given operation type.")
        if (before.status if before else "") not in transition.allowed:
            raise InvalidParameterValueException(transition.refusal)
        _check_outcome(update)
        if type == "EXECUTION":
            return  # applied by `updated`, once the rest holds
        base = before or Operation(
            id=id,
            type=type,
            status="",
            started_ms=self._now_ms,
            parent_id=update.get("ParentId", ""),
            name=update.get("Name", ""),
            sub_type=update.get("SubType", ""),
        )
        self._change += 1
        over = transition.becomes in ("SUCCEEDED", "FAILED", "CANCELLED")
        base = replace(
            base, status=transition.becomes, changed=self._change, ended_ms=self._now_ms if over else base.ended_ms
        )
        match type:
            case "CONTEXT":
                operation = self._context(base, update)
            case "STEP":
                operation = self._step(base, update)
            case "WAIT":
                operation = self._wait(base, update)
            case "CALLBACK":
                operation = self._callback(base, update)
            case _:
                operation = self._chained_invoke(base, update)
        self._operations[id] = operation

    def _context(self, operation: Operation, update: Update) -> Operation:
        replay = update.get("ContextOptions", {}).get("ReplayChildren", operation.replay_children)
        operation = replace(operation, result=update.get("Payload"), error=update.get("Error"), replay_children=replay)
        if update["Action"] == "START":
            operation = replace(operation, result=None, error=None)
        self._event(operation, update)
        return operation

    def _step(self, operation: Operation, update: Update) -> Operation:
        delay_s: int | None = update.get("StepOptions", {}).get("NextAttemptDelaySeconds")
        retried = update["Action"] == "RETRY"
        if retried != (delay_s is not None):
            raise InvalidParameterValueException("Invalid StepOptions for the given action.")
        if update["Action"] == "START":
            self._event(operation, update)
            return operation
        due_ms = self._now_ms + delay_s * 1000 if delay_s is not None else 0
        operation = replace(
            operation,
            attempt=operation.attempt + 1,
            next_attempt_ms=due_ms,
            result=update.get("Payload"),
            error=update.get("Error"),
        )
        details: dict[str, Any] = {"CurrentAttempt": operation.attempt}
        if delay_s is not None:
            details["NextAttemptDelaySeconds"] = delay_s
        self._event(operation, update, {"RetryDetails": details})
        return operation

    def _wait(self, operation: Operation, update: Update) -> Operation:
        if update["Action"] == "CANCEL":
            named, error = ("Error", update["Error"]) if "Error" in update else ("", None)
            self._append(operation, "WaitCancelled", {}, named, error)
            return operation
        wait_s: int | None = update.get("WaitOptions", {}).get("WaitSeconds")
        if wait_s is None:
            raise InvalidParameterValueException("Update for WAIT operation requires WaitOptions.")
        operation = replace(operation, scheduled_end_ms=self._now_ms + wait_s * 1000)
        details = {"Duration": wait_s, "ScheduledEndTimestamp": operation.scheduled_end_ms}
        self._append(operation, "WaitStarted", details)
        return operation

    def _callback(self, operation: Operation, update: Update) -> Operation:
        if update["Action"] == "CANCEL":
            return replace(operation, callback_due_ms=0, heartbeat_due_ms=0)
        execution, options = self._execution, update.get("CallbackOptions", {})
        timeout_s: int = options.get("TimeoutSeconds", 0)
        heartbeat_s: int = options.get("HeartbeatTimeoutSeconds", 0)
        secret = secrets.token_urlsafe(12)
        operation = replace(
            operation,
            callback_id=encode(CallbackId(execution.account, execution.region, execution.key, operation.id, secret)),
            callback_due_ms=self._now_ms + timeout_s * 1000 if timeout_s else 0,
            heartbeat_s=heartbeat_s,
            heartbeat_due_ms=self._now_ms + heartbeat_s * 1000 if heartbeat_s else 0,
        )
        details: dict[str, Any] = {"CallbackId": operation.callback_id}
        if heartbeat_s:
            details["HeartbeatTimeout"] = heartbeat_s
        if timeout_s:
            details["Timeout"] = timeout_s
        self._append(operation, "CallbackStarted", details)
        return operation

    def _chained_invoke(self, operation: Operation, update: Update) -> Operation:
        if update["Action"] == "CANCEL":
            return operation
        options: dict[str, Any] | None = update.get("ChainedInvokeOptions")
        if options is None:
            raise InvalidParameterValueException("Update for CHAINED_INVOKE operation requires ChainedInvokeOptions.")
        self._check_target(options["FunctionName"])
        operation = replace(
            operation,
            function_name=options["FunctionName"],
            tenant_id=options.get("TenantId", ""),
            trace_id=options.get("XAmznTraceId", ""),
            input=update.get("Payload"),
        )
        details = {"FunctionName": operation.function_name}
        if operation.tenant_id:
            details["TenantId"] = operation.tenant_id
        self._append(operation, "ChainedInvokeStarted", details, "Input", operation.input)
        return operation

    def _check_target(self, reference: str) -> None:
        """In this account and region; whether there is such a function shows when it is invoked."""
        execution = self._execution
        try:
            target = names.parse(reference, None, execution.account, execution.region)
        except ResourceNotFoundException:
            raise InvalidParameterValueException(
                "Cannot start a CHAINED_INVOKE on a function in another region."
            ) from None
        except (ValidationException, InvalidParameterValueException):
            return
        if target.account != execution.account:
            raise InvalidParameterValueException("Cannot start a CHAINED_INVOKE on a function in another account.")

    def _check_sizes(self, update: Update) -> None:
        type: str = update["Type"]
        size = check_error_size(update["Error"]) if "Error" in update else 0
        payload = len(update.get("Payload", "").encode())
        self._written_bytes += size + payload
        if type == "EXECUTION":
            largest = MAX_SYNCHRONOUS_RESULT_BYTES if self._execution.synchronous else MAX_ASYNCHRONOUS_RESULT_BYTES
            what = "Execution output"
        else:
            largest = MAX_OPERATION_BYTES
            what = f"{type} {'input' if update['Action'] == 'START' else 'output'}"
        if payload > largest:
            raise InvalidParameterValueException(f"{what} payload size must be less than or equal to {largest} bytes.")

    def _event(self, operation: Operation, update: Update, details: dict[str, Any] | None = None) -> None:
        """Of a STEP or CONTEXT: a retry counts as what its attempt came to."""
        kind = _EVENT_NAMES[operation.type]
        if update["Action"] == "START":
            self._append(operation, f"{kind}Started")
        elif update["Action"] == "FAIL" or operation.error is not None:
            self._append(operation, f"{kind}Failed", details, "Error", operation.error)
        else:
            self._append(operation, f"{kind}Succeeded", details, "Result", operation.result)

    def _append(
        self,
        operation: Operation,
        type: str,
        details: dict[str, Any] | None = None,
        data_name: str = "",
        data: Any = None,
    ) -> None:
        event = new_event(len(self._events) + 1, operation, type, self._now_ms, details, data_name, data)
        self._events.append(event)


def check_error_size(error: Error) -> int:
    """Its bytes."""
    size = error_bytes(error)
    if size > MAX_ERROR_BYTES:
        raise InvalidParameterValueException(f"Error object size must be less than {MAX_ERROR_BYTES} bytes.")
    return size


def _check_same(operation: Operation, update: Update) -> None:
    """An operation keeps what it was started with; what an update leaves out it does not question."""
    if operation.type != update["Type"]:
        raise InvalidParameterValueException("Inconsistent operation type.")
    if update.get("SubType", operation.sub_type) != operation.sub_type:
        raise InvalidParameterValueException("Inconsistent operation subtype.")
    if update.get("Name", operation.name) != operation.name:
        raise InvalidParameterValueException("Inconsistent operation name.")
    if update.get("ParentId", operation.parent_id) != operation.parent_id:
        raise InvalidParameterValueException("Inconsistent parent operation id.")


def _check_outcome(update: Update) -> None:
    action = update["Action"]
    if action == "SUCCEED" and "Error" in update:
        raise InvalidParameterValueException("Cannot provide an Error for SUCCEED action.")
    if action == "FAIL" and "Payload" in update:
        raise InvalidParameterValueException("Cannot provide a Payload for FAIL action.")
    if action == "RETRY" and "Error" in update and "Payload" in update:
        raise InvalidParameterValueException("Cannot provide both error and payload to RETRY a STEP.")
