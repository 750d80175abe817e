"""Finding the durable execution an operation is about, as it is at this moment, and changing it.

Source of the errors: the model's documentation and the sentences users of the service quote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

import msgspec

from pilotlight.catalog import names
from pilotlight.catalog.durable import DurableExecution, Repeatable, key
from pilotlight.catalog.durable_life import as_of
from pilotlight.catalog.resources import Keep
from pilotlight.errors import ResourceNotFoundException
from pilotlight.operations.context import OperationsContext
from pilotlight.wire.messages import Call

T = TypeVar("T")

#: how long a call with the same ClientToken is the same call
REPEAT_MS = 15 * 60 * 1000

Decision = Callable[[DurableExecution], "tuple[DurableExecution | Keep, T]"]


def find(context: OperationsContext, call: Call) -> DurableExecution:
    """What DurableExecutionArn names; ResourceNotFoundException when there is none, or its retention is over."""
    name = _named(call)
    found = context.catalog.durable_executions.get(name.account, name.region, key(name.function, name.name))
    return _as_it_is(context, name, found)


async def change(context: OperationsContext, call: Call, decide: Decision[T]) -> T:
    """Run `decide` on the execution as it is now, and write what it gives; see `Resources.change`."""
    name = _named(call)

    def now(found: DurableExecution | None) -> tuple[DurableExecution | Keep | None, T]:
        return decide(_as_it_is(context, name, found))

    executions = context.catalog.durable_executions
    return await executions.change(name.account, name.region, key(name.function, name.name), now)


def _named(call: Call) -> names.DurableExecutionName:
    name = names.parse_durable_execution(call.params["DurableExecutionArn"])
    if name is None or name.region != call.region:
        raise _not_found()
    return name


def _as_it_is(
    context: OperationsContext, name: names.DurableExecutionName, found: DurableExecution | None
) -> DurableExecution:
    """`found` now, if it is what `name` says."""
    execution = as_of(found, context.clock.time_ms()) if found is not None else None
    if execution is None or (execution.id, execution.version) != (name.id, name.version):
        raise _not_found()
    return execution


def _not_found() -> ResourceNotFoundException:
    return ResourceNotFoundException("Durable Execution does not exist")


def digest_of(call: Call) -> str:
    """Of what a repeated call must have in common with the first, besides its ClientToken."""
    given = {name: value for name, value in call.params.items() if name != "ClientToken"}
    return hashlib.sha256(msgspec.msgpack.encode(given, order="deterministic")).hexdigest()


def is_repeated(last: Repeatable | None, call: Call, now_ms: int) -> bool:
    """Whether `call` is that call again."""
    if last is None or last.client_token != call.params.get("ClientToken"):
        return False
    return last.digest == digest_of(call) and now_ms - last.at_ms < REPEAT_MS
