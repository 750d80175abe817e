"""PutFunctionScalingConfig and GetFunctionScalingConfig: how many environments a version on a capacity provider gets.

Held: nothing runs on capacity providers yet, so what is requested counts as applied, and a limit that was not given is
not shown. Source: API reference.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import names
from pilotlight.catalog.attached import ScalingConfig
from pilotlight.catalog.records import FunctionVersion
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.authorization import function_named
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.found import found_version
from pilotlight.wire.messages import Call


async def put_function_scaling_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    """Replaces what there was."""
    name = function_named(call, call.params["FunctionName"], call.params["Qualifier"])
    given: dict[str, int] = call.params.get("FunctionScalingConfig", {})
    config = ScalingConfig(
        min_environments=given.get("MinExecutionEnvironments"), max_environments=given.get("MaxExecutionEnvironments")
    )
    _check(config)

    def put(view: FunctionView | None) -> tuple[FunctionChange, FunctionVersion]:
        view, version = _found(name, view)
        scaling = {**view.function.scaling, version.version: config}
        return FunctionChange(msgspec.structs.replace(view.function, scaling=scaling)), version

    version = await context.catalog.change(name.account, name.region, name.name, put)
    return {"FunctionState": version.state}


async def get_function_scaling_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = function_named(call, call.params["FunctionName"], call.params["Qualifier"])
    view, version = _found(name, context.catalog.function(name.account, name.region, name.name))
    shown = _shown(view.function.scaling.get(version.version, ScalingConfig()))
    return {
        "FunctionArn": version.qualified_arn,
        "AppliedFunctionScalingConfig": shown,
        "RequestedFunctionScalingConfig": shown,
    }


def _check(config: ScalingConfig) -> None:
    least, most = config.min_environments, config.max_environments
    if least is not None and most is not None and least > most:
        raise InvalidParameterValueException(
            "MinExecutionEnvironments must be less than or equal to MaxExecutionEnvironments."
        )


def _found(name: names.FunctionName, view: FunctionView | None) -> tuple[FunctionView, FunctionVersion]:
    view, version = found_version(name, view)
    if not version.held.get("CapacityProviderConfig"):
        raise InvalidParameterValueException(
            "FunctionScalingConfig is only supported for functions that are configured with a capacity provider."
        )
    return view, version


def _shown(config: ScalingConfig) -> dict[str, int | None]:
    return {
        "MinExecutionEnvironments": config.min_environments,
        "MaxExecutionEnvironments": config.max_environments,
    }
