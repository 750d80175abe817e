"""InvokeWithResponseStream: an invocation whose answer comes as a stream of events.

Chunks leave as the function writes them; a function that answers with one buffer has it sent in pieces. Then
InvokeComplete tells how it ended. What is wrong before the function runs is an ordinary error. Invoke and InvokeAsync
are the front's: they never come this way.
"""

from __future__ import annotations

from typing import Any, Self

from pilotlight.invoke.messages import Extras, InvokeReply, InvokeRequest
from pilotlight.invoke.payload import check_client_context, check_json, check_size
from pilotlight.invoke.response_stream import StreamedAnswer
from pilotlight.observe.trace_header import HEADER
from pilotlight.operations.context import OperationsContext
from pilotlight.runtimes import faults
from pilotlight.wire.messages import Call


async def invoke_with_response_stream(context: OperationsContext, call: Call) -> dict[str, Any]:
    params = call.params
    payload: bytes = params.get("Payload", b"")
    client_context: str | None = params.get("ClientContext")
    check_size(len(payload), "RequestResponse", operation=call.operation)
    if client_context:
        check_client_context(client_context)
    if payload:
        check_json(payload)
    answer = StreamedAnswer()
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
        trace_header=call.trace_header,
        caller=call.caller,
        extras=Extras(tenant_id=params["TenantId"]) if "TenantId" in params else None,
        stream=answer,
    )
    context.invoker.submit(request, answer.finish)
    await answer.begun()
    if answer.head is not None:
        version = answer.head.executed_version
    else:
        reply = _ended(answer)
        if reply.error is not None:
            raise reply.error
        if reply.status == 204:
            return {"StatusCode": 204}
        version = reply.executed_version
    if request.trace_header is not None:
        call.answer_headers[HEADER] = request.trace_header
    return {"StatusCode": 200, "ExecutedVersion": version, "EventStream": _Events(answer)}


class _Events:
    """The stream's events; `aclose` when the client has gone."""

    def __init__(self, answer: StreamedAnswer) -> None:
        self._answer = answer
        self._complete = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        if self._complete:
            raise StopAsyncIteration
        async for piece in self._answer:
            return {"PayloadChunk": {"Payload": piece}}
        self._complete = True
        return {"InvokeComplete": _complete(self._answer)}

    async def aclose(self) -> None:
        await self._answer.aclose()


def _complete(answer: StreamedAnswer) -> dict[str, Any]:
    """How it ended. A function that failed before it wrote anything is `Unhandled`, as for Invoke; one that failed in
    mid-stream has the error's type for its code, and its death shows as the response's being cut short: so does AWS's
    platform, as the Runtime Interface Emulator's `directinvoke` and what users of AWS report have it."""
    reply = _ended(answer)
    if reply.error is not None:
        raise reply.error
    complete: dict[str, Any] = {"LogResult": reply.log_result}
    if reply.function_error is not None:
        code = reply.function_error
        if answer.head is not None:
            code = faults.TRUNCATED if reply.error_type == faults.EXIT_ERROR else reply.error_type
        complete |= {"ErrorCode": code, "ErrorDetails": reply.payload.decode(errors="replace")}
    return complete


def _ended(answer: StreamedAnswer) -> InvokeReply:
    assert answer.reply is not None
    return answer.reply
