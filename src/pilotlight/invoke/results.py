"""Where the result of an asynchronous invocation goes: destinations, and the dead letter queue of what was given up.

The documents are AWS's, so is where they are put: developer guide, "Retaining records of asynchronous invocations" and
"Dead-letter queues"; the members of the records as LocalStack's snapshot tests recorded them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from pilotlight.catalog.attached import EventInvokeConfig
from pilotlight.catalog.records import LATEST, FunctionVersion
from pilotlight.errors import AwsError
from pilotlight.invoke import async_event, deliveries
from pilotlight.invoke.async_event import AsyncEvent
from pilotlight.invoke.deliveries import DEAD_LETTER_ERRORS, DESTINATION_FAILURES, Attribute, Delivery, Origin
from pilotlight.invoke.payload import EVENT_LIMIT
from pilotlight.store.interface import Change

Condition = Literal[
    "Success", "RetriesExhausted", "EventAgeExceeded", "ZeroReservedConcurrency", "RecursiveLoopDetected"
]
"""As AWS writes them, but the last: what it writes of a loop it does not say."""

#: AWS's own spelling
NOTHING_RESERVED = "Function not invoked. Function isconfigured with zero reserved concurrent executions"
_ERROR_MESSAGE_CHARACTERS = 1024
#: SNS takes no more; a record that is larger goes without its payloads (API reference, OnFailure)
_TOPIC_BYTES = 256 * 1024


class Response(msgspec.Struct, frozen=True):
    """What the last attempt came to: the function's answer, or why it could not be asked."""

    status: int
    payload: bytes = b""
    function_error: str = ""
    message: str = ""
    """Of an error that is not the function's."""
    trace_header: str = ""
    """As the function was given it."""


class Ending(msgspec.Struct, frozen=True):
    """How an event ended."""

    event: AsyncEvent
    version: FunctionVersion
    condition: Condition
    invoke_count: int
    at_ms: int
    """When, by the time of day."""
    steady_ms: int
    """When, by the time that deliveries and events wait by."""
    response: Response | None = None

    @property
    def trace_header(self) -> str:
        """Of what results: what the function was given, which counts the invocation, or what the event came with."""
        return (self.response.trace_header if self.response else "") or self.event.trace_header

    @property
    def function_arn(self) -> str:
        return f"{self.version.function_arn}:{self.event.qualifier or LATEST}"


def refused(error: AwsError) -> Response:
    return Response(error.status, message=error.message)


class Sent(msgspec.Struct):
    """What becomes of a result."""

    changes: list[Change] = []
    """Send it where it is to go."""
    event: AsyncEvent | None = None
    """Among them, for a function."""
    lost: list[str] = []
    """Why it cannot go to a destination."""


MayInvoke = Callable[[str], str]
"""(ARN of a function) -> why the function whose result it is cannot invoke it; "" when it can."""


def sent(ending: Ending, config: EventInvokeConfig, may_invoke: MayInvoke) -> Sent:
    """Where the result goes: one destination, and the dead letter queue of an event that was given up."""
    result = Sent()
    destination = config.on_success if ending.condition == "Success" else config.on_failure
    if destination:
        _to_destination(ending, destination, may_invoke, result)
    dead_letters: str = ending.version.held.get("DeadLetterConfig", {}).get("TargetArn", "")
    if dead_letters and ending.condition != "Success":
        result.changes.append(deliveries.enqueue(_dead_letter(ending, dead_letters)))
    return result


