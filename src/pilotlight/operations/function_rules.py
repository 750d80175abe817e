"""What AWS demands of a function's configuration beyond the model's constraints, each with AWS's own words.

CreateFunction and UpdateFunctionConfiguration share these. A rule takes the request's parameters and returns the
record's fields, or raises. Source: developer guide (quotas, environment variables, advanced logging), errors recorded
by LocalStack's snapshot tests and quoted in public issue threads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pilotlight.catalog.records import FunctionVersion
from pilotlight.errors import InvalidParameterValueException, ValidationException

Params = Mapping[str, Any]
Fields = dict[str, Any]

MAX_TIMEOUT_S = 900
MAX_MEMORY_MIB = 10_240
MAX_TMP_MIB = 10_240
MAX_ENVIRONMENT_BYTES = 4096
MAX_LAYERS = 5

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

_AS_GIVEN = {
    "Role": "role",
    "Handler": "handler",
    "Description": "description",
    "Runtime": "runtime",
    "Timeout": "timeout_s",
    "MemorySize": "memory_mib",
}
_EMPTY_VPC: dict[str, Any] = {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": False}


def fields(params: Params, before: FunctionVersion | None) -> Fields:
    """The record's fields that `params` set, checked; `before` is the version being updated, None for a new one."""
    _check_limits(params)
    values: Fields = {field: params[member] for member, field in _AS_GIVEN.items() if member in params}
    if "EphemeralStorage" in params:
        values["tmp_mib"] = params["EphemeralStorage"]["Size"]
    if "TracingConfig" in params:
        values["tracing"] = params["TracingConfig"].get("Mode", "PassThrough")
    if "Environment" in params:
        values["environment"] = _environment(params["Environment"].get("Variables") or {})
        values["environment_given"] = True
    if "VpcConfig" in params:
        # One with subnets was refused before: this is the empty one, which AWS shows from then on.
        values["held"] = {**(before.held if before else {}), "VpcConfig": _EMPTY_VPC}
    if "LoggingConfig" in params:
        values.update(_logging(params["LoggingConfig"], before))
    return values


def check_package(params: Params) -> None:
    """A new function's package type, and what must and must not go with it."""
    if params.get("PackageType", "Zip") == "Image":
        if params.get("Handler") or params.get("Runtime") or params.get("Layers"):
            raise InvalidParameterValueException(
                "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
            )
    elif not params.get("Handler") or not params.get("Runtime"):
        raise InvalidParameterValueException(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )


def check_layers(params: Params) -> None:
    if len(params.get("Layers") or ()) > MAX_LAYERS:
        raise InvalidParameterValueException("Cannot reference more than 5 layers.")


def _check_limits(params: Params) -> None:
    """The model allows more than AWS does outside of managed instances, which are not here."""
    if params.get("Timeout", 0) > MAX_TIMEOUT_S:
        raise ValidationException(_too_large(params["Timeout"], "timeout", MAX_TIMEOUT_S))
    if params.get("MemorySize", 0) > MAX_MEMORY_MIB:
        raise ValidationException(
            "'MemorySize' value failed to satisfy constraint: "
            f"Member must have value less than or equal to {MAX_MEMORY_MIB}"
        )
    tmp_mib = params.get("EphemeralStorage", {}).get("Size", 0)
    if tmp_mib > MAX_TMP_MIB:
        raise ValidationException(_too_large(tmp_mib, "ephemeralStorage.size", MAX_TMP_MIB))


def _too_large(value: int, member: str, limit: int) -> str:
    return (
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
        f"Member must have value less than or equal to {limit}"
    )


def _environment(variables: dict[str, str]) -> dict[str, str]:
    reserved = [key for key in variables if key in RESERVED_KEYS]
    if reserved:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > MAX_ENVIRONMENT_BYTES:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided exceeded the 4KB limit. String measured: {measured}"
        )
    return variables


def _logging(given: Params, before: FunctionVersion | None) -> Fields:
    """LoggingConfig is merged member by member; levels exist with JSON only, and are INFO unless said."""
    log_format = given.get("LogFormat", before.log_format if before else "Text")
    values: Fields = {"log_format": log_format, "application_log_level": "", "system_log_level": ""}
    if "LogGroup" in given:
        values["log_group"] = given["LogGroup"]
    if log_format == "JSON":
        application, system = (before.application_log_level, before.system_log_level) if before else ("", "")
        values["application_log_level"] = given.get("ApplicationLogLevel") or application or "INFO"
        values["system_log_level"] = given.get("SystemLogLevel") or system or "INFO"
    elif given.get("ApplicationLogLevel") or given.get("SystemLogLevel"):
        raise InvalidParameterValueException(
            'LogLevel is not supported when LogFormat is set to "Text". '
            'Remove LogLevel from your request or change the LogFormat to "JSON" and try again.'
        )
    return values
