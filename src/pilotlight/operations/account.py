"""GetAccountSettings: the limits this node was given, and what the account uses of them in this region."""

from __future__ import annotations

from typing import Any

from pilotlight.operations.context import OperationsContext
from pilotlight.wire.messages import Call


async def get_account_settings(context: OperationsContext, call: Call) -> dict[str, Any]:
    """Unreserved is what no function has reserved; AWS does not take provisioned concurrency off it."""
    settings, catalog = context.settings, context.catalog
    functions = catalog.functions(call.account, call.region)
    reserved = sum(view.function.reserved_concurrency or 0 for view in functions)
    return {
        "AccountLimit": {
            "TotalCodeSize": settings.code_storage_bytes,
            "CodeSizeUnzipped": settings.max_unzipped_bytes,
            "CodeSizeZipped": settings.max_zipped_bytes,
            "ConcurrentExecutions": settings.concurrency,
            "UnreservedConcurrentExecutions": max(0, settings.concurrency - reserved),
        },
        "AccountUsage": {
            "TotalCodeSize": catalog.code_bytes(call.account, call.region),
            "FunctionCount": len(functions),
        },
    }
