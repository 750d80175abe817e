"""Where in a stream a mapping starts to read. Source: answers recorded by LocalStack's snapshot tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.event_sources.sources import Source

_AT_TIMESTAMP = "AT_TIMESTAMP"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_position(source: Source, params: Mapping[str, Any], now: datetime) -> None:
    if not source.positions:
        return
    position: str | None = params.get("StartingPosition")
    timestamp: datetime | None = params.get("StartingPositionTimestamp")
    if position is None:
        raise InvalidParameterValueException(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
            "Member must not be null."
        )
    if position not in source.positions:
        raise InvalidParameterValueException(f"Unsupported starting position for arn type: {params['EventSourceArn']}")
    if position != _AT_TIMESTAMP:
        if timestamp is not None:
            raise InvalidParameterValueException("Timestamp only valid with StartingPosition AT_TIMESTAMP")
        return
    if timestamp is None:
        raise InvalidParameterValueException("Timestamp is required with StartingPosition AT_TIMESTAMP")
    if timestamp < _EPOCH:
        raise InvalidParameterValueException(
            "Received Exception while reading from provided stream. "
            "class java.lang.Long can not be converted to a Timestamp"
        )
    if timestamp > now:
        raise InvalidParameterValueException("StartingPositionTimestamp cannot be in the future")
