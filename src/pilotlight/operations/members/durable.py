"""DurableConfig: a function is durable from its creation on, or never.

Source: API reference; AWS's sentences and defaults as quoted in the threads of its .NET tools and measured by others.
"""

from __future__ import annotations

from typing import Any

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.members.asked import Asked

RETENTION_DAYS = 14
LONGEST_TIMEOUT_S = 900


def durable(asked: Asked, given: dict[str, Any]) -> dict[str, Any] | None:
    """Merged member by member into what there was; an empty KMSKeyArn takes the key away."""
    before: dict[str, Any] | None = asked.shown_before("DurableConfig")
    if asked.creating:
        if "ExecutionTimeout" not in given:
            raise InvalidParameterValueException(
                "You cannot create a function with a durable configuration without an executionTimeout"
            )
        before = {"RetentionPeriodInDays": RETENTION_DAYS}
    elif before is None:
        if given:
            raise InvalidParameterValueException(
                "You cannot add a durable configuration to a function that was originally created with no durable "
                "configuration"
            )
        return None
    return {member: value for member, value in {**before, **given}.items() if value != ""}


def usual_timeout_s(execution_timeout_s: int) -> int:
    """The Timeout of a durable function that names none: as long as an invocation may be, within its execution."""
    return min(execution_timeout_s, LONGEST_TIMEOUT_S)
