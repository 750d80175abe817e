"""The S3 tap: sees every S3 request the node forwards, answers for notification settings, turns writes into events.

It knows nothing of the server behind: any S3 will do. It is handed callables instead of rooms (the forwarder is a
sibling, the dispatcher lives further in): see `S3Tap.__init__`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from pilotlight.clock import Clock
from pilotlight.errors import ServiceException
from pilotlight.invoke.async_event import AsyncEvent
from pilotlight.invoke.deliveries import Delivery, enqueue
from pilotlight.settings import Settings
from pilotlight.store.interface import Change, Store, StoreError
from pilotlight.triggers.s3_backend import Request, S3Backend
from pilotlight.triggers.s3_configuration import BucketNotifications
from pilotlight.triggers.s3_event import (
    NOTIFICATION_SUBJECT,
    ObjectEvent,
    RequestFacts,
    Sequencer,
    event_bridge_entry,
    record,
)
from pilotlight.triggers.s3_filter import event_matches, family
from pilotlight.triggers.s3_ingest import posted_records
from pilotlight.triggers.s3_notifications import PRINCIPAL, MayInvoke, Resolve, S3Notifications
from pilotlight.triggers.s3_watch import BucketDeletionWatch, S3Watch
from pilotlight.triggers.s3_writes import Kind, Write, query_parameters, recognise
from pilotlight.triggers.targets import Targets
from pilotlight.wire.messages import WireRequest, WireResponse
from pilotlight.wire.s3_address import S3Address, s3_address

Answer = Callable[[bytes], Awaitable[WireResponse]]
EnqueueEvent = Callable[[str, bytes, str, str, str], Change]
"""(function ARN, payload, source principal, source ARN, trace header) -> the store change that accepts the
invocation."""


class S3Tap:
    """`start` before the first request. Fits `neighbours.forward.Tap`."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        clock: Clock,
        request: Request,
        targets: Targets,
        resolve: Resolve,
        may_invoke: MayInvoke,
        enqueue_event: EnqueueEvent,
        is_embedded: Callable[[str], bool],
    ) -> None:
        """`request` is `Neighbours.request`, `is_embedded` is `Neighbours.is_embedded`."""
        self._store = store
        self._clock = clock
        self._domains = settings.allowed_hosts
        self._enqueue_event = enqueue_event
        self._sequencer = Sequencer(clock.time_ms)
        self._backend = S3Backend(request)
        self.notifications = S3Notifications(
            store=store,
            clock=clock,
            backend=self._backend,
            targets=targets,
            resolve=resolve,
            may_invoke=may_invoke,
            is_embedded=lambda: is_embedded("s3"),
        )

    async def start(self) -> None:
        await self.notifications.load()

    async def embedded_started(self) -> None:
        """The embedded S3 has been started, empty."""
        await self.notifications.drop_embedded()

    def still_permitted(self, event: AsyncEvent) -> bool:
        """For the dispatcher, at delivery: whether the bucket may still invoke the function.

        True for events of other sources. Raises ResourceNotFoundException when the function is gone.
        """
        if event.source != PRINCIPAL:
            return True
        return self.notifications.permitted(
            event.account, event.region, event.function, event.qualifier, event.source_arn
        )

    def answer(self, request: WireRequest) -> Answer | None:
        """Put/GetBucketNotificationConfiguration and their deprecated forms."""
        if "notification" not in request.query_string or request.method not in ("GET", "PUT"):
            return None
        address = self._address(request)
        if not address.bucket or address.key or "notification" not in query_parameters(request.query_string):
            return None
        if request.method == "PUT":
            return lambda body: self.notifications.put(request, address.bucket, body)
        return lambda _: self.notifications.get(request, address.bucket)

    def watch(self, request: WireRequest, source_ip: str) -> S3Watch | BucketDeletionWatch | None:
        if request.method in ("GET", "HEAD"):
            return None
        write = recognise(request, self._address(request))
        settings = self.notifications.of(write.bucket) if write is not None else None
        if write is None or settings is None:
            return None
        if write.kind is Kind.DELETE_BUCKET:
            return BucketDeletionWatch(write.bucket, self.notifications.drop)
        if not _may_match(settings, write):
            return None
        return S3Watch(write, request, source_ip, settings, self._backend, self._emit, self._clock.time_ms)

    async def ingest(self, body: bytes) -> int:
        """Events that an S3 server has built itself, for writes that do not pass this node (see s3_ingest.py). Those
        that match the bucket's settings are stored; returns how many.

        Raises InvalidRequestContentException, and ServiceException when the store does not take them.
        """
        changes: list[Change] = []
        for posted in posted_records(body):
            settings = self.notifications.of(posted.s3.bucket.name)
            if settings is not None:
                facts = posted.facts(settings.account, self._clock.time_ms())
                changes += self._changes(posted.event(), settings, facts)
        if changes:
            try:
                await self._store.transact(changes)
            except StoreError as error:
                raise ServiceException(f"The events could not be stored: {error}") from error
        return len(changes)

    def _address(self, request: WireRequest) -> S3Address:
        return s3_address(request.host, request.raw_path, self._domains)

    async def _emit(self, events: list[ObjectEvent], settings: BucketNotifications, facts: RequestFacts) -> None:
        changes = [change for event in events for change in self._changes(event, settings, facts)]
        if changes:
            await self._store.transact(changes)

    def _changes(self, event: ObjectEvent, settings: BucketNotifications, facts: RequestFacts) -> list[Change]:
        changes: list[Change] = []
        sequencer = self._sequencer.next()
        for target in settings.targets:
            if not event_matches(target.events, event.name) or not target.filter.matches(event.key):
                continue
            described = record(
                event,
                facts,
                bucket=settings.bucket,
                bucket_account=settings.account,
                bucket_region=settings.region,
                configuration_id=target.id,
                sequencer=sequencer,
            )
            payload = msgspec.json.encode({"Records": [described]})
            if target.kind == "lambda":
                changes.append(
                    self._enqueue_event(target.arn, payload, PRINCIPAL, settings.bucket_arn, facts.trace_header)
                )
            else:
                delivery = Delivery(
                    target.account,
                    target.region,
                    self._clock.steady_ms(),
                    arn=target.arn,
                    message=payload.decode(),
                    subject=NOTIFICATION_SUBJECT,
                    trace_header=facts.trace_header,
                )
                changes.append(enqueue(delivery))
        if settings.event_bridge:
            entry = event_bridge_entry(event, facts, bucket=settings.bucket, sequencer=sequencer)
            if entry is not None:
                changes.append(
                    enqueue(Delivery(settings.account, settings.region, self._clock.steady_ms(), entry=entry))
                )
        return changes


def _may_match(settings: BucketNotifications, write: Write) -> bool:
    """Before the outcome is known: by the family of the event, and by the key where the request line tells it."""
    if settings.event_bridge:
        return True
    of_family = write.kind.event_family
    return any(
        any(family(event) == of_family for event in target.events)
        and (not write.key or target.filter.matches(write.key))
        for target in settings.targets
    )
