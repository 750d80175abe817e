"""Where the result of an asynchronous invocation goes: destinations, and the dead letter queue of what was given up.

The documents are AWS's, so is where they are put: developer guide, "Retaining records of asynchronous invocations" and
"Dead-letter queues"; the members of the records as LocalStack's snapshot tests recorded them.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from pilotlight.catalog.attached import EventInvokeConfig
from pilotlight.catalog.records import LATEST, FunctionVersion
from pilotlight.errors import AwsError
from pilotlight.invoke import async_event, deliveries
from pilotlight.invoke.async_event import AsyncEvent
from pilotlight.invoke.deliveries import Attribute, Delivery
from pilotlight.store.interface import Change

Condition = Literal[
    "Success", "RetriesExhausted", "EventAgeExceeded", "ZeroReservedConcurrency", "RecursiveLoopDetected"
]
"""As AWS writes them, but the last: what it writes of a loop it does not say."""

#: AWS's own spelling
NOTHING_RESERVED = "Function not invoked. Function isconfigured with zero reserved concurrent executions"
_ERROR_MESSAGE_CHARACTERS = 1024


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


def changes(ending: Ending, config: EventInvokeConfig) -> list[Change]:
    """The store changes that send the result where it is to go."""
    if ending.condition == "Success":
        return [_to_destination(ending, config.on_success)] if config.on_success else []
    sent: list[Change] = []
    if config.on_failure:
        sent.append(_to_destination(ending, config.on_failure))
    dead_letters: str = ending.version.held.get("DeadLetterConfig", {}).get("TargetArn", "")
    if dead_letters:
        sent.append(deliveries.enqueue(_dead_letter(ending, dead_letters)))
    return sent


def _to_destination(ending: Ending, arn: str) -> Change:
    event, at_ms = ending.event, ending.at_ms
    document = msgspec.json.encode(record(ending)).decode()
    service = arn.split(":")[2]
    if service == "lambda":
        _, _, _, region, account, _, name, *qualifier = arn.split(":")
        next_event = AsyncEvent(
            account=account,
            region=region,
            function=name,
            qualifier=qualifier[0] if qualifier else None,
            request_id=str(uuid.uuid4()),
            payload=document.encode(),
            caller=ending.version.role,
            sender=event.account if event.account != account else "",
            trace_header=ending.trace_header,
            accepted_ms=at_ms,
        )
        return async_event.enqueue(next_event, at_ms)
    entry: dict[str, Any] = {}
    if service == "events":
        kind = "Success" if ending.condition == "Success" else "Failure"
        entry = {
            "EventBusName": arn,
            "Source": "lambda",
            "DetailType": f"Lambda Function Invocation Result - {kind}",
            "Resources": [arn, ending.function_arn],
            "Time": at_ms // 1000,
            "Detail": document,
        }
        if ending.trace_header:
            entry["TraceHeader"] = ending.trace_header
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    key = f"aws/lambda/async/{event.function}/{moment:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
    return deliveries.enqueue(
        Delivery(
            event.account,
            event.region,
            at_ms,
            arn=arn,
            message="" if entry else document,
            entry=entry,
            trace_header=ending.trace_header,
            key=key if service == "s3" else "",
        )
    )


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
        ending.at_ms,
        arn=arn,
        message=payload,
        attributes=attributes,
        trace_header=ending.trace_header,
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
