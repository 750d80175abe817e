"""What becomes of records a function fails on: their age, and where they are sent. Source: API reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.event_sources.sources import Source

_YOUNGEST_S = 60
_FOREVER = -1


def destination(given: dict[str, Any]) -> dict[str, Any]:
    """DestinationConfig as it is shown: AWS leaves an empty OnFailure where there is no destination."""
    arn: str = given.get("OnFailure", {}).get("Destination", "")
    return {"OnFailure": {"Destination": arn} if arn else {}}


def check_destination(source: Source, params: Mapping[str, Any]) -> None:
    config: dict[str, Any] = params.get("DestinationConfig", {})
    if "OnSuccess" in config:
        raise InvalidParameterValueException(
            "Unsupported DestinationConfig parameter for given event source mapping type."
        )
    arn: str = config.get("OnFailure", {}).get("Destination", "")
    if not arn:
        return
    service = "kafka" if arn.startswith("kafka://") else arn.split(":")[2]
    if service not in source.failure_destinations or (service in ("sqs", "sns") and arn.endswith(".fifo")):
        raise InvalidParameterValueException(f"The provided destination {arn} is invalid for event source mappings.")


def check_record_age(settings: Mapping[str, Any]) -> None:
    age_s: int = settings.get("MaximumRecordAgeInSeconds", _FOREVER)
    if age_s != _FOREVER and age_s < _YOUNGEST_S:
        raise InvalidParameterValueException(f"MaximumRecordAgeInSeconds must be {_FOREVER} or at least {_YOUNGEST_S}.")
