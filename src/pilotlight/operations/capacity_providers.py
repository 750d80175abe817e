"""CreateCapacityProvider and what else there is for capacity providers: held and shown, nothing runs on them yet.

Source: API reference; developer guide, "Lambda Managed Instances: Capacity providers" (defaults, quotas, states); the
refusal to delete one in use as its users quote it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import names
from pilotlight.catalog.capacity import CapacityProvider
from pilotlight.catalog.records import FunctionVersion
from pilotlight.errors import (
    CapacityProviderLimitExceededException,
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from pilotlight.operations.configuration import timestamp
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.paging import Key, page
from pilotlight.operations.tags import checked_tags
from pilotlight.wire.messages import Call
from pilotlight.wire.validate import refused_value

MAX_NAME = 64
USUAL_ARCHITECTURES = ["x86_64"]
USUAL_SCALING: dict[str, Any] = {"MaxVCpuCount": 400, "ScalingMode": "Auto"}

Settings = dict[str, Any]


async def create_capacity_provider(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = _new_name(call)
    settings = _settings(call.params)
    tags = checked_tags(call.params.get("Tags", {}))
    providers = context.catalog.capacity_providers

    def create(found: CapacityProvider | None) -> tuple[CapacityProvider, CapacityProvider]:
        if found is not None:
            raise ResourceConflictException(f"Capacity provider already exists: {name.arn}")
        if len(providers.all(name.account, name.region)) >= context.settings.max_capacity_providers:
            raise CapacityProviderLimitExceededException(
                "The maximum number of capacity providers for your account has been exceeded."
            )
        now_ms = context.clock.time_ms()
        provider = CapacityProvider(
            account=name.account,
            region=name.region,
            name=name.name,
            settings=settings,
            tags=tags,
            last_modified_ms=now_ms,
            settles_at_ms=now_ms + context.settings.state_delay_ms,
        )
        return provider, provider

    return _shown(await providers.change(name.account, name.region, name.name, create))


async def get_capacity_provider(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = _named(call)
    return _shown(_existing(name, context.catalog.capacity_providers.get(name.account, name.region, name.name)))


async def update_capacity_provider(context: OperationsContext, call: Call) -> dict[str, Any]:
    """Scaling is changed member by member; tag propagation and telemetry are replaced."""
    name = _named(call)

    def update(found: CapacityProvider | None) -> tuple[CapacityProvider, CapacityProvider]:
        provider = _existing(name, found)
        _refuse_busy(provider, "Pending", "Deleting")
        changed = msgspec.structs.replace(
            provider,
            settings={**provider.settings, **_changeable(call.params, provider.settings)},
            last_modified_ms=context.clock.time_ms(),
        )
        return changed, changed

    return _shown(await context.catalog.capacity_providers.change(name.account, name.region, name.name, update))


async def delete_capacity_provider(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = _named(call)

    def delete(found: CapacityProvider | None) -> tuple[CapacityProvider, CapacityProvider]:
        provider = _existing(name, found)
        _refuse_busy(provider, "Deleting")
        if users := {version.name for version in _versions_on(context, provider)}:
            raise ResourceConflictException(
                f"The capacity provider is currently in use by {len(users)} functions. "
                f"To delete this capacity provider, first remove its association with {provider.arn}."
            )
        settles_at_ms = context.clock.time_ms() + context.settings.state_delay_ms
        deleting = msgspec.structs.replace(provider, state="Deleting", settles_at_ms=settles_at_ms)
        return deleting, deleting

    return _shown(await context.catalog.capacity_providers.change(name.account, name.region, name.name, delete))


async def list_capacity_providers(context: OperationsContext, call: Call) -> dict[str, Any]:
    """By name."""
    params = call.params
    providers = context.catalog.capacity_providers.all(call.account, call.region)
    listed = [provider for provider in providers if params.get("State") in (None, provider.state)]
    shown, marker = page(listed, lambda provider: (provider.name, 0), params.get("Marker"), params.get("MaxItems"))
    return {"CapacityProviders": [_members(provider) for provider in shown], "NextMarker": marker}


async def list_function_versions_by_capacity_provider(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = _named(call)
    provider = _existing(name, context.catalog.capacity_providers.get(name.account, name.region, name.name))
    listed = sorted(_versions_on(context, provider), key=_list_key)
    shown, marker = page(listed, _list_key, call.params.get("Marker"), call.params.get("MaxItems"))
    versions = [{"FunctionArn": version.qualified_arn, "State": version.state} for version in shown]
    return {"CapacityProviderArn": provider.arn, "FunctionVersions": versions, "NextMarker": marker}


def provider_of(version: FunctionVersion) -> str:
    """ARN of the capacity provider that a function version is on; "" for none."""
    config = version.held.get("CapacityProviderConfig", {})
    return config.get("LambdaManagedInstancesCapacityProviderConfig", {}).get("CapacityProviderArn", "")


def _versions_on(context: OperationsContext, provider: CapacityProvider) -> list[FunctionVersion]:
    views = context.catalog.functions(provider.account, provider.region)
    return [version for view in views for version in view.versions.values() if provider_of(version) == provider.arn]


def _list_key(version: FunctionVersion) -> Key:
    return version.name, version.number


def _named(call: Call) -> names.CapacityProviderName:
    name = names.parse_capacity_provider(call.params["CapacityProviderName"], call.account, call.region)
    if name.region != call.region:
        raise ResourceNotFoundException(
            f"Capacity providers from '{name.region}' are not reachable in this region ('{call.region}')"
        )
    return name


def _new_name(call: Call) -> names.CapacityProviderName:
    try:
        name = _named(call)
    except ResourceNotFoundException as error:  # which the model does not have for a creation
        raise InvalidParameterValueException(error.message) from None
    if len(name.name) > MAX_NAME:
        constraint = f"Member must have length less than or equal to {MAX_NAME}"
        raise InvalidParameterValueException(refused_value(name.name, "CapacityProviderName", constraint))
    return name


def _existing(name: names.CapacityProviderName, found: CapacityProvider | None) -> CapacityProvider:
    if found is None:
        raise ResourceNotFoundException(f"Capacity provider not found: {name.arn}")
    return found


def _refuse_busy(provider: CapacityProvider, *states: str) -> None:
    if provider.state in states:
        raise ResourceConflictException(
            "The operation cannot be performed at this time. "
            f"The capacity provider is currently in the following state: {provider.state}"
        )


def _settings(params: dict[str, Any]) -> Settings:
    """The members of a new provider as the API shows them, checked."""
    instances: dict[str, Any] = params.get("InstanceRequirements", {})
    if "AllowedInstanceTypes" in instances and "ExcludedInstanceTypes" in instances:
        raise InvalidParameterValueException(
            "You can specify only one of AllowedInstanceTypes or ExcludedInstanceTypes."
        )
    settings: Settings = {
        "VpcConfig": params["VpcConfig"],
        "PermissionsConfig": params["PermissionsConfig"],
        "InstanceRequirements": {"Architectures": USUAL_ARCHITECTURES, **instances},
        "CapacityProviderScalingConfig": USUAL_SCALING,
        **_changeable(params, {"CapacityProviderScalingConfig": USUAL_SCALING}),
    }
    if "KmsKeyArn" in params:
        settings["KmsKeyArn"] = params["KmsKeyArn"]
    return settings


def _changeable(params: dict[str, Any], before: Settings) -> Settings:
    """Those that `params` set of the members an update may set too."""
    settings: Settings = {}
    if "CapacityProviderScalingConfig" in params:
        given: dict[str, Any] = params["CapacityProviderScalingConfig"]
        settings["CapacityProviderScalingConfig"] = _scaling(given, before["CapacityProviderScalingConfig"])
    if "PropagateTags" in params:
        propagated: dict[str, Any] = params["PropagateTags"]
        if "ExplicitTags" in propagated and propagated.get("Mode") != "Explicit":
            raise InvalidParameterValueException("ExplicitTags can be specified only when Mode is Explicit.")
        checked_tags(propagated.get("ExplicitTags", {}))
        settings["PropagateTags"] = propagated
    if "TelemetryConfig" in params:
        settings["TelemetryConfig"] = params["TelemetryConfig"]
    return settings


def _scaling(given: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Policies belong to the Manual mode: they go when it goes."""
    scaling = {**before, **given}
    if scaling["ScalingMode"] == "Auto":
        if "ScalingPolicies" in given:
            raise InvalidParameterValueException("ScalingPolicies can be specified only when ScalingMode is Manual.")
        scaling.pop("ScalingPolicies", None)
    elif not scaling.get("ScalingPolicies"):
        raise InvalidParameterValueException("ScalingPolicies must be specified when ScalingMode is Manual.")
    return scaling


def _shown(provider: CapacityProvider) -> dict[str, Any]:
    return {"CapacityProvider": _members(provider)}


def _members(provider: CapacityProvider) -> dict[str, Any]:
    return {
        "CapacityProviderArn": provider.arn,
        "State": provider.state,
        **provider.settings,
        "LastModified": timestamp(provider.last_modified_ms),
    }
