"""Every Lambda operation that exists here, by its name in AWS's model: what `wire.ServiceApi("lambda")` dispatches to.

Invoke is not among them: the front takes it past all this, straight to `invoke`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from pilotlight.operations import account, functions, permissions, tags, updates, versions
from pilotlight.operations.context import OperationsContext
from pilotlight.wire.messages import Call, Handler

Operation = Callable[[OperationsContext, Call], Awaitable[dict[str, Any] | None]]

OPERATIONS: dict[str, Operation] = {
    "AddPermission": permissions.add_permission,
    "CreateFunction": functions.create_function,
    "DeleteFunction": functions.delete_function,
    "GetAccountSettings": account.get_account_settings,
    "GetFunction": functions.get_function,
    "GetFunctionConfiguration": functions.get_function_configuration,
    "GetPolicy": permissions.get_policy,
    "ListFunctions": functions.list_functions,
    "ListTags": tags.list_tags,
    "ListVersionsByFunction": versions.list_versions_by_function,
    "PublishVersion": versions.publish_version,
    "RemovePermission": permissions.remove_permission,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
    "UpdateFunctionCode": updates.update_function_code,
    "UpdateFunctionConfiguration": updates.update_function_configuration,
}


def lambda_handlers(services: OperationsContext) -> dict[str, Handler]:
    return {name: partial(operation, services) for name, operation in OPERATIONS.items()}
