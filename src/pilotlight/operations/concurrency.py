"""PutFunctionConcurrency, GetFunctionConcurrency, DeleteFunctionConcurrency: concurrency reserved for one function.

What is reserved is enforced by `invoke.admission`. Source: developer guide, "Configuring reserved concurrency"; errors
recorded by LocalStack's snapshot tests and quoted in public issue threads. AWS leaves Type out of those about amounts.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog.names import LATEST, FunctionName
from pilotlight.catalog.provisioning import provisioned_in_all, set_aside
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.errors import InvalidParameterValueException, ResourceNotFoundException
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.found import found, whole_function
from pilotlight.wire.messages import Call


async def put_function_concurrency(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = whole_function(call)
    reserved: int = call.params["ReservedConcurrentExecutions"]

    def put(view: FunctionView | None) -> tuple[FunctionChange, None]:
        view = _existing(name, view)
        check_unreserved(context, name, reserved, "ReservedConcurrentExecutions")
        provisioned = provisioned_in_all(view.function)
        if provisioned > reserved:
            raise InvalidParameterValueException(
                f" ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned "
                f"concurrency [{provisioned}].",
                Type="",
            )
        return FunctionChange(msgspec.structs.replace(view.function, reserved_concurrency=reserved)), None

    async with context.concurrency_changing:
        await context.catalog.change(name.account, name.region, name.name, put)
    return {"ReservedConcurrentExecutions": reserved}


async def get_function_concurrency(context: OperationsContext, call: Call) -> dict[str, Any]:
    """Empty when nothing is reserved."""
    name = whole_function(call)
    view = found(name, context.catalog.function(name.account, name.region, name.name))
    return {"ReservedConcurrentExecutions": view.function.reserved_concurrency}


async def delete_function_concurrency(context: OperationsContext, call: Call) -> None:
    """That nothing was reserved is no error."""
    name = whole_function(call)

    def delete(view: FunctionView | None) -> tuple[FunctionChange | None, None]:
        function = _existing(name, view).function
        if function.reserved_concurrency is None:
            return None, None
        return FunctionChange(msgspec.structs.replace(function, reserved_concurrency=None)), None

    async with context.concurrency_changing:
        await context.catalog.change(name.account, name.region, name.name, delete)


def unreserved(context: OperationsContext, account: str, region: str, *, without: str = "") -> int:
    """What the account has left of its concurrency for everybody; `without` one function's part being taken off."""
    return context.settings.concurrency - sum(
        set_aside(view.function) for view in context.catalog.functions(account, region) if view.function.name != without
    )


def check_unreserved(context: OperationsContext, name: FunctionName, amount: int, member: str) -> None:
    """Refuse to set `amount` aside for a function when too little would be left for the others."""
    smallest = context.settings.min_unreserved_concurrency
    if unreserved(context, name.account, name.region, without=name.name) - amount < smallest:
        raise InvalidParameterValueException(
            f"Specified {member} for function decreases account's UnreservedConcurrentExecution below its minimum "
            f"value of [{smallest}].",
            Type="",
        )


def _existing(name: FunctionName, view: FunctionView | None) -> FunctionView:
    if view is None:
        raise ResourceNotFoundException(f"Function not found: {name.function_arn}:{LATEST}")
    return view
