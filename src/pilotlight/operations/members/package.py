"""What goes with a package type and what does not. Source: errors recorded by LocalStack's snapshot tests and quoted in
public issue threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.catalog.records import FunctionVersion
from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.members.asked import Asked
from pilotlight.operations.runtimes import CUSTOM


def check_package(params: Mapping[str, Any], package_type: str, *, creating: bool) -> None:
    if package_type == "Image":
        if any(params.get(member) for member in ("Handler", "Runtime", "RuntimeConfig", "Layers")):
            raise InvalidParameterValueException(
                "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
            )
        if params.get("CodeSigningConfigArn"):
            raise InvalidParameterValueException(
                "Code signing is not supported for functions created with container images."
            )
        return
    runtime = params.get("Runtime") or params.get("RuntimeConfig")
    if creating and not (runtime and params.get("Handler")):
        raise InvalidParameterValueException(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    if params.get("ImageConfig"):
        raise InvalidParameterValueException(
            "Please don't provide ImageConfig when the intended function PackageType is Zip."
        )


def image_config(asked: Asked, given: dict[str, Any]) -> dict[str, Any] | None:
    """Replaced whole; an empty one takes it away."""
    config = {member: value for member, value in given.items() if value}
    return {"ImageConfig": config} if config else None


def check_custom_runtime(version: FunctionVersion) -> None:
    """RuntimeConfig says which customer-managed runtime `custom` is; given alone, it says `custom` too."""
    configured = "RuntimeConfig" in version.held
    if version.runtime == CUSTOM and not configured:
        raise InvalidParameterValueException("RuntimeConfig is required when Runtime is custom.")
    if configured and version.runtime != CUSTOM:
        raise InvalidParameterValueException("RuntimeConfig is supported only when Runtime is custom.")
