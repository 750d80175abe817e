"""The settings of a mapping as the API shows them: what a request gives, over what was or what AWS fills in.

A setting that is empty where AWS says "pass an empty value to remove it" is not there. Rules that need only the result
are checked on it, so that an update is judged together with what it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pilotlight.operations.event_sources import access, failures, filters, kafka, members, pollers, positions
from pilotlight.operations.event_sources.batching import check_batching
from pilotlight.operations.event_sources.sources import MSK, SELF_MANAGED_KAFKA, Source

Settings = dict[str, Any]

#: members of requests that are not among the settings
_ELSEWHERE = frozenset({"UUID", "FunctionName", "EventSourceArn", "Enabled", "Tags"})
_CONSUMER_GROUPS = {MSK.name: kafka.CONFIGS[0], SELF_MANAGED_KAFKA.name: kafka.CONFIGS[1]}


def created(source: Source, params: Mapping[str, Any], uuid: str, most_filters: int, now: datetime) -> Settings:
    """InvalidParameterValueException, in AWS's order: what the source takes, then what each setting may be."""
    members.check_taken(source, params)
    members.check_required(source, params)
    if kafka.is_queue_mode(params):
        kafka.check_queue_mode(params)
    else:
        positions.check_position(source, params, now)
    pollers.check_created(params)
    settings = _given_over(source, dict(source.defaults), params)
    if config := _CONSUMER_GROUPS.get(source.name):
        settings[config] = {"ConsumerGroupId": uuid, **settings.get(config, {})}
    _check(source, settings, params, most_filters)
    return settings


def updated(source: Source, before: Settings, params: Mapping[str, Any], most_filters: int) -> Settings:
    members.check_taken(source, params)
    kafka.check_fixed(params)
    if "SourceAccessConfigurations" in params:
        kept = access.replaced(before.get("SourceAccessConfigurations", []), params["SourceAccessConfigurations"])
        params = {**params, "SourceAccessConfigurations": kept}
    settings = _given_over(source, dict(before), params)
    _check(source, settings, params, most_filters)
    return settings


def _check(source: Source, settings: Settings, params: Mapping[str, Any], most_filters: int) -> None:
    check_batching(source, settings)
    failures.check_destination(source, params)
    failures.check_record_age(settings)
    pollers.check_pollers(source, settings, params)
    pollers.check_metrics(source, settings)
    kafka.check_registry(settings)
    if source.access_types:
        access.check_access(source, settings.get("SourceAccessConfigurations", []))
    filters.check_filters(settings.get("FilterCriteria", {}), most_filters)


def _given_over(source: Source, settings: Settings, params: Mapping[str, Any]) -> Settings:
    for member, given in params.items():
        if member in _ELSEWHERE:
            continue
        if member == "ProvisionedPollerConfig":
            value = pollers.provisioned(source, settings.get(member), given)
        else:
            value = _SHOWN.get(member, _as_given)(settings.get(member), given)
        if value is None:
            settings.pop(member, None)
        else:
            settings[member] = value
    return settings


def _as_given(before: Any, given: Any) -> Any:
    return given


def _unless_empty(before: Any, given: Any) -> Any:
    return given or None


def _unless_without(member: str) -> Callable[[Any, Any], Any]:
    return lambda before, given: given if given.get(member) else None


def _document_db(before: Settings | None, given: Settings) -> Settings:
    return {"FullDocument": "Default", **(before or {}), **given}


#: member -> (what was, what is given) -> what is shown; None: nothing
_SHOWN: dict[str, Callable[[Any, Any], Any]] = {
    "KMSKeyArn": _unless_empty,
    "ScalingConfig": _unless_empty,
    "LoggingConfig": _unless_empty,
    "FilterCriteria": _unless_without("Filters"),
    "MetricsConfig": _unless_without("Metrics"),
    "DestinationConfig": lambda before, given: failures.destination(given),
    "DocumentDBEventSourceConfig": _document_db,
    **{config: lambda before, given: kafka.merged(before or {}, given) for config in kafka.CONFIGS},
}
