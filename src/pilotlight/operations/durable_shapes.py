"""Operations and events of durable executions as the API shows them."""

from __future__ import annotations

from typing import Any

from pilotlight.catalog.durable import Event, Operation
from pilotlight.operations.durable_executions import at


def shown_operation(operation: Operation) -> dict[str, Any]:
    """The model's Operation."""
    outcome = {"Result": operation.result, "Error": operation.error}
    match operation.type:
        case "EXECUTION":
            details = {"ExecutionDetails": {"InputPayload": operation.input}}
        case "CONTEXT":
            details = {"ContextDetails": {"ReplayChildren": operation.replay_children, **outcome}}
        case "STEP":
            next_attempt = at(operation.next_attempt_ms) if operation.next_attempt_ms else None
            details = {"StepDetails": {"Attempt": operation.attempt, "NextAttemptTimestamp": next_attempt, **outcome}}
        case "WAIT":
            details = {"WaitDetails": {"ScheduledEndTimestamp": at(operation.scheduled_end_ms)}}
        case "CALLBACK":
            details = {"CallbackDetails": {"CallbackId": operation.callback_id, **outcome}}
        case _:
            details = {"ChainedInvokeDetails": outcome}
    return {
        "Id": operation.id,
        "ParentId": operation.parent_id or None,
        "Name": operation.name or None,
        "Type": operation.type,
        "SubType": operation.sub_type or None,
        "StartTimestamp": at(operation.started_ms),
        "EndTimestamp": at(operation.ended_ms) if operation.ended_ms else None,
        "Status": operation.status,
        **details,
    }


def shown_event(event: Event, *, with_data: bool) -> dict[str, Any]:
    """The model's Event; what is execution data says `Truncated` where it is left out."""
    details = {name: at(value) if name.endswith("Timestamp") else value for name, value in event.details.items()}
    if event.data_name:
        details[event.data_name] = {"Payload": event.data if with_data else None, "Truncated": not with_data}
    return {
        "EventType": event.type,
        "SubType": event.sub_type or None,
        "EventId": event.id,
        "Id": event.operation_id or None,
        "Name": event.name or None,
        "EventTimestamp": at(event.at_ms),
        "ParentId": event.parent_id or None,
        f"{event.type}Details": details,
    }
