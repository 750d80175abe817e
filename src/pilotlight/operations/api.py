"""Every Lambda operation that exists here, by its name in AWS's model: what `wire.ServiceApi("lambda")` dispatches to.

Invoke is not among them: the front takes it past all this, straight to `invoke`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from pilotlight.operations import (
    account,
    aliases,
    capacity_providers,
    code_signing,
    concurrency,
    durable_callbacks,
    durable_checkpoints,
    durable_executions,
    durable_history,
    durable_pauses,
    event_invoke_configs,
    event_source_mappings,
    function_code_signing,
    function_urls,
    functions,
    layer_permissions,
    layers,
    permissions,
    provisioned_concurrency,
    recursion,
    resource_policies,
    runtime_management,
    scaling,
    tags,
    updates,
    versions,
)
from pilotlight.operations.authorization import authorize
from pilotlight.operations.context import OperationsContext
from pilotlight.wire.messages import Call, Handler

Operation = Callable[[OperationsContext, Call], Awaitable[dict[str, Any] | None]]

OPERATIONS: dict[str, Operation] = {
    "AddLayerVersionPermission": layer_permissions.add_layer_version_permission,
    "AddPermission": permissions.add_permission,
    "CheckpointDurableExecution": durable_checkpoints.checkpoint_durable_execution,
    "CreateAlias": aliases.create_alias,
    "CreateCapacityProvider": capacity_providers.create_capacity_provider,
    "CreateCodeSigningConfig": code_signing.create_code_signing_config,
    "CreateEventSourceMapping": event_source_mappings.create_event_source_mapping,
    "CreateFunction": functions.create_function,
    "CreateFunctionUrlConfig": function_urls.create_function_url_config,
    "DeleteAlias": aliases.delete_alias,
    "DeleteCapacityProvider": capacity_providers.delete_capacity_provider,
    "DeleteCodeSigningConfig": code_signing.delete_code_signing_config,
    "DeleteDurableExecution": durable_executions.delete_durable_execution,
    "DeleteEventSourceMapping": event_source_mappings.delete_event_source_mapping,
    "DeleteFunction": functions.delete_function,
    "DeleteFunctionCodeSigningConfig": function_code_signing.delete_function_code_signing_config,
    "DeleteFunctionConcurrency": concurrency.delete_function_concurrency,
    "DeleteFunctionEventInvokeConfig": event_invoke_configs.delete_function_event_invoke_config,
    "DeleteFunctionUrlConfig": function_urls.delete_function_url_config,
    "DeleteLayerVersion": layers.delete_layer_version,
    "DeleteProvisionedConcurrencyConfig": provisioned_concurrency.delete_provisioned_concurrency_config,
    "DeleteResourcePolicy": resource_policies.delete_resource_policy,
    "GetAccountSettings": account.get_account_settings,
    "GetAlias": aliases.get_alias,
    "GetCapacityProvider": capacity_providers.get_capacity_provider,
    "GetCodeSigningConfig": code_signing.get_code_signing_config,
    "GetDurableExecution": durable_executions.get_durable_execution,
    "GetDurableExecutionHistory": durable_history.get_durable_execution_history,
    "GetDurableExecutionState": durable_checkpoints.get_durable_execution_state,
    "GetEventSourceMapping": event_source_mappings.get_event_source_mapping,
    "GetFunction": functions.get_function,
    "GetFunctionCodeSigningConfig": function_code_signing.get_function_code_signing_config,
    "GetFunctionConcurrency": concurrency.get_function_concurrency,
    "GetFunctionConfiguration": functions.get_function_configuration,
    "GetFunctionEventInvokeConfig": event_invoke_configs.get_function_event_invoke_config,
    "GetFunctionRecursionConfig": recursion.get_function_recursion_config,
    "GetFunctionScalingConfig": scaling.get_function_scaling_config,
    "GetFunctionUrlConfig": function_urls.get_function_url_config,
    "GetLayerVersion": layers.get_layer_version,
    "GetLayerVersionByArn": layers.get_layer_version_by_arn,
    "GetLayerVersionPolicy": layer_permissions.get_layer_version_policy,
    "GetPolicy": permissions.get_policy,
    "GetProvisionedConcurrencyConfig": provisioned_concurrency.get_provisioned_concurrency_config,
    "GetResourcePolicy": resource_policies.get_resource_policy,
    "GetRuntimeManagementConfig": runtime_management.get_runtime_management_config,
    "ListAliases": aliases.list_aliases,
    "ListCapacityProviders": capacity_providers.list_capacity_providers,
    "ListCodeSigningConfigs": code_signing.list_code_signing_configs,
    "ListDurableExecutionsByFunction": durable_executions.list_durable_executions_by_function,
    "ListEventSourceMappings": event_source_mappings.list_event_source_mappings,
    "ListFunctionEventInvokeConfigs": event_invoke_configs.list_function_event_invoke_configs,
    "ListFunctionUrlConfigs": function_urls.list_function_url_configs,
    "ListFunctionVersionsByCapacityProvider": capacity_providers.list_function_versions_by_capacity_provider,
    "ListFunctions": functions.list_functions,
    "ListFunctionsByCodeSigningConfig": code_signing.list_functions_by_code_signing_config,
    "ListLayerVersions": layers.list_layer_versions,
    "ListLayers": layers.list_layers,
    "ListProvisionedConcurrencyConfigs": provisioned_concurrency.list_provisioned_concurrency_configs,
    "ListTags": tags.list_tags,
    "ListVersionsByFunction": versions.list_versions_by_function,
    "PauseDurableExecution": durable_pauses.pause_durable_execution,
    "PublishLayerVersion": layers.publish_layer_version,
    "PublishVersion": versions.publish_version,
    "PutFunctionCodeSigningConfig": function_code_signing.put_function_code_signing_config,
    "PutFunctionConcurrency": concurrency.put_function_concurrency,
    "PutFunctionEventInvokeConfig": event_invoke_configs.put_function_event_invoke_config,
    "PutFunctionRecursionConfig": recursion.put_function_recursion_config,
    "PutFunctionScalingConfig": scaling.put_function_scaling_config,
    "PutProvisionedConcurrencyConfig": provisioned_concurrency.put_provisioned_concurrency_config,
    "PutResourcePolicy": resource_policies.put_resource_policy,
    "PutRuntimeManagementConfig": runtime_management.put_runtime_management_config,
    "RemoveLayerVersionPermission": layer_permissions.remove_layer_version_permission,
    "RemovePermission": permissions.remove_permission,
    "ResumeDurableExecution": durable_pauses.resume_durable_execution,
    "SendDurableExecutionCallbackFailure": durable_callbacks.send_durable_execution_callback_failure,
    "SendDurableExecutionCallbackHeartbeat": durable_callbacks.send_durable_execution_callback_heartbeat,
    "SendDurableExecutionCallbackSuccess": durable_callbacks.send_durable_execution_callback_success,
    "StopDurableExecution": durable_executions.stop_durable_execution,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
    "UpdateAlias": aliases.update_alias,
    "UpdateCapacityProvider": capacity_providers.update_capacity_provider,
    "UpdateCodeSigningConfig": code_signing.update_code_signing_config,
    "UpdateEventSourceMapping": event_source_mappings.update_event_source_mapping,
    "UpdateFunctionCode": updates.update_function_code,
    "UpdateFunctionConfiguration": updates.update_function_configuration,
    "UpdateFunctionEventInvokeConfig": event_invoke_configs.update_function_event_invoke_config,
    "UpdateFunctionUrlConfig": function_urls.update_function_url_config,
}


def lambda_handlers(services: OperationsContext) -> dict[str, Handler]:
    return {name: partial(_authorized, operation, services) for name, operation in OPERATIONS.items()}


async def _authorized(operation: Operation, services: OperationsContext, call: Call) -> dict[str, Any] | None:
    authorize(services.catalog, call)
    return await operation(services, call)
