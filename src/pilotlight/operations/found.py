"""What an operation's reference stands for among what there is; or the refusals that most operations word alike."""

from __future__ import annotations

from pilotlight.catalog import names
from pilotlight.catalog.records import LATEST, FunctionVersion
from pilotlight.catalog.views import FunctionView
from pilotlight.errors import InvalidParameterValueException, ResourceNotFoundException
from pilotlight.operations.authorization import function_named
from pilotlight.wire.messages import Call

FUNCTIONS_ONLY = (
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
    "Please specify either a function name or an unqualified function ARN."
)


def whole_function(call: Call, *, or_latest: bool = False) -> names.FunctionName:
    """The FunctionName of an operation that takes no qualifier, or none but $LATEST (`or_latest`)."""
    name = function_named(call, call.params["FunctionName"])
    if name.qualifier is not None and not (or_latest and name.qualifier == LATEST):
        raise InvalidParameterValueException(FUNCTIONS_ONLY)
    return name


def found(name: names.FunctionName, view: FunctionView | None) -> FunctionView:
    """The function `name` names, if there is one."""
    if view is None:
        raise ResourceNotFoundException(f"Function not found: {name.function_arn}")
    return view


def found_version(name: names.FunctionName, view: FunctionView | None) -> tuple[FunctionView, FunctionVersion]:
    """The function and the version `name` names; an alias names the one it points to, no qualifier $LATEST."""
    version = view.version_of(name.qualifier) if view else None
    if view is None or version is None:
        raise ResourceNotFoundException(f"Function not found: {name.arn}")
    return view, version
