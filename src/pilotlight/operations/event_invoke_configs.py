"""Put, Update, Get, Delete, ListFunctionEventInvokeConfigs: retries, age and destinations of asynchronous invocations.

One configuration per version or alias; $LATEST's is that of the unqualified function. Put replaces, Update changes
what is given. Source: API reference, answers of AWS recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from pilotlight.catalog import names
from pilotlight.catalog.attached import EventInvokeConfig
from pilotlight.catalog.catalog import Catalog
from pilotlight.catalog.records import LATEST, Function
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.errors import AwsError, InvalidParameterValueException, ResourceNotFoundException
from pilotlight.operations.authorization import function_named
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.paging import page
from pilotlight.wire.messages import Call

_SETTINGS = {"MaximumRetryAttempts": "maximum_retry_attempts", "MaximumEventAgeInSeconds": "maximum_event_age_s"}
_DESTINATIONS = {"OnSuccess": "on_success", "OnFailure": "on_failure"}

_REGIONAL = r"arn:aws[a-z-]*:{}:[a-z0-9-]+:\d{{12}}:{}"
#: standard queues and topics only: `.fifo` has a dot, and their names have none
_QUEUE = re.compile(_REGIONAL.format("sqs", r"[a-zA-Z0-9_-]{1,80}"))
_TOPIC = re.compile(_REGIONAL.format("sns", r"[a-zA-Z0-9_-]{1,256}"))
_BUS = re.compile(_REGIONAL.format("events", r"event-bus/[/.a-zA-Z0-9_-]{1,256}"))
_FUNCTION = re.compile(_REGIONAL.format("lambda", r"function:[a-zA-Z0-9_-]+(:(\$LATEST|[a-zA-Z0-9_-]+))?"))
_BUCKET = re.compile(r"arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_TAKEN = {"OnSuccess": (_QUEUE, _TOPIC, _BUS, _FUNCTION), "OnFailure": (_QUEUE, _TOPIC, _BUS, _FUNCTION, _BUCKET)}


async def put_function_event_invoke_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    return await _change(context, call, replace=True)


async def update_function_event_invoke_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    return await _change(context, call, replace=False)


async def _change(context: OperationsContext, call: Call, *, replace: bool) -> dict[str, Any]:
    name = _named(call)
    given = _given(call.params)

    def change(view: FunctionView | None) -> tuple[FunctionChange, EventInvokeConfig]:
        view = _existing(name, view)
        function = view.function
        before = EventInvokeConfig() if replace else _found(name, function)
        _check_destinations(context.catalog, name, view, call.params.get("DestinationConfig", {}))
        config = msgspec.structs.replace(before, **given, modified_ms=context.clock.time_ms())
        configs = {**function.event_invokes, _qualifier(name): config}
        return FunctionChange(msgspec.structs.replace(function, event_invokes=configs)), config

    return _shown(name, await context.catalog.change(name.account, name.region, name.name, change))


async def get_function_event_invoke_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = _named(call)
    view = context.catalog.function(name.account, name.region, name.name)
    return _shown(name, _found(name, view.function if view else None))


async def delete_function_event_invoke_config(context: OperationsContext, call: Call) -> None:
    name = _named(call)

    def delete(view: FunctionView | None) -> tuple[FunctionChange, None]:
        _found(name, view.function if view else None)
        assert view is not None
        configs = {key: value for key, value in view.function.event_invokes.items() if key != _qualifier(name)}
        return FunctionChange(msgspec.structs.replace(view.function, event_invokes=configs)), None

    await context.catalog.change(name.account, name.region, name.name, delete)


async def list_function_event_invoke_configs(context: OperationsContext, call: Call) -> dict[str, Any]:
    """All of a function, $LATEST's first, then versions and aliases by name."""
    name = msgspec.structs.replace(function_named(call, call.params["FunctionName"]), qualifier=None)
    view = _existing(name, context.catalog.function(name.account, name.region, name.name))
    listed = sorted(view.function.event_invokes.items())
    shown, marker = page(listed, lambda item: (item[0], 0), call.params.get("Marker"), call.params.get("MaxItems"))
    configs = [_shown(msgspec.structs.replace(name, qualifier=qualifier), config) for qualifier, config in shown]
    return {"FunctionEventInvokeConfigs": configs, "NextMarker": marker}


