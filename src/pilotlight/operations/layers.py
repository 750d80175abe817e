"""PublishLayerVersion, GetLayerVersion, GetLayerVersionByArn, ListLayers, ListLayerVersions and DeleteLayerVersion.

A version never changes and its number is never given again. Deleting one takes it out of sight: functions that use it
keep their own record of it, and its package stays as long as they do. Source: API reference; answers recorded by
LocalStack's snapshot tests.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import names, policy
from pilotlight.catalog.layers import Layer, LayerVersion
from pilotlight.catalog.records import S3Object
from pilotlight.catalog.resources import KEEP, Keep
from pilotlight.errors import InvalidParameterValueException, ResourceNotFoundException, ValidationException
from pilotlight.operations import code
from pilotlight.operations.authorization import REQUIRED, denied
from pilotlight.operations.configuration import timestamp
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.paging import Key, page
from pilotlight.operations.runtime_lifecycle import open_runtimes
from pilotlight.operations.runtimes import CUSTOM
from pilotlight.wire.messages import Call
from pilotlight.wire.validate import detected, lower_first

Answer = dict[str, Any]

_ARCHITECTURES = ("x86_64", "arm64")
_NOT_FOUND = "The resource you requested does not exist."


async def publish_layer_version(context: OperationsContext, call: Call) -> Answer:
    """The next version of the layer; the first one makes the layer."""
    params = call.params
    name = layer_named(context, call, params["LayerName"])
    _check_compatible(context, params)
    s3_object = code.referred_to(params["Content"], of_layer=True)
    stored, info = await code.store_package(context, call, params["Content"])

    def publish(layer: Layer | None) -> tuple[Layer, LayerVersion]:
        if layer is None:
            layer = Layer(account=name.account, region=name.region, name=name.name)
        version = LayerVersion(
            version=layer.next_version,
            description=params.get("Description", ""),
            created_ms=context.clock.time_ms(),
            compatible_runtimes=_given(params, "CompatibleRuntimes"),
            compatible_architectures=_given(params, "CompatibleArchitectures"),
            license_info=params.get("LicenseInfo"),
            code_blob=stored.code_blob,
            code_sha256=stored.code_sha256,
            code_size=stored.code_size,
            unzipped_size=stored.unzipped_size,
            s3_object=s3_object,
            native=info.native[0] if info.native else None,
        )
        code.check_storage(context, call, version.stored_bytes)
        versions = {**layer.versions, version.version: version}
        return msgspec.structs.replace(layer, next_version=version.version + 1, versions=versions), version

    version = await context.catalog.layers.change(name.account, name.region, name.name, publish)
    return _shown(context, call, name, version)


def _check_compatible(context: OperationsContext, params: dict[str, Any]) -> None:
    """AWS judges these two lists together and in words of its own, and takes no runtime that is closed to functions."""
    runtimes = [name for name in open_runtimes(context) if name != CUSTOM]
    broken: list[str] = []
    for member, allowed, words in (
        ("CompatibleRuntimes", runtimes, "{}"),
        ("CompatibleArchitectures", _ARCHITECTURES, "Member must satisfy constraint: [{}]"),
    ):
        given: list[str] = params.get(member, [])
        if not set(given) <= set(allowed):
            constraint = words.format(f"Member must satisfy enum value set: [{', '.join(allowed)}]")
            shown = f"'[{', '.join(given)}]' at '{lower_first(member)}'"
            broken.append(f"Value {shown} failed to satisfy constraint: {constraint}")
    if broken:
        raise ValidationException(detected(broken))


def _given(params: dict[str, Any], member: str) -> tuple[str, ...] | None:
    return tuple(params[member]) if member in params else None


async def get_layer_version(context: OperationsContext, call: Call) -> Answer:
    name = layer_named(context, call, call.params["LayerName"], call.params["VersionNumber"])
    return _shown(context, call, name, _found(context, name))


async def get_layer_version_by_arn(context: OperationsContext, call: Call) -> Answer:
    name = layer_named(context, call, call.params["Arn"])
    return _shown(context, call, name, _found(context, name))


async def list_layers(context: OperationsContext, call: Call) -> Answer:
    """By name, each with its newest version that has what is asked for; layers that have none are left out."""
    listed: list[tuple[Layer, LayerVersion]] = []
    for layer in context.catalog.layers.all(call.account, call.region):
        if matching := _matching(layer, call):
            listed.append((layer, matching[0]))

    def key(item: tuple[Layer, LayerVersion]) -> Key:
        return item[0].name, 0

    shown, marker = page(listed, key, call.params.get("Marker"), call.params.get("MaxItems"))
    layers = [
        {
            "LayerName": layer.name,
            "LayerArn": (name := names.LayerName(layer.account, layer.region, layer.name)).layer_arn,
            "LatestMatchingVersion": _listed(name, version),
        }
        for layer, version in shown
    ]
    return {"Layers": layers, "NextMarker": marker}


async def list_layer_versions(context: OperationsContext, call: Call) -> Answer:
    """Newest first; a layer that does not exist has none."""
    name = layer_named(context, call, call.params["LayerName"])
    layer = context.catalog.layers.get(name.account, name.region, name.name)

    def key(version: LayerVersion) -> Key:
        return name.name, -version.version

    matching = _matching(layer, call) if layer else []
    shown, marker = page(matching, key, call.params.get("Marker"), call.params.get("MaxItems"))
    return {"LayerVersions": [_listed(name, version) for version in shown], "NextMarker": marker}


def _matching(layer: Layer, call: Call) -> list[LayerVersion]:
    """Newest first. A version that names no runtimes (or architectures) matches none."""
    runtime, architecture = call.params.get("CompatibleRuntime"), call.params.get("CompatibleArchitecture")
    return [
        version
        for _, version in sorted(layer.versions.items(), reverse=True)
        if (runtime is None or runtime in (version.compatible_runtimes or ()))
        and (architecture is None or architecture in (version.compatible_architectures or ()))
    ]


async def delete_layer_version(context: OperationsContext, call: Call) -> None:
    """What is not there is as good as deleted."""
    name = layer_named(context, call, call.params["LayerName"], call.params["VersionNumber"])

    def delete(layer: Layer | None) -> tuple[Layer | Keep, None]:
        if layer is None or name.version not in layer.versions:
            return KEEP, None
        left = {number: version for number, version in layer.versions.items() if number != name.version}
        return msgspec.structs.replace(layer, versions=left), None

    await context.catalog.layers.change(name.account, name.region, name.name, delete)


def layer_named(context: OperationsContext, call: Call, reference: str, version: int | None = None) -> names.LayerName:
    """The layer (or version) an operation is about: a name, or an ARN. Raises what `check_shared` raises, and
    ResourceNotFoundException for another region's."""
    if version is not None and version < 1:
        raise InvalidParameterValueException("Layer Version Cannot be less than 1")
    name = names.parse_layer(reference, call.account, call.region)
    if name is None:  # arn::lambda:... and awslayer ARNs, which the model lets pass
        raise ResourceNotFoundException(_NOT_FOUND)
    if version is not None:
        name = msgspec.structs.replace(name, version=version)
    check_shared(context, call, name, REQUIRED[call.operation].action)
    if name.region != call.region:
        raise ResourceNotFoundException(
            f"Layers from '{name.region}' are not reachable in this region ('{call.region}')"
        )
    return name


