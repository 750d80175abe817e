"""PutRuntimeManagementConfig and GetRuntimeManagementConfig: when a version takes up a newer build of its runtime.

There is one build of each runtime here, the one `FunctionVersion.runtime_version_arn` names, so the modes are held and
come to the same. Source: developer guide (runtime updates); the alias's refusal as quoted in public issue threads.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import names
from pilotlight.catalog.attached import RuntimeManagement
from pilotlight.catalog.records import LATEST, FunctionVersion
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.authorization import function_named
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.found import found_version
from pilotlight.wire.messages import Call


async def put_runtime_management_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = _version_named(call)
    config = _config(call.params)

    def put(view: FunctionView | None) -> tuple[FunctionChange, FunctionVersion]:
        view, version = found_version(name, view)
        if config.runtime_version_arn and config.runtime_version_arn != version.runtime_version_arn:
            raise InvalidParameterValueException(
                f"The runtime version {config.runtime_version_arn} is not one of the function's runtime."
            )
        configs = {**view.function.runtime_management, version.version: config}
        return FunctionChange(msgspec.structs.replace(view.function, runtime_management=configs)), version

    version = await context.catalog.change(name.account, name.region, name.name, put)
    return _shown(version, config)


async def get_runtime_management_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = _version_named(call)
    view, version = found_version(name, context.catalog.function(name.account, name.region, name.name))
    return _shown(version, view.function.runtime_management.get(version.version, RuntimeManagement()))


def _version_named(call: Call) -> names.FunctionName:
    name = function_named(call, call.params["FunctionName"], call.params.get("Qualifier"))
    if name.qualifier is not None and names.is_alias(name.qualifier):
        raise InvalidParameterValueException(
            f"The provided function name {name.arn} is invalid. Aliases are not allowed."
        )
    return name


def _config(params: dict[str, Any]) -> RuntimeManagement:
    update_on: str = params["UpdateRuntimeOn"]
    arn: str = params.get("RuntimeVersionArn", "")
    if update_on == "Manual" and not arn:
        raise InvalidParameterValueException("RuntimeVersionArn is required when UpdateRuntimeOn is Manual.")
    if update_on != "Manual" and arn:
        raise InvalidParameterValueException("RuntimeVersionArn is only supported when UpdateRuntimeOn is Manual.")
    return RuntimeManagement(update_on=update_on, runtime_version_arn=arn)


def _shown(version: FunctionVersion, config: RuntimeManagement) -> dict[str, Any]:
    arn = version.function_arn if version.version == LATEST else version.qualified_arn
    return {
        "UpdateRuntimeOn": config.update_on,
        "FunctionArn": arn,
        "RuntimeVersionArn": config.runtime_version_arn or None,
    }
