"""What is on its way to a queue, a topic, an event bus or a bucket, as it lies on the durable queue until it is taken.

Events for functions do not come here: they lie on the asynchronous invocation queue.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.store.interface import Enqueue

QUEUE_PREFIX = "deliveries/"

#: the metrics that count what could not be delivered
DESTINATION_FAILURES = "DestinationDeliveryFailures"
DEAD_LETTER_ERRORS = "DeadLetterErrors"


class Attribute(msgspec.Struct, frozen=True):
    """Of a message, as SQS and SNS have them."""

    type: str
    """`String` or `Number`."""
    value: str


class Origin(msgspec.Struct, frozen=True):
    """The function whose result it is, and the metric of it that counts a delivery given up."""

    function: str
    version: str
    qualifier: str | None
    metric: str


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """To the queue, topic, bus or bucket `arn`; without one, to the default bus of `account` in `region`."""

    account: str
    """On whose behalf."""
    region: str
    accepted_ms: int
    """By the clock's steady time."""
    arn: str = ""
    message: str = ""
    """For queues and topics; an object's content for buckets."""
    subject: str = ""
    """For topics."""
    attributes: dict[str, Attribute] = {}
    entry: dict[str, Any] = {}
    """For buses, as PutEvents takes it."""
    key: str = ""
    """For buckets."""
    trace_header: str = ""
    """X-Ray's, of what this results from."""
    origin: Origin | None = None


def enqueue(delivery: Delivery) -> Enqueue:
    """The store change that accepts the delivery. One queue per target keeps a dead target from delaying others."""
    target = delivery.arn or f"events/{delivery.account}/{delivery.region}"
    return Enqueue(f"{QUEUE_PREFIX}{target}", msgspec.msgpack.encode(delivery), delivery.accepted_ms)
