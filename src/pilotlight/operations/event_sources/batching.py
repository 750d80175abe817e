"""How many records a batch holds, and how long it gathers them.

Source: recorded by LocalStack's snapshot tests, and for FIFO queues quoted by aws-lambda-dotnet. A FIFO queue's ten is
what these two leave: over ten needs a window, and it may have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.event_sources.sources import SQS_FIFO, Source

_WITHOUT_WINDOW = 10


def check_batching(source: Source, settings: Mapping[str, Any]) -> None:
    if not source.is_queue:
        return
    window_s: int = settings["MaximumBatchingWindowInSeconds"]
    if settings["BatchSize"] > _WITHOUT_WINDOW and not window_s:
        raise InvalidParameterValueException(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )
    if source.name == SQS_FIFO.name and window_s:
        raise InvalidParameterValueException("Batching window is not supported for FIFO queues")
