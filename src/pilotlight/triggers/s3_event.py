"""The events S3 sends, field by field as S3 builds them: records for Lambda, SQS and SNS; details for EventBridge.

Sources: S3 user guide, "Event message structure" and "EventBridge event message structure".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import msgspec

from pilotlight.catalog.principals import letters, unique_id

#: of the messages S3 sends to topics
NOTIFICATION_SUBJECT = "Amazon S3 Notification"
#: eTag of a delete marker: the MD5 of nothing
_MARKER_ETAG = "d41d8cd98f00b204e9800998ecf8427e"
#: kinds whose records are version 2.3; the rest of ours are 2.1
_VERSION_2_3 = ("s3:ObjectTagging:", "s3:ObjectAcl:", "s3:ObjectRestore:Delete")

_DETAIL_TYPES = {
    "s3:ObjectCreated:": "Object Created",
    "s3:ObjectRemoved:": "Object Deleted",
    "s3:ObjectRestore:Post": "Object Restore Initiated",
    "s3:ObjectTagging:Put": "Object Tags Added",
    "s3:ObjectTagging:Delete": "Object Tags Deleted",
    "s3:ObjectAcl:": "Object ACL Updated",
}
_REASONS = {
    "s3:ObjectCreated:Put": "PutObject",
    "s3:ObjectCreated:Post": "POST Object",
    "s3:ObjectCreated:Copy": "CopyObject",
    "s3:ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "s3:ObjectRemoved:Delete": "DeleteObject",
    "s3:ObjectRemoved:DeleteMarkerCreated": "DeleteObject",
}


class ObjectEvent(msgspec.Struct, frozen=True):
    """One thing that happened to one object."""

    name: str
    """With the `s3:`, for example `s3:ObjectCreated:Put`."""
    key: str
    size: int | None = None
    etag: str = ""
    version_id: str = ""


class RequestFacts(msgspec.Struct, frozen=True):
    """The request that made it happen."""

    account: str
    caller: str
    source_ip: str
    request_id: str
    id_2: str
    time_ms: int
    trace_header: str = ""
    """X-Ray's, of the request: the events it makes belong to its trace."""


class Sequencer:
    """Hex numbers that grow with each event: seconds since 1970 and their 2^-32 fractions, never the same twice.

    To compare two of them for one key, compare them as numbers (they have the same length).
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._last = 0

    def next(self) -> str:
        self._last = max(self._last + 1, (self._now_ms() << 32) // 1000)
        return f"{self._last:018X}"


def record(
    event: ObjectEvent,
    facts: RequestFacts,
    *,
    bucket: str,
    bucket_account: str,
    bucket_region: str,
    configuration_id: str,
    sequencer: str,
) -> dict[str, Any]:
    """One record of `{"Records": [...]}`."""
    described: dict[str, Any] = {"key": quote_plus(event.key, safe="/")}
    is_new = event.name.startswith(("s3:ObjectCreated:", "s3:ObjectRestore:Post"))
    if is_new and event.size is not None:
        described["size"] = event.size
    etag = _etag(event)
    if etag:
        described["eTag"] = etag
    if event.version_id:
        described["versionId"] = event.version_id
    if event.name.startswith(("s3:ObjectCreated:", "s3:ObjectRemoved:", "s3:ObjectRestore:")):
        described["sequencer"] = sequencer
    return {
        "eventVersion": "2.3" if event.name.startswith(_VERSION_2_3) else "2.1",
        "eventSource": "aws:s3",
        "awsRegion": bucket_region,
        "eventTime": iso_ms(facts.time_ms),
        "eventName": event.name.removeprefix("s3:"),
        "userIdentity": {"principalId": principal_id(facts.account, facts.caller)},
        "requestParameters": {"sourceIPAddress": facts.source_ip},
        "responseElements": {"x-amz-request-id": facts.request_id, "x-amz-id-2": facts.id_2},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration_id,
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": owner_id(bucket_account)},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": described,
        },
    }


def event_bridge_entry(
    event: ObjectEvent, facts: RequestFacts, *, bucket: str, sequencer: str
) -> dict[str, Any] | None:
    """An entry for PutEvents; None for an event EventBridge has no type for."""
    detail_type = next((text for name, text in _DETAIL_TYPES.items() if event.name.startswith(name)), None)
    if detail_type is None:
        return None
    described: dict[str, Any] = {"key": event.key}
    if event.size is not None and not event.name.startswith("s3:ObjectRemoved:"):
        described["size"] = event.size
    if etag := _etag(event):
        described["etag"] = etag
    if event.version_id:
        described["version-id"] = event.version_id
    if event.name.startswith(("s3:ObjectCreated:", "s3:ObjectRemoved:")):
        described["sequencer"] = sequencer
    detail: dict[str, Any] = {
        "version": "0",
        "bucket": {"name": bucket},
        "object": described,
        "request-id": facts.request_id,
        "requester": facts.account,
        "source-ip-address": facts.source_ip,
    }
    if reason := _REASONS.get(event.name):
        detail["reason"] = reason
    if event.name.startswith("s3:ObjectRemoved:"):
        is_marker = event.name.endswith(":DeleteMarkerCreated")
        detail["deletion-type"] = "Delete Marker Created" if is_marker else "Permanently Deleted"
    entry = {
        "Time": facts.time_ms // 1000,
        "Source": "aws.s3",
        "Resources": [f"arn:aws:s3:::{bucket}"],
        "DetailType": detail_type,
        "Detail": msgspec.json.encode(detail).decode(),
    }
    if facts.trace_header:
        entry["TraceHeader"] = facts.trace_header
    return entry


def test_event(bucket: str, time_ms: int, request_id: str, host_id: str) -> dict[str, str]:
    """What S3 sends to a queue or topic when it becomes a target."""
    return {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": iso_ms(time_ms),
        "Bucket": bucket,
        "RequestId": request_id,
        "HostId": host_id,
    }


def principal_id(account: str, caller: str) -> str:
    """`AWS:` and the id of who calls."""
    return f"AWS:{unique_id(account, caller)}"


def owner_id(account: str) -> str:
    """A canonical-looking id that stays the same for an account."""
    return f"A{letters(account, 13)}"


def iso_ms(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"


def _etag(event: ObjectEvent) -> str:
    if event.name.endswith(":DeleteMarkerCreated"):
        return _MARKER_ETAG
    return "" if event.name.startswith("s3:ObjectRemoved:") else event.etag