def _named(call: Call) -> names.FunctionName:
    return function_named(call, call.params["FunctionName"], call.params.get("Qualifier"))


def _qualifier(name: names.FunctionName) -> str:
    return name.qualifier or LATEST


def _existing(name: names.FunctionName, view: FunctionView | None) -> FunctionView:
    """The function, when it has the version or alias named."""
    if view is None or view.version_of(name.qualifier) is None:
        raise ResourceNotFoundException("The function doesn't exist.")
    return view


def _found(name: names.FunctionName, function: Function | None) -> EventInvokeConfig:
    """The configuration. That there is no such function or qualifier is not told apart from there being none."""
    config = function.event_invokes.get(_qualifier(name)) if function else None
    if config is None:
        raise ResourceNotFoundException(f"The function {_arn(name)} doesn't have an EventInvokeConfig")
    return config


def _given(params: dict[str, Any]) -> dict[str, Any]:
    """The record's fields that a request sets; a destination that is given and empty is taken away."""
    if not {*_SETTINGS, "DestinationConfig"} & params.keys():
        raise InvalidParameterValueException("You must specify at least one of error handling or destination setting.")
    fields: dict[str, Any] = {field: params[member] for member, field in _SETTINGS.items() if member in params}
    for member, destination in params.get("DestinationConfig", {}).items():
        fields[_DESTINATIONS[member]] = destination.get("Destination") or None
    return fields


def _check_destinations(
    catalog: Catalog, name: names.FunctionName, view: FunctionView, config: dict[str, dict[str, str]]
) -> None:
    for member, destination in config.items():
        arn = destination.get("Destination")
        if not arn:
            continue
        if not any(pattern.fullmatch(arn) for pattern in _TAKEN[member]):
            raise InvalidParameterValueException(f"The provided destination config {_told(config)} is invalid.")
        if _FUNCTION.fullmatch(arn):
            _check_function(catalog, name, view, arn)


def _check_function(catalog: Catalog, name: names.FunctionName, view: FunctionView, arn: str) -> None:
    """It is there, and of another account's its policy lets this function's role invoke it."""
    parsed = names.parse_arn(arn)
    version = view.version_of(name.qualifier)
    assert parsed is not None and version is not None
    try:
        catalog.resolve(name.account, parsed.region, arn, None, version.role)
    except AwsError:
        raise InvalidParameterValueException(f"The destination ARN {arn} is invalid.") from None
    if (parsed.account, parsed.region, parsed.id.partition(":")[0]) == (name.account, name.region, name.name):
        raise InvalidParameterValueException("You can't specify the function as a destination for itself.")


def _told(config: dict[str, dict[str, str]]) -> str:
    """As AWS's error shows the structure."""
    success, failure = (
        f"{member}(destination={config[member].get('Destination', 'null')})" if member in config else "null"
        for member in _DESTINATIONS
    )
    return f"DestinationConfig(onSuccess={success}, onFailure={failure})"


def _arn(name: names.FunctionName) -> str:
    return names.function_arn(name.account, name.region, name.name, _qualifier(name))


def _shown(name: names.FunctionName, config: EventInvokeConfig) -> dict[str, Any]:
    """Both destinations always, empty ones as empty structures."""
    return {
        "LastModified": datetime.fromtimestamp(config.modified_ms / 1000, UTC),
        "FunctionArn": _arn(name),
        **{member: getattr(config, field) for member, field in _SETTINGS.items()},
        "DestinationConfig": {
            member: {"Destination": getattr(config, field)} for member, field in _DESTINATIONS.items()
        },
    }
