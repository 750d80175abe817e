"""CreateFunctionUrlConfig and its siblings: the settings of a function's URL, or of that of one of its aliases.

A URL is `http://ID.lambda-url.REGION.localhost:PORT/`, with the port the client itself used: names under localhost need
no DNS (the setting url_domain names another domain). Its id stays what it was at its creation. Requests to it are
served by `triggers.function_urls`. That versions and $LATEST have no URL is in
the model's patterns. Source: API reference, answers of AWS recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime
from typing import Any

import msgspec

from pilotlight.catalog import names
from pilotlight.catalog.attached import UrlConfig
from pilotlight.catalog.records import Function
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.errors import InvalidParameterValueException, ResourceConflictException, ResourceNotFoundException
from pilotlight.operations.authorization import function_named
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.paging import page
from pilotlight.wire.messages import Call

_ID_ALPHABET = string.ascii_lowercase + string.digits
_ID_LENGTH = 32
_FIELDS = {"AuthType": "auth_type", "InvokeMode": "invoke_mode", "Cors": "cors"}


async def create_function_url_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = _named(call)
    now_ms = context.clock.time_ms()
    url_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
    url = UrlConfig(url_id=url_id, created_ms=now_ms, modified_ms=now_ms, **_fields(call.params))

    def create(view: FunctionView | None) -> tuple[FunctionChange, None]:
        view = _existing(name, view)
        if _key(name) in view.function.urls:
            raise ResourceConflictException(
                f"Failed to create function url config for [functionArn = {name.arn}]. "
                "Error message:  FunctionUrlConfig exists for this Lambda function"
            )
        if view.latest.held.get("TenancyConfig"):
            raise InvalidParameterValueException(
                "Function URLs are not supported for functions with tenant isolation mode enabled."
            )
        return _with_url(view.function, name, url), None

    await context.catalog.change(name.account, name.region, name.name, create)
    return _answered(context, call, name, url, "CreationTime")


async def get_function_url_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = _named(call)
    view = context.catalog.function(name.account, name.region, name.name)
    return _shown(context, call, name, _found(name, view.function if view else None))


async def list_function_url_configs(context: OperationsContext, call: Call) -> dict[str, Any]:
    """All of a function: its own first, then those of its aliases by name."""
    name = msgspec.structs.replace(function_named(call, call.params["FunctionName"]), qualifier=None)
    view = _existing(name, context.catalog.function(name.account, name.region, name.name))
    listed = sorted(view.function.urls.items())
    shown, marker = page(listed, lambda item: (item[0], 0), call.params.get("Marker"), call.params.get("MaxItems"))
    configs = [
        _shown(context, call, msgspec.structs.replace(name, qualifier=alias or None), url) for alias, url in shown
    ]
    return {"FunctionUrlConfigs": configs, "NextMarker": marker}


async def update_function_url_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    """What is not given stays; Cors is replaced as a whole, and an empty one takes the settings away."""
    name = _named(call)

    def update(view: FunctionView | None) -> tuple[FunctionChange, UrlConfig]:
        function = _existing(name, view).function
        before = _found(name, function)
        url = msgspec.structs.replace(before, modified_ms=context.clock.time_ms(), **_fields(call.params))
        return _with_url(function, name, url), url

    url = await context.catalog.change(name.account, name.region, name.name, update)
    return _answered(context, call, name, url, "CreationTime", "LastModifiedTime")


async def delete_function_url_config(context: OperationsContext, call: Call) -> None:
    name = _named(call)

    def delete(view: FunctionView | None) -> tuple[FunctionChange, None]:
        _found(name, view.function if view else None)
        assert view is not None
        urls = {key: url for key, url in view.function.urls.items() if key != _key(name)}
        return FunctionChange(msgspec.structs.replace(view.function, urls=urls)), None

    await context.catalog.change(name.account, name.region, name.name, delete)


def _named(call: Call) -> names.FunctionName:
    return function_named(call, call.params["FunctionName"], call.params.get("Qualifier"))


def _key(name: names.FunctionName) -> str:
    return name.qualifier or ""


def _fields(params: dict[str, Any]) -> dict[str, Any]:
    fields = {field: params[member] for member, field in _FIELDS.items() if member in params}
    if "cors" in fields:
        fields["cors"] = fields["cors"] or None
    return fields


def _existing(name: names.FunctionName, view: FunctionView | None) -> FunctionView:
    """The function, when it has the alias named."""
    if view is None or (name.qualifier is not None and name.qualifier not in view.function.aliases):
        raise ResourceNotFoundException("Function does not exist")
    return view


def _found(name: names.FunctionName, function: Function | None) -> UrlConfig:
    url = function.urls.get(_key(name)) if function else None
    if url is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return url


def _with_url(function: Function, name: names.FunctionName, url: UrlConfig) -> FunctionChange:
    return FunctionChange(msgspec.structs.replace(function, urls={**function.urls, _key(name): url}))


def _answered(
    context: OperationsContext, call: Call, name: names.FunctionName, url: UrlConfig, *times: str
) -> dict[str, Any]:
    """What creating and updating answer: InvokeMode only when it was asked for."""
    shown = _shown(context, call, name, url)
    if "InvokeMode" not in call.params:
        del shown["InvokeMode"]
    return {member: value for member, value in shown.items() if not member.endswith("Time") or member in times}


def _shown(context: OperationsContext, call: Call, name: names.FunctionName, url: UrlConfig) -> dict[str, Any]:
    return {
        "FunctionUrl": _address(context, call, url),
        "FunctionArn": name.arn,
        "AuthType": url.auth_type,
        "Cors": url.cors,
        "CreationTime": _timestamp(url.created_ms),
        "LastModifiedTime": _timestamp(url.modified_ms),
        "InvokeMode": url.invoke_mode,
    }


def _address(context: OperationsContext, call: Call, url: UrlConfig) -> str:
    port = (
        context.host(call).rpartition("]")[2].partition(":")[2]
    )  # an IPv6 address has colons of its own, inside brackets
    return f"http://{url.url_id}.lambda-url.{call.region}.{context.settings.url_domain}{port and ':'}{port}/"


def _timestamp(epoch_ms: int) -> str:
    """`2026-11-21T03:32:00.000Z`."""
    return f"{datetime.fromtimestamp(epoch_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{epoch_ms % 1000:03d}Z"
