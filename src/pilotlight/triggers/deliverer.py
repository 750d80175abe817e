"""Carries what is on its way (invoke/deliveries.py) to queues, topics, event buses and buckets, with back-off until it
is taken: S3's events, the results of asynchronous invocations."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from pilotlight.clock import Clock
from pilotlight.errors import ServiceUnavailableException
from pilotlight.invoke.deliveries import QUEUE_PREFIX, Delivery, enqueue
from pilotlight.store.interface import Change, Done, QueueItem, Retry, Store, StoreError
from pilotlight.triggers.s3_event import NOTIFICATION_SUBJECT
from pilotlight.triggers.targets import TargetFault, Targets

logger = logging.getLogger(__name__)

LEASE_MS = 120_000
AT_ONCE = 16
FIRST_WAIT_MS = 1_000
LAST_WAIT_MS = 300_000
MAX_AGE_MS = 24 * 3600 * 1000
_LOOK_AGAIN_MS = 60_000
#: where S3's events lay when there were no other deliveries, and no subject in them
_FORMER_PREFIX = "s3-deliveries/"
_EVER_MS = 2**53
_TAKEN_OVER_AT_ONCE = 100


class Deliverer:
    """`start`, `stop`. Targets do not wait for each other: a slow one takes up one of `AT_ONCE` places, no more."""

    def __init__(self, store: Store, clock: Clock, targets: Targets) -> None:
        self._store = store
        self._clock = clock
        self._targets = targets
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._unsubscribe: Callable[[], None] | None = None

    async def start(self) -> None:
        await self._take_over()
        self._unsubscribe = self._store.subscribe(self._wake.set, on="queue")
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """What is under way is left to its lease, and is delivered again after the next start."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        tasks = [task for task in (self._task, *self._under_way) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take_over(self) -> None:
        """Moves what an earlier Pilotlight left waiting to where deliveries wait now."""
        while items := await self._store.claim(_FORMER_PREFIX, _EVER_MS, LEASE_MS, _TAKEN_OVER_AT_ONCE):
            moved: list[Change] = []
            for item in items:
                delivery = msgspec.msgpack.decode(item.body, type=Delivery)
                delivery = msgspec.structs.replace(delivery, subject=NOTIFICATION_SUBJECT)
                moved += [Done(item.queue, item.item_id, item.lease), enqueue(delivery)]
            await self._store.transact(moved)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                room = AT_ONCE - len(self._under_way)
                items: list[QueueItem] = []
                if room > 0:
                    items = await self._store.claim(QUEUE_PREFIX, self._clock.time_ms(), LEASE_MS, room)
                for item in items:
                    task = asyncio.create_task(self._settle(item))
                    self._under_way.add(task)
                    task.add_done_callback(self._ended)
                if not items:
                    await self._wait(room > 0)
            except StoreError:
                logger.exception("the deliveries could not be read; trying again")
                await self._clock.sleep_until(self._clock.time_ms() + FIRST_WAIT_MS)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._wake.set()

    async def _wait(self, has_room: bool) -> None:
        """Until something was committed or has ended, or the next delivery is due."""
        due_ms = await self._store.next_due(QUEUE_PREFIX) if has_room else None
        woken = asyncio.ensure_future(self._wake.wait())
        due = asyncio.ensure_future(
            self._clock.sleep_until(due_ms if due_ms is not None else self._clock.time_ms() + _LOOK_AGAIN_MS)
        )
        try:
            await asyncio.wait({woken, due}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            due.cancel()

    async def _settle(self, item: QueueItem) -> None:
        try:
            await self._store.transact([await self._deliver(item)])
        except Exception:
            # Not lost: its lease ends, and it is sent again. At least once is the promise.
            logger.exception("a delivery could not be finished")

    async def _deliver(self, item: QueueItem) -> Change:
        delivery = msgspec.msgpack.decode(item.body, type=Delivery)
        done = Done(item.queue, item.item_id, item.lease)
        try:
            await self._targets.deliver(delivery)
        except (TargetFault, ServiceUnavailableException) as error:
            target = delivery.arn or "EventBridge"
            if self._clock.time_ms() - delivery.accepted_ms >= MAX_AGE_MS:
                logger.warning("a delivery to %s is given up after a day: %s", target, error)
                return done
            logger.info("a delivery to %s was not taken and will be made again: %s", target, error)
            wait_ms = min(FIRST_WAIT_MS << min(item.attempts - 1, 20), LAST_WAIT_MS)
            return Retry(item.queue, item.item_id, item.lease, self._clock.time_ms() + wait_ms)
        return done
