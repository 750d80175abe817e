"""Which IAM action each operation needs, and on which resource: the seam where policies will be enforced.

Source: service authorization reference, "Actions, resources, and condition keys for AWS Lambda". Today one rule is
enforced with it: nobody reads or changes another account's functions.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pilotlight.catalog import names
from pilotlight.errors import AccessDeniedException
from pilotlight.wire.messages import Call

ResourceKind = Literal[
    "function",
    "layer",
    "layer-version",
    "event-source-mapping",
    "code-signing-config",
    "capacity-provider",
    "durable-execution",
    "*",
]


class Required(NamedTuple):
    action: str
    resource: ResourceKind
    """What the policy's Resource names; those of ListTags, TagResource and UntagResource are of any kind that has tags,
    those of a resource policy of any kind that has one."""
    cross_account: bool = True
    """Whether a resource-based policy may grant it to another account; AWS says no more than "denied" where not."""


REQUIRED: dict[str, Required] = {
    "AddLayerVersionPermission": Required("lambda:AddLayerVersionPermission", "layer-version"),
    "AddPermission": Required("lambda:AddPermission", "function", cross_account=False),
    "CheckpointDurableExecution": Required("lambda:CheckpointDurableExecution", "durable-execution"),
    "CreateAlias": Required("lambda:CreateAlias", "function"),
    "CreateCapacityProvider": Required("lambda:CreateCapacityProvider", "capacity-provider"),
    "CreateCodeSigningConfig": Required("lambda:CreateCodeSigningConfig", "*"),
    "CreateEventSourceMapping": Required("lambda:CreateEventSourceMapping", "*"),
    "CreateFunction": Required("lambda:CreateFunction", "function", cross_account=False),
    "CreateFunctionUrlConfig": Required("lambda:CreateFunctionUrlConfig", "function"),
    "DeleteAlias": Required("lambda:DeleteAlias", "function"),
    "DeleteCapacityProvider": Required("lambda:DeleteCapacityProvider", "capacity-provider"),
    "DeleteCodeSigningConfig": Required("lambda:DeleteCodeSigningConfig", "code-signing-config"),
    "DeleteDurableExecution": Required("lambda:DeleteDurableExecution", "durable-execution"),
    "DeleteEventSourceMapping": Required("lambda:DeleteEventSourceMapping", "event-source-mapping"),
    "DeleteFunction": Required("lambda:DeleteFunction", "function"),
    "DeleteFunctionCodeSigningConfig": Required("lambda:DeleteFunctionCodeSigningConfig", "function"),
    "DeleteFunctionConcurrency": Required("lambda:DeleteFunctionConcurrency", "function"),
    "DeleteFunctionEventInvokeConfig": Required("lambda:DeleteFunctionEventInvokeConfig", "function"),
    "DeleteFunctionUrlConfig": Required("lambda:DeleteFunctionUrlConfig", "function"),
    "DeleteLayerVersion": Required("lambda:DeleteLayerVersion", "layer-version"),
    "DeleteProvisionedConcurrencyConfig": Required("lambda:DeleteProvisionedConcurrencyConfig", "function"),
    "DeleteResourcePolicy": Required("lambda:DeleteResourcePolicy", "function"),
    "GetAccountSettings": Required("lambda:GetAccountSettings", "*"),
    "GetAlias": Required("lambda:GetAlias", "function"),
    "GetCapacityProvider": Required("lambda:GetCapacityProvider", "capacity-provider"),
    "GetCodeSigningConfig": Required("lambda:GetCodeSigningConfig", "code-signing-config"),
    "GetDurableExecution": Required("lambda:GetDurableExecution", "durable-execution"),
    "GetDurableExecutionHistory": Required("lambda:GetDurableExecutionHistory", "durable-execution"),
    "GetDurableExecutionState": Required("lambda:GetDurableExecutionState", "durable-execution"),
    "GetEventSourceMapping": Required("lambda:GetEventSourceMapping", "event-source-mapping"),
    "GetFunction": Required("lambda:GetFunction", "function"),
    "GetFunctionCodeSigningConfig": Required("lambda:GetFunctionCodeSigningConfig", "function"),
    "GetFunctionConcurrency": Required("lambda:GetFunctionConcurrency", "function"),
    "GetFunctionConfiguration": Required("lambda:GetFunctionConfiguration", "function"),
    "GetFunctionEventInvokeConfig": Required("lambda:GetFunctionEventInvokeConfig", "function"),
    "GetFunctionRecursionConfig": Required("lambda:GetFunctionRecursionConfig", "function"),
    "GetFunctionScalingConfig": Required("lambda:GetFunctionScalingConfig", "function"),
    "GetFunctionUrlConfig": Required("lambda:GetFunctionUrlConfig", "function"),
    "GetLayerVersion": Required("lambda:GetLayerVersion", "layer-version"),
    "GetLayerVersionByArn": Required("lambda:GetLayerVersion", "layer-version"),
    "GetLayerVersionPolicy": Required("lambda:GetLayerVersionPolicy", "layer-version"),
    "GetPolicy": Required("lambda:GetPolicy", "function"),
    "GetProvisionedConcurrencyConfig": Required("lambda:GetProvisionedConcurrencyConfig", "function"),
    "GetResourcePolicy": Required("lambda:GetResourcePolicy", "function"),
    "GetRuntimeManagementConfig": Required("lambda:GetRuntimeManagementConfig", "function"),
    "Invoke": Required("lambda:InvokeFunction", "function"),
    "InvokeAsync": Required("lambda:InvokeAsync", "function"),
    "InvokeWithResponseStream": Required("lambda:InvokeFunction", "function"),
    "ListAliases": Required("lambda:ListAliases", "function"),
    "ListCapacityProviders": Required("lambda:ListCapacityProviders", "*"),
    "ListCodeSigningConfigs": Required("lambda:ListCodeSigningConfigs", "*"),
    "ListDurableExecutionsByFunction": Required("lambda:ListDurableExecutionsByFunction", "function"),
    "ListEventSourceMappings": Required("lambda:ListEventSourceMappings", "*"),
    "ListFunctionEventInvokeConfigs": Required("lambda:ListFunctionEventInvokeConfigs", "function"),
    "ListFunctionUrlConfigs": Required("lambda:ListFunctionUrlConfigs", "function"),
    "ListFunctionVersionsByCapacityProvider": Required(
        "lambda:ListFunctionVersionsByCapacityProvider", "capacity-provider"
    ),
    "ListFunctions": Required("lambda:ListFunctions", "*"),
    "ListFunctionsByCodeSigningConfig": Required("lambda:ListFunctionsByCodeSigningConfig", "code-signing-config"),
    "ListLayerVersions": Required("lambda:ListLayerVersions", "*"),
    "ListLayers": Required("lambda:ListLayers", "*"),
    "ListProvisionedConcurrencyConfigs": Required("lambda:ListProvisionedConcurrencyConfigs", "function"),
    "ListTags": Required("lambda:ListTags", "function"),
    "ListVersionsByFunction": Required("lambda:ListVersionsByFunction", "function"),
    "PauseDurableExecution": Required("lambda:PauseDurableExecution", "durable-execution"),
    "PublishLayerVersion": Required("lambda:PublishLayerVersion", "layer"),
    "PublishVersion": Required("lambda:PublishVersion", "function"),
    "PutFunctionCodeSigningConfig": Required("lambda:PutFunctionCodeSigningConfig", "function"),
    "PutFunctionConcurrency": Required("lambda:PutFunctionConcurrency", "function"),
    "PutFunctionEventInvokeConfig": Required("lambda:PutFunctionEventInvokeConfig", "function"),
    "PutFunctionRecursionConfig": Required("lambda:PutFunctionRecursionConfig", "function"),
    "PutFunctionScalingConfig": Required("lambda:PutFunctionScalingConfig", "function"),
    "PutProvisionedConcurrencyConfig": Required("lambda:PutProvisionedConcurrencyConfig", "function"),
    "PutResourcePolicy": Required("lambda:PutResourcePolicy", "function"),
    "PutRuntimeManagementConfig": Required("lambda:PutRuntimeManagementConfig", "function"),
    "RemoveLayerVersionPermission": Required("lambda:RemoveLayerVersionPermission", "layer-version"),
    "RemovePermission": Required("lambda:RemovePermission", "function", cross_account=False),
    "ResumeDurableExecution": Required("lambda:ResumeDurableExecution", "durable-execution"),
    "SendDurableExecutionCallbackFailure": Required("lambda:SendDurableExecutionCallbackFailure", "durable-execution"),
    "SendDurableExecutionCallbackHeartbeat": Required(
        "lambda:SendDurableExecutionCallbackHeartbeat", "durable-execution"
    ),
    "SendDurableExecutionCallbackSuccess": Required("lambda:SendDurableExecutionCallbackSuccess", "durable-execution"),
    "StopDurableExecution": Required("lambda:StopDurableExecution", "durable-execution"),
    "TagResource": Required("lambda:TagResource", "function"),
    "UntagResource": Required("lambda:UntagResource", "function"),
    "UpdateAlias": Required("lambda:UpdateAlias", "function"),
    "UpdateCapacityProvider": Required("lambda:UpdateCapacityProvider", "capacity-provider"),
    "UpdateCodeSigningConfig": Required("lambda:UpdateCodeSigningConfig", "code-signing-config"),
    "UpdateEventSourceMapping": Required("lambda:UpdateEventSourceMapping", "event-source-mapping"),
    "UpdateFunctionCode": Required("lambda:UpdateFunctionCode", "function"),
    "UpdateFunctionConfiguration": Required("lambda:UpdateFunctionConfiguration", "function", cross_account=False),
    "UpdateFunctionEventInvokeConfig": Required("lambda:UpdateFunctionEventInvokeConfig", "function"),
    "UpdateFunctionUrlConfig": Required("lambda:UpdateFunctionUrlConfig", "function"),
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
