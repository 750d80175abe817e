"""How long, how large: AWS's limits where they are tighter than the model's.

The model allows what only functions on a capacity provider (Timeout, MemorySize) or with an accelerator
(EphemeralStorage) may have. Source: developer guide, quotas; API reference; recorded errors.
"""

from __future__ import annotations

from pilotlight.catalog.records import FunctionVersion
from pilotlight.errors import ValidationException
from pilotlight.operations.members.managed import SMALLEST_MEMORY_MIB
from pilotlight.wire.validate import refused_value

MAX_TIMEOUT_S = 900
MAX_MEMORY_MIB = 10_240
MAX_TMP_MIB = 10_240


def check_limits(version: FunctionVersion) -> None:
    managed = "CapacityProviderConfig" in version.held
    if version.timeout_s > MAX_TIMEOUT_S and not managed:
        raise ValidationException(_too_large(version.timeout_s, "timeout", MAX_TIMEOUT_S))
    if version.memory_mib > MAX_MEMORY_MIB and not managed:
        raise ValidationException(
            "'MemorySize' value failed to satisfy constraint: "
            f"Member must have value less than or equal to {MAX_MEMORY_MIB}"
        )
    if version.memory_mib < SMALLEST_MEMORY_MIB and managed:
        raise ValidationException(
            f"Lambda Managed Instance functions must have memory size greater than or equal to {SMALLEST_MEMORY_MIB}"
        )
    if version.tmp_mib > MAX_TMP_MIB and "AcceleratorConfig" not in version.held:
        raise ValidationException(_too_large(version.tmp_mib, "ephemeralStorage.size", MAX_TMP_MIB))


def _too_large(value: int, member: str, limit: int) -> str:
    return refused_value(value, member, f"Member must have value less than or equal to {limit}")
