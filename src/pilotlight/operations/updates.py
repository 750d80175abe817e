"""UpdateFunctionCode and UpdateFunctionConfiguration: $LATEST changes, InProgress until it settles.

Both are refused while another update is in progress or the function is still Pending, and when the RevisionId given is
not the current one. Invocations keep running the previous code and configuration until the update has settled.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import lifecycle, names
from pilotlight.catalog.records import FunctionVersion
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.operations import code, function_rules, versions
from pilotlight.operations.configuration import Configuration, configuration
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.deployment import Deployed, deploy
from pilotlight.operations.found import whole_function
from pilotlight.operations.function_layers import check_layers, resolve_layers
from pilotlight.operations.members import managed, package
from pilotlight.operations.members.asked import Asked
from pilotlight.operations.runtime_lifecycle import refuse_closed
from pilotlight.operations.runtimes import check_machine
from pilotlight.wire.messages import Call


async def update_function_code(context: OperationsContext, call: Call) -> Configuration:
    """New code. With Publish the version it makes is answered; with DryRun everything is checked, nothing changed."""
    params = call.params
    name = whole_function(call, or_latest=True)
    view = _changeable(context, call, name)
    before = view.latest
    publish, publish_to = params.get("Publish", False), params.get("PublishTo")
    managed.check_publish_to(before, publish_to)
    refuse_closed(context, before.runtime, creating=False)
    deployed = _deployed(call, view)
    if deployed.architecture != before.architecture:
        check_machine(context, before.runtime, deployed.architecture)
    stored = await deploy(context, call, params, deployed)
    values: dict[str, Any] = {"architecture": deployed.architecture, **msgspec.structs.asdict(stored)}

    def update(view: FunctionView | None) -> tuple[FunctionChange | None, FunctionVersion]:
        view = versions.changeable(name, view, params.get("RevisionId"))
        if _deployed(call, view) != deployed:
            # Another update came and went while the code was being fetched: it was checked for what is no more.
            raise versions.update_in_progress(name)
        latest = view.latest
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
    name = whole_function(call, or_latest=True)
    before = _changeable(context, call, name).latest
    package.check_package(params, before.package_type, creating=False)
    layers = {"layers": resolve_layers(context, call, params["Layers"])} if "Layers" in params else {}

    def update(view: FunctionView | None) -> tuple[FunctionChange, FunctionVersion]:
        latest = versions.changeable(name, view, params.get("RevisionId")).latest
        changed = msgspec.structs.replace(function_rules.updated(Asked(context, call, latest)), **layers)
        check_layers(context, changed)
        changed = lifecycle.updated(changed, context.clock.time_ms(), context.settings.state_delay_ms)
        return FunctionChange(versions=(changed,)), changed

    answered = await context.catalog.change(name.account, name.region, name.name, update)
    return configuration(answered, name.arn)


def _changeable(context: OperationsContext, call: Call, name: names.FunctionName) -> FunctionView:
    view = context.catalog.function(name.account, name.region, name.name)
    return versions.changeable(name, view, call.params.get("RevisionId"))


def _deployed(call: Call, view: FunctionView) -> Deployed:
    latest = view.latest
    architecture: str = call.params.get("Architectures", [latest.architecture])[0]
    signing = view.function.code_signing_config_arn
    return Deployed(latest.package_type, latest.runtime, architecture, signing, "updating")
