"""The hot path's own reading and writing: an invocation's URL and headers in, its answer's bytes out.

No model is parsed here. What is not plainly right is handed to `wire`'s validator, so that there is one wording.
"""

from __future__ import annotations

import functools
from typing import Literal
from urllib.parse import unquote

import httptools
import msgspec

from pilotlight.errors import AwsError, ValidationException
from pilotlight.front.desk import Desk
from pilotlight.front.router import query_value
from pilotlight.invoke.messages import Extras, InvocationType, InvokeReply, InvokeRequest
from pilotlight.invoke.payload import check_client_context
from pilotlight.wire.models import load_model
from pilotlight.wire.validate import OperationValidator

_PREFIX = b"/2015-03-31/functions/"
_SUFFIX = b"/invocations"
_ASYNC_PREFIX = b"/2014-11-13/functions/"
_ASYNC_SUFFIXES = (b"/invoke-async", b"/invoke-async/")
_STREAM_PREFIX = b"/2021-11-15/functions/"
_STREAM_SUFFIX = b"/response-streaming-invocations"
_REMEMBERED = 4096
_REMEMBERED_LENGTH = 512
_TYPES: dict[bytes | None, InvocationType] = {
    None: "RequestResponse",
    b"RequestResponse": "RequestResponse",
    b"Event": "Event",
    b"DryRun": "DryRun",
}
_TENANT = b"x-amz-tenant-id"
_DURABLE = b"x-amz-durable-execution-name"
_MEMBERS = {
    b"x-amz-invocation-type": "InvocationType",
    b"x-amz-log-type": "LogType",
    _TENANT: "TenantId",
    _DURABLE: "DurableExecutionName",
}
_LOG_TAIL: dict[bytes | None, bool] = {None: False, b"None": False, b"Tail": True}


Operation = Literal["Invoke", "InvokeAsync", "InvokeWithResponseStream"]
"""InvokeAsync is the legacy one: always an Event, answered with a Status."""


class InvocationRoute(msgspec.Struct, frozen=True, gc=False):
    """What an invocation's URL says."""

    operation: Operation
    function: str
    qualifier: str | None
    raw_path: str
    query: str
    presigned: bool


class InvocationRoutes:
    """URL as it was on the wire -> route, or None for a URL that is no invocation. Remembers, because clients repeat
    themselves and a look-up is all that the hot path can afford."""

    def __init__(self) -> None:
        self._known: dict[bytes, InvocationRoute] = {}
        self.get = self._known.get

    def parse(self, url: bytes) -> InvocationRoute | None:
        if _SUFFIX not in url and _STREAM_SUFFIX not in url and _ASYNC_SUFFIXES[0] not in url:
            return None
        operation: Operation
        parsed = httptools.parse_url(url)
        path: bytes = parsed.path or b""
        if path.startswith(_PREFIX) and path.endswith(_SUFFIX):
            operation, name = "Invoke", path[len(_PREFIX) : -len(_SUFFIX)]
        elif path.startswith(_STREAM_PREFIX) and path.endswith(_STREAM_SUFFIX):
            operation, name = "InvokeWithResponseStream", path[len(_STREAM_PREFIX) : -len(_STREAM_SUFFIX)]
        elif path.startswith(_ASYNC_PREFIX) and path.endswith(_ASYNC_SUFFIXES):
            operation, name = "InvokeAsync", path[len(_ASYNC_PREFIX) : path.rindex(b"/invoke-async")]
        else:
            return None
        if not name or b"/" in name:
            return None
        query = (parsed.query or b"").decode("latin-1")
        presigned = "X-Amz-" in query
        route = InvocationRoute(
            operation,
            unquote(name.decode("latin-1")),
            (query_value(query, "Qualifier") or None) if query and operation != "InvokeAsync" else None,
            path.decode("latin-1"),
            query,
            presigned,
        )
        # A presigned URL is used once or a few times: remembering it would only push others out.
        if not presigned and len(url) <= _REMEMBERED_LENGTH:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[url] = route
        return route


def read_options(request: InvokeRequest, fields: dict[bytes, bytes], operation: Operation) -> None:
    """Fill in what the headers of `operation`, which is not InvokeAsync, say.

    Raises ValidationException or InvalidRequestContentException.
    """
    kind = fields.get(b"x-amz-invocation-type")
    log = fields.get(b"x-amz-log-type")
    if kind is not None or log is not None:
        if kind not in _TYPES or log not in _LOG_TAIL or (kind == b"Event" and operation != "Invoke"):
            raise _refused_by_model(request, fields, operation)
        request.invocation_type = _TYPES[kind]
        request.log_tail = _LOG_TAIL[log] and request.invocation_type == "RequestResponse"
    context = fields.get(b"x-amz-client-context")
    if context:
        text = context.decode("latin-1")
        check_client_context(text)
        # Lambda passes it on for synchronous invocations only.
        if request.invocation_type == "RequestResponse":
            request.client_context = text
    if _TENANT in fields or _DURABLE in fields:
        request.extras = _extras(request, fields, operation)
    trace = fields.get(b"x-amzn-trace-id")
    if trace is not None:
        request.trace_header = trace.decode("latin-1")


def result_head(desk: Desk, version: str) -> bytes:
    """A successful answer's first bytes, up to and including the name of the request id's header."""
    head = desk.result_heads.get(version)
    if head is None:
        head = desk.result_heads[version] = (
            b"HTTP/1.1 200 OK\r\nDate: %b\r\nContent-Type: application/json\r\nX-Amz-Executed-Version: %b\r\n"
            b"x-amzn-RequestId: " % (desk.date, version.encode())
        )
    return head


def reply_headers(reply: InvokeReply, request_id: str) -> list[tuple[bytes, bytes]]:
    """Headers of an answer that is not the plain success `result_head` serves."""
    headers = [(b"x-amzn-RequestId", request_id.encode())]
    if reply.status == 200:
        headers.append((b"Content-Type", b"application/json"))
        headers.append((b"X-Amz-Executed-Version", reply.executed_version.encode()))
    if reply.trace_header:
        headers.append((b"X-Amzn-Trace-Id", reply.trace_header.encode()))
    if reply.function_error is not None:
        headers.append((b"X-Amz-Function-Error", reply.function_error.encode()))
    if reply.log_result is not None:
        headers.append((b"X-Amz-Log-Result", reply.log_result.encode()))
    return headers


def _extras(request: InvokeRequest, fields: dict[bytes, bytes], operation: Operation) -> Extras | None:
    members = _given(request, fields, operation)
    if message := _validator(operation).errors(members):
        raise ValidationException(message)
    if "TenantId" not in members and "DurableExecutionName" not in members:
        return None
    return Extras(members.get("TenantId"), members.get("DurableExecutionName"))


def _refused_by_model(request: InvokeRequest, fields: dict[bytes, bytes], operation: Operation) -> AwsError:
    message = _validator(operation).errors(_given(request, fields, operation))
    return ValidationException(message or "The request is not valid.")


def _given(request: InvokeRequest, fields: dict[bytes, bytes], operation: Operation) -> dict[str, str]:
    """The members that the model of the operation constrains, as the request gives them."""
    given = {member: fields[name].decode("latin-1") for name, member in _MEMBERS.items() if name in fields}
    if operation != "Invoke":
        given.pop("DurableExecutionName", None)
    return {"FunctionName": request.function, **given}


@functools.cache
def _validator(operation: Operation) -> OperationValidator:
    return OperationValidator(load_model("lambda").operation(operation))
