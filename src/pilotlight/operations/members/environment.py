"""Environment: a function's variables. Source: developer guide (environment variables, quotas), recorded errors."""

from __future__ import annotations

import json
from typing import Any

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.members.asked import Asked, Fields

#: developer guide, "Defined runtime environment variables", the reserved ones
RESERVED_KEYS = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_MAX_CONCURRENCY",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)


def environment(asked: Asked, given: dict[str, Any]) -> Fields:
    """Variables are replaced whole; an Environment without them says nothing.

    No variables are shown as such where a function is created with them (AWS's answers recorded by LocalStack's tests),
    and not at all where an update takes the last away (acceptance tests of terraform-provider-aws, run against AWS).
    """
    if "Variables" not in given:
        return {}
    variables: dict[str, str] = given["Variables"]
    reserved = [key for key in variables if key in RESERVED_KEYS]
    if reserved:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    limit = asked.context.settings.max_environment_bytes
    if len(measured.encode()) > limit:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided exceeded the {limit / 1024:g}KB limit. String measured: {measured}"
        )
    return {"environment": variables, "environment_given": bool(variables) or asked.creating}
