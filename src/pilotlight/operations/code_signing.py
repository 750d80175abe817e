"""Code signing configurations, and what they let be deployed.

There is no AWS Signer here, so no package bears a signature that could be verified: a configuration that enforces
refuses every package, one that warns lets every package pass. Source: API reference; answers recorded by LocalStack's
snapshot tests; the sentence for an unsigned package as AWS's own examples quote it.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from pilotlight.catalog import names
from pilotlight.catalog.code_signing import CodeSigningConfig
from pilotlight.errors import (
    CodeSigningConfigNotFoundException,
    CodeVerificationFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from pilotlight.operations.configuration import timestamp
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.paging import page
from pilotlight.operations.tags import checked_tags
from pilotlight.wire.messages import Call

#: ListCodeSigningConfigs and ListFunctionsByCodeSigningConfig
LARGEST_PAGE = 10_000


async def create_code_signing_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    config = CodeSigningConfig(
        account=call.account,
        region=call.region,
        id=f"csc-0{secrets.token_hex(8)}",
        tags=checked_tags(call.params.get("Tags", {})),
        **_given(call.params),
        last_modified_ms=context.clock.time_ms(),
    )
    await context.catalog.code_signing_configs.change(call.account, call.region, config.id, lambda _: (config, None))
    return {"CodeSigningConfig": _shown(config)}


async def get_code_signing_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    return {"CodeSigningConfig": _shown(_found(context, call))}


async def update_code_signing_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    """Each member given replaces what was; it counts from the next deployment on."""

    def update(config: CodeSigningConfig | None) -> tuple[CodeSigningConfig, CodeSigningConfig]:
        now_ms = context.clock.time_ms()
        changed = msgspec.structs.replace(_existing(config, call), **_given(call.params), last_modified_ms=now_ms)
        return changed, changed

    changed = await context.catalog.code_signing_configs.change(*_key(call), update)
    return {"CodeSigningConfig": _shown(changed)}


async def delete_code_signing_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    def delete(config: CodeSigningConfig | None) -> tuple[None, None]:
        if _functions_with(context, _existing(config, call)):
            raise ResourceConflictException(
                "Cannot delete CodeSigningConfig because it is being used by one or more functions. "
                "Remove it from those functions and try again."
            )
        return None, None

    await context.catalog.code_signing_configs.change(*_key(call), delete)
    return {}


async def list_code_signing_configs(context: OperationsContext, call: Call) -> dict[str, Any]:
    shown, marker = page(
        context.catalog.code_signing_configs.all(call.account, call.region),
        lambda config: (config.id, 0),
        call.params.get("Marker"),
        call.params.get("MaxItems"),
        LARGEST_PAGE,
    )
    return {"CodeSigningConfigs": [_shown(config) for config in shown], "NextMarker": marker}


async def list_functions_by_code_signing_config(context: OperationsContext, call: Call) -> dict[str, Any]:
    shown, marker = page(
        _functions_with(context, _found(context, call)),
        lambda name: (name, 0),
        call.params.get("Marker"),
        call.params.get("MaxItems"),
        LARGEST_PAGE,
    )
    arns = [names.function_arn(call.account, call.region, name) for name in shown]
    return {"FunctionArns": arns, "NextMarker": marker}


def check_artifact(context: OperationsContext, call: Call, code_signing_config_arn: str) -> None:
    """Whether the configuration of that ARN ("": none) lets the package of this CreateFunction or UpdateFunctionCode
    be deployed.

    Raises CodeVerificationFailedException when it enforces, CodeSigningConfigNotFoundException when it is not there.
    """
    if not code_signing_config_arn:
        return
    config = existing_config(context, call, code_signing_config_arn)
    if config.untrusted_artifact_on_deployment == "Enforce":
        function = names.parse(call.params["FunctionName"], None, call.account, call.region)
        raise CodeVerificationFailedException(
            "Lambda cannot deploy the function. The function or layer might be signed using a signature that the "
            f"client is not configured to accept. Check the provided signature for {function.function_arn}."
        )


def existing_config(context: OperationsContext, call: Call, arn: str) -> CodeSigningConfig:
    """The configuration a function is to have; CodeSigningConfigNotFoundException when there is none of that ARN."""
    parsed = names.parse_arn(arn)
    here = parsed is not None and (parsed.account, parsed.region) == (call.account, call.region)
    config = context.catalog.code_signing_configs.get(call.account, call.region, parsed.id) if parsed and here else None
    if config is None:
        raise CodeSigningConfigNotFoundException(
            "The code signing configuration cannot be found. "
            f"Check that the provided configuration is not deleted: {arn}."
        )
    return config


def _given(params: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if "Description" in params:
        values["description"] = params["Description"]
    if "AllowedPublishers" in params:
        values["signing_profile_version_arns"] = tuple(params["AllowedPublishers"]["SigningProfileVersionArns"])
    if policy := params.get("CodeSigningPolicies", {}).get("UntrustedArtifactOnDeployment"):
        values["untrusted_artifact_on_deployment"] = policy
    return values


def _shown(config: CodeSigningConfig) -> dict[str, Any]:
    return {
        "CodeSigningConfigId": config.id,
        "CodeSigningConfigArn": _arn(config),
        "Description": config.description,
        "AllowedPublishers": {"SigningProfileVersionArns": list(config.signing_profile_version_arns)},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": config.untrusted_artifact_on_deployment},
        "LastModified": timestamp(config.last_modified_ms),
    }


def _arn(config: CodeSigningConfig) -> str:
    return names.code_signing_config_arn(config.account, config.region, config.id)


def _functions_with(context: OperationsContext, config: CodeSigningConfig) -> list[str]:
    """Names, in order."""
    arn, views = _arn(config), context.catalog.functions(config.account, config.region)
    return [view.function.name for view in views if view.function.code_signing_config_arn == arn]


def _key(call: Call) -> tuple[str, str, str]:
    arn = names.parse_arn(call.params["CodeSigningConfigArn"])
    return (arn.account, arn.region, arn.id) if arn else (call.account, call.region, "")


def _found(context: OperationsContext, call: Call) -> CodeSigningConfig:
    return _existing(context.catalog.code_signing_configs.get(*_key(call)), call)


def _existing(config: CodeSigningConfig | None, call: Call) -> CodeSigningConfig:
    if config is None or config.region != call.region:
        # AWS leaves the Type out of this one.
        raise ResourceNotFoundException(
            f"The Lambda code signing configuration {call.params['CodeSigningConfigArn']} can not be found.", Type=""
        )
    return config