def check_shared(context: OperationsContext, call: Call, name: names.LayerName, action: str) -> None:
    """Raise AccessDeniedException for another account's layer, unless `name` is a version whose policy allows `action`.
    One that does not exist, or not in this region, is not told from one that is not shared."""
    if name.account == call.account:
        return
    version = layer_version(context, name) if name.region == call.region else None
    if version is None or not policy.account_may(version.statements, action, call.account, name.arn, call.caller):
        raise denied(call, action, name.arn)


def layer_version(context: OperationsContext, name: names.LayerName) -> LayerVersion | None:
    layer = context.catalog.layers.get(name.account, name.region, name.name)
    return layer.versions.get(name.version) if layer is not None and name.version is not None else None


def _found(context: OperationsContext, name: names.LayerName) -> LayerVersion:
    version = layer_version(context, name)
    if version is None:
        raise ResourceNotFoundException(_NOT_FOUND)
    return version


def _shown(context: OperationsContext, call: Call, name: names.LayerName, version: LayerVersion) -> Answer:
    content: Answer = {
        "Location": context.code_location.url(context.host(call), version.code_blob),
        "CodeSha256": version.code_sha256,
        "CodeSize": version.code_size,
        "ResolvedS3Object": _resolved(version.s3_object) if version.s3_object else None,
    }
    return {"Content": content, "LayerArn": name.layer_arn, **_listed(name, version)}


def _resolved(s3_object: S3Object) -> Answer:
    return {
        "S3Bucket": s3_object.bucket,
        "S3Key": s3_object.key,
        "S3ObjectVersion": s3_object.version or None,
    }


def _listed(name: names.LayerName, version: LayerVersion) -> Answer:
    """What lists show. Compatible runtimes and architectures are absent unless given, even as empty lists."""
    return {
        "LayerVersionArn": f"{name.layer_arn}:{version.version}",
        "Version": version.version,
        "Description": version.description,
        "CreatedDate": timestamp(version.created_ms),
        "CompatibleArchitectures": version.compatible_architectures,
        "CompatibleRuntimes": version.compatible_runtimes,
        "LicenseInfo": version.license_info,
    }
