"""PublishVersion and ListVersionsByFunction, and the rules of versions that creating and updating share."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.catalog import lifecycle, names
from pilotlight.catalog.records import LATEST_PUBLISHED, Function, FunctionVersion
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.errors import InvalidParameterValueException, ResourceConflictException
from pilotlight.operations import code
from pilotlight.operations.authorization import function_named
from pilotlight.operations.configuration import Configuration, configuration, listed_configuration
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.found import found, whole_function
from pilotlight.operations.members import managed, snapstart
from pilotlight.operations.paging import Key, page
from pilotlight.operations.revisions import check_revision
from pilotlight.wire.messages import Call


async def publish_version(context: OperationsContext, call: Call) -> Configuration:
    """$LATEST as it is under the next number; when nothing changed since, the version there is.

    It is Active at once, except where AWS has something to prepare: a snapshot, or environments on a capacity provider.
    """
    params = call.params
    name = whole_function(call, or_latest=True)

    def publish(view: FunctionView | None) -> tuple[FunctionChange | None, FunctionVersion]:
        view = changeable(name, view, params.get("RevisionId"))
        latest = view.latest
        managed.check_publish_to(latest, params.get("PublishTo"))
        _check_sha256(latest, params.get("CodeSha256"))
        if (existing := unchanged_since(view, latest, params.get("PublishTo"))) is not None:
            return None, existing
        code.check_storage(context, call, latest.stored_bytes)
        managed.check_versions_of_provider(context, latest)
        now_ms = context.clock.time_ms()
        function, version = _published(
            view.function, latest, now_ms, params.get("PublishTo"), params.get("Description")
        )
        if latest.snap_start == snapstart.ON or "CapacityProviderConfig" in latest.held:
            version = lifecycle.created(version, now_ms, context.settings.state_delay_ms)
        # AWS gives $LATEST a new RevisionId too.
        return FunctionChange(function, (lifecycle.revised(latest), version)), version

    version = await context.catalog.change(name.account, name.region, name.name, publish)
    return configuration(version, version.qualified_arn)


async def list_versions_by_function(context: OperationsContext, call: Call) -> dict[str, Any]:
    name = function_named(call, call.params["FunctionName"])
    view = found(name, context.catalog.function(name.account, name.region, name.name))
    shown, marker = page(view.in_order, list_key, call.params.get("Marker"), call.params.get("MaxItems"))
    return {"Versions": [listed_configuration(v, v.qualified_arn) for v in shown], "NextMarker": marker}


def list_key(version: FunctionVersion) -> Key:
    return version.name, version.number


def changeable(name: names.FunctionName, view: FunctionView | None, revision_id: str | None) -> FunctionView:
    """The function, if it is there, its $LATEST is what the client believes it is, and not busy changing."""
    view = found(name, view)
    latest = view.latest
    check_revision(latest.revision_id, revision_id, "GetFunction/GetAlias")
    if latest.last_update_status == "InProgress":
        raise update_in_progress(name)
    if lifecycle.phase(latest) not in lifecycle.SETTLED:
        raise ResourceConflictException(
            "The operation cannot be performed at this time. "
            f"The function is currently in the following state: {latest.state}"
        )
    return view


def update_in_progress(name: names.FunctionName) -> ResourceConflictException:
    return ResourceConflictException(
        f"The operation cannot be performed at this time. An update is in progress for resource: {name.function_arn}"
    )


def unchanged_since(view: FunctionView, latest: FunctionVersion, publish_to: str | None) -> FunctionVersion | None:
    """The last version published (of those `publish_to` makes), when `latest` is what it was published from."""
    last = view.versions.get(LATEST_PUBLISHED if publish_to else str(view.function.next_version - 1))
    return last if last is not None and last.published_from == latest.fingerprint else None


def published_pending(
    context: OperationsContext, function: Function, latest: FunctionVersion, publish_to: str | None
) -> tuple[Function, FunctionVersion]:
    """A version published along with new code: it is Pending as long as that is being prepared."""
    managed.check_versions_of_provider(context, latest)
    now_ms = context.clock.time_ms()
    function, version = _published(function, latest, now_ms, publish_to, None)
    return function, lifecycle.created(version, now_ms, context.settings.state_delay_ms)


def _published(
    function: Function, latest: FunctionVersion, now_ms: int, publish_to: str | None, description: str | None
) -> tuple[Function, FunctionVersion]:
    version = msgspec.structs.replace(
        lifecycle.published(latest, now_ms),
        version=LATEST_PUBLISHED if publish_to else str(function.next_version),
        description=latest.description if description is None else description,
        published_from=latest.fingerprint,
    )
    if publish_to:
        return function, version
    return msgspec.structs.replace(function, next_version=function.next_version + 1), version


def _check_sha256(latest: FunctionVersion, wanted: str | None) -> None:
    if wanted and wanted != latest.code_sha256:
        raise InvalidParameterValueException(
            f"CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST ({latest.code_sha256}). "
            "Please try again with the CodeSHA256 in $LATEST."
        )
