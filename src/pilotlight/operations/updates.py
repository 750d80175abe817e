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
from pilotlight.operations import code, function_rules, versions
from pilotlight.operations.authorization import function_named
from pilotlight.operations.configuration import Configuration, configuration
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.deployment import Deployed, deploy
from pilotlight.operations.function_layers import check_layers, resolve_layers
from pilotlight.operations.members import managed, package
from pilotlight.operations.members.asked import Asked
from pilotlight.operations.runtime_lifecycle import refuse_closed
from pilotlight.operations.runtimes import check_machine
from pilotlight.wire.messages import Call


async def update_function_code(context: OperationsContext, call: Call) -> Configuration:
    """New code. With Publish the version it makes is answered; with DryRun everything is checked, nothing changed."""
    params = call.params
    name = _latest_named(call)
    view = _view(context, name)
    before = versions.changeable_latest(name, view, params.get("RevisionId"))
    assert view is not None
    publish, publish_to = params.get("Publish", False), params.get("PublishTo")
    managed.check_publish_to(before, publish_to)
    refuse_closed(context, before.runtime, creating=False)
    architecture: str = params.get("Architectures", [before.architecture])[0]
    if architecture != before.architecture:
        check_machine(context, before.runtime, architecture)
    signing = view.function.code_signing_config_arn
    function = Deployed(before.package_type, before.runtime, architecture, signing, "updating")
    stored = await deploy(context, call, params, function)
    values: dict[str, Any] = {"architecture": architecture, **msgspec.structs.asdict(stored)}

    def update(view: FunctionView | None) -> tuple[FunctionChange | None, FunctionVersion]:
        latest = versions.changeable_latest(name, view, params.get("RevisionId"))
        assert view is not None
        code.check_storage(context, call, stored.stored_bytes * (2 if publish else 1) - latest.stored_bytes)
        changed = msgspec.structs.replace(latest, **values)
        check_layers(context, changed)
        if params.get("DryRun"):
            return None, changed
        changed = lifecycle.updated(changed, context.clock.time_ms(), context.settings.state_delay_ms)
        if not publish:
            return FunctionChange(versions=(changed,)), changed
        if (existing := versions.unchanged_since(view, changed, publish_to)) is not None:
            return FunctionChange(versions=(changed,)), existing
        function, version = versions.published_pending(context, view.function, changed, publish_to)
        return FunctionChange(function, (changed, version)), version

    answered = await context.catalog.change(name.account, name.region, name.name, update)
    return configuration(answered, answered.qualified_arn if publish else name.arn)


async def update_function_configuration(context: OperationsContext, call: Call) -> Configuration:
    """Each member given replaces what was (LoggingConfig and DurableConfig are merged), the others stay."""
    params = call.params
    name = _latest_named(call)
    before = versions.changeable_latest(name, _view(context, name), params.get("RevisionId"))
    package.check_package(params, before.package_type, creating=False)
    layers = {"layers": resolve_layers(context, call, params["Layers"])} if "Layers" in params else {}

    def update(view: FunctionView | None) -> tuple[FunctionChange, FunctionVersion]:
        latest = versions.changeable_latest(name, view, params.get("RevisionId"))
        changed = msgspec.structs.replace(function_rules.updated(Asked(context, call, latest)), **layers)
        check_layers(context, changed)
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
