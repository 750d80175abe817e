"""Put-, Get- and DeleteFunctionCodeSigningConfig: the configuration a function's next packages are checked against.

Source: API reference; answers recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import names
from pilotlight.catalog.catalog import FunctionChange, FunctionView
from pilotlight.errors import InvalidParameterValueException, ResourceNotFoundException
from pilotlight.operations.authorization import function_named
from pilotlight.operations.code_signing import existing_config
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.versions import FUNCTIONS_ONLY
from pilotlight.wire.messages import Call


async def put_function_code_signing_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    arn: str = call.params["CodeSigningConfigArn"]
    # A configuration that is not there is told before a function that is not there.
    existing_config(context, call, arn)
    name = await _change(context, call, arn)
    return {"CodeSigningConfigArn": arn, "FunctionName": name.name}


async def get_function_code_signing_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    """Empty for a function that has none."""
    name = _unqualified(call)
    view = _found(name, context.catalog.function(name.account, name.region, name.name))
    arn = view.function.code_signing_config_arn
    return {"CodeSigningConfigArn": arn, "FunctionName": name.name} if arn else {}


async def delete_function_code_signing_config(context: OperationsContext, call: Call) -> None:
    await _change(context, call, "")


async def _change(context: OperationsContext, call: Call, arn: str) -> names.FunctionName:
    name = _unqualified(call)

    def change(view: FunctionView | None) -> tuple[FunctionChange, None]:
        found = _found(name, view)
        if arn and found.latest.package_type == "Image":
            raise InvalidParameterValueException(
                "Code signing is not supported for functions created with container images."
            )
        return FunctionChange(msgspec.structs.replace(found.function, code_signing_config_arn=arn)), None

    await context.catalog.change(name.account, name.region, name.name, change)
    return name


def _unqualified(call: Call) -> names.FunctionName:
    name = function_named(call, call.params["FunctionName"])
    if name.qualifier is not None:
        raise InvalidParameterValueException(FUNCTIONS_ONLY)
    return name


def _found(name: names.FunctionName, view: FunctionView | None) -> FunctionView:
    if view is None:
        raise ResourceNotFoundException(f"Function not found: {name.function_arn}")
    return view
