"""Whether the source is there, and a queue patient enough for the function: asked of the services next door.

Asked only when a mapping is created or given another function, as on AWS. Where a service cannot be asked (it is off,
or is none of those a node has neighbours for), nothing is refused.
"""

from __future__ import annotations

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.context import EventSources
from pilotlight.operations.event_sources.sources import DYNAMODB, KINESIS, Source


async def check_source(neighbours: EventSources, source: Source, arn: str, function_timeout_s: int) -> None:
    """InvalidParameterValueException in AWS's words; for a missing queue, in SQS's."""
    if source.is_queue:
        attributes = await neighbours.queue_attributes(arn)
        timeout_s = int(attributes["VisibilityTimeout"]) if attributes else function_timeout_s
        if timeout_s < function_timeout_s:
            raise InvalidParameterValueException(
                f"Queue visibility timeout: {timeout_s} seconds is less than "
                f"Function timeout: {function_timeout_s} seconds"
            )
    elif source.name in (KINESIS.name, DYNAMODB.name) and not await neighbours.has_stream(arn):
        raise InvalidParameterValueException(f"Stream not found: {arn}")
