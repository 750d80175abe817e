"""CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions and DeleteFunction."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import lifecycle, names
from pilotlight.catalog.attached import detached
from pilotlight.catalog.catalog import FunctionChange, FunctionView
from pilotlight.catalog.records import LATEST, Function, FunctionVersion
from pilotlight.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
    ValidationException,
)
from pilotlight.operations import code, function_rules, versions
from pilotlight.operations.authorization import function_named
from pilotlight.operations.configuration import Configuration, configuration, listed_configuration
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.deployment import Deployed, deploy
from pilotlight.operations.function_layers import check_layers, resolve_layers
from pilotlight.operations.members import managed, package
from pilotlight.operations.members.asked import Asked
from pilotlight.operations.paging import page, start_name
from pilotlight.operations.runtime_lifecycle import refuse_closed
from pilotlight.operations.runtimes import check_machine
from pilotlight.operations.tags import checked_tags
from pilotlight.wire.messages import Call

MAX_NAME = 64


async def create_function(context: OperationsContext, call: Call) -> Configuration:
    """A new function, Pending; with Publish also its first version, which is then what is answered."""
    params = call.params
    name = _new_name(call)
    described = _described(context, call, name)
    tags = checked_tags(params.get("Tags", {}))
    _refuse_existing(name, context.catalog.function(name.account, name.region, name.name))
    signing: str = params.get("CodeSigningConfigArn", "")
    deployed = Deployed(described.package_type, described.runtime, described.architecture, signing, "creating")
    stored = await deploy(context, call, params["Code"], deployed)
    layers = resolve_layers(context, call, params.get("Layers", ()))
    whole = msgspec.structs.replace(described, layers=layers, **msgspec.structs.asdict(stored))
    check_layers(context, whole)

    def create(view: FunctionView | None) -> tuple[FunctionChange, FunctionVersion]:
        _refuse_existing(name, view)
        publish: bool = params.get("Publish", False)
        code.check_storage(context, call, stored.stored_bytes * (2 if publish else 1))
        now_ms = context.clock.time_ms()
        latest = msgspec.structs.replace(whole, generation=lifecycle.next_generation(0, now_ms))
        latest = lifecycle.created(latest, now_ms, context.settings.state_delay_ms)
        function = Function(
            account=name.account,
            region=name.region,
            name=name.name,
            created_ms=now_ms,
            tags=tags,
            code_signing_config_arn=signing,
        )
        if not publish:
            return FunctionChange(function, (latest,)), latest
        function, version = versions.published_pending(context, function, latest, params.get("PublishTo"))
        return FunctionChange(function, (latest, version)), version

    answered = await context.catalog.change(name.account, name.region, name.name, create)
    # Unqualified even when it is version 1 that is answered: so AWS does.
    return configuration(answered, name.function_arn)


def _described(context: OperationsContext, call: Call, name: names.FunctionName) -> FunctionVersion:
    """What the request makes of the function, its code and layers aside, all of it checked."""
    params = call.params
    package.check_package(params, params.get("PackageType", "Zip"), creating=True)
    version = FunctionVersion(
        account=name.account,
        region=name.region,
        name=name.name,
        architecture=params.get("Architectures", ["x86_64"])[0],
        code_blob="",
        code_sha256="",
        code_size=0,
        **function_rules.created_fields(Asked(context, call, None)),
    )
    refuse_closed(context, version.runtime, creating=True)
    check_machine(context, version.runtime, version.architecture)
    function_rules.check_together(version)
    managed.check_publish_to(version, params.get("PublishTo"))
    return version


def _new_name(call: Call) -> names.FunctionName:
    reference: str = call.params["FunctionName"]
    name = function_named(call, reference)
    if name.qualifier is not None:
        raise ValidationException(
            f"1 validation error detected: Value '{reference}' at 'functionName' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {names.FUNCTION_PATTERN}"
        )
    if len(name.name) > MAX_NAME:
        raise InvalidParameterValueException(
            f"1 validation error detected: Value '{name.name}' at 'functionName' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_NAME}"
        )
    return name


def _refuse_existing(name: names.FunctionName, view: FunctionView | None) -> None:
    if view is not None:
        raise ResourceConflictException(f"Function already exist: {name.name}")


async def get_function(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = function_named(call, call.params["FunctionName"], call.params.get("Qualifier"))
    view, version = _found(context, name)
    answer: dict[str, Any] = {
        "Configuration": configuration(version, name.arn),
        "Code": _code_location(context, call, version),
    }
    if view.function.tags:
        answer["Tags"] = view.function.tags
    if view.function.reserved_concurrency is not None:
        answer["Concurrency"] = {"ReservedConcurrentExecutions": view.function.reserved_concurrency}
    return answer


def _code_location(context: OperationsContext, call: Call, version: FunctionVersion) -> dict[str, Any]:
    if version.image_uri:
        return {
            "RepositoryType": "ECR",
            "ImageUri": version.image_uri,
            "ResolvedImageUri": version.resolved_image_uri,
        }
    host = call.host or f"{context.settings.host}:{context.settings.port}"
    location: dict[str, Any] = {
        "RepositoryType": "S3",
        "Location": context.code_location.url(host, version.code_blob),
    }
    if version.s3_object is not None:
        bucket, key, object_version = msgspec.structs.astuple(version.s3_object)
        location["ResolvedS3Object"] = {"S3Bucket": bucket, "S3Key": key, "S3ObjectVersion": object_version}
    if version.source_kms_key_arn:
        location["SourceKMSKeyArn"] = version.source_kms_key_arn
    return location


async def get_function_configuration(context: OperationsContext, call: Call) -> Configuration:
    name = function_named(call, call.params["FunctionName"], call.params.get("Qualifier"))
    return configuration(_found(context, name)[1], name.arn)


def _found(context: OperationsContext, name: names.FunctionName) -> tuple[FunctionView, FunctionVersion]:
    """The function and the version `name` names; an alias names the version it points to."""
    view = context.catalog.function(name.account, name.region, name.name)
    number = name.qualifier or LATEST
    if view is not None and number in view.function.aliases:
        number = view.function.aliases[number].version
    version = view.versions.get(number) if view else None
    if view is None or version is None:
        raise ResourceNotFoundException(f"Function not found: {name.arn}")
    return view, version


async def list_functions(context: OperationsContext, call: Call) -> dict[str, Any]:
    """By name. MasterRegion selects replicas of Lambda@Edge functions, and there are none: only ALL selects these."""
    params = call.params
    every = params.get("FunctionVersion") == "ALL"
    master_region, marker = params.get("MasterRegion"), params.get("Marker")
    if master_region is not None and not every:
        raise InvalidParameterValueException("FunctionVersion must be set to ALL when MasterRegion is specified.")
    here = master_region in (None, "ALL", call.region)
    views = context.catalog.functions(call.account, call.region, start_name(marker)) if here else []
    listed = (version for view in views for version in ((view.latest, *view.published) if every else (view.latest,)))
    shown, marker = page(listed, versions.list_key, marker, params.get("MaxItems"))
    functions = [listed_configuration(v, v.qualified_arn if every else v.function_arn) for v in shown]
    return {"Functions": functions, "NextMarker": marker}


async def delete_function(context: OperationsContext, call: Call) -> dict[str, Any]:
    """The whole function; with a qualifier that version alone, and nothing when there is no such version.

    Source of what a qualifier does: the live service's answers as measured in a public pull request (floci 2824), and
    AWS's sentence about aliases as quoted in many issue threads.
    """
    name = function_named(call, call.params["FunctionName"], call.params.get("Qualifier"))
    if name.qualifier == LATEST:
        raise InvalidParameterValueException("$LATEST version cannot be deleted without deleting the function.")

    def delete(view: FunctionView | None) -> tuple[FunctionChange | None, None]:
        if view is None:
            raise ResourceNotFoundException(f"Function not found: {name.function_arn}")
        if name.qualifier is None:
            return FunctionChange(gone=True), None
        if names.is_alias(name.qualifier):
            raise InvalidParameterValueException("Deletion of aliases is not currently supported.")
        pointing = _aliases_to(view.function, name.qualifier)
        if pointing:
            raise ResourceConflictException(
                f"Unable to delete version because the following aliases reference it: [{', '.join(pointing)}]"
            )
        if name.qualifier not in view.versions:
            return None, None
        return FunctionChange(detached(view.function, name.qualifier), removed=(name.qualifier,)), None

    await context.catalog.change(name.account, name.region, name.name, delete)
    return {"StatusCode": 204}


def _aliases_to(function: Function, version: str) -> list[str]:
    """Names, in order, of the aliases that send invocations to `version`."""
    aliases = function.aliases.values()
    return sorted(alias.name for alias in aliases if version == alias.version or version in alias.weights)