def _to_destination(ending: Ending, arn: str, may_invoke: MayInvoke, result: Sent) -> None:
    event, at_ms = ending.event, ending.at_ms
    document = record(ending)
    service = arn.split(":")[2]
    text = msgspec.json.encode(document)
    if service == "sns" and len(text) > _TOPIC_BYTES:
        for payload in ("requestPayload", "responsePayload"):
            document.pop(payload, None)
        text = msgspec.json.encode(document)
    if service == "lambda":
        if len(text) > EVENT_LIMIT:
            result.lost.append(f"its record of {len(text)} bytes is too large an event for {arn}")
        elif why := may_invoke(arn):
            result.lost.append(f"{arn} cannot be invoked: {why}")
        else:
            result.event = _next_event(ending, arn, text)
            result.changes.append(async_event.enqueue(result.event))
        return
    entry: dict[str, Any] = {}
    if service == "events":
        kind = "Success" if ending.condition == "Success" else "Failure"
        entry = {
            "EventBusName": arn,
            "Source": "lambda",
            "DetailType": f"Lambda Function Invocation Result - {kind}",
            "Resources": [arn, ending.function_arn],
            "Time": at_ms // 1000,
            "Detail": text.decode(),
        }
        if ending.trace_header:
            entry["TraceHeader"] = ending.trace_header
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    key = f"aws/lambda/async/{event.function}/{moment:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
    result.changes.append(
        deliveries.enqueue(
            Delivery(
                event.account,
                event.region,
                ending.steady_ms,
                arn=arn,
                message="" if entry else text.decode(),
                entry=entry,
                key=key if service == "s3" else "",
                trace_header=ending.trace_header,
                origin=_origin(ending, DESTINATION_FAILURES),
            )
        )
    )


def _next_event(ending: Ending, arn: str, payload: bytes) -> AsyncEvent:
    """The record, as an event for the function `arn`."""
    event = ending.event
    _, _, _, region, account, _, name, *qualifier = arn.split(":")
    return AsyncEvent(
        account=account,
        region=region,
        function=name,
        qualifier=qualifier[0] if qualifier else None,
        request_id=str(uuid.uuid4()),
        payload=payload,
        caller=ending.version.role,
        sender=event.account if event.account != account else "",
        trace_header=ending.trace_header,
        accepted_ms=ending.steady_ms,
    )


def _origin(ending: Ending, metric: str) -> Origin:
    return Origin(ending.event.function, ending.version.version, ending.event.qualifier, metric)


def record(ending: Ending) -> dict[str, Any]:
    """The invocation record that destinations get."""
    event, response = ending.event, ending.response
    moment = datetime.fromtimestamp(ending.at_ms / 1000, UTC)
    document: dict[str, Any] = {
        "version": "1.0",
        "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{ending.at_ms % 1000:03d}Z",
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": ending.function_arn,
            "condition": ending.condition,
            "approximateInvokeCount": ending.invoke_count,
        },
        "requestPayload": _json(event.payload),
    }
    if response is not None:
        context = {"statusCode": response.status, "executedVersion": ending.version.version}
        if response.function_error:
            context["functionError"] = response.function_error
        document["responseContext"] = context
        document["responsePayload"] = _json(response.payload)
    return document


def _dead_letter(ending: Ending, arn: str) -> Delivery:
    """The event as it came, with what happened in attributes."""
    event, response = ending.event, ending.response
    attributes = {"RequestID": Attribute("String", event.request_id)}
    message = NOTHING_RESERVED if ending.condition == "ZeroReservedConcurrency" else ""
    if response is not None:
        attributes["ErrorCode"] = Attribute("Number", str(response.status))
        message = response.message or _error_message(response.payload)
    if message:  # an attribute cannot be empty
        attributes["ErrorMessage"] = Attribute("String", message[:_ERROR_MESSAGE_CHARACTERS])
    payload = event.payload.decode()
    return Delivery(
        event.account,
        event.region,
        ending.steady_ms,
        arn=arn,
        message=payload,
        attributes=attributes,
        trace_header=ending.trace_header,
        origin=_origin(ending, DEAD_LETTER_ERRORS),
    )


def _error_message(payload: bytes) -> str:
    try:
        return str(msgspec.json.decode(payload, type=dict[str, Any]).get("errorMessage") or "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _json(payload: bytes) -> Any:
    """As it stands, when it is JSON; otherwise its text."""
    if not payload:
        return None
    text = payload.decode(errors="replace")  # a runtime may answer with any bytes at all
    try:
        return msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return text
