"""Starting a durable execution: what an invocation of a function with a DurableConfig does first.

A name stands for one execution of a function until its retention is over. Source: Invoke's documentation of
DurableExecutionName.
"""

from __future__ import annotations

import uuid

from pilotlight.catalog.catalog import Catalog
from pilotlight.catalog.durable import DurableExecution, key
from pilotlight.catalog.durable_life import as_of, started
from pilotlight.catalog.records import FunctionVersion
from pilotlight.catalog.resources import KEEP, Keep
from pilotlight.errors import DurableExecutionAlreadyStartedException


async def start_execution(
    catalog: Catalog,
    version: FunctionVersion,
    *,
    name: str | None,
    input: str | None,
    synchronous: bool,
    now_ms: int,
    trace_id: str = "",
) -> DurableExecution:
    """A new execution, on disk; the one there is when name, version and input are those of one that was started.

    `version` has a DurableConfig; without a `name` one is made up. Raises DurableExecutionAlreadyStartedException when
    the name is taken by an execution of another version or input.
    """
    id = str(uuid.uuid4())
    name = name or str(uuid.uuid4())

    def start(found: DurableExecution | None) -> tuple[DurableExecution | Keep, DurableExecution]:
        existing = as_of(found, now_ms) if found is not None else None
        if existing is None:
            execution = started(
                version, id=id, name=name, input=input, synchronous=synchronous, trace_id=trace_id, now_ms=now_ms
            )
            return execution, execution
        if (existing.version, existing.input) != (version.version, input) or existing.status == "DELETING":
            raise DurableExecutionAlreadyStartedException(f"Execution already started: {existing.arn}")
        return KEEP, existing

    return await catalog.durable_executions.change(version.account, version.region, key(version.name, name), start)
