"""What is validated, kept and shown as AWS does, while the engine that would act on it does not exist yet.

One place, so that whoever builds an engine removes one line here. What a function's behaviour depends on keeps it from
being invoked (`not_runnable`): it is never silently run without it. The rest is listed in `HELD` and runs.
docs/api-coverage.md is made from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.catalog.records import FunctionVersion

#: the runtimes this version has an engine for; whether this machine has the interpreter is the launcher's to say
RUNS = frozenset(f"python3.{minor}" for minor in range(10, 15))

#: member of FunctionConfiguration -> what a function that has it needs, and what does not exist yet
_ENGINES = {
    "VpcConfig": "its VpcConfig has subnets, and there is no VPC networking yet",
    "FileSystemConfigs": "its FileSystemConfigs name a file system, and mounting one is not possible yet",
    "TenancyConfig": "its TenancyConfig asks for an environment per tenant, and tenant isolation does not exist yet",
    "DurableConfig": "its DurableConfig makes it a durable function, and durable executions are not run yet",
    "CapacityProviderConfig": "its CapacityProviderConfig puts it on managed instances, and those do not exist yet",
    "RuntimeConfig": "its RuntimeConfig names a runtime of its owner's, and customer-managed runtimes are not run yet",
}
_NOT_INVOKED = "Held and returned; invoking such a function is refused with a sentence (NotImplementedException, 501)"

#: member or family of operations -> what is held of it, and not yet enforced
HELD: dict[str, str] = {
    "PackageType Image, Code.ImageUri, ImageConfig": f"{_NOT_INVOKED}: container images are not run yet.",
    "Runtime other than python3.10 to python3.14": f"{_NOT_INVOKED}: no other has an engine yet.",
    "Runtime custom, RuntimeConfig": f"{_NOT_INVOKED}: customer-managed runtimes are not run yet.",
    "VpcConfig with subnets": f"{_NOT_INVOKED}: there is no VPC networking yet.",
    "FileSystemConfigs": f"{_NOT_INVOKED}: EFS and S3 file systems are not mounted yet.",
    "TenancyConfig": f"{_NOT_INVOKED}: environments are not kept apart by tenant yet.",
    "DurableConfig, durable executions": f"{_NOT_INVOKED}: the records and calls exist, nothing executes them yet.",
    "CapacityProviderConfig, capacity providers, scaling configs": f"{_NOT_INVOKED}: there are no instances yet.",
    "KMSKeyArn, SourceKMSKeyArn": "The function runs; its variables and its code are not encrypted with the key.",
    "S3ObjectStorageMode REFERENCE": "The function runs from a copy; its owner's bucket is not asked again.",
    "SnapStart PublishedVersions": "Versions are shown as optimized, and started as any other: no snapshot is taken.",
    "Architectures arm64": "Runs on an x86_64 machine as it is; a package with files compiled for arm64 is refused.",
    "MemorySize": "The function is told its size; neither memory nor CPU is limited to it yet.",
    "Role": "It need not exist; the function has credentials of it, and what these allow is not evaluated.",
    "Permissions, resource policies": (
        "Judged when a bucket or another account calls; callers of the same account are not judged."
    ),
    "Event source mappings": "Their states move; nothing is polled.",
    "Runtime management configs": "There is one build of each runtime, so nothing ever changes under a function.",
    "Code signing configs": (
        "No package bears a signature this node could verify: Enforce refuses every one, Warn lets every one pass."
    ),
}


def not_runnable(version: FunctionVersion) -> str:
    """Why `version` must not be invoked: a sentence that names the function and the member; "" when it may be."""
    if version.package_type == "Image":
        return _sentence(version, "its PackageType is Image, and container images are not run yet")
    held: Mapping[str, Any] = version.held
    for member, why in _ENGINES.items():
        value = held.get(member)
        if value and (member != "VpcConfig" or value.get("SubnetIds")):
            return _sentence(version, why)
    if version.runtime not in RUNS:
        return _sentence(version, f"its Runtime is {version.runtime}, and only Python 3.10 to 3.14 has an engine yet")
    return ""


def _sentence(version: FunctionVersion, why: str) -> str:
    return f"The function {version.function_arn} cannot be invoked by this version of Pilotlight: {why}."
