"""What is attached to a function, most of it by qualifier: aliases, URL, async, concurrency and runtime settings.

All of it lives in the `Function` record: it changes in the function's transactions and goes when the function goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from pilotlight.catalog.records import Function


class Alias(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    version: str
    """The version it points to: a number or $LATEST."""
    description: str = ""
    weights: dict[str, float] = {}
    """At most one further version -> the share of invocations it gets, 0 to 1."""
    revision_id: str = ""


class UrlConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    url_id: str
    auth_type: str
    invoke_mode: str = "BUFFERED"
    cors: dict[str, Any] | None = None
    """As the API shows it."""
    created_ms: int = 0
    modified_ms: int = 0


class EventInvokeConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How asynchronous invocations of one qualifier are retried, and where their results go; None: not given."""

    maximum_retry_attempts: int | None = None
    maximum_event_age_s: int | None = None
    on_success: str | None = None
    """ARN of the destination."""
    on_failure: str | None = None
    modified_ms: int = 0


class ProvisionedConcurrency(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    requested: int
    modified_ms: int = 0


class RuntimeManagement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    update_on: str = "Auto"
    runtime_version_arn: str = ""


class ScalingConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Execution environments of a function on a capacity provider; None: not given."""

    min_environments: int | None = None
    max_environments: int | None = None


_BY_QUALIFIER = ("policies", "policy_heads", "urls", "event_invokes", "provisioned", "runtime_management", "scaling")


def detached(function: Function, qualifier: str) -> Function:
    """`function` without all that is attached to one of its versions or aliases: what goes when that goes."""
    kept = {
        field: {key: value for key, value in getattr(function, field).items() if key != qualifier}
        for field in _BY_QUALIFIER
    }
    return msgspec.structs.replace(function, **kept)
