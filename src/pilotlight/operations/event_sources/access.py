"""SourceAccessConfigurations: how brokers and clusters are reached. Which type is for which source: botocore's
documentation of SourceAccessConfiguration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.event_sources.members import unsupported
from pilotlight.operations.event_sources.sources import Source

Access = dict[str, Any]

_VIRTUAL_HOST = "VIRTUAL_HOST"
#: a type -> those of which one must be there with it
_NEEDS: dict[str, tuple[str, ...]] = {
    "OAUTHBEARER_SCOPE": ("OAUTHBEARER_AUTH",),
    "OAUTHBEARER_AUDIENCE": ("OAUTHBEARER_AUTH", "IAM_OAUTHBEARER_AUTH"),
    "OAUTHBEARER_LOGICAL_CLUSTER": ("OAUTHBEARER_AUTH",),
    "OAUTHBEARER_IDENTITY_POOL": ("OAUTHBEARER_AUTH",),
    "IAM_OAUTHBEARER_AUTH": ("OAUTHBEARER_AUDIENCE",),
}


def replaced(before: Sequence[Access], given: Sequence[Access]) -> list[Access]:
    """A virtual host cannot be named in an update, and stays."""
    if any(access.get("Type") == _VIRTUAL_HOST for access in given):
        raise unsupported("sourceAccessConfigurations.VIRTUAL_HOST")
    return [*given, *(access for access in before if access.get("Type") == _VIRTUAL_HOST)]


def check_access(source: Source, configurations: Sequence[Access]) -> None:
    types = [access.get("Type", "") for access in configurations]
    for given in types:
        if given not in source.access_types:
            raise unsupported(f"sourceAccessConfigurations.{given}")
        if given in _NEEDS and not any(needed in types for needed in _NEEDS[given]):
            raise InvalidParameterValueException(
                f"SourceAccessConfigurations of type {given} require one of type {' or '.join(_NEEDS[given])}."
            )
    if source.required_access and source.required_access not in types:
        raise InvalidParameterValueException(
            f"SourceAccessConfigurations must have one of type {source.required_access}."
        )
