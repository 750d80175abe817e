"""One mapping per source and function: who else has it already.

Brokers and databases may be mapped once per topic, queue or collection; self-managed clusters are the same when they
share a bootstrap server. Words: recorded by LocalStack's snapshot tests (SQS, Kinesis, DynamoDB, Kafka); Amazon MQ and
DocumentDB are taken to speak as Kafka does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from pilotlight.catalog.event_sources import EventSourceMapping
from pilotlight.errors import ResourceConflictException
from pilotlight.operations.event_sources.sources import Source
from pilotlight.wire.validate import lower_first


def check_unique(source: Source, mapping: EventSourceMapping, others: Iterable[EventSourceMapping]) -> None:
    """ResourceConflictException with the UUID of the one that is there."""
    for other in others:
        if other.uuid != mapping.uuid and _is_same(source, mapping, other):
            sentence = source.conflict.format(
                source=",".join(sorted(_sources(mapping))),
                name=mapping.function_arn.split(":")[6],
                arn=mapping.function_arn,
                apart=_apart(source, mapping),
            )
            raise ResourceConflictException(
                f"{sentence} Please update or delete the existing mapping with UUID {other.uuid}"
            )


def _is_same(source: Source, mapping: EventSourceMapping, other: EventSourceMapping) -> bool:
    return (
        other.function_arn == mapping.function_arn
        and bool(_sources(other) & _sources(mapping))
        and all(other.settings.get(member) == mapping.settings.get(member) for member in source.apart)
    )


def _sources(mapping: EventSourceMapping) -> set[str]:
    if mapping.event_source_arn:
        return {mapping.event_source_arn}
    endpoints: dict[str, list[str]] = mapping.settings.get("SelfManagedEventSource", {}).get("Endpoints", {})
    return {server for servers in endpoints.values() for server in servers}


def _apart(source: Source, mapping: EventSourceMapping) -> str:
    """`, topics ("orders")`; nothing for what is no list of names."""
    given: list[tuple[str, Any]] = [(member, mapping.settings.get(member)) for member in source.apart]
    named = [(member, cast("list[str]", value)) for member, value in given if isinstance(value, list)]
    return "".join(f', {lower_first(member)} ("{",".join(names)}")' for member, names in named)
