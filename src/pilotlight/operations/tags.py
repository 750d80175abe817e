"""TagResource, UntagResource and ListTags: on functions, event source mappings, code signing configurations and
capacity providers.

Tags belong to the record they are on; changing a function's gives it a new RevisionId. Source: API reference; answers
recorded by LocalStack's snapshot tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pilotlight.catalog import lifecycle, names
from pilotlight.catalog.capacity import CapacityProvider
from pilotlight.catalog.code_signing import CodeSigningConfig
from pilotlight.catalog.event_sources import EventSourceMapping
from pilotlight.catalog.resources import Resources
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.errors import InvalidParameterValueException, ResourceNotFoundException
from pilotlight.operations.authorization import function_named
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.found import found
from pilotlight.wire.messages import Call

MAX_TAGS = 50

Tags = dict[str, str]
Retag = Callable[[Tags], Tags]
Tagged = EventSourceMapping | CodeSigningConfig | CapacityProvider


def checked_tags(tags: Tags) -> Tags:
    """Those of a resource, all of them; what keys and values may hold the model says."""
    if len(tags) > MAX_TAGS:
        raise InvalidParameterValueException("Number of tags exceeds resource tag limit.")
    if any(key.lower().startswith("aws:") for key in tags):
        raise InvalidParameterValueException("aws: prefixed tag key names are not allowed for external use.")
    return tags


async def tag_resource(context: OperationsContext, call: Call) -> None:
    added: Tags = call.params["Tags"]
    if not added:
        raise InvalidParameterValueException("An error occurred and the request cannot be processed.")
    await _retag(context, call, lambda tags: checked_tags({**tags, **added}))


async def untag_resource(context: OperationsContext, call: Call) -> None:
    removed = set(call.params["TagKeys"])
    await _retag(context, call, lambda tags: {key: value for key, value in tags.items() if key not in removed})


async def list_tags(context: OperationsContext, call: Call) -> dict[str, Any]:
    arn = _arn(call)
    if arn.kind == "function":
        name = _function(call)
        return {"Tags": found(name, context.catalog.function(name.account, name.region, name.name)).function.tags}
    return {"Tags": _existing(arn, call, _kept(context, arn).get(arn.account, arn.region, arn.id)).tags}


async def _retag(context: OperationsContext, call: Call, retag: Retag) -> None:
    arn = _arn(call)
    if arn.kind == "function":
        await _retag_function(context, _function(call), retag)
        return

    def change(found: Tagged | None) -> tuple[Tagged, None]:
        existing = _existing(arn, call, found)
        return msgspec.structs.replace(existing, tags=retag(existing.tags)), None

    await _kept(context, arn).change(arn.account, arn.region, arn.id, change)


async def _retag_function(context: OperationsContext, name: names.FunctionName, retag: Retag) -> None:
    def change(view: FunctionView | None) -> tuple[FunctionChange, None]:
        view = found(name, view)
        function = msgspec.structs.replace(view.function, tags=retag(view.function.tags))
        return FunctionChange(function, (lifecycle.revised(view.latest),)), None

    await context.catalog.change(name.account, name.region, name.name, change)


def _arn(call: Call) -> names.Arn:
    """The model lets through nothing but ARNs of kinds that have tags, or that Lambda's other APIs have."""
    arn = names.parse_arn(call.params["Resource"])
    assert arn is not None
    return arn


def _function(call: Call) -> names.FunctionName:
    name = function_named(call, call.params["Resource"])
    if name.qualifier is not None:
        raise InvalidParameterValueException(
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
        )
    return name


def _kept(context: OperationsContext, arn: names.Arn) -> Resources[Any]:
    kinds: dict[str, Resources[Any]] = {
        "event-source-mapping": context.catalog.event_source_mappings,
        "code-signing-config": context.catalog.code_signing_configs,
        "capacity-provider": context.catalog.capacity_providers,
    }
    kept = kinds.get(arn.kind)
    if kept is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")  # a network connector
    return kept


def _existing(arn: names.Arn, call: Call, found: Tagged | None) -> Tagged:
    if found is None or arn.region != call.region:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return found
