"""What is delivered carries the trace header of what it results from, to each target in the way that it takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pilotlight.invoke.deliveries import Delivery
from pilotlight.triggers.s3_event import ObjectEvent, RequestFacts, event_bridge_entry
from pilotlight.triggers.targets import Targets
from pilotlight.wire.messages import WireResponse

HEADER = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=2:fe460cdd:0"


class Neighbour:
    """Takes every request, and keeps the last."""

    async def request(
        self,
        service: str,
        account: str,
        region: str,
        method: str,
        raw_path: str,
        *,
        query_string: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> WireResponse:
        self.headers, self.body = dict(headers or {}), body
        return WireResponse(200, {}, b'{"QueueUrl": "u"}')


async def delivered(arn: str, trace_header: str = HEADER, **members: Any) -> Neighbour:
    neighbour = Neighbour()
    await Targets(neighbour.request).deliver(
        Delivery("000000000000", "us-east-1", 0, arn=arn, message="m", trace_header=trace_header, **members)
    )
    return neighbour


async def test_to_a_queue_as_its_system_attribute() -> None:
    body = msgspec.json.decode((await delivered("arn:aws:sqs:us-east-1:000000000000:q")).body)
    assert body["MessageSystemAttributes"] == {"AWSTraceHeader": {"DataType": "String", "StringValue": HEADER}}
    body = msgspec.json.decode((await delivered("arn:aws:sqs:us-east-1:000000000000:q", "")).body)
    assert "MessageSystemAttributes" not in body


async def test_to_topics_and_buckets_as_the_requests_header() -> None:
    for arn in ("arn:aws:sns:us-east-1:000000000000:t", "arn:aws:s3:::b"):
        assert (await delivered(arn, key="k")).headers["X-Amzn-Trace-Id"] == HEADER
        assert "X-Amzn-Trace-Id" not in (await delivered(arn, "", key="k")).headers


def test_to_a_bus_as_the_entrys_trace_header() -> None:
    facts = RequestFacts("000000000000", "", "127.0.0.1", "r", "i", 0, HEADER)
    entry = event_bridge_entry(ObjectEvent("s3:ObjectCreated:Put", "k"), facts, bucket="b", sequencer="0")
    assert entry is not None and entry["TraceHeader"] == HEADER
