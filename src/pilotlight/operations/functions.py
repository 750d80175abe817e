"""CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions and DeleteFunction."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import lifecycle, names
from pilotlight.catalog.catalog import FunctionChange, FunctionView
from pilotlight.catalog.records import LATEST, Function, FunctionVersion
from pilotlight.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
    ValidationException,
)
from pilotlight.operations import code, function_rules, unsupported, versions
from pilotlight.operations.authorization import function_named
from pilotlight.operations.configuration import Configuration, configuration, listed_configuration
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.paging import page
from pilotlight.operations.tags import checked_tags
from pilotlight.wire.messages import Call

MAX_NAME = 64


async def create_function(context: OperationsContext, call: Call) -> Configuration:
    """A new function, Pending; with Publish also its version 1, which is then what is answered."""
    params = call.params
    name = _new_name(call)
    function_rules.check_package(params)
    function_rules.check_layers(params)
    unsupported.refuse(params)
    values = function_rules.fields(params, None)
    tags = checked_tags(params.get("Tags", {}))
    architecture = params.get("Architectures", ["x86_64"])[0]
    context.runtimes.check(params["Runtime"], architecture)
    _refuse_existing(name, context.catalog.function(name.account, name.region, name.name))
    stored = await code.store_code(context, call, params["Code"], architecture)

    def create(view: FunctionView | None) -> tuple[FunctionChange, FunctionVersion]:
        _refuse_existing(name, view)
        publish: bool = params.get("Publish", False)
        code.check_storage(context, call, stored.unzipped_size * (2 if publish else 1))
        now_ms = context.clock.time_ms()
        latest = FunctionVersion(
            account=name.account,
            region=name.region,
            name=name.name,
            architecture=architecture,
            generation=lifecycle.next_generation(0, now_ms),
            **msgspec.structs.asdict(stored),
            **values,
        )
        latest = lifecycle.created(latest, now_ms, context.settings.state_delay_ms)
        function = Function(
            account=name.account, region=name.region, name=name.name, created_ms=now_ms, tags=tags, next_version=1
        )
        if not publish:
            return FunctionChange(function, (latest,)), latest
        function, version = versions.published_pending(context, function, latest)
        return FunctionChange(function, (latest, version)), version

    answered = await context.catalog.change(name.account, name.region, name.name, create)
    # Unqualified even when it is version 1 that is answered: so AWS does.
    return configuration(answered, name.function_arn)


def _new_name(call: Call) -> names.FunctionName:
    reference: str = call.params["FunctionName"]
    name = function_named(call, reference)
    if name.qualifier is not None:
        raise ValidationException(
            f"1 validation error detected: Value '{reference}' at 'functionName' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {names.FUNCTION_PATTERN}"
        )
    if len(name.name) > MAX_NAME:
        raise InvalidParameterValueException(
            f"1 validation error detected: Value '{name.name}' at 'functionName' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_NAME}"
        )
    return name


def _refuse_existing(name: names.FunctionName, view: FunctionView | None) -> None:
    if view is not None:
        raise ResourceConflictException(f"Function already exist: {name.name}")


async def get_function(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = function_named(call, call.params["FunctionName"], call.params.get("Qualifier"))
    view, version = _found(context, name)
    host = call.host or f"{context.settings.host}:{context.settings.port}"
    answer: dict[str, Any] = {
        "Configuration": configuration(version, name.arn),
        "Code": {"RepositoryType": "S3", "Location": context.code_location.url(host, version.code_blob)},
    }
    if view.function.tags:
        answer["Tags"] = view.function.tags
    return answer


async def get_function_configuration(context: OperationsContext, call: Call) -> Configuration:
    name = function_named(call, call.params["FunctionName"], call.params.get("Qualifier"))
    return configuration(_found(context, name)[1], name.arn)


def _found(context: OperationsContext, name: names.FunctionName) -> tuple[FunctionView, FunctionVersion]:
    view = context.catalog.function(name.account, name.region, name.name)
    version = view.versions.get(name.qualifier or LATEST) if view else None
    if view is None or version is None:
        raise ResourceNotFoundException(f"Function not found: {name.arn}")
    return view, version


async def list_functions(context: OperationsContext, call: Call) -> dict[str, Any]:
    """By name. MasterRegion selects replicas of Lambda@Edge functions, and there are none: only ALL selects these."""
    params = call.params
    every = params.get("FunctionVersion") == "ALL"
    views = context.catalog.functions(call.account, call.region) if _is_here(params.get("MasterRegion"), call) else []
    listed = [version for view in views for version in ((view.latest, *view.published) if every else (view.latest,))]
    shown, marker = page(listed, versions.list_key, params.get("Marker"), params.get("MaxItems"))
    functions = [listed_configuration(v, v.qualified_arn if every else v.function_arn) for v in shown]
    return {"Functions": functions, "NextMarker": marker}


def _is_here(master_region: str | None, call: Call) -> bool:
    return master_region in (None, "ALL", call.region)


async def delete_function(context: OperationsContext, call: Call) -> dict[str, Any]:
    """The whole function; with a qualifier that version alone."""
    name = function_named(call, call.params["FunctionName"], call.params.get("Qualifier"))
    if name.qualifier == LATEST:
        raise InvalidParameterValueException("$LATEST version cannot be deleted without deleting the function.")

    def delete(view: FunctionView | None) -> tuple[FunctionChange, None]:
        if view is None:
            raise ResourceNotFoundException(f"Function not found: {name.function_arn}")
        if name.qualifier is None:
            return FunctionChange(gone=True), None
        if name.qualifier not in view.versions:
            raise ResourceNotFoundException(f"Function not found: {name.arn}")
        function = view.function
        if name.qualifier in function.policies:
            policies = {key: value for key, value in function.policies.items() if key != name.qualifier}
            function = msgspec.structs.replace(function, policies=policies)
        return FunctionChange(function, removed=(name.qualifier,)), None

    await context.catalog.change(name.account, name.region, name.name, delete)
    return {"StatusCode": 204}
