"""SendDurableExecutionCallbackSuccess, ...Failure and ...Heartbeat: how the world answers a callback.

A callback that was answered, has timed out or belongs to an execution that is over or gone is closed:
CallbackTimeoutException. A callback id is a secret: whoever has it may answer, within its account and region.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pilotlight.catalog import durable_life
from pilotlight.catalog.durable import DurableExecution, Error, Operation
from pilotlight.catalog.durable_tokens import CallbackId, decode
from pilotlight.catalog.durable_updates import check_error_size
from pilotlight.catalog.resources import KEEP, Keep
from pilotlight.errors import CallbackTimeoutException, InvalidParameterValueException
from pilotlight.operations.context import OperationsContext
from pilotlight.wire.messages import Call

replace = msgspec.structs.replace

Answer = Callable[[DurableExecution, Operation], "DurableExecution | Keep"]


async def send_durable_execution_callback_success(context: OperationsContext, call: Call) -> None:
    result: bytes = call.params.get("Result", b"")
    text = result.decode(errors="replace") if result else None
    now_ms = context.clock.time_ms()
    await _answer(
        context,
        call,
        lambda execution, operation: durable_life.callback_answered(
            execution, operation, now_ms, succeeded=True, result=text
        ),
    )


async def send_durable_execution_callback_failure(context: OperationsContext, call: Call) -> None:
    error: Error | None = call.params.get("Error")
    if error is not None:
        check_error_size(error)
    now_ms = context.clock.time_ms()
    await _answer(
        context,
        call,
        lambda execution, operation: durable_life.callback_answered(
            execution, operation, now_ms, succeeded=False, error=error
        ),
    )


async def send_durable_execution_callback_heartbeat(context: OperationsContext, call: Call) -> None:
    """Its heartbeat timeout, where it has one, begins anew; the callback's own timeout does not."""
    now_ms = context.clock.time_ms()

    def beat(execution: DurableExecution, operation: Operation) -> DurableExecution | Keep:
        if not operation.heartbeat_s:
            return KEEP
        # Not news to the function, so its number of change stays.
        operation = replace(operation, heartbeat_due_ms=now_ms + operation.heartbeat_s * 1000)
        return replace(execution, operations={**execution.operations, operation.id: operation})

    await _answer(context, call, beat)


async def _answer(context: OperationsContext, call: Call, answer: Answer) -> None:
    text: str = call.params["CallbackId"]
    callback = decode(text, CallbackId)
    if callback is None:
        raise InvalidParameterValueException("Invalid callback id")
    if (callback.account, callback.region) != (call.account, call.region):
        raise _closed()

    def change(found: DurableExecution | None) -> tuple[DurableExecution | Keep | None, None]:
        execution = durable_life.as_of(found, context.clock.time_ms()) if found is not None else None
        operation = execution.operations.get(callback.operation_id) if execution is not None else None
        if execution is None or operation is None or execution.ended_ms:
            raise _closed()
        if operation.callback_id != text or operation.status != "STARTED":
            raise _closed()
        return answer(execution, operation), None

    await context.catalog.durable_executions.change(call.account, call.region, callback.execution, change)


def _closed() -> CallbackTimeoutException:
    return CallbackTimeoutException("The callback is either timed out or already completed")
