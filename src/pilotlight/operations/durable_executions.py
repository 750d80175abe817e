"""GetDurableExecution, ListDurableExecutionsByFunction, StopDurableExecution and DeleteDurableExecution."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pilotlight.catalog import durable_life
from pilotlight.catalog.durable import ENDED, DurableExecution
from pilotlight.catalog.durable_updates import check_error_size
from pilotlight.catalog.resources import KEEP, Keep
from pilotlight.errors import ResourceConflictException
from pilotlight.operations.authorization import function_named
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.durable_found import change, find
from pilotlight.operations.found import found, found_version
from pilotlight.operations.paging import page
from pilotlight.wire.messages import Call
from pilotlight.wire.timestamps import from_epoch

#: of executions, events and operations alike: so many unless asked otherwise, and never more
PAGE, LARGEST_PAGE = 100, 1000

#: later than any execution starts: newest first is by what is left until then
_FAR_MS = 10**15


async def get_durable_execution(context: OperationsContext, call: Call) -> dict[str, Any]:
    execution = find(context, call)
    with_data: bool = call.params.get("IncludeExecutionData", True)
    over = execution.status in ENDED
    answer = {
        **_summary(execution),
        "Version": execution.version,
        "ExecutionDataIncluded": with_data,
        "DurableConfig": {
            "ExecutionTimeout": execution.timeout_s,
            "RetentionPeriodInDays": execution.retention_days,
            "KMSKeyArn": execution.kms_key_arn or None,
        },
        "TraceHeader": {"XAmznTraceId": execution.trace_id} if execution.trace_id else None,
        "ExpectedExecutionTimeoutTimestamp": None if execution.ended_ms else at(execution.times_out_ms),
    }
    del answer["KMSKeyArn"]
    if with_data:
        answer["InputPayload"] = execution.input
        answer["Result"] = execution.result if over else None
        answer["Error"] = execution.error if over else None
    if execution.pause is not None:
        answer["PauseDetails"] = {
            "PauseRequestTimestamp": at(execution.pause.requested_ms),
            "ExecutionTimeoutPaused": execution.pause.timeout_paused,
            "Reason": execution.pause.reason if with_data else None,
        }
    return answer


def at(moment_ms: int) -> datetime:
    return from_epoch(moment_ms / 1000)


def _summary(execution: DurableExecution) -> dict[str, Any]:
    """As a list shows it."""
    return {
        "DurableExecutionArn": execution.arn,
        "DurableExecutionName": execution.name,
        "FunctionArn": execution.function_arn,
        "Status": execution.status,
        "StartTimestamp": at(execution.started_ms),
        "EndTimestamp": at(execution.ended_ms) if execution.status in ENDED else None,
        "KMSKeyArn": execution.kms_key_arn or None,
    }


async def list_durable_executions_by_function(context: OperationsContext, call: Call) -> dict[str, Any]:
    """Newest first; with ReverseOrder oldest first."""
    params = call.params
    name = function_named(call, params["FunctionName"], params.get("Qualifier"))
    view = found(name, context.catalog.function(name.account, name.region, name.name))
    version = found_version(name, view)[1].version if name.qualifier else None
    now_ms = context.clock.time_ms()
    looked_at = (
        durable_life.as_of(execution, now_ms)
        for execution in context.catalog.durable_executions.all(name.account, name.region)
        if execution.function == name.name and version in (None, execution.version)
    )
    listed = [execution for execution in looked_at if execution is not None and _matches(execution, params)]
    oldest_first: bool = params.get("ReverseOrder", False)

    def order(execution: DurableExecution) -> tuple[str, int]:
        since = execution.started_ms if oldest_first else _FAR_MS - execution.started_ms
        return f"{since:016}{execution.id}", 0

    listed.sort(key=order)
    shown, marker = page(listed, order, params.get("Marker"), params.get("MaxItems") or PAGE, LARGEST_PAGE)
    return {"DurableExecutions": [_summary(execution) for execution in shown], "NextMarker": marker}


def _matches(execution: DurableExecution, params: dict[str, Any]) -> bool:
    started = at(execution.started_ms)
    return (
        execution.name == params.get("DurableExecutionName", execution.name)
        and execution.status in params.get("Statuses", (execution.status,))
        and ("StartedAfter" not in params or started > params["StartedAfter"])
        and ("StartedBefore" not in params or started < params["StartedBefore"])
    )


async def stop_durable_execution(context: OperationsContext, call: Call) -> dict[str, Any]:
    """One that has ended stays as it is, and answers when that was."""
    now_ms = context.clock.time_ms()
    error: dict[str, Any] = call.params.get("Error", {})
    check_error_size(error)

    def stop(execution: DurableExecution) -> tuple[DurableExecution | Keep, int]:
        if execution.ended_ms:
            return KEEP, execution.ended_ms
        return durable_life.ended(execution, "STOPPED", now_ms, error=error), now_ms

    return {"StopTimestamp": at(await change(context, call, stop))}


async def delete_durable_execution(context: OperationsContext, call: Call) -> dict[str, Any]:
    """DELETING for a moment, and then gone; asking again meanwhile answers the same."""
    now_ms = context.clock.time_ms()

    def delete(execution: DurableExecution) -> tuple[DurableExecution | Keep, int]:
        if execution.status == "DELETING":
            return KEEP, execution.deletion_requested_ms
        if execution.status not in ENDED:
            raise ResourceConflictException("Durable Execution must be in a terminal state to be deleted")
        return durable_life.deletion_requested(execution, now_ms, context.settings.state_delay_ms), now_ms

    return {"DeletionRequestTimestamp": at(await change(context, call, delete))}


async def remove_forgotten(context: OperationsContext) -> None:
    """Executions whose retention is over: nobody sees them any more, and now they are no more."""
    now_ms = context.clock.time_ms()

    def remove(execution: DurableExecution | None) -> tuple[DurableExecution | Keep | None, None]:
        over = execution is not None and durable_life.as_of(execution, now_ms) is None
        return None if over else KEEP, None

    for key, execution in list(context.catalog.durable_executions.everywhere()):
        if durable_life.as_of(execution, now_ms) is None:
            await context.catalog.durable_executions.change(*key, remove)
