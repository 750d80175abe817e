"""GetDurableExecutionHistory: what has happened in a durable execution, oldest first unless asked otherwise."""

from __future__ import annotations

from typing import Any

from pilotlight.operations.context import OperationsContext
from pilotlight.operations.durable_executions import LARGEST_PAGE, PAGE
from pilotlight.operations.durable_found import find
from pilotlight.operations.durable_shapes import shown_event
from pilotlight.operations.paging import page
from pilotlight.wire.messages import Call


async def get_durable_execution_history(context: OperationsContext, call: Call) -> dict[str, Any]:
    params = call.params
    events = find(context, call).events
    newest_first: bool = params.get("ReverseOrder", False)
    shown, marker = page(
        reversed(events) if newest_first else events,
        lambda event: ("", -event.id if newest_first else event.id),
        params.get("Marker"),
        params.get("MaxItems") or PAGE,
        LARGEST_PAGE,
    )
    with_data: bool = params.get("IncludeExecutionData", True)
    return {"Events": [shown_event(event, with_data=with_data) for event in shown], "NextMarker": marker}
