"""TagResource, UntagResource and ListTags: tags belong to the function, and changing them gives it a new RevisionId."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pilotlight.catalog import lifecycle, names
from pilotlight.catalog.catalog import FunctionChange, FunctionView
from pilotlight.errors import InvalidParameterValueException, ResourceNotFoundException
from pilotlight.operations.authorization import function_named
from pilotlight.operations.context import OperationsContext
from pilotlight.wire.messages import Call

MAX_TAGS = 50

Tags = dict[str, str]


def checked_tags(tags: Tags) -> Tags:
    if len(tags) > MAX_TAGS:
        raise InvalidParameterValueException("Number of tags exceeds resource tag limit.")
    if any(key.lower().startswith("aws:") for key in tags):
        raise InvalidParameterValueException("aws: prefixed tag key names are not allowed for external use.")
    return tags


async def tag_resource(context: OperationsContext, call: Call) -> None:
    added: Tags = call.params["Tags"]
    if not added:
        raise InvalidParameterValueException("An error occurred and the request cannot be processed.")
    await _retag(context, _tagged(call), lambda tags: checked_tags({**tags, **added}))


async def untag_resource(context: OperationsContext, call: Call) -> None:
    removed = set(call.params["TagKeys"])
    await _retag(context, _tagged(call), lambda tags: {key: value for key, value in tags.items() if key not in removed})


async def list_tags(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = _tagged(call)
    return {"Tags": _found(name, context.catalog.function(name.account, name.region, name.name)).function.tags}


async def _retag(context: OperationsContext, name: names.FunctionName, change: Callable[[Tags], Tags]) -> None:
    def retag(view: FunctionView | None) -> tuple[FunctionChange, None]:
        found = _found(name, view)
        function = msgspec.structs.replace(found.function, tags=change(found.function.tags))
        return FunctionChange(function, (lifecycle.revised(found.latest),)), None

    await context.catalog.change(name.account, name.region, name.name, retag)


def _tagged(call: Call) -> names.FunctionName:
    resource: str = call.params["Resource"]
    if ":function:" not in resource:
        # An event source mapping, a code signing configuration, a capacity provider: none exist here.
        raise ResourceNotFoundException("The resource you requested does not exist.")
    name = function_named(call, resource)
    if name.qualifier is not None:
        raise InvalidParameterValueException(
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
        )
    return name


def _found(name: names.FunctionName, view: FunctionView | None) -> FunctionView:
    if view is None:
        raise ResourceNotFoundException(f"Function not found: {name.function_arn}")
    return view
