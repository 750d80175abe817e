"""Kafka's own settings: consumer group, schema registry, consumption mode.

What an update leaves, clears and refuses was measured on AWS by others (go-to-k/cdkd, 2026-09): an empty block leaves
the registry, `{"SchemaRegistryConfig": {}}` takes it away, a ConsumerGroupId is refused even when it is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.event_sources.members import unsupported
from pilotlight.operations.event_sources.pollers import check_provisioned
from pilotlight.wire.validate import lower_first

CONFIGS = ("AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig")
_QUEUE = "Queue"
_NOT_IN_QUEUE_MODE = ("StartingPosition", "StartingPositionTimestamp", "MaximumBatchingWindowInSeconds")
_FIXED = ("ConsumerGroupId", "ConsumptionMode")


def is_queue_mode(params: Mapping[str, Any]) -> bool:
    return params.get("SelfManagedKafkaEventSourceConfig", {}).get("ConsumptionMode") == _QUEUE


def check_queue_mode(params: Mapping[str, Any]) -> None:
    for member in _NOT_IN_QUEUE_MODE:
        if member in params:
            raise unsupported(lower_first(member))
    if params.get("MaximumRetryAttempts") == -1:
        raise InvalidParameterValueException("MaximumRetryAttempts -1 is not supported when ConsumptionMode is Queue.")


def check_fixed(params: Mapping[str, Any]) -> None:
    """What cannot be updated."""
    for config in CONFIGS:
        for member in _FIXED:
            if member in params.get(config, {}):
                raise unsupported(f"{lower_first(config)}.{lower_first(member)}")


def merged(before: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    return {member: value for member, value in {**before, **given}.items() if value != {}}


def check_registry(settings: Mapping[str, Any]) -> None:
    for config in CONFIGS:
        registry: dict[str, Any] | None = settings.get(config, {}).get("SchemaRegistryConfig")
        if registry is None:
            continue
        check_provisioned("SchemaRegistryConfig", settings)
        for member in ("SchemaRegistryURI", "EventRecordFormat", "SchemaValidationConfigs"):
            if not registry.get(member):
                path = f"{lower_first(config)}.schemaRegistryConfig.{lower_first(member)}"
                raise InvalidParameterValueException(f"Required '{path}' parameter is missing.")
