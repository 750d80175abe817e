"""OpenTelemetry spans of sampled invocations, in OTLP's JSON encoding.

Names and attributes are those of OpenTelemetry's semantic conventions for FaaS and AWS Lambda; ids are X-Ray's, which
are OpenTelemetry's in another spelling, so a function's own spans (by ADOT, Powertools or any SDK that reads
`_X_AMZN_TRACE_ID`) are children of these. Source: OpenTelemetry Protocol specification, "JSON Protobuf Encoding".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from pilotlight import __version__
from pilotlight.catalog.records import FunctionVersion
from pilotlight.observe import trace_header
from pilotlight.observe.trace import Trace

_INTERNAL, _SERVER, _CONSUMER = 1, 2, 5
_ERROR = 2
#: source of an invocation -> faas.trigger
_TRIGGERS = {
    "function-url": "http",
    "s3.amazonaws.com": "datasource",
    "sqs.amazonaws.com": "pubsub",
    "sns.amazonaws.com": "pubsub",
    "events.amazonaws.com": "pubsub",
    "scheduler.amazonaws.com": "timer",
    "apigateway.amazonaws.com": "http",
    "elasticloadbalancing.amazonaws.com": "http",
}


class TracedInvocation(msgspec.Struct, frozen=True):
    """What is kept of a sampled invocation until its spans are sent."""

    trace: Trace
    version: FunctionVersion
    qualifier: str | None
    ended_ns: int
    init_ms: float | None
    error_type: str
    """Of a function error; "" for none."""


def export_request(invocations: Iterable[TracedInvocation]) -> bytes:
    """An ExportTraceServiceRequest: each version of a function is a resource."""
    resources: dict[str, dict[str, Any]] = {}
    for invocation in invocations:
        arn = invocation.version.qualified_arn
        found = resources.get(arn)
        if found is None:
            found = resources[arn] = {
                "resource": {"attributes": _attributes(_resource(invocation.version))},
                "scopeSpans": [{"scope": {"name": "pilotlight", "version": __version__}, "spans": []}],
            }
        found["scopeSpans"][0]["spans"].extend(spans_of(invocation))
    return msgspec.json.encode({"resourceSpans": list(resources.values())})


def spans_of(invocation: TracedInvocation) -> list[dict[str, Any]]:
    """The invocation's own span, what there was before the function began, and its wait on the queue."""
    trace, version = invocation.trace, invocation.version
    spans: list[dict[str, Any]] = []
    parent = trace.parent
    if trace.accepted_ns:
        waited = trace_header.new_id()
        spans.append(_span(trace, waited, parent, "queue", _CONSUMER, trace.accepted_ns, trace.received_ns))
        parent = waited
    began_ns = trace.began_ns or invocation.ended_ns
    arn = version.function_arn
    attributes: dict[str, str | bool] = {
        "faas.invocation_id": trace.request_id,
        "faas.trigger": _TRIGGERS.get(trace.source, "other"),
        "faas.coldstart": invocation.init_ms is not None,
        "faas.name": version.name,
        "faas.version": version.version,
        "cloud.resource_id": version.qualified_arn,
        "aws.lambda.invoked_arn": f"{arn}:{invocation.qualifier}" if invocation.qualifier else arn,
    }
    if invocation.error_type:
        attributes["error.type"] = invocation.error_type
    own = _span(trace, trace.span_id, parent, version.name, _SERVER, trace.received_ns, invocation.ended_ns)
    own["attributes"] = _attributes(attributes)
    if invocation.error_type:
        own["status"] = {"code": _ERROR, "message": invocation.error_type}
    spans.append(own)
    spans.append(_span(trace, trace_header.new_id(), trace.span_id, "overhead", _INTERNAL, trace.received_ns, began_ns))
    if invocation.init_ms is not None and trace.init_began_ns:
        init_ended_ns = trace.init_began_ns + int(invocation.init_ms * 1e6)
        spans.append(
            _span(trace, trace_header.new_id(), trace.span_id, "init", _INTERNAL, trace.init_began_ns, init_ended_ns)
        )
    return spans


def _span(
    trace: Trace, span_id: str, parent_id: str, name: str, kind: int, start_ns: int, end_ns: int
) -> dict[str, Any]:
    """64-bit numbers are text in this encoding, ids are hex."""
    span: dict[str, Any] = {
        "traceId": trace.header.trace_id,
        "spanId": span_id,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(max(start_ns, end_ns)),
    }
    if parent_id:
        span["parentSpanId"] = parent_id
    return span


def _resource(version: FunctionVersion) -> dict[str, str | int | bool]:
    return {
        "service.name": version.name,
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "cloud.account.id": version.account,
        "cloud.region": version.region,
        "cloud.resource_id": version.qualified_arn,
        "faas.name": version.name,
        "faas.version": version.version,
        "faas.max_memory": version.memory_mib << 20,
    }


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: str | int | bool) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
