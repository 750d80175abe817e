"""PutFunctionRecursionConfig and GetFunctionRecursionConfig: is a function stopped that ends up invoking itself?

A setting of the function as a whole: the model takes no qualifier.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.operations.authorization import function_named
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.found import found
from pilotlight.wire.messages import Call


async def put_function_recursion_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = function_named(call, call.params["FunctionName"])
    loop: str = call.params["RecursiveLoop"]

    def put(view: FunctionView | None) -> tuple[FunctionChange, None]:
        function = found(name, view).function
        return FunctionChange(msgspec.structs.replace(function, recursive_loop=loop)), None

    await context.catalog.change(name.account, name.region, name.name, put)
    return {"RecursiveLoop": loop}


async def get_function_recursion_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = function_named(call, call.params["FunctionName"])
    view = found(name, context.catalog.function(name.account, name.region, name.name))
    return {"RecursiveLoop": view.function.recursive_loop}
