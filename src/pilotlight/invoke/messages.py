"""What the front hands to `invoke`, and what it gets back: small values, no wire formats."""

from __future__ import annotations

from typing import Literal

import msgspec

from pilotlight.environments.invocation import ResponseStream
from pilotlight.errors import AwsError

#: the source of what comes by a function URL, which has no service principal
FUNCTION_URL = "function-url"

InvocationType = Literal["RequestResponse", "Event", "DryRun"]


class Extras(msgspec.Struct, frozen=True, gc=False):
    """What few calls ask for: apart, so that the others carry one None."""

    tenant_id: str | None = None
    durable_name: str | None = None
    """What the client calls the durable execution that is to be started."""


class InvokeRequest(msgspec.Struct, gc=False):
    """One Invoke call, already authenticated, not yet resolved to a version."""

    account: str
    region: str
    function: str
    """As it stood in the path, percent-decoded: a name, partial ARN or full ARN, with or without `:qualifier`."""
    qualifier: str | None
    request_id: str
    payload: bytes
    invocation_type: InvocationType = "RequestResponse"
    log_tail: bool = False
    client_context: str | None = None
    """Base64 of JSON, as the client sent it."""
    trace_header: str | None = None
    """X-Ray's, as the caller sent it; once the call is admitted, as the function is given it."""
    caller: str = ""
    """ARN of who calls, or "" for an anonymous caller in development mode."""
    source: str = ""
    """For a call by a trigger: its service principal, for example `s3.amazonaws.com`, or FUNCTION_URL."""
    extras: Extras | None = None
    accepted_ms: int = 0
    """Of one that was accepted for later (an Event): when, by the steady clock."""
    trace_root: str = ""
    """Of a call without a trace header whose event tells of its trace: the Root to give it."""
    stream: ResponseStream | None = None
    """Of a RequestResponse call that wants the response as the function writes it. The reply comes at its end."""


class InvokeReply(msgspec.Struct, gc=False):
    """The answer to an InvokeRequest. `error` set means nothing else is."""

    status: int = 200
    payload: bytes = b""
    executed_version: str = "$LATEST"
    function_error: str | None = None
    """`Handled` or `Unhandled`, sent as X-Amz-Function-Error."""
    log_result: str | None = None
    """Base64 of the last 4 KB of log, when asked for."""
    error: AwsError | None = None
    error_type: str = ""
    """Of a function error: `Sandbox.Timedout`, `Runtime.ExitError`, the name of the handler's exception ..."""
    trace_header: str = ""
    """X-Ray's, as the function was given it or as it lies on the queue."""
