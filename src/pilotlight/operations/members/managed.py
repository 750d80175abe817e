"""CapacityProviderConfig, AcceleratorConfig and TenancyConfig: where a function's environments run, and for whom.

A function is on a capacity provider (a Lambda Managed Instance function) from its creation on, or never (a Lambda
Default function). Source: API reference; developer guide, "Lambda Managed Instances"; answers recorded by LocalStack's
snapshot tests and quoted by others.
"""

from __future__ import annotations

import re
from typing import Any

from pilotlight.catalog import names
from pilotlight.catalog.records import FunctionVersion
from pilotlight.errors import (
    FunctionVersionsPerCapacityProviderLimitExceededException,
    InvalidParameterValueException,
    ResourceNotFoundException,
)
from pilotlight.operations.capacity_providers import provider_of
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.members.asked import Asked

INSTANCES = "LambdaManagedInstancesCapacityProviderConfig"
USUAL: dict[str, Any] = {"ExecutionEnvironmentMemoryGiBPerVCpu": 2.0, "PerExecutionEnvironmentMaxConcurrency": 16}
SMALLEST_MEMORY_MIB = 2048

#: Java 21, Python 3.13, Node.js 22 and .NET 8, what came after, and Rust on the OS-only runtime
_RUNTIMES = re.compile(
    r"java(?:2[1-9]|[3-9]\d)|python3\.(?:1[3-9]|[2-9]\d)|nodejs(?:2[2-9]|[3-9]\d)\.x|dotnet(?:8|\d{2,})|provided\.al2023"
)
_NOT_ON_INSTANCES = ("VpcConfig", "FileSystemConfigs", "TenancyConfig")


def capacity_provider(asked: Asked, given: dict[str, Any]) -> dict[str, Any]:
    if not asked.creating and asked.shown_before("CapacityProviderConfig") is None:
        raise InvalidParameterValueException("CapacityProviderConfig isn't supported for Lambda Default functions.")
    instances = {**USUAL, **given[INSTANCES]}
    arn: str = instances["CapacityProviderArn"]
    parsed = names.parse_arn(arn)
    providers = asked.context.catalog.capacity_providers
    if parsed is None or providers.get(parsed.account, parsed.region, parsed.id) is None:
        raise ResourceNotFoundException(f"Capacity provider not found: {arn}")
    return {INSTANCES: instances}


def accelerator(asked: Asked, given: dict[str, Any]) -> dict[str, Any]:
    if not asked.has("CapacityProviderConfig"):
        raise InvalidParameterValueException("AcceleratorConfig isn't supported for Lambda Default functions.")
    return given


def check_publish_to(version: FunctionVersion, publish_to: str | None) -> None:
    """$LATEST.PUBLISHED is what functions on a capacity provider publish to."""
    if publish_to and "CapacityProviderConfig" not in version.held:
        raise InvalidParameterValueException("PublishTo isn't supported for Lambda Default functions.")


def check_versions_of_provider(context: OperationsContext, latest: FunctionVersion) -> None:
    """Whether the capacity provider of `latest`, if it has one, may have one more version published to it."""
    provider = provider_of(latest)
    if not provider:
        return
    published = sum(
        provider_of(version) == provider
        for view in context.catalog.functions(latest.account, latest.region)
        for version in view.published
    )
    if published >= context.settings.max_versions_per_capacity_provider:
        raise FunctionVersionsPerCapacityProviderLimitExceededException(
            "The maximum number of function versions that can be associated with a single capacity provider has been "
            "exceeded."
        )


def check_managed(version: FunctionVersion) -> None:
    """What a function on a capacity provider may be and have."""
    if "CapacityProviderConfig" not in version.held:
        return
    if version.package_type == "Zip" and not _RUNTIMES.fullmatch(version.runtime):
        raise InvalidParameterValueException(
            f"Runtime Enum {version.runtime} does not support specified feature: Lambda Managed Instances"
        )
    for member in _NOT_ON_INSTANCES:
        held = version.held.get(member)
        if held and (member != "VpcConfig" or held["SubnetIds"]):
            raise InvalidParameterValueException(f"{member} isn't supported for Lambda Managed Instance functions.")
