"""Which members a request may and must have, by source and by what is done.

The words are those AWS uses for Kafka and Amazon MQ (quoted in issues of aws-cdk and pulumi-aws); SQS and the streams
are taken to say the same, but for StartingPosition, which SQS refuses in words of its own (recorded).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.event_sources.sources import EVERYWHERE, Source
from pilotlight.wire.validate import lower_first

_POSITION = ("StartingPosition", "StartingPositionTimestamp")


def check_taken(source: Source, params: Mapping[str, Any]) -> None:
    if source.is_queue and any(member in params for member in _POSITION):
        raise InvalidParameterValueException("StartingPosition is not valid for SQS event sources.")
    for member in params:
        if member not in EVERYWHERE and member not in source.takes:
            raise unsupported(lower_first(member))


def check_required(source: Source, params: Mapping[str, Any]) -> None:
    for path in source.requires:
        given: Any = params
        for member in path:
            given = given.get(member)
            if not given:
                raise InvalidParameterValueException(
                    f"Required '{'.'.join(lower_first(part) for part in path)}' parameter is missing."
                )


def unsupported(member: str) -> InvalidParameterValueException:
    """`member` with its path, as AWS writes it: with a small first letter."""
    return InvalidParameterValueException(f"Unsupported '{member}' parameter for given event source mapping type.")
