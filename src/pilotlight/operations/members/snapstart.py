"""SnapStart, and what AWS does not let it be combined with.

OptimizationStatus is what AWS shows, On for a published version that is Active, though no snapshot is made yet (held.py
says so). Source: developer guide, "Lambda SnapStart" (runtimes and limitations, container images since 2026); answers
recorded by LocalStack's snapshot tests and quoted in issue threads.
"""

from __future__ import annotations

import re
from typing import Any

from pilotlight.catalog.records import FunctionVersion
from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.members.asked import Asked, Fields

ON = "PublishedVersions"
LARGEST_TMP_MIB = 512

#: Java 11, Python 3.12 and .NET 8, and what came after
_RUNTIMES = re.compile(r"java(?!8)\d+(?:\.al2023)?|python3\.(?:1[2-9]|[2-9]\d)|dotnet(?:8|\d{2,})")


def snap_start(asked: Asked, given: dict[str, Any]) -> Fields:
    return {"snap_start": given.get("ApplyOn", "None")}


def check_snapstart(version: FunctionVersion) -> None:
    if version.snap_start != ON:
        return
    for unsupported, what in (
        (version.package_type == "Zip" and not _RUNTIMES.fullmatch(version.runtime), version.runtime),
        ("FileSystemConfigs" in version.held, "Amazon EFS"),
        (version.tmp_mib > LARGEST_TMP_MIB, "Ephemeral storage greater than 512 MB"),
        ("TenancyConfig" in version.held, "Tenant isolation"),
        ("CapacityProviderConfig" in version.held, "Lambda Managed Instances"),
    ):
        if unsupported:
            raise InvalidParameterValueException(f"{what} is not supported for SnapStart enabled functions.")
