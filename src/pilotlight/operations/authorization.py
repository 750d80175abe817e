"""Which IAM actions each operation needs, and on which resources: the seam where policies will be enforced.

`needs` says it for a call, as (action, ARN) pairs. Today one rule is enforced with it, before any operation runs:
nobody reads or changes another account's things, unless their resource policy shares them. Source: service
authorization reference, "Actions, resources, and condition keys for AWS Lambda"; developer guide, "Working with
resource-based policies in Lambda" (the actions such a policy can grant).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from pilotlight.catalog import names, policy
from pilotlight.catalog.catalog import Catalog
from pilotlight.catalog.durable_tokens import CallbackId, decode
from pilotlight.errors import AccessDeniedException, AwsError
from pilotlight.wire.messages import Call

ResourceKind = Literal[
    "function",
    "layer",
    "layer-version",
    "event-source-mapping",
    "code-signing-config",
    "capacity-provider",
    "durable-execution",
    "tagged",
    "*",
]
"""What a policy's Resource names; `tagged` is any kind that has tags."""


class Required(NamedTuple):
    action: str
    resource: ResourceKind
    also: tuple[str, ...] = ()
    """Further actions it depends on, each on the resources `_DEPENDENT` finds in the call."""


#: of CreateFunction and UpdateFunctionConfiguration
_TO_CONFIGURE = ("iam:PassRole", "lambda:GetLayerVersion", "lambda:PassCapacityProvider")

REQUIRED: dict[str, Required] = {
    "AddLayerVersionPermission": Required("lambda:AddLayerVersionPermission", "layer-version"),
    "AddPermission": Required("lambda:AddPermission", "function"),
    "CheckpointDurableExecution": Required("lambda:CheckpointDurableExecution", "durable-execution"),
    "CreateAlias": Required("lambda:CreateAlias", "function"),
    "CreateCapacityProvider": Required(
        "lambda:CreateCapacityProvider", "capacity-provider", ("iam:PassRole", "lambda:TagResource")
    ),
    "CreateCodeSigningConfig": Required("lambda:CreateCodeSigningConfig", "*", ("lambda:TagResource",)),
    "CreateEventSourceMapping": Required("lambda:CreateEventSourceMapping", "*", ("lambda:TagResource",)),
    "CreateFunction": Required("lambda:CreateFunction", "function", (*_TO_CONFIGURE, "lambda:TagResource")),
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
    "DeleteResourcePolicy": Required("lambda:DeleteResourcePolicy", "function", ("lambda:RemovePermission",)),
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
    "GetResourcePolicy": Required("lambda:GetResourcePolicy", "function", ("lambda:GetPolicy",)),
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
    "ListTags": Required("lambda:ListTags", "tagged"),
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
    "PutResourcePolicy": Required(
        "lambda:PutResourcePolicy", "function", ("lambda:AddPermission", "lambda:RemovePermission")
    ),
    "PutRuntimeManagementConfig": Required("lambda:PutRuntimeManagementConfig", "function"),
    "RemoveLayerVersionPermission": Required("lambda:RemoveLayerVersionPermission", "layer-version"),
    "RemovePermission": Required("lambda:RemovePermission", "function"),
    "ResumeDurableExecution": Required("lambda:ResumeDurableExecution", "durable-execution"),
    "SendDurableExecutionCallbackFailure": Required("lambda:SendDurableExecutionCallbackFailure", "durable-execution"),
    "SendDurableExecutionCallbackHeartbeat": Required(
        "lambda:SendDurableExecutionCallbackHeartbeat", "durable-execution"
    ),
    "SendDurableExecutionCallbackSuccess": Required("lambda:SendDurableExecutionCallbackSuccess", "durable-execution"),
    "StopDurableExecution": Required("lambda:StopDurableExecution", "durable-execution"),
    "TagResource": Required("lambda:TagResource", "tagged"),
    "UntagResource": Required("lambda:UntagResource", "tagged"),
    "UpdateAlias": Required("lambda:UpdateAlias", "function"),
    "UpdateCapacityProvider": Required("lambda:UpdateCapacityProvider", "capacity-provider"),
    "UpdateCodeSigningConfig": Required("lambda:UpdateCodeSigningConfig", "code-signing-config"),
    "UpdateEventSourceMapping": Required("lambda:UpdateEventSourceMapping", "event-source-mapping"),
    "UpdateFunctionCode": Required("lambda:UpdateFunctionCode", "function"),
    "UpdateFunctionConfiguration": Required("lambda:UpdateFunctionConfiguration", "function", _TO_CONFIGURE),
    "UpdateFunctionEventInvokeConfig": Required("lambda:UpdateFunctionEventInvokeConfig", "function"),
    "UpdateFunctionUrlConfig": Required("lambda:UpdateFunctionUrlConfig", "function"),
}

