"""One S3 write under way: what has to be known before, what happened, and its events on disk before the client knows.

The events are stored when the S3 server has said yes and before its answer goes on to the client. A client that gets
its 200 can count on the events; one that gets an error (the store may be full) writes again, as SDKs do by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pilotlight.errors import InternalError
from pilotlight.observe import trace_header
from pilotlight.store.interface import StoreError
from pilotlight.triggers.s3_backend import Described, S3Backend, version_of
from pilotlight.triggers.s3_configuration import BucketNotifications
from pilotlight.triggers.s3_event import ObjectEvent, RequestFacts
from pilotlight.triggers.s3_results import Deleted, asked_to_delete, is_error, parsed, text_of, were_deleted
from pilotlight.triggers.s3_writes import Kind, Write, form_key
from pilotlight.wire.messages import WireRequest, WireResponse

#: form fields stand before the file and may hold 20 KB in all
FORM_START_BYTES = 64 << 10
_LOOKS_AT_ONCE = 8
#: their 200 may carry a failure, or the ETag, in the body
_RESULT_IN_BODY = frozenset({Kind.COPY, Kind.COMPLETE, Kind.DELETE_BATCH})

Emit = Callable[[list[ObjectEvent], BucketNotifications, RequestFacts], Awaitable[None]]
"""Puts the events on their queues, durably."""


class S3Watch:
    """Made by the tap for a write that a configuration of its bucket may match."""

    def __init__(
        self,
        write: Write,
        request: WireRequest,
        source_ip: str,
        settings: BucketNotifications,
        backend: S3Backend,
        emit: Emit,
        now_ms: Callable[[], int],
    ) -> None:
        self._write = write
        self._request = request
        self._source_ip = source_ip
        self._settings = settings
        self._backend = backend
        self._emit = emit
        self._now_ms = now_ms
        self.keep_request_bytes = FORM_START_BYTES if write.kind is Kind.POST_FORM else 0
        self.whole_request = write.kind is Kind.DELETE_BATCH
        self.keep_response = write.kind in _RESULT_IN_BODY
        self._asked: list[Deleted] = []
        self._quiet = False
        self._versioned = False
        self._absent: set[tuple[str, str]] = set()

    async def before(self, request_body: bytes) -> None:
        """Deleting what is not there removes nothing and makes no event: look while it still can be seen."""
        write = self._write
        if write.kind is Kind.DELETE:
            self._asked = [Deleted(write.key, write.version_id)]
        elif write.kind is Kind.DELETE_BATCH:
            self._asked, self._quiet = asked_to_delete(request_body)
            self._versioned = await self._backend.is_versioned(*self._where)
        to_see = [item for item in self._asked if item.version_id or not self._versioned]
        room = asyncio.Semaphore(_LOOKS_AT_ONCE)

        async def look(item: Deleted) -> None:
            async with room:
                if not await self._backend.exists(*self._where, item.key, item.version_id):
                    self._absent.add((item.key, item.version_id))

        await asyncio.gather(*(look(item) for item in to_see))

    async def after(self, response: WireResponse, request_start: bytes) -> None:
        """Raises InternalError when the events cannot be stored."""
        if not self._succeeded(response):
            return
        events = await self._events(response, request_start)
        if not events:
            return
        facts = RequestFacts(
            account=self._request.account,
            caller=self._request.caller,
            source_ip=self._source_ip,
            request_id=response.headers.get("x-amz-request-id", ""),
            id_2=response.headers.get("x-amz-id-2", ""),
            time_ms=self._now_ms(),
            trace_header=trace_header.carried(self._request.headers.get("x-amzn-trace-id")),
        )
        try:
            await self._emit(events, self._settings, facts)
        except StoreError as error:
            raise InternalError(
                f"The S3 server has done what was asked, but its event notification could not be stored: {error}"
            ) from error

    @property
    def _where(self) -> tuple[str, str, str]:
        return self._settings.account, self._settings.region, self._settings.bucket

    def _succeeded(self, response: WireResponse) -> bool:
        if self._write.kind is Kind.POST_FORM and response.status == 303:
            return True  # success_action_redirect
        if self._write.kind is Kind.RESTORE:
            return response.status == 202  # 200 says that it had been restored before
        return 200 <= response.status < 300

    async def _events(self, response: WireResponse, request_start: bytes) -> list[ObjectEvent]:
        write, headers = self._write, response.headers
        body = response.body if isinstance(response.body, bytes) else b""
        match write.kind:
            case Kind.DELETE:
                return self._single_delete(headers)
            case Kind.DELETE_BATCH:
                gone = were_deleted(body, self._asked, self._quiet, self._versioned)
                return [event for item in gone if (event := self._delete_event(item)) is not None]
            case Kind.PUT:
                return [await self._put_event(headers)]
            case Kind.COPY | Kind.COMPLETE:
                root = parsed(body)
                if is_error(root):
                    return []
                return [await self._described(write.key, version_of(headers), text_of(root, "ETag").strip('"'))]
            case Kind.POST_FORM:
                key = form_key(self._request.headers.get("content-type", ""), request_start)
                if key is None:
                    return []
                return [await self._described(key, version_of(headers), headers.get("etag", "").strip('"'))]
            case _:
                return [await self._described(write.key, version_of(headers) or write.version_id, "")]

    async def _put_event(self, headers: dict[str, str]) -> ObjectEvent:
        sent = self._request.headers
        size = sent.get("x-amz-decoded-content-length") or sent.get("content-length", "")
        etag, version_id = headers.get("etag", "").strip('"'), version_of(headers)
        if not size.isdigit() or not etag:
            return await self._described(self._write.key, version_id, etag)
        return ObjectEvent(self._write.kind.event_name, self._write.key, int(size), etag, version_id)

    async def _described(self, key: str, version_id: str, etag: str) -> ObjectEvent:
        """The event of a write whose answer does not say how large the object is."""
        seen: Described = await self._backend.describe(*self._where, key, version_id)
        return ObjectEvent(
            self._write.kind.event_name, key, seen.size, etag or seen.etag, version_id or seen.version_id
        )

    def _single_delete(self, headers: dict[str, str]) -> list[ObjectEvent]:
        write = self._write
        is_marker = headers.get("x-amz-delete-marker", "").lower() == "true" and not write.version_id
        item = Deleted(write.key, write.version_id, version_of(headers) if is_marker else "", is_marker)
        event = self._delete_event(item)
        return [event] if event is not None else []

    def _delete_event(self, item: Deleted) -> ObjectEvent | None:
        if item.is_marker:
            return ObjectEvent("s3:ObjectRemoved:DeleteMarkerCreated", item.key, version_id=item.marker_version_id)
        if (item.key, item.version_id) in self._absent:
            return None
        return ObjectEvent("s3:ObjectRemoved:Delete", item.key, version_id=item.version_id)


class BucketDeletionWatch:
    """Watches DeleteBucket: when the bucket is gone, so is its configuration."""

    keep_request_bytes = 0
    whole_request = False
    keep_response = False

    def __init__(self, bucket: str, drop: Callable[[str], Awaitable[None]]) -> None:
        self._bucket = bucket
        self._drop = drop

    async def before(self, request_body: bytes) -> None:
        pass

    async def after(self, response: WireResponse, request_start: bytes) -> None:
        if response.status == 204:
            await self._drop(self._bucket)
