"""LoggingConfig: merged member by member; levels exist with JSON only, and are INFO unless said.

Functions on a capacity provider log in JSON and in nothing else; durable functions do unless told otherwise. Source:
developer guide (advanced logging controls), answers recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

from typing import Any

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.members.asked import Asked, Fields


def logging(asked: Asked, given: dict[str, Any]) -> Fields:
    before = asked.before
    managed = asked.has("CapacityProviderConfig")
    usual = "JSON" if managed or "DurableConfig" in asked.call.params else "Text"
    log_format: str = given.get("LogFormat", before.log_format if before else usual)
    values: Fields = {"log_format": log_format, "application_log_level": "", "system_log_level": ""}
    if "LogGroup" in given:
        values["log_group"] = given["LogGroup"]
    if log_format == "JSON":
        application, system = (before.application_log_level, before.system_log_level) if before else ("", "")
        values["application_log_level"] = given.get("ApplicationLogLevel") or application or "INFO"
        values["system_log_level"] = given.get("SystemLogLevel") or system or "INFO"
    elif managed or given.get("ApplicationLogLevel") or given.get("SystemLogLevel"):
        raise InvalidParameterValueException(
            'LogLevel is not supported when LogFormat is set to "Text". '
            'Remove LogLevel from your request or change the LogFormat to "JSON" and try again.'
        )
    return values
