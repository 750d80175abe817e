"""Put, Get, Delete, ListProvisionedConcurrencyConfigs: environments of a version or alias kept initialised.

What is asked for is kept here; the environments are the pool's, and how far it has come is asked of it at every call.
Source: developer guide, "Configuring provisioned concurrency"; errors recorded by LocalStack's snapshot tests and
quoted in public issue threads. AWS leaves Type out of those about amounts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from pilotlight.catalog import names
from pilotlight.catalog.attached import ProvisionedConcurrency
from pilotlight.catalog.provisioning import provisioned_in_all
from pilotlight.catalog.records import LATEST, Function, FunctionVersion
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.errors import (
    InvalidParameterValueException,
    ProvisionedConcurrencyConfigNotFoundException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from pilotlight.operations.authorization import function_named
from pilotlight.operations.concurrency import check_unreserved, unreserved
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.found import found
from pilotlight.operations.paging import Key, page
from pilotlight.wire.messages import Call

UNPUBLISHED = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."


async def put_provisioned_concurrency_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    params = call.params
    name = function_named(call, params["FunctionName"], params["Qualifier"])
    requested: int = params["ProvisionedConcurrentExecutions"]
    if name.qualifier == LATEST:
        raise InvalidParameterValueException(UNPUBLISHED)

    def put(view: FunctionView | None) -> tuple[FunctionChange, ProvisionedConcurrency]:
        view, qualifier = _qualified(name, view)
        _check_amount(context, name, view.function, requested)
        _check_version(view, qualifier)
        config = ProvisionedConcurrency(requested=requested, modified_ms=context.clock.time_ms())
        configs = {**view.function.provisioned, qualifier: config}
        return FunctionChange(msgspec.structs.replace(view.function, provisioned=configs)), config

    async with context.concurrency_changing:
        config = await context.catalog.change(name.account, name.region, name.name, put)
    return _shown(context, name, config)


async def get_provisioned_concurrency_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = _named(call)
    view, qualifier = _qualified(name, context.catalog.function(name.account, name.region, name.name))
    config = view.function.provisioned.get(qualifier)
    if config is None:
        raise ProvisionedConcurrencyConfigNotFoundException("No Provisioned Concurrency Config found for this function")
    return _shown(context, name, config)


async def delete_provisioned_concurrency_config(context: OperationsContext, call: Call) -> None:
    """That there is none is no error; that there is no such version or alias is."""
    name = _named(call)

    def delete(view: FunctionView | None) -> tuple[FunctionChange | None, None]:
        view, qualifier = _qualified(name, view)
        if qualifier not in view.function.provisioned:
            return None, None
        configs = {key: config for key, config in view.function.provisioned.items() if key != qualifier}
        return FunctionChange(msgspec.structs.replace(view.function, provisioned=configs)), None

    async with context.concurrency_changing:
        await context.catalog.change(name.account, name.region, name.name, delete)


async def list_provisioned_concurrency_configs(context: OperationsContext, call: Call) -> dict[str, Any]:
    """Those of versions in order of publishing, then those of aliases by name."""
    params = call.params
    name = function_named(call, params["FunctionName"])
    view = found(name, context.catalog.function(name.account, name.region, name.name))
    qualifiers, marker = page(
        sorted(view.function.provisioned, key=_list_key), _list_key, params.get("Marker"), params.get("MaxItems")
    )
    shown: list[dict[str, Any]] = []
    for qualifier in qualifiers:
        qualified = names.FunctionName(name.account, name.region, name.name, qualifier)
        config = view.function.provisioned[qualifier]
        shown.append({"FunctionArn": qualified.arn, **_shown(context, qualified, config)})
    return {"ProvisionedConcurrencyConfigs": shown, "NextMarker": marker}


def _list_key(qualifier: str) -> Key:
    return ("", int(qualifier)) if names.is_version(qualifier) else (qualifier, 0)


def _named(call: Call) -> names.FunctionName:
    name = function_named(call, call.params["FunctionName"], call.params["Qualifier"])
    if name.qualifier == LATEST:
        raise InvalidParameterValueException("The function resource provided must be an alias or a published version.")
    return name


def _qualified(name: names.FunctionName, view: FunctionView | None) -> tuple[FunctionView, str]:
    """The function and the qualifier, which exists."""
    qualifier = name.qualifier or LATEST
    if names.is_alias(qualifier):
        if view is None or qualifier not in view.function.aliases:
            raise ResourceNotFoundException(f"Cannot find alias arn: {name.arn}")
    elif view is None or qualifier not in view.versions:
        raise ResourceNotFoundException(f"Function not found: {name.arn}")
    return view, qualifier


def _check_amount(context: OperationsContext, name: names.FunctionName, function: Function, requested: int) -> None:
    before = function.provisioned.get(name.qualifier or LATEST)
    total = provisioned_in_all(function) - (before.requested if before else 0) + requested
    if function.reserved_concurrency is not None:
        if total > function.reserved_concurrency:
            raise InvalidParameterValueException(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for "
                "function"
            )
        return
    left = unreserved(context, name.account, name.region, without=name.name)
    if total > left:
        raise InvalidParameterValueException(
            f"Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{left}].",
            Type="",
        )
    check_unreserved(context, name, total, "ConcurrentExecutions")


def _check_version(view: FunctionView, qualifier: str) -> None:
    function = view.function
    alias = function.aliases.get(qualifier)
    if alias is None:
        version = view.versions[qualifier]
        if any(
            qualifier in (other.version, *other.weights)
            for other in function.aliases.values()
            if other.name in function.provisioned
        ):
            raise ResourceConflictException("Version is pointed by a Provisioned Concurrency alias")
    else:
        if alias.version == LATEST:
            raise InvalidParameterValueException(UNPUBLISHED)
        if alias.weights:
            raise InvalidParameterValueException("Alias with weights can not be used with Provisioned Concurrency")
        if alias.version in function.provisioned:
            raise ResourceConflictException(
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
            )
        version = view.versions[alias.version]
    _check_function(version)


def _check_function(version: FunctionVersion) -> None:
    """Developer guide: what provisioned concurrency does not go with."""
    if version.snap_start == "PublishedVersions":
        raise InvalidParameterValueException("Provisioned Concurrency is not supported for functions with SnapStart.")
    if version.held.get("TenancyConfig"):
        raise InvalidParameterValueException(
            "Provisioned Concurrency is not supported for functions with tenancy configuration."
        )
    if version.held.get("CapacityProviderConfig"):
        raise InvalidParameterValueException(
            "Provisioned Concurrency is not supported for functions with a capacity provider."
        )
    if version.state != "Active":
        raise ResourceConflictException(
            "The operation cannot be performed at this time. "
            f"The function is currently in the following state: {version.state}"
        )


def _shown(context: OperationsContext, name: names.FunctionName, config: ProvisionedConcurrency) -> dict[str, Any]:
    assert name.qualifier is not None
    allocation = context.provisioned.allocation(name.account, name.region, name.name, name.qualifier)
    modified = datetime.fromtimestamp(config.modified_ms / 1000, UTC)
    return {
        "RequestedProvisionedConcurrentExecutions": config.requested,
        "AvailableProvisionedConcurrentExecutions": allocation.allocated,
        "AllocatedProvisionedConcurrentExecutions": allocation.allocated,
        "Status": allocation.status,
        "StatusReason": allocation.reason or None,
        "LastModified": f"{modified:%Y-%m-%dT%H:%M:%S}+0000",
    }