#: actions a function's resource policy can grant to another account; lambda:InvokeFunctionUrl is no operation
GRANTABLE = frozenset(
    f"lambda:{action}"
    for action in (
        "CreateAlias",
        "DeleteAlias",
        "DeleteFunction",
        "DeleteFunctionConcurrency",
        "DeleteFunctionEventInvokeConfig",
        "DeleteProvisionedConcurrencyConfig",
        "GetAlias",
        "GetFunction",
        "GetFunctionConcurrency",
        "GetFunctionConfiguration",
        "GetFunctionEventInvokeConfig",
        "GetPolicy",
        "GetProvisionedConcurrencyConfig",
        "InvokeFunction",
        "ListAliases",
        "ListFunctionEventInvokeConfigs",
        "ListProvisionedConcurrencyConfigs",
        "ListTags",
        "ListVersionsByFunction",
        "PublishVersion",
        "PutFunctionConcurrency",
        "PutFunctionEventInvokeConfig",
        "PutProvisionedConcurrencyConfig",
        "TagResource",
        "UntagResource",
        "UpdateAlias",
        "UpdateFunctionCode",
        "UpdateFunctionEventInvokeConfig",
    )
)

#: where AWS says no more than that it is denied
_WORDLESS = frozenset({"AddPermission", "CreateFunction", "RemovePermission", "UpdateFunctionConfiguration"})


#: whose role a function gets is its creator's affair; what layers it may have, `function_layers` says
_JUDGED_ELSEWHERE = frozenset({"iam:PassRole", "lambda:GetLayerVersion"})


def authorize(catalog: Catalog, call: Call) -> None:
    """Raise AccessDeniedException when `call` is about another account's resource and no policy of that shares it.

    A call whose reference cannot be read passes: the operation says what is wrong with it, in its own order.
    """
    for action, arn in needs(catalog, call):
        if action not in _JUDGED_ELSEWHERE and not _is_open(catalog, call, action, arn):
            raise AccessDeniedException() if call.operation in _WORDLESS else denied(call, action, arn)


def _is_open(catalog: Catalog, call: Call, action: str, arn: str) -> bool:
    parsed = names.parse_arn(arn)
    if parsed is None or parsed.account == call.account:
        return True
    if parsed.kind == "layer":
        # Layer versions have policies of their own, and their operations ask them.
        return REQUIRED[call.operation].resource == "layer-version"
    if parsed.kind != "function" or action not in GRANTABLE:
        return False
    function = names.parse(arn, None, call.account, parsed.region)
    return policy.account_may(catalog.statements(function), action, call.account, arn, call.caller)


def needs(catalog: Catalog, call: Call) -> list[tuple[str, str]]:
    """(IAM action, ARN of the resource) for everything the caller must be allowed; "*" where an action has no resource,
    or the call does not name one that can be read."""
    required = REQUIRED[call.operation]
    arn = _resource(catalog, call)
    further = [(action, resource) for action in required.also for resource in _DEPENDENT[action](call.params, arn)]
    return [(required.action, arn), *further]


