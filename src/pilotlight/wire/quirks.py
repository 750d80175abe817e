"""Where a service answers otherwise than its model says: found in recorded answers of AWS, kept here as data."""

from __future__ import annotations

import msgspec

from pilotlight.errors import AwsError, InvalidParameterException, ValidationException


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    validation_error: type[AwsError] = ValidationException
    """What a broken constraint is called."""
    judged_enums: frozenset[str] = frozenset()
    """Top-level enums, and lists of them, whose values the handler judges: AWS words it otherwise than for others."""
    enum_orders: dict[str, tuple[str, ...]] = {}
    """Enum shape -> its values in the order in which AWS lists them, where that has been seen."""
    statuses: dict[str, int] = {}
    """Operation -> status of its success."""
    payload_type: str = ""
    """Content-Type of a blob that is the whole body."""


QUIRKS: dict[str, Quirks] = {
    "lambda": Quirks(
        judged_enums=frozenset({"Runtime", "CompatibleRuntimes", "CompatibleArchitectures"}),
        enum_orders={
            "EventSourcePosition": ("LATEST", "AT_TIMESTAMP", "TRIM_HORIZON"),
            "InvokeMode": ("RESPONSE_STREAM", "BUFFERED"),
        },
        statuses={"DeleteFunction": 204},
        payload_type="application/json",
    ),
    "logs": Quirks(validation_error=InvalidParameterException),
}
