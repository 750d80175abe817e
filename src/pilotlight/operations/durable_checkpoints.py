"""CheckpointDurableExecution and GetDurableExecutionState: what the durable functions SDK calls from inside a function.

A checkpoint token belongs to one invocation and is good for one checkpoint. The same checkpoint sent again with its
ClientToken, within 15 minutes and before the next one, gets the same answer. An execution that is not there answers as
a token that is not valid: neither operation has a ResourceNotFoundException.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import durable_life
from pilotlight.catalog.durable import DurableExecution, Operation, Repeatable
from pilotlight.catalog.durable_tokens import CheckpointToken, checkpoint_token, decode
from pilotlight.catalog.durable_updates import updated
from pilotlight.catalog.resources import KEEP, Keep
from pilotlight.errors import InvalidParameterValueException, ResourceNotFoundException
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.durable_executions import LARGEST_PAGE, PAGE
from pilotlight.operations.durable_found import change, digest_of, find, is_repeated
from pilotlight.operations.durable_shapes import shown_operation
from pilotlight.operations.paging import page
from pilotlight.wire.messages import Call

replace = msgspec.structs.replace

Answer = tuple[str | None, tuple[Operation, ...]]
"""The next token (None when no further checkpoint is possible), and the operations that are news to the function."""


async def checkpoint_durable_execution(context: OperationsContext, call: Call) -> dict[str, Any]:
    params, settings, now_ms = call.params, context.settings, context.clock.time_ms()

    def checkpoint(execution: DurableExecution) -> tuple[DurableExecution | Keep, Answer]:
        last = execution.last_checkpoint
        if (
            last is not None
            and is_repeated(last, call, now_ms)
            and _is_valid(execution, last.answer["CheckpointToken"])
        ):
            return KEEP, (last.answer["CheckpointToken"], last.operations)
        _check_token(execution, params["CheckpointToken"])
        execution = updated(
            execution,
            params.get("Updates", []),
            now_ms,
            max_operations=settings.durable_max_operations,
            max_bytes=settings.durable_max_bytes,
        )
        if execution.status == "PAUSING":
            # What is news is told to the invocation that comes after the pause.
            return durable_life.paused(execution, now_ms), (None, ())
        news = tuple(_news(execution))
        execution = replace(execution, seen=execution.change, sequence=execution.sequence + 1)
        if execution.ended_ms:
            return execution, (None, news)
        token = checkpoint_token(execution)
        client_token: str | None = params.get("ClientToken")
        last = (
            Repeatable(client_token, digest_of(call), now_ms, {"CheckpointToken": token}, news)
            if client_token
            else None
        )
        return replace(execution, last_checkpoint=last), (token, news)

    try:
        token, news = await change(context, call, checkpoint)
    except ResourceNotFoundException:
        raise _invalid_token(call) from None
    return {
        "CheckpointToken": token,
        "NewExecutionState": {"Operations": [shown_operation(operation) for operation in news]},
    }


async def get_durable_execution_state(context: OperationsContext, call: Call) -> dict[str, Any]:
    """In the order the operations were started; what an ended context did inside is left out, as its result stands for
    it, unless the context asked for it to be replayed."""
    params = call.params
    try:
        execution = find(context, call)
    except ResourceNotFoundException:
        raise _invalid_token(call) from None
    _check_token(execution, params["CheckpointToken"])
    numbered = [(number, operation) for number, operation in enumerate(_replayed(execution))]
    shown, marker = page(
        numbered, lambda item: ("", item[0]), params.get("Marker"), params.get("MaxItems") or PAGE, LARGEST_PAGE
    )
    return {"Operations": [shown_operation(operation) for _, operation in shown], "NextMarker": marker or ""}


def _news(execution: DurableExecution) -> list[Operation]:
    changed = [operation for operation in execution.operations.values() if operation.changed > execution.seen]
    return sorted(changed, key=lambda operation: operation.changed)


def _replayed(execution: DurableExecution) -> list[Operation]:
    closed: set[str] = set()
    kept: list[Operation] = []
    for operation in execution.operations.values():
        if operation.parent_id in closed:
            closed.add(operation.id)
            continue
        kept.append(operation)
        if operation.type == "CONTEXT" and operation.ended_ms and not operation.replay_children:
            closed.add(operation.id)
    return kept


def _check_token(execution: DurableExecution, text: str) -> None:
    if not _is_valid(execution, text):
        raise _refused(text, execution.id)


def _is_valid(execution: DurableExecution, text: str) -> bool:
    return bool(execution.invocation) and not execution.ended_ms and text == checkpoint_token(execution)


def _invalid_token(call: Call) -> InvalidParameterValueException:
    return _refused(call.params["CheckpointToken"], call.params["DurableExecutionArn"].rpartition("/")[2])


def _refused(text: str, execution_id: str) -> InvalidParameterValueException:
    token = decode(text, CheckpointToken)
    if token is not None and token.execution_id != execution_id:
        return InvalidParameterValueException("Checkpoint token is not valid for the durable execution ARN")
    return InvalidParameterValueException("Invalid checkpoint token")
