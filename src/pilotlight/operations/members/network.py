"""VpcConfig and FileSystemConfigs. Source: API reference; AWS's sentences as quoted in public issue threads.

There is no VPC here to look subnets up in: any well-formed id passes, and a region's subnets all count as one VPC's.
"""

from __future__ import annotations

import hashlib
from typing import Any

from pilotlight.catalog.records import FunctionVersion
from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.members.asked import Asked


def vpc(asked: Asked, given: dict[str, Any]) -> dict[str, Any]:
    """Replaced whole; an emptied one is shown from then on, with an empty VpcId."""
    subnets: list[str] = given.get("SubnetIds", [])
    groups: list[str] = given.get("SecurityGroupIds", [])
    if bool(subnets) != bool(groups):
        raise InvalidParameterValueException("SubnetIds and SecurityIds must coexist or be both empty list.")
    return {
        "SubnetIds": subnets,
        "SecurityGroupIds": groups,
        "VpcId": _vpc_id(asked.call.account, asked.call.region) if subnets else "",
        "Ipv6AllowedForDualStack": given.get("Ipv6AllowedForDualStack", False),
    }


def _vpc_id(account: str, region: str) -> str:
    """The same for every function of an account in a region."""
    return "vpc-0" + hashlib.sha256(f"{account}:{region}".encode()).hexdigest()[:16]


def file_systems(asked: Asked, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for config in given:
        if config.get("S3FilesConfig") and ":s3files:" not in config["Arn"]:
            raise InvalidParameterValueException(
                "S3FilesConfig is valid only when the file system access point is an Amazon S3 Files access point."
            )
    return given


def check_mountable(version: FunctionVersion) -> None:
    """A file system is reached through the function's VPC."""
    for config in version.held.get("FileSystemConfigs", ()):
        if not version.held.get("VpcConfig", {}).get("SubnetIds"):
            raise InvalidParameterValueException(
                f"Function must be configured to execute in a VPC to reference access point {config['Arn']}. "
                "Please update the function configuration to include VPC subnets and security groups."
            )
