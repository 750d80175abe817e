"""From a request that configures a function to the record's fields: CreateFunction and UpdateFunctionConfiguration.

The rules of each member stand in `members/`, by family; here is which member goes to which, and what is judged only
when all of them are known. Layers and code are looked up, so they are not among them (`function_layers`, `deployment`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

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
from pilotlight.operations.runtime_lifecycle import refuse_closed
from pilotlight.operations.runtimes import CUSTOM, check_machine

_AS_GIVEN = {
    "Role": "role",
    "Handler": "handler",
    "Description": "description",
    "Runtime": "runtime",
    "Timeout": "timeout_s",
    "MemorySize": "memory_mib",
}

_FIELDS: dict[str, Callable[[Asked, Any], Fields]] = {
    "EphemeralStorage": lambda _, given: {"tmp_mib": given["Size"]},
    "TracingConfig": lambda _, given: {"tracing": given["Mode"]} if "Mode" in given else {},
    "Environment": environment.environment,
    "LoggingConfig": logs.logging,
    "SnapStart": snapstart.snap_start,
}


def _kept(asked: Asked, given: Any) -> Any:
    """As it was given; an empty one takes it away."""
    return given or None


#: member -> the member the API shows it as, and what it shows (None: nothing)
_HELD: dict[str, tuple[str, Callable[[Asked, Any], Any]]] = {
    "AcceleratorConfig": ("AcceleratorConfig", managed.accelerator),
    "CapacityProviderConfig": ("CapacityProviderConfig", managed.capacity_provider),
    "DeadLetterConfig": ("DeadLetterConfig", dead_letters.dead_letters),
    "DurableConfig": ("DurableConfig", durable.durable),
    "FileSystemConfigs": ("FileSystemConfigs", network.file_systems),
    "ImageConfig": ("ImageConfigResponse", package.image_config),
    "KMSKeyArn": ("KMSKeyArn", _kept),
    "RuntimeConfig": ("RuntimeConfig", _kept),
    "TenancyConfig": ("TenancyConfig", _kept),
    "VpcConfig": ("VpcConfig", network.vpc),
}

_TOGETHER: tuple[Callable[[FunctionVersion], None], ...] = (
    limits.check_limits,
    package.check_custom_runtime,
    managed.check_managed,
    snapstart.check_snapstart,
    network.check_mountable,
)


def created_fields(asked: Asked) -> Fields:
    """What a new function's record is made of besides its code and layers, each member checked by itself."""
    params = asked.call.params
    values: Fields = {"package_type": params.get("PackageType", "Zip"), **logs.logging(asked, {}), **_fields(asked)}
    if "CapacityProviderConfig" in params:
        values.setdefault("memory_mib", managed.SMALLEST_MEMORY_MIB)
    if "DurableConfig" in params:
        values.setdefault("timeout_s", durable.usual_timeout_s(params["DurableConfig"]["ExecutionTimeout"]))
    return values


def updated(asked: Asked) -> FunctionVersion:
    """The version `asked.before` becomes, its layers aside; each member is checked by itself and with the others."""
    before = asked.before
    assert before is not None
    changed = msgspec.structs.replace(before, **_fields(asked))
    refuse_closed(asked.context, changed.runtime, creating=False)
    if "Runtime" in asked.call.params:
        check_machine(asked.context, changed.runtime, changed.architecture)
    check_together(changed)
    return changed


def check_together(version: FunctionVersion) -> None:
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
            if shown is None or shown == []:
                held.pop(shown_as, None)
            else:
                held[shown_as] = shown
    return {**values, "held": held}
