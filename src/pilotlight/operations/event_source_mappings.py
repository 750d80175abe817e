"""CreateEventSourceMapping, Get, List, Update and Delete: mappings are held in full; nothing polls their sources yet.

What each source takes and shows is in `event_sources/`. A function that is deleted leaves its mappings behind, as on
AWS (recorded by LocalStack's snapshot tests), so they are nothing of the function's record.
"""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from pilotlight.catalog import names
from pilotlight.catalog.event_sources import EventSourceMapping, State, begun
from pilotlight.catalog.records import FunctionVersion
from pilotlight.errors import InvalidParameterValueException, ResourceInUseException, ResourceNotFoundException
from pilotlight.operations.authorization import function_named
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.event_sources import mapping_settings
from pilotlight.operations.event_sources.next_door import check_source
from pilotlight.operations.event_sources.sources import Source, source_of
from pilotlight.operations.event_sources.uniqueness import check_unique
from pilotlight.operations.paging import page
from pilotlight.operations.tags import checked_tags
from pilotlight.wire.messages import Call

LARGEST_PAGE = 100

_log = logging.getLogger(__name__)


async def create_event_source_mapping(context: OperationsContext, call: Call) -> dict[str, Any]:
    params = call.params
    source_arn: str = params.get("EventSourceArn", "")
    source = source_of(source_arn, self_managed="SelfManagedEventSource" in params)
    now_ms = context.clock.time_ms()
    identity = str(uuid.uuid4())
    settings = mapping_settings.created(source, params, identity, context.settings.max_event_filters, _moment(now_ms))
    name = function_named(call, params["FunctionName"])
    function = _function(context, name)
    mapping = EventSourceMapping(
        account=call.account,
        region=call.region,
        uuid=identity,
        function_arn=name.arn,
        event_source_arn=source_arn,
        settings=settings,
        enabled=params.get("Enabled", True),
        state_transition_reason=source.reason,
        last_modified_ms=now_ms,
        last_processing_result="No records processed" if source.shows_last_result else "",
        settles_at_ms=now_ms + max(context.settings.state_delay_ms, 0),
        tags=checked_tags(params.get("Tags", {})),
    )
    if not mapping.enabled and not source.settles_disabled:
        mapping = msgspec.structs.replace(mapping, state=State.DISABLED, settles_at_ms=0)
    await check_source(context.event_sources, source, source_arn, function.timeout_s)

    def create(existing: EventSourceMapping | None) -> tuple[EventSourceMapping, None]:
        check_unique(source, mapping, context.catalog.event_source_mappings.all(call.account, call.region))
        return mapping, None

    await context.catalog.event_source_mappings.change_among(call.account, call.region, identity, create)
    _log.warning("event source mapping %s is held: polling %s is not built yet", identity, source.name)
    return _shown(mapping)


async def get_event_source_mapping(context: OperationsContext, call: Call) -> dict[str, Any]:
    mapping = context.catalog.event_source_mappings.get(call.account, call.region, call.params["UUID"])
    return _shown(_found(mapping))


async def list_event_source_mappings(context: OperationsContext, call: Call) -> dict[str, Any]:
    """By UUID; of one function (as it is qualified) and of one source, whether or not these exist.

    Filters under a key of the client's are not shown here, as AWS says.
    """
    params = call.params
    mappings = context.catalog.event_source_mappings.all(call.account, call.region)
    if "FunctionName" in params:
        arn = function_named(call, params["FunctionName"]).arn
        mappings = [mapping for mapping in mappings if mapping.function_arn == arn]
    if "EventSourceArn" in params:
        mappings = [mapping for mapping in mappings if mapping.event_source_arn == params["EventSourceArn"]]
    shown, marker = page(
        mappings, lambda mapping: (mapping.uuid, 0), params.get("Marker"), params.get("MaxItems"), LARGEST_PAGE
    )
    listed = [_shown(mapping) for mapping in shown]
    for item in listed:
        if "KMSKeyArn" in item:
            item.pop("FilterCriteria", None)
    return {"EventSourceMappings": listed, "NextMarker": marker}


