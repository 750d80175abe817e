"""How many read a source at once: MaximumConcurrency, provisioned pollers, and what needs these.

Source: developer guide (services-sqs-scaling, kafka-scaling-modes); the sentences are second-hand, from sources that
quote AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.event_sources.members import unsupported
from pilotlight.operations.event_sources.sources import Source

_DEFAULT_MAXIMUM = 200
_MOST_MINIMUM = 200


def provisioned(source: Source, before: dict[str, Any] | None, given: dict[str, Any]) -> dict[str, Any] | None:
    """ProvisionedPollerConfig as it is shown: what is given over what was, over AWS's defaults; empty takes it away."""
    if not given:
        return None
    return {"MinimumPollers": source.pollers[0], "MaximumPollers": _DEFAULT_MAXIMUM, **(before or {}), **given}


def check_pollers(source: Source, settings: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    """`settings` as they will be, `params` as they were given."""
    given: dict[str, Any] = params.get("ProvisionedPollerConfig", {})
    config: dict[str, Any] | None = settings.get("ProvisionedPollerConfig")
    if "PollerGroupName" in given and "Topics" not in source.takes:
        raise unsupported("provisionedPollerConfig.pollerGroupName")
    least, most = source.pollers
    if config and not (
        least <= config["MinimumPollers"] <= _MOST_MINIMUM
        and config["MinimumPollers"] <= config["MaximumPollers"] <= most
    ):
        raise InvalidParameterValueException(
            f"MinimumPollers should be between [{least}, {_MOST_MINIMUM}] and MaximumPollers should be between "
            f"[MinimumPollers, {most}]"
        )
    if config and "ScalingConfig" in settings:
        raise InvalidParameterValueException(
            "Provisioned mode for SQS ESM does not support maximum concurrency feature. "
            "Use MaximumPollers as the control mechanism and remove maximum concurrency."
        )
    for member in sorted(source.provisioned_only):
        if member in settings:
            check_provisioned(member, settings)


def check_provisioned(member: str, settings: Mapping[str, Any]) -> None:
    if "ProvisionedPollerConfig" not in settings:
        raise InvalidParameterValueException(
            f"{member} is only available for Provisioned Mode. "
            "Enable Provisioned Mode by specifying MinimumPollers in ProvisionedPollerConfig."
        )


def check_created(params: Mapping[str, Any]) -> None:
    given: dict[str, Any] | None = params.get("ProvisionedPollerConfig")
    if given is not None and not given.keys() & {"MinimumPollers", "MaximumPollers"}:
        raise InvalidParameterValueException(
            "Either MinimumPollers or MaximumPollers are required if ProvisionedPollerConfig is provided."
        )


def check_metrics(source: Source, settings: Mapping[str, Any]) -> None:
    for metric in settings.get("MetricsConfig", {}).get("Metrics", []):
        if metric not in source.metrics:
            raise InvalidParameterValueException(f"Unsupported metric '{metric}' for given event source mapping type.")
