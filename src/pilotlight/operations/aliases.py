"""CreateAlias, GetAlias, ListAliases, UpdateAlias, DeleteAlias: names for versions, some shared between two of them.

An alias is checked as a whole, as it would be after the change, so that no order of updates leads round a rule. Which
version an invocation takes is `catalog.resolve`'s. Source: developer guide (aliases, weighted aliases), answers of AWS
recorded by LocalStack's snapshot tests and quoted in public issue threads.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import lifecycle, names
from pilotlight.catalog.attached import Alias, detached
from pilotlight.catalog.records import LATEST, Function, FunctionVersion
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.errors import (
    AliasLimitExceededException,
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.found import found, whole_function
from pilotlight.operations.paging import LARGEST_LIST, LARGEST_PAGE, Key, page
from pilotlight.operations.revisions import check_revision
from pilotlight.wire.messages import Call

MAX_WEIGHTS = 1


async def create_alias(context: OperationsContext, call: Call) -> dict[str, Any]:
    params = call.params
    name = whole_function(call)
    alias = Alias(
        name=params["Name"],
        version=params["FunctionVersion"],
        description=params.get("Description", ""),
        weights=_weights(params.get("RoutingConfig", {})),
        revision_id=lifecycle.new_revision_id(),
    )

    def create(view: FunctionView | None) -> tuple[FunctionChange, None]:
        function = _function_for(alias, name, view)
        if alias.name in function.aliases:
            raise ResourceConflictException(f"Alias already exists: {_alias_arn(name, alias.name)}")
        if len(function.aliases) >= context.settings.max_aliases:
            raise AliasLimitExceededException(
                f"The function has the most aliases it can have: {context.settings.max_aliases}."
            )
        return _with_alias(function, alias), None

    await context.catalog.change(name.account, name.region, name.name, create)
    return _shown(name, alias)


async def get_alias(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = whole_function(call)
    view = context.catalog.function(name.account, name.region, name.name)
    return _shown(name, _alias(name, call.params["Name"], view))


async def list_aliases(context: OperationsContext, call: Call) -> dict[str, Any]:
    """By name; with FunctionVersion those that point to it, whether or not there is such a version."""
    params = call.params
    name = whole_function(call)
    view = found(name, context.catalog.function(name.account, name.region, name.name))
    version = params.get("FunctionVersion")
    listed = [alias for _, alias in sorted(view.function.aliases.items()) if version in (None, alias.version)]
    shown, marker = page(
        listed, _list_key, params.get("Marker"), params.get("MaxItems"), LARGEST_LIST, usual=LARGEST_PAGE
    )
    return {"Aliases": [_shown(name, alias) for alias in shown], "NextMarker": marker}


def _list_key(alias: Alias) -> Key:
    return alias.name, 0


async def update_alias(context: OperationsContext, call: Call) -> dict[str, Any]:
    """What is not given stays; a routing configuration without versions takes the routing away."""
    params = call.params
    name = whole_function(call)
    changes: dict[str, Any] = {"revision_id": lifecycle.new_revision_id()}
    if "FunctionVersion" in params:
        changes["version"] = params["FunctionVersion"]
    if "Description" in params:
        changes["description"] = params["Description"]
    if "RoutingConfig" in params:
        changes["weights"] = _weights(params["RoutingConfig"])

    def update(view: FunctionView | None) -> tuple[FunctionChange, Alias]:
        before = _alias(name, params["Name"], view)
        check_revision(before.revision_id, params.get("RevisionId"), "GetFunction/GetAlias")
        alias = msgspec.structs.replace(before, **changes)
        return _with_alias(_function_for(alias, name, view), alias), alias

    return _shown(name, await context.catalog.change(name.account, name.region, name.name, update))


async def delete_alias(context: OperationsContext, call: Call) -> None:
    """With all that was attached to it; that there was none is no error."""
    name = whole_function(call)
    alias: str = call.params["Name"]

    def delete(view: FunctionView | None) -> tuple[FunctionChange | None, None]:
        view = found(name, view)
        if alias not in view.function.aliases:
            return None, None
        aliases = {key: value for key, value in view.function.aliases.items() if key != alias}
        function = detached(msgspec.structs.replace(view.function, aliases=aliases), alias)
        return FunctionChange(function), None

    await context.catalog.change(name.account, name.region, name.name, delete)


def _alias(name: names.FunctionName, alias: str, view: FunctionView | None) -> Alias:
    existing = view.function.aliases.get(alias) if view else None
    if existing is None:
        raise ResourceNotFoundException(f"Cannot find alias arn: {_alias_arn(name, alias)}")
    return existing


def _weights(routing: dict[str, Any]) -> dict[str, float]:
    weights: dict[str, float] = routing.get("AdditionalVersionWeights", {})
    if len(weights) > MAX_WEIGHTS:
        raise InvalidParameterValueException(
            f"Number of items in AdditionalVersionWeights cannot be greater than {MAX_WEIGHTS}"
        )
    return weights


def _function_for(alias: Alias, name: names.FunctionName, view: FunctionView | None) -> Function:
    """The function, when `alias` is one that it may have. Weights are within 0 and 1 by the model."""
    if alias.version in alias.weights:
        raise InvalidParameterValueException(
            f"Invalid function version {alias.version}. "
            f"Function version {alias.version} is already included in routing configuration."
        )
    if alias.weights and not names.is_version(alias.version):
        raise InvalidParameterValueException(
            f"{LATEST} is not supported for an alias pointing to more than 1 version", Type=""
        )
    versions: list[FunctionVersion] = []
    for number in (alias.version, *alias.weights):
        version = view.versions.get(number) if view else None
        if version is None:
            raise ResourceNotFoundException(f"Function not found: {_alias_arn(name, number)}")
        versions.append(version)
    first, *others = versions
    if any(other.role != first.role for other in others):
        raise InvalidParameterValueException("Specified versions must be associated with the same execution role")
    if any(_dead_letters(other) != _dead_letters(first) for other in others):
        raise InvalidParameterValueException(
            "Specified versions must be associated with the same dead-letter queue configuration"
        )
    assert view is not None
    return view.function


def _dead_letters(version: FunctionVersion) -> str:
    return version.held.get("DeadLetterConfig", {}).get("TargetArn", "")


def _with_alias(function: Function, alias: Alias) -> FunctionChange:
    return FunctionChange(msgspec.structs.replace(function, aliases={**function.aliases, alias.name: alias}))


def _alias_arn(name: names.FunctionName, qualifier: str) -> str:
    return names.function_arn(name.account, name.region, name.name, qualifier)


def _shown(name: names.FunctionName, alias: Alias) -> dict[str, Any]:
    return {
        "AliasArn": _alias_arn(name, alias.name),
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RoutingConfig": {"AdditionalVersionWeights": alias.weights} if alias.weights else None,
        "RevisionId": alias.revision_id,
    }