def function_named(call: Call, reference: str, qualifier: str | None = None) -> names.FunctionName:
    """The function an operation is about. One that is not the operation's resource (an event source mapping's) must be
    the caller's own: else AccessDeniedException.

    Raises what `names.parse` raises.
    """
    name = names.parse(reference, qualifier, call.account, call.region)
    required = REQUIRED[call.operation]
    if name.account != call.account and required.resource not in ("function", "tagged"):
        raise denied(call, required.action, name.arn)
    return name


def denied(call: Call, action: str, arn: str) -> AccessDeniedException:
    """AWS's sentence for what another account does not share."""
    caller = call.caller or f"arn:{names.partition(call.region)}:iam::{call.account}:root"
    return AccessDeniedException(
        f"User: {caller} is not authorized to perform: {action} on resource: {arn} "
        f"because no resource-based policy allows the {action} action"
    )


def _resource(catalog: Catalog, call: Call) -> str:
    if "CallbackId" in call.params:
        return _execution_waiting(catalog, call) or "*"
    return _FINDERS[REQUIRED[call.operation].resource](call) or "*"


def _execution_waiting(catalog: Catalog, call: Call) -> str | None:
    callback = decode(call.params["CallbackId"], CallbackId)
    execution = catalog.durable_executions.get(call.account, call.region, callback.execution) if callback else None
    return execution.arn if execution else None


def _function(call: Call) -> str | None:
    params = call.params
    if "ResourceArn" in params:
        return params["ResourceArn"]
    # A qualifier that does not fit hides nothing: whose function it is counts all the same.
    for qualifier in (params.get("Qualifier"), None):
        with suppress(AwsError):
            return names.parse(params["FunctionName"], qualifier, call.account, call.region).arn
    return None


def _layer(call: Call) -> str | None:
    name = names.parse_layer(call.params["LayerName"], call.account, call.region)
    return name.layer_arn if name else None


def _layer_version(call: Call) -> str | None:
    if "Arn" in call.params:
        return call.params["Arn"]
    arn = _layer(call)
    return f"{arn}:{call.params['VersionNumber']}" if arn else None


def _capacity_provider(call: Call) -> str:
    return names.parse_capacity_provider(call.params["CapacityProviderName"], call.account, call.region).arn


_FINDERS: dict[ResourceKind, Callable[[Call], str | None]] = {
    "function": _function,
    "layer": _layer,
    "layer-version": _layer_version,
    "event-source-mapping": lambda call: names.event_source_mapping_arn(call.account, call.region, call.params["UUID"]),
    "code-signing-config": lambda call: call.params["CodeSigningConfigArn"],
    "capacity-provider": _capacity_provider,
    "durable-execution": lambda call: call.params["DurableExecutionArn"],
    "tagged": lambda call: call.params["Resource"],
    "*": lambda call: None,
}


def _roles(params: dict[str, Any], arn: str) -> list[str]:
    role = params.get("Role") or params.get("PermissionsConfig", {}).get("CapacityProviderOperatorRoleArn")
    return [role] if role else []


def _passed_providers(params: dict[str, Any], arn: str) -> list[str]:
    managed = params.get("CapacityProviderConfig", {}).get("LambdaManagedInstancesCapacityProviderConfig", {})
    return [managed["CapacityProviderArn"]] if "CapacityProviderArn" in managed else []


_DEPENDENT: dict[str, Callable[[dict[str, Any], str], list[str]]] = {
    "iam:PassRole": _roles,
    "lambda:GetLayerVersion": lambda params, arn: list(params.get("Layers", ())),
    "lambda:PassCapacityProvider": _passed_providers,
    "lambda:TagResource": lambda params, arn: [arn] if params.get("Tags") else [],
    "lambda:AddPermission": lambda params, arn: [arn],
    "lambda:GetPolicy": lambda params, arn: [arn],
    "lambda:RemovePermission": lambda params, arn: [arn],
}
