"""Which bucket notifies whom: set and read through S3's own API, kept in our store, in memory for every S3 write.

PutBucketNotificationConfiguration is answered here and never reaches the S3 server behind, so that its own deliveries
do not fire and any server will do. Before a configuration is taken, its functions must exist and let the bucket invoke
them, its queues and topics must take a test event; the rest of the rules are in s3_configuration.py.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import secrets
from collections.abc import Callable
from typing import Protocol

import msgspec

from pilotlight.catalog.records import FunctionVersion
from pilotlight.clock import Clock
from pilotlight.errors import AwsError, InternalError, InvalidArgument, ServiceUnavailableException
from pilotlight.invoke.deliveries import Delivery
from pilotlight.store.interface import Change, Put, Remove, Store, StoreError
from pilotlight.triggers.s3_backend import S3Backend
from pilotlight.triggers.s3_configuration import BucketNotifications, Target, argument_name, parse, render
from pilotlight.triggers.s3_event import NOTIFICATION_SUBJECT, test_event
from pilotlight.triggers.targets import Fault, TargetFault, Targets
from pilotlight.wire.messages import WireRequest, WireResponse

logger = logging.getLogger(__name__)

RECORD_KIND = "s3-notifications"
PRINCIPAL = "s3.amazonaws.com"
_CANNOT_VALIDATE = "Unable to validate the following destination configurations"

MayInvoke = Callable[[FunctionVersion, "str | None", str, str, str], bool]
"""(version, the qualifier it was named by, principal, source ARN, source account) -> whether the policy of the
function, or of that version or alias, allows it."""


class Resolve(Protocol):
    """The catalog's: raises ResourceNotFoundException when there is no such function or version."""

    def __call__(self, account: str, region: str, function_ref: str, qualifier: str | None) -> FunctionVersion: ...


