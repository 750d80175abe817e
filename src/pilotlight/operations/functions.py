"""CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions and DeleteFunction."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import lifecycle, names
from pilotlight.catalog.attached import detached
from pilotlight.catalog.records import LATEST, Function, FunctionVersion
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.errors import InvalidParameterValueException, ResourceConflictException, ValidationException
from pilotlight.operations import code, function_rules, versions
from pilotlight.operations.authorization import function_named
from pilotlight.operations.configuration import Configuration, configuration, listed_configuration
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.deployment import Deployed, deploy
from pilotlight.operations.found import found, found_version
from pilotlight.operations.function_layers import check_layers, resolve_layers
from pilotlight.operations.members import managed
from pilotlight.operations.members.asked import Asked
from pilotlight.operations.paging import page, start_name
from pilotlight.operations.tags import checked_tags
from pilotlight.wire.messages import Call
from pilotlight.wire.validate import refused_value

MAX_NAME = 64


async def create_function(context: OperationsContext, call: Call) -> Configuration:
    """A new function, Pending; with Publish also its first version, which is then what is answered."""
    params = call.params
    name = _new_name(call)
    described = function_rules.created(Asked(context, call, None), name)
    managed.check_publish_to(described, params.get("PublishTo"))
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


def _new_name(call: Call) -> names.FunctionName:
    reference: str = call.params["FunctionName"]
    name = function_named(call, reference)
    if name.qualifier is not None:
        constraint = f"Member must satisfy regular expression pattern: {names.FUNCTION_PATTERN}"
        raise ValidationException(refused_value(reference, "FunctionName", constraint))
    if len(name.name) > MAX_NAME:
        constraint = f"Member must have length less than or equal to {MAX_NAME}"
        raise InvalidParameterValueException(refused_value(name.name, "FunctionName", constraint))
    return name


def _refuse_existing(name: names.FunctionName, view: FunctionView | None) -> None:
    if view is not None:
        raise ResourceConflictException(f"Function already exist: {name.name}")


async def get_function(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = function_named(call, call.params["FunctionName"], call.params.get("Qualifier"))
    view, version = found_version(name, context.catalog.function(name.account, name.region, name.name))
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
    location: dict[str, Any] = {
        "RepositoryType": "S3",
        "Location": context.code_location.url(context.host(call), version.code_blob),
    }
    if version.s3_object is not None:
        bucket, key, object_version = msgspec.structs.astuple(version.s3_object)
        location["ResolvedS3Object"] = {"S3Bucket": bucket, "S3Key": key, "S3ObjectVersion": object_version}
    if version.source_kms_key_arn:
        location["SourceKMSKeyArn"] = version.source_kms_key_arn
    return location


async def get_function_configuration(context: OperationsContext, call: Call) -> Configuration:
    name = function_named(call, call.params["FunctionName"], call.params.get("Qualifier"))
    _, version = found_version(name, context.catalog.function(name.account, name.region, name.name))
    return configuration(version, name.arn)


async def list_functions(context: OperationsContext, call: Call) -> dict[str, Any]:
    """By name. MasterRegion selects replicas of Lambda@Edge functions, and there are none: only ALL selects these."""
    params = call.params
    every = params.get("FunctionVersion") == "ALL"
    master_region, marker = params.get("MasterRegion"), params.get("Marker")
    if master_region is not None and not every:
        raise InvalidParameterValueException("FunctionVersion must be set to ALL when MasterRegion is specified.")
    here = master_region in (None, "ALL", call.region)
    views = context.catalog.functions(call.account, call.region, start_name(marker)) if here else []
    listed = (version for view in views for version in (view.in_order if every else [view.latest]))
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
    if name.qualifier is not None and names.is_alias(name.qualifier):
        raise InvalidParameterValueException("Deletion of aliases is not currently supported.")

    def delete(view: FunctionView | None) -> tuple[FunctionChange | None, None]:
        view = found(name, view)
        if name.qualifier is None:
            return FunctionChange(gone=True), None
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
