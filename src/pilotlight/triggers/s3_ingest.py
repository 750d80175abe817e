"""Events that S3 servers post themselves, for writes that do not pass this node: `{"Records": [...]}`.

MinIO's and Versity's webhooks post this shape. Lenient: what is missing is left out of the event.
"""

from __future__ import annotations

from urllib.parse import unquote_plus

import msgspec

from pilotlight.errors import InvalidRequestContentException
from pilotlight.triggers.s3_event import ObjectEvent, RequestFacts


class _Bucket(msgspec.Struct):
    name: str


class _Object(msgspec.Struct):
    key: str
    size: int | None = None
    eTag: str | None = None
    versionId: str | None = None


class _S3(msgspec.Struct):
    bucket: _Bucket
    object: _Object


class PostedRecord(msgspec.Struct):
    eventName: str
    s3: _S3
    requestParameters: dict[str, str | None] = {}
    responseElements: dict[str, str | None] = {}

    def event(self) -> ObjectEvent:
        described = self.s3.object
        return ObjectEvent(
            f"s3:{self.eventName.removeprefix('s3:')}",
            unquote_plus(described.key),
            described.size,
            described.eTag or "",
            described.versionId or "",
        )

    def facts(self, account: str, now_ms: int) -> RequestFacts:
        return RequestFacts(
            account=account,
            caller="",
            source_ip=self.requestParameters.get("sourceIPAddress") or "",
            request_id=self.responseElements.get("x-amz-request-id") or "",
            id_2=self.responseElements.get("x-amz-id-2") or "",
            time_ms=now_ms,
        )


class _Posted(msgspec.Struct):
    Records: list[PostedRecord]


def posted_records(body: bytes) -> list[PostedRecord]:
    """Raises InvalidRequestContentException, saying what is wrong."""
    try:
        return msgspec.json.decode(body, type=_Posted).Records
    except msgspec.DecodeError as error:
        raise InvalidRequestContentException(f"Could not parse request body as S3 event records: {error}") from None