class S3Notifications:
    """One per node; `load` before use."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        backend: S3Backend,
        targets: Targets,
        resolve: Resolve,
        may_invoke: MayInvoke,
        is_embedded: Callable[[], bool],
    ) -> None:
        self._store = store
        self._clock = clock
        self._backend = backend
        self._targets = targets
        self._resolve = resolve
        self._may_invoke = may_invoke
        self._is_embedded = is_embedded
        self._by_bucket: dict[str, BucketNotifications] = {}
        # One change of settings at a time, so that memory and store agree on which came last.
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        after = ""
        while records := await self._store.scan(RECORD_KIND, after=after):
            for record in records:
                self._by_bucket[record.key] = msgspec.json.decode(record.body, type=BucketNotifications)
            after = records[-1].key

    def of(self, bucket: str) -> BucketNotifications | None:
        return self._by_bucket.get(bucket)

    async def get(self, request: WireRequest, bucket: str) -> WireResponse:
        """GetBucketNotificationConfiguration."""
        await self._region(request, bucket)
        found = self._by_bucket.get(bucket)
        body = render(found.targets, found.event_bridge) if found is not None else render((), False)
        return _response(request, body)

    async def put(self, request: WireRequest, bucket: str, body: bytes) -> WireResponse:
        """PutBucketNotificationConfiguration: replaces what the bucket had."""
        region = await self._region(request, bucket)
        targets, event_bridge = parse(body)
        wanted = BucketNotifications(bucket, request.account, region, targets, event_bridge, self._is_embedded())
        self._refuse_other_regions(wanted)
        if request.headers.get("x-amz-skip-destination-validation", "").lower() != "true":
            await self._validate(wanted, request)
        async with self._changing:
            if targets or event_bridge:
                await self._write(Put(RECORD_KIND, bucket, msgspec.json.encode(wanted)))
                self._by_bucket[bucket] = wanted
            else:
                await self._remove(bucket)
        return _response(request, b"")

    async def drop(self, bucket: str) -> None:
        """The bucket is gone, and its configuration goes with it."""
        async with self._changing:
            await self._remove(bucket)

    async def drop_embedded(self) -> None:
        """The embedded S3 has been started, empty: the buckets that were in it are gone."""
        lost = sorted(name for name, settings in self._by_bucket.items() if settings.embedded)
        if not lost:
            return
        async with self._changing:
            await self._write(*(Remove(RECORD_KIND, bucket) for bucket in lost))
            for bucket in lost:
                self._by_bucket.pop(bucket, None)
        logger.warning(
            "the embedded S3 keeps its buckets in memory and has been started anew: "
            "the notification settings of %s went with them",
            ", ".join(lost),
        )

    def permitted(self, account: str, region: str, function: str, qualifier: str | None, source_arn: str) -> bool:
        """Whether S3 may (still) invoke a function for the bucket `source_arn`. Raises ResourceNotFoundException."""
        version = self._resolve(account, region, function, qualifier)
        settings = self._by_bucket.get(source_arn.rpartition(":")[2])
        owner = settings.account if settings is not None else account
        return self._may_invoke(version, qualifier, PRINCIPAL, source_arn, owner)

    async def _region(self, request: WireRequest, bucket: str) -> str:
        owner = request.headers.get("x-amz-expected-bucket-owner")
        headers = {"x-amz-expected-bucket-owner": owner} if owner else {}
        return await self._backend.bucket_region(request.account, request.region, bucket, headers)

    def _refuse_other_regions(self, wanted: BucketNotifications) -> None:
        for target in wanted.targets:
            if target.region != wanted.region:
                raise InvalidArgument(
                    "The notification destination service region is not valid for the bucket location constraint",
                    ArgumentName=argument_name(target.kind),
                    ArgumentValue=target.arn,
                )

    async def _validate(self, wanted: BucketNotifications, request: WireRequest) -> None:
        """All targets; what is wrong with each is told in one error, as S3 does."""
        faults: list[tuple[str, str]] = []
        for target in wanted.targets:
            if target.kind == "lambda":
                fault = self._function_fault(target, wanted)
            else:
                fault = await self._message_fault(target, wanted, request)
            if fault is not None:
                faults.append(fault)
        if faults:
            members: dict[str, str | int] = {}
            for number, (name, value) in enumerate(faults, 1):
                members |= {f"ArgumentName{number}": name, f"ArgumentValue{number}": value}
            raise InvalidArgument(_CANNOT_VALIDATE, **members)

    def _function_fault(self, target: Target, wanted: BucketNotifications) -> tuple[str, str] | None:
        name, _, qualifier = target.arn.split(":", 6)[6].partition(":")
        try:
            version = self._resolve(target.account, target.region, name, qualifier or None)
        except AwsError:
            return target.arn, "The destination Lambda does not exist"
        if self._may_invoke(version, qualifier or None, PRINCIPAL, wanted.bucket_arn, wanted.account):
            return None
        return f"{target.arn}, null", f"Not authorized to invoke function [{target.arn}]"

    async def _message_fault(
        self, target: Target, wanted: BucketNotifications, request: WireRequest
    ) -> tuple[str, str] | None:
        noun = "queue" if target.kind == "sqs" else "topic"
        event = test_event(wanted.bucket, self._clock.time_ms(), request.request_id, _host_id())
        try:
            message = msgspec.json.encode(event).decode()
            await self._targets.deliver(
                Delivery(
                    wanted.account,
                    wanted.region,
                    self._clock.steady_ms(),
                    arn=target.arn,
                    message=message,
                    subject=NOTIFICATION_SUBJECT,
                )
            )
        except TargetFault as fault:
            if fault.fault is Fault.MISSING:
                return target.arn, f"The destination {noun} does not exist"
            return (
                target.arn,
                f"Permissions on the destination {noun} do not allow S3 to publish notifications from this bucket",
            )
        except ServiceUnavailableException as error:
            return target.arn, error.message
        return None

    async def _remove(self, bucket: str) -> None:
        if bucket in self._by_bucket:
            await self._write(Remove(RECORD_KIND, bucket))
            del self._by_bucket[bucket]

    async def _write(self, *changes: Change) -> None:
        try:
            await self._store.transact(changes)
        except StoreError as error:
            raise InternalError(f"The notification configuration could not be stored: {error}") from error


def _response(request: WireRequest, body: bytes) -> WireResponse:
    headers = {"x-amz-request-id": request.request_id, "x-amz-id-2": _host_id()}
    if body:
        headers["content-type"] = "application/xml"
    return WireResponse(200, headers, body)


def _host_id() -> str:
    return base64.b64encode(secrets.token_bytes(48)).decode()
