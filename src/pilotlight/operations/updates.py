"""UpdateFunctionCode and UpdateFunctionConfiguration: $LATEST changes, InProgress until it settles.

Both are refused while another update is in progress or the function is still Pending, and when the RevisionId given is
not the current one. Invocations keep running the previous code and configuration until the update has settled.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import lifecycle, names
from pilotlight.catalog.catalog import FunctionChange, FunctionView
from pilotlight.catalog.records import LATEST, FunctionVersion
from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations import code, function_rules, unsupported, versions
from pilotlight.operations.authorization import function_named
from pilotlight.operations.configuration import Configuration, configuration
from pilotlight.operations.context import OperationsContext
from pilotlight.wire.messages import Call


async def update_function_code(context: OperationsContext, call: Call) -> Configuration:
    """New code. With Publish the version it makes is answered; with DryRun everything is checked, nothing changed."""
    params = call.params
    name = _latest_named(call)
    before = versions.changeable_latest(name, _view(context, name), params.get("RevisionId"))
    if params.get("ImageUri"):
        raise InvalidParameterValueException(
            "Please don't provide ImageUri when updating a function with packageType Zip."
        )
    unsupported.refuse(params)
    architecture = params.get("Architectures", [before.architecture])[0]
    if architecture != before.architecture:
        context.runtimes.check(before.runtime, architecture)
    stored = await code.store_code(context, call, params, architecture)
    values: dict[str, Any] = {"architecture": architecture, **msgspec.structs.asdict(stored)}
    publish: bool = params.get("Publish", False)

    def update(view: FunctionView | None) -> tuple[FunctionChange | None, FunctionVersion]:
        latest = versions.changeable_latest(name, view, params.get("RevisionId"))
        assert view is not None
        grown = stored.unzipped_size * (2 if publish else 1) - latest.unzipped_size
        code.check_storage(context, call, grown)
        changed = msgspec.structs.replace(latest, **values)
        if params.get("DryRun"):
            return None, changed
        changed = lifecycle.updated(changed, context.clock.time_ms(), context.settings.state_delay_ms)
        if not publish:
            return FunctionChange(versions=(changed,)), changed
        if (existing := versions.unchanged_since(view, changed)) is not None:
            return FunctionChange(versions=(changed,)), existing
        function, version = versions.published_pending(context, view.function, changed)
        return FunctionChange(function, (changed, version)), version

    answered = await context.catalog.change(name.account, name.region, name.name, update)
    return configuration(answered, answered.qualified_arn if publish else name.arn)


async def update_function_configuration(context: OperationsContext, call: Call) -> Configuration:
    params = call.params
    name = _latest_named(call)
    versions.changeable_latest(name, _view(context, name), params.get("RevisionId"))
    function_rules.check_layers(params)
    unsupported.refuse(params)

    def update(view: FunctionView | None) -> tuple[FunctionChange, FunctionVersion]:
        latest = versions.changeable_latest(name, view, params.get("RevisionId"))
        values = function_rules.fields(params, latest)
        if "runtime" in values:
            context.runtimes.check(values["runtime"], latest.architecture)
        changed = msgspec.structs.replace(latest, **values)
        changed = lifecycle.updated(changed, context.clock.time_ms(), context.settings.state_delay_ms)
        return FunctionChange(versions=(changed,)), changed

    answered = await context.catalog.change(name.account, name.region, name.name, update)
    return configuration(answered, name.arn)


def _latest_named(call: Call) -> names.FunctionName:
    name = function_named(call, call.params["FunctionName"])
    if name.qualifier not in (None, LATEST):
        raise InvalidParameterValueException(versions.FUNCTIONS_ONLY)
    return name


def _view(context: OperationsContext, name: names.FunctionName) -> FunctionView | None:
    return context.catalog.function(name.account, name.region, name.name)
