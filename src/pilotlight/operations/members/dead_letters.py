"""DeadLetterConfig. Source: developer guide (dead-letter queues); the sentence's first half as AWS words it."""

from __future__ import annotations

import re
from typing import Any

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.members.asked import Asked

#: standard ones only: `.fifo` has a dot, and their names have none
_TARGET = re.compile(
    r"arn:aws[a-zA-Z-]*:(?:sqs:[a-z0-9-]+:\d{12}:[a-zA-Z0-9_-]{1,80}|sns:[a-z0-9-]+:\d{12}:[a-zA-Z0-9_-]{1,256})"
)


def dead_letters(asked: Asked, given: dict[str, Any]) -> dict[str, Any] | None:
    """An empty TargetArn, or none, takes the configuration away."""
    target: str = given.get("TargetArn", "")
    if target and not _TARGET.fullmatch(target):
        raise InvalidParameterValueException(
            "Invalid dead letter queue ARN: the target must be a standard Amazon SQS queue or a standard Amazon SNS "
            "topic."
        )
    return {"TargetArn": target} if target else None
