"""Put-, Get- and DeleteFunctionCodeSigningConfig: the configuration a function's next packages are checked against.

Source: API reference; answers recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import names
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.code_signing import existing_config
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.found import found, whole_function
from pilotlight.wire.messages import Call


async def put_function_code_signing_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    arn: str = call.params["CodeSigningConfigArn"]
    # A configuration that is not there is told before a function that is not there.
    existing_config(context, call, arn)
    name = await _change(context, call, arn)
    return {"CodeSigningConfigArn": arn, "FunctionName": name.name}


async def get_function_code_signing_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    """Empty for a function that has none."""
    name = whole_function(call)
    view = found(name, context.catalog.function(name.account, name.region, name.name))
    arn = view.function.code_signing_config_arn
    return {"CodeSigningConfigArn": arn, "FunctionName": name.name} if arn else {}


async def delete_function_code_signing_config(context: OperationsContext, call: Call) -> None:
    await _change(context, call, "")


async def _change(context: OperationsContext, call: Call, arn: str) -> names.FunctionName:
    name = whole_function(call)

    def change(view: FunctionView | None) -> tuple[FunctionChange, None]:
        view = found(name, view)
        if arn and view.latest.package_type == "Image":
            raise InvalidParameterValueException(
                "Code signing is not supported for functions created with container images."
            )
        return FunctionChange(msgspec.structs.replace(view.function, code_signing_config_arn=arn)), None

    await context.catalog.change(name.account, name.region, name.name, change)
    return name
