"""Carries log events to the functions that subscribe to them, as asynchronous invocations on the durable queue.

What a filter has been given is a place in the log database, the number of the last block of events it has seen. It
moves in the transaction that accepts the invocations, so a stored event is accepted once, whatever dies in between; and
it moves only while the function keeps up, so a flood waits where it lies. Source of the shape: user guide, "Example 2:
Subscription filters with AWS Lambda".
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from pilotlight.errors import AwsError
from pilotlight.invoke.async_event import QUEUE_PREFIX
from pilotlight.observe.api_events import filter_of
from pilotlight.observe.database import LogDatabase, decode_events
from pilotlight.observe.filter_pattern import extraction
from pilotlight.observe.logs import LogStore
from pilotlight.observe.reader import format_place
from pilotlight.store.interface import Change, Put, Store
from pilotlight.triggers.log_subscriptions import CURSOR_KIND, PRINCIPAL, LogSubscriptions, Subscription

logger = logging.getLogger(__name__)

EnqueueEvent = Callable[[str, bytes, str, str, str], Change]
"""(function ARN, payload, source principal, source ARN, trace header) -> the store change that accepts it."""

BATCH_BYTES = 512 * 1024
"""Of messages in one invocation; one event may be larger."""
BATCH_EVENTS = 10_000
_BLOCKS_AT_ONCE = 16
_MOST_WAITING = 100
"""Invocations that may wait for a function before its subscriptions do."""
_GATHER_S = 0.2
_LOOK_AGAIN_S = 1.0


class _Found(msgspec.Struct):
    payloads: list[bytes]
    blocks: int
    """Of its group, whether anything in them matched or not."""
    last_block: int
    more: bool


class LogDeliveries:
    """`start`, `stop`; the log store runs from before the one until after the other."""

    def __init__(
        self, *, store: Store, log_store: LogStore, subscriptions: LogSubscriptions, enqueue_event: EnqueueEvent
    ) -> None:
        self._store = store
        self._log_store = log_store
        self._subscriptions = subscriptions
        self._enqueue_event = enqueue_event
        self._wake = asyncio.Event()
        self._unsubscribe: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._seen: dict[str, int] = {}
        """By filter: how far there was nothing of its group behind the place that is stored."""
        self._looping: set[str] = set()
        """Filters that were warned of."""

    async def start(self) -> None:
        await self._turn_back()
        self._subscriptions.changed = self._filters_changed
        self._filters_changed()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _turn_back(self) -> None:
        """A log database that a failing machine has cut short numbers blocks anew: nobody has seen those to come."""
        newest: int = await self._log_store.read(lambda database: database.run("last_block")[0][0])
        changes: list[Change] = []
        for subscription in self._subscriptions.all():
            record = await self._store.get(CURSOR_KIND, subscription.key)
            if record is not None and int(record.body) > newest:
                changes.append(Put(CURSOR_KIND, subscription.key, str(newest).encode()))
        if changes:
            await self._store.transact(changes)

    def _filters_changed(self) -> None:
        """Without any filter, nothing is looked at."""
        wanted = bool(self._subscriptions.all())
        if wanted and self._unsubscribe is None:
            self._unsubscribe = self._log_store.when_written(self._wake.set)
        elif not wanted and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER_S)
            self._wake.clear()
            for subscription in self._subscriptions.all():
                try:
                    again_s = await self._deliver(subscription)
                except Exception:
                    logger.exception("delivering the log events of %s; it is tried again", subscription.source_arn)
                    again_s = _LOOK_AGAIN_S
                if again_s is not None:
                    asyncio.get_running_loop().call_later(again_s, self._wake.set)

    async def _deliver(self, subscription: Subscription) -> float | None:
        """The next of what it has not seen; in how many seconds to look again, when there may be more."""
        _, _, _, region, account, _, name, *_ = subscription.destination_arn.split(":")
        if await self._store.queue_depth(f"{QUEUE_PREFIX}{account}/{region}/{name}") >= _MOST_WAITING:
            return _LOOK_AGAIN_S
        record = await self._store.get(CURSOR_KIND, subscription.key)
        after = max(int(record.body) if record else 0, self._seen.get(subscription.key, 0))
        found = await self._log_store.read(lambda database: _collect(database, subscription, after))
        if found is None:
            await self._subscriptions.forget(subscription)
            self._seen.pop(subscription.key, None)
            return None
        if found.blocks:
            changes: list[Change] = [Put(CURSOR_KIND, subscription.key, str(found.last_block).encode())]
            if found.payloads and self._deliverable(subscription):
                changes += [
                    self._enqueue_event(subscription.destination_arn, payload, PRINCIPAL, subscription.source_arn, "")
                    for payload in found.payloads
                ]
            await self._store.transact(changes)
        self._seen[subscription.key] = found.last_block
        return 0.0 if found.more else None

    def _deliverable(self, subscription: Subscription) -> bool:
        """A function may be gone, or have been told to log into the group it is given the events of."""
        try:
            loops = self._subscriptions.loops(subscription)
        except AwsError:
            return False
        if loops and subscription.key not in self._looping:
            self._looping.add(subscription.key)
            logger.warning(
                "%s logs into %s, whose events it would be given for ever: the subscription filter %s is not served",
                subscription.destination_arn,
                subscription.group,
                subscription.name,
            )
        return not loops


def _collect(database: LogDatabase, subscription: Subscription, after: int) -> _Found | None:
    """What matches in the next blocks behind `after`; None when the group is gone. In a thread of the log store's."""
    if not subscription.is_of(database.group(subscription.account, subscription.region, subscription.group)):
        return None
    ((newest,),) = database.run("last_block")
    matches, extract = filter_of(subscription.pattern), extraction(subscription.pattern)
    rows = database.run("group_blocks_after", group_id=subscription.group_id, after=after, limit=_BLOCKS_AT_ONCE)
    streams: dict[int, list[dict[str, Any]]] = {}
    for block_id, stream_id, body in rows:
        for index, (timestamp_ms, message) in enumerate(decode_events(body)):
            if matches is not None and not matches(message):
                continue
            event: dict[str, Any] = {
                "id": format_place((timestamp_ms, block_id, index)),
                "timestamp": timestamp_ms,
                "message": message,
            }
            if extract is not None:
                event["extractedFields"] = extract(message)
            streams.setdefault(stream_id, []).append(event)
    more = len(rows) == _BLOCKS_AT_ONCE
    payloads = [
        _payload(subscription, _stream_name(database, stream_id), batch)
        for stream_id, events in streams.items()
        for batch in _batches(events)
    ]
    return _Found(payloads, len(rows), rows[-1][0] if more else newest, more)


def _stream_name(database: LogDatabase, stream_id: int) -> str:
    row = database.first("stream_name", stream_id=stream_id)
    return row[0] if row else ""


def _batches(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    batches: list[list[dict[str, Any]]] = [[]]
    size = 0
    for event in events:
        length = len(event["message"])
        if batches[-1] and (size + length > BATCH_BYTES or len(batches[-1]) == BATCH_EVENTS):
            batches.append([])
            size = 0
        batches[-1].append(event)
        size += length
    return batches


def _payload(subscription: Subscription, stream_name: str, events: list[dict[str, Any]]) -> bytes:
    message = {
        "messageType": "DATA_MESSAGE",
        "owner": subscription.account,
        "logGroup": subscription.group,
        "logStream": stream_name,
        "subscriptionFilters": [subscription.name],
        "logEvents": events,
    }
    data = base64.b64encode(gzip.compress(msgspec.json.encode(message), 6)).decode()
    return msgspec.json.encode({"awslogs": {"data": data}})
