"""InvokeWithResponseStream: an invocation whose answer comes as a stream of events.

A function that answers with one buffer has it sent in chunks; then InvokeComplete tells how it ended. What is wrong
before the function runs is an ordinary error. Invoke and InvokeAsync are the front's: they never come this way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pilotlight.invoke.messages import Extras, InvokeReply, InvokeRequest
from pilotlight.invoke.payload import check_client_context, check_json, check_size
from pilotlight.operations.context import OperationsContext
from pilotlight.wire.messages import Call

_CHUNK_BYTES = 1024 * 1024


async def invoke_with_response_stream(context: OperationsContext, call: Call) -> dict[str, Any]:
    params = call.params
    payload: bytes = params.get("Payload", b"")
    client_context: str | None = params.get("ClientContext")
    check_size(len(payload), "RequestResponse", operation=call.operation)
    if client_context:
        check_client_context(client_context)
    if payload:
        check_json(payload)
    request = InvokeRequest(
        call.account,
        call.region,
        params["FunctionName"],
        params.get("Qualifier"),
        call.request_id,
        payload or b"{}",
        invocation_type=params.get("InvocationType", "RequestResponse"),
        log_tail=params.get("LogType") == "Tail",
        client_context=client_context or None,
        caller=call.caller,
        extras=Extras(tenant_id=params["TenantId"]) if "TenantId" in params else None,
    )
    reply = await context.invoker.invoke(request)
    if reply.error is not None:
        raise reply.error
    if reply.status == 204:
        return {"StatusCode": 204}
    return {"StatusCode": 200, "ExecutedVersion": reply.executed_version, "EventStream": _events(reply)}


async def _events(reply: InvokeReply) -> AsyncIterator[dict[str, Any]]:
    """An error is told at the end, where one of a function that has streamed already is told as well."""
    error: dict[str, Any] = {}
    if reply.function_error is None:
        for start in range(0, len(reply.payload), _CHUNK_BYTES):
            yield {"PayloadChunk": {"Payload": reply.payload[start : start + _CHUNK_BYTES]}}
    else:
        error = {"ErrorCode": reply.function_error, "ErrorDetails": reply.payload.decode(errors="replace")}
    yield {"InvokeComplete": {**error, "LogResult": reply.log_result}}
