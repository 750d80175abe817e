"""From a request that configures a function to the record's fields: CreateFunction and UpdateFunctionConfiguration.

The rules of each member stand in `members/`, by family; here is which member goes to which, and what is judged only
when all of them are known. Layers and code are looked up, so they are not among them (`function_layers`, `deployment`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pilotlight.catalog import names
from pilotlight.catalog.records import FunctionVersion
from pilotlight.operations.members import (
    dead_letters,
    durable,
    environment,
    limits,
    logs,
    managed,
    network,
    package,
    snapstart,
)
from pilotlight.operations.members.asked import Asked, Fields
from pilotlight.operations.runtime_lifecycle import refuse_closed, refuse_unknown
from pilotlight.operations.runtimes import CUSTOM, check_machine

_AS_GIVEN = {
    "Role": "role",
    "Handler": "handler",
    "Description": "description",
    "Timeout": "timeout_s",
    "MemorySize": "memory_mib",
}


def _runtime(asked: Asked, given: str) -> Fields:
    refuse_unknown(asked.context, given)
    return {"runtime": given}


_FIELDS: dict[str, Callable[[Asked, Any], Fields]] = {
    "Runtime": _runtime,
    "EphemeralStorage": lambda _, given: {"tmp_mib": given["Size"]},
    "TracingConfig": lambda _, given: {"tracing": given["Mode"]} if "Mode" in given else {},
    "Environment": environment.environment,
    "LoggingConfig": logs.logging,
    "SnapStart": snapstart.snap_start,
}


def _unchanged(asked: Asked, given: Any) -> Any:
    return given


#: member -> the member the API shows it as, and what it shows; what is empty is not shown
_HELD: dict[str, tuple[str, Callable[[Asked, Any], Any]]] = {
    "AcceleratorConfig": ("AcceleratorConfig", managed.accelerator),
    "CapacityProviderConfig": ("CapacityProviderConfig", managed.capacity_provider),
    "DeadLetterConfig": ("DeadLetterConfig", dead_letters.dead_letters),
    "DurableConfig": ("DurableConfig", durable.durable),
    "FileSystemConfigs": ("FileSystemConfigs", network.file_systems),
    "ImageConfig": ("ImageConfigResponse", package.image_config),
    "KMSKeyArn": ("KMSKeyArn", _unchanged),
    "RuntimeConfig": ("RuntimeConfig", _unchanged),
    "TenancyConfig": ("TenancyConfig", _unchanged),
    "VpcConfig": ("VpcConfig", network.vpc),
}

_TOGETHER: tuple[Callable[[FunctionVersion], None], ...] = (
    limits.check_limits,
    package.check_custom_runtime,
    managed.check_managed,
    snapstart.check_snapstart,
    network.check_mountable,
)


def created(asked: Asked, name: names.FunctionName) -> FunctionVersion:
    """A new function's $LATEST, its code and layers aside; each member is checked by itself and with the others."""
    params = asked.call.params
    package_type: str = params.get("PackageType", "Zip")
    package.check_package(params, package_type, creating=True)
    values: Fields = {**logs.logging(asked, {}), **_fields(asked)}
    if "CapacityProviderConfig" in params:
        values.setdefault("memory_mib", managed.SMALLEST_MEMORY_MIB)
    if "DurableConfig" in params:
        values.setdefault("timeout_s", durable.usual_timeout_s(params["DurableConfig"]["ExecutionTimeout"]))
    version = FunctionVersion(
        account=name.account,
        region=name.region,
        name=name.name,
        package_type=package_type,
        architecture=params.get("Architectures", ["x86_64"])[0],
        code_blob="",
        code_sha256="",
        code_size=0,
        **values,
    )
    refuse_closed(asked.context, version.runtime, creating=True)
    check_machine(asked.context, version.runtime, version.architecture)
    _check_together(version)
    return version


def updated(asked: Asked) -> FunctionVersion:
    """The version `asked.before` becomes, its layers aside; each member is checked by itself and with the others."""
    before = asked.before
    assert before is not None
    changed = msgspec.structs.replace(before, **_fields(asked))
    refuse_closed(asked.context, changed.runtime, creating=False)
    if "Runtime" in asked.call.params:
        check_machine(asked.context, changed.runtime, changed.architecture)
    _check_together(changed)
    return changed


def _check_together(version: FunctionVersion) -> None:
    """What AWS demands of a configuration as a whole."""
    for check in _TOGETHER:
        check(version)


def _fields(asked: Asked) -> Fields:
    params = asked.call.params
    values: Fields = {field: params[member] for member, field in _AS_GIVEN.items() if member in params}
    for member, rule in _FIELDS.items():
        if member in params:
            values.update(rule(asked, params[member]))
    held: dict[str, Any] = dict(asked.before.held) if asked.before else {}
    if "RuntimeConfig" in params:
        values.setdefault("runtime", CUSTOM)
    elif values.get("runtime", CUSTOM) != CUSTOM:
        held.pop("RuntimeConfig", None)
    for member, (shown_as, rule) in _HELD.items():
        if member in params:
            shown = rule(asked, params[member])
            if shown:
                held[shown_as] = shown
            else:
                held.pop(shown_as, None)
    return {**values, "held": held}
