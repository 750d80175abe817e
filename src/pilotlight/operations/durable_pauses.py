"""PauseDurableExecution and ResumeDurableExecution.

A call that is repeated with its ClientToken within 15 minutes succeeds without doing anything; otherwise there is
nothing to pause in an execution that does not run, and nothing to resume in one that is not paused.
"""

from __future__ import annotations

import msgspec

from pilotlight.catalog import durable_life
from pilotlight.catalog.durable import DurableExecution, Repeatable
from pilotlight.catalog.resources import KEEP, Keep
from pilotlight.errors import ResourceConflictException
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.durable_found import change, digest_of, is_repeated
from pilotlight.wire.messages import Call

replace = msgspec.structs.replace


async def pause_durable_execution(context: OperationsContext, call: Call) -> None:
    now_ms, params = context.clock.time_ms(), call.params

    def pause(execution: DurableExecution) -> tuple[DurableExecution | Keep, None]:
        if is_repeated(execution.last_pause, call, now_ms):
            return KEEP, None
        if execution.status != "RUNNING":
            raise ResourceConflictException(f"Durable Execution cannot be paused in status {execution.status}")
        execution = durable_life.pause_requested(
            execution, params.get("Reason"), params.get("ExecutionTimeoutPaused", True), now_ms
        )
        return replace(execution, last_pause=_repeatable(call, now_ms)), None

    await change(context, call, pause)


async def resume_durable_execution(context: OperationsContext, call: Call) -> None:
    now_ms = context.clock.time_ms()

    def resume(execution: DurableExecution) -> tuple[DurableExecution | Keep, None]:
        if is_repeated(execution.last_resume, call, now_ms):
            return KEEP, None
        if execution.status not in ("PAUSING", "PAUSED"):
            raise ResourceConflictException(f"Durable Execution cannot be resumed in status {execution.status}")
        execution = durable_life.resumed(execution, call.params.get("Reason"), now_ms)
        return replace(execution, last_resume=_repeatable(call, now_ms)), None

    await change(context, call, resume)


def _repeatable(call: Call, now_ms: int) -> Repeatable | None:
    token: str | None = call.params.get("ClientToken")
    return Repeatable(token, digest_of(call), now_ms) if token else None
