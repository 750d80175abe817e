"""Which IAM action each operation needs, and on which resource: the seam where policies will be enforced.

Source: service authorization reference, "Actions, resources, and condition keys for AWS Lambda". Today one rule is
enforced with it: nobody reads or changes another account's functions.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pilotlight.catalog import names
from pilotlight.errors import AccessDeniedException
from pilotlight.wire.messages import Call


class Required(NamedTuple):
    action: str
    resource: Literal["function", "*"]
    cross_account: bool = True
    """Whether a resource-based policy may grant it to another account; AWS says no more than "denied" where not."""


REQUIRED: dict[str, Required] = {
    "AddPermission": Required("lambda:AddPermission", "function", cross_account=False),
    "CreateFunction": Required("lambda:CreateFunction", "function", cross_account=False),
    "DeleteFunction": Required("lambda:DeleteFunction", "function"),
    "GetAccountSettings": Required("lambda:GetAccountSettings", "*"),
    "GetFunction": Required("lambda:GetFunction", "function"),
    "GetFunctionConfiguration": Required("lambda:GetFunctionConfiguration", "function"),
    "GetPolicy": Required("lambda:GetPolicy", "function"),
    "ListFunctions": Required("lambda:ListFunctions", "*"),
    "ListTags": Required("lambda:ListTags", "function"),
    "ListVersionsByFunction": Required("lambda:ListVersionsByFunction", "function"),
    "PublishVersion": Required("lambda:PublishVersion", "function"),
    "RemovePermission": Required("lambda:RemovePermission", "function", cross_account=False),
    "TagResource": Required("lambda:TagResource", "function"),
    "UntagResource": Required("lambda:UntagResource", "function"),
    "UpdateFunctionCode": Required("lambda:UpdateFunctionCode", "function"),
    "UpdateFunctionConfiguration": Required("lambda:UpdateFunctionConfiguration", "function", cross_account=False),
}


def function_named(call: Call, reference: str, qualifier: str | None = None) -> names.FunctionName:
    """The function an operation is about; AccessDeniedException when it is another account's.

    Raises what `names.parse` raises.
    """
    name = names.parse(reference, qualifier, call.account, call.region)
    if name.account == call.account:
        return name
    required = REQUIRED[call.operation]
    if not required.cross_account:
        raise AccessDeniedException()
    caller = call.caller or f"arn:{names.partition(call.region)}:iam::{call.account}:root"
    raise AccessDeniedException(
        f"User: {caller} is not authorized to perform: {required.action} on resource: {name.arn} "
        f"because no resource-based policy allows the {required.action} action"
    )
