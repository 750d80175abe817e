"""Where a service answers otherwise than its model says: found in recorded answers of AWS, kept here as data."""

from __future__ import annotations

import msgspec

from pilotlight.errors import AwsError, InvalidParameterException, ValidationException


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    validation_error: type[AwsError] = ValidationException
    """What a broken constraint is called."""
    backend_enums: dict[str, str] = {}
    """Top-level enum member -> what AWS appends when it has another value. These are judged after all other
    constraints, by InvalidParameterValueException, because AWS's frontend lets them through to the service."""
    judged_lists: frozenset[str] = frozenset()
    """Top-level lists of enums whose values the handler judges, because AWS words it otherwise than for other lists."""
    enum_orders: dict[str, tuple[str, ...]] = {}
    """Enum shape -> its values in the order in which AWS lists them, where that has been seen."""
    statuses: dict[str, int] = {}
    """Operation -> status of its success."""
    payload_type: str = ""
    """Content-Type of a blob that is the whole body."""


QUIRKS: dict[str, Quirks] = {
    "lambda": Quirks(
        backend_enums={"Runtime": " or be a valid ARN"},
        judged_lists=frozenset({"CompatibleRuntimes", "CompatibleArchitectures"}),
        enum_orders={"EventSourcePosition": ("LATEST", "AT_TIMESTAMP", "TRIM_HORIZON")},
        statuses={"DeleteFunction": 204},
        payload_type="application/json",
    ),
    "logs": Quirks(validation_error=InvalidParameterException),
}