async def update_event_source_mapping(context: OperationsContext, call: Call) -> dict[str, Any]:
    params = call.params
    mappings = context.catalog.event_source_mappings
    before = _free(mappings.get(call.account, call.region, params["UUID"]), "update")
    source = _source(before)
    name = function_named(call, params["FunctionName"]) if "FunctionName" in params else None
    function = _function(context, name) if name else None

    def changed(mapping: EventSourceMapping | None) -> EventSourceMapping:
        found = _free(mapping, "update")
        settings = mapping_settings.updated(source, found.settings, params, context.settings.max_event_filters)
        updated = msgspec.structs.replace(
            found,
            settings=settings,
            enabled=params.get("Enabled", found.enabled),
            function_arn=name.arn if name else found.function_arn,
        )
        check_unique(source, updated, mappings.all(call.account, call.region))
        return _changing(context, source, found, updated)

    changed(before)
    if function is not None:
        await check_source(context.event_sources, source, before.event_source_arn, function.timeout_s)

    def update(mapping: EventSourceMapping | None) -> tuple[EventSourceMapping, EventSourceMapping]:
        updated = changed(mapping)
        return updated, updated

    return _shown(await mappings.change_among(call.account, call.region, before.uuid, update))


async def delete_event_source_mapping(context: OperationsContext, call: Call) -> dict[str, Any]:
    """Deleting, until the clock takes it away."""

    def delete(mapping: EventSourceMapping | None) -> tuple[EventSourceMapping, EventSourceMapping]:
        deleting = _begun(context, _free(mapping, "delete"), State.DELETING)
        return deleting, deleting

    mappings = context.catalog.event_source_mappings
    return _shown(await mappings.change(call.account, call.region, call.params["UUID"], delete))


def warn_of_unpolled(context: OperationsContext) -> None:
    """For a node's start: which mappings say Enabled while nothing polls them."""
    enabled = [mapping for _, mapping in context.catalog.event_source_mappings.everywhere() if mapping.enabled]
    if enabled:
        named = ", ".join(sorted(mapping.uuid for mapping in enabled)[:10])
        _log.warning(
            "%d enabled event source mappings are held, polling is not built yet: %s%s",
            len(enabled),
            named,
            " and others" if len(enabled) > 10 else "",
        )


def _function(context: OperationsContext, name: names.FunctionName) -> FunctionVersion:
    """The version a mapping will invoke; of an alias, the one it points to."""
    view = context.catalog.function(name.account, name.region, name.name)
    version = view.version_of(name.qualifier) if view else None
    if version is None:
        raise InvalidParameterValueException("Function does not exist")
    return version


def _source(mapping: EventSourceMapping) -> Source:
    return source_of(mapping.event_source_arn, self_managed="SelfManagedEventSource" in mapping.settings)


def _found(mapping: EventSourceMapping | None) -> EventSourceMapping:
    if mapping is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return mapping


def _free(mapping: EventSourceMapping | None, verb: str) -> EventSourceMapping:
    found = _found(mapping)
    if found.is_busy:
        raise ResourceInUseException(f"Cannot {verb} the event source mapping because it is in use.")
    return found


def _changing(
    context: OperationsContext, source: Source, before: EventSourceMapping, after: EventSourceMapping
) -> EventSourceMapping:
    if after.enabled != before.enabled:
        return _begun(context, after, State.ENABLING if after.enabled else State.DISABLING)
    if not after.enabled and not source.settles_disabled:
        return msgspec.structs.replace(after, last_modified_ms=context.clock.time_ms())
    return _begun(context, after, State.UPDATING)


def _begun(context: OperationsContext, mapping: EventSourceMapping, state: State) -> EventSourceMapping:
    return begun(mapping, state, context.clock.time_ms(), context.settings.state_delay_ms)


def _shown(mapping: EventSourceMapping) -> dict[str, Any]:
    return {
        **mapping.settings,
        "UUID": mapping.uuid,
        "EventSourceMappingArn": mapping.arn,
        "EventSourceArn": mapping.event_source_arn or None,
        "FunctionArn": mapping.function_arn,
        "LastModified": _moment(mapping.last_modified_ms),
        "LastProcessingResult": mapping.last_processing_result or None,
        "State": mapping.state.value,
        "StateTransitionReason": mapping.state_transition_reason,
    }


def _moment(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
