"""Carries what is on its way (invoke/deliveries.py) to queues, topics, event buses and buckets: S3's events, results of
asynchronous invocations. The queue worker claims and records; here is what becomes of what was not taken.

A target that is down is tried again for a day, with back-off, one delivery at a time. A target that is missing, or that
does not let us in, gets a minute, for it may only be being made; AWS gives no figure. What a target refuses for what it
is (too large, say) is given up at once, since it would be refused for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from pilotlight.clock import Clock
from pilotlight.errors import ServiceUnavailableException
from pilotlight.invoke.deliveries import QUEUE_PREFIX, Delivery, enqueue
from pilotlight.invoke.lanes import Bounds
from pilotlight.invoke.queue_worker import LEASE_MS, QueueWorker, Work
from pilotlight.store.interface import Change, Done, Retry, Store
from pilotlight.triggers.s3_event import NOTIFICATION_SUBJECT
from pilotlight.triggers.targets import Fault, TargetFault, Targets

logger = logging.getLogger(__name__)

BOUNDS = Bounds(total=256, base=4, most=16)
FIRST_WAIT_MS = 1_000
LAST_WAIT_MS = 60_000
DOWN_MS = 24 * 3600 * 1000
MISSING_MS = 60_000
#: trouble that was longer ago is none any more
_FORGET_MS = 600_000
#: where S3's events lay when there were no other deliveries, and no subject in them
_FORMER_PREFIX = "s3-deliveries/"
_MAY_COME = (Fault.MISSING, Fault.DENIED)
_EVER_MS = 2**53
_TAKEN_OVER_AT_ONCE = 100


class _Trouble(msgspec.Struct):
    """With one target, since it last took something."""

    last_ms: int
    missing_since_ms: int | None = None
    """Since when it answers nothing but that it is not there, or not for the node; time for which it was down is no
    part of that."""
    rounds: int = 0
    """Waits so far; deliveries that were under way together count as one."""
    until_ms: int = 0


class Deliverer:
    """`start`, `stop`. Targets do not wait for each other. `lost` is told of what is given up."""

    def __init__(self, store: Store, clock: Clock, targets: Targets, lost: Callable[[Delivery], None]) -> None:
        self._store = store
        self._clock = clock
        self._targets = targets
        self._lost = lost
        self._worker = QueueWorker(store=store, clock=clock, prefix=QUEUE_PREFIX, bounds=BOUNDS, handle=self._begin)
        self._under_way: set[asyncio.Task[None]] = set()
        self._troubles: dict[str, _Trouble] = {}
        """By queue, which is by target."""

    @property
    def in_hand(self) -> int:
        """Deliveries that are under way, or whose end is being recorded."""
        return self._worker.in_hand

    async def start(self) -> None:
        await self._take_over()
        self._worker.start()

    async def stop(self) -> None:
        """What is under way is left to its lease, and is delivered again after the next start."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._worker.stop()

    async def _take_over(self) -> None:
        """Moves what an earlier Pilotlight left waiting to where deliveries wait now."""
        while items := await self._store.claim(_FORMER_PREFIX, _EVER_MS, LEASE_MS, _TAKEN_OVER_AT_ONCE):
            moved: list[Change] = []
            for item in items:
                delivery = msgspec.msgpack.decode(item.body, type=Delivery)
                delivery = msgspec.structs.replace(delivery, subject=NOTIFICATION_SUBJECT)
                moved += [Done(item.queue, item.item_id, item.lease), enqueue(delivery)]
            await self._store.transact(moved)

    def _begin(self, work: Work) -> None:
        delivery = msgspec.msgpack.decode(work.item.body, type=Delivery)
        task = asyncio.create_task(self._deliver(work, delivery))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _deliver(self, work: Work, delivery: Delivery) -> None:
        try:
            await self._targets.deliver(delivery)
        except TargetFault as error:
            self._not_taken(work, delivery, error.fault, error)
        except ServiceUnavailableException as error:
            self._not_taken(work, delivery, Fault.DOWN, error)
        except Exception as error:
            logger.exception("a delivery to %s failed for a reason of ours", _target(delivery))
            self._not_taken(work, delivery, Fault.DOWN, error)
        else:
            self._troubles.pop(work.item.queue, None)
            work.end(lambda: [_done(work)])

    def _not_taken(self, work: Work, delivery: Delivery, fault: Fault, error: Exception) -> None:
        now_ms = self._clock.steady_ms()
        trouble = self._troubles.get(work.item.queue)
        if trouble is None or now_ms - trouble.last_ms > _FORGET_MS:
            trouble = self._troubles[work.item.queue] = _Trouble(now_ms)
        trouble.last_ms = now_ms
        if fault is Fault.DOWN:
            trouble.missing_since_ms = None
        elif fault in _MAY_COME and trouble.missing_since_ms is None:
            trouble.missing_since_ms = now_ms
        missing_since_ms = trouble.missing_since_ms
        if (
            fault is Fault.REFUSED
            or (missing_since_ms is not None and now_ms - missing_since_ms >= MISSING_MS)
            or now_ms - delivery.accepted_ms >= DOWN_MS
        ):
            logger.warning("a delivery to %s is given up (%s): %s", _target(delivery), fault.value, error)
            self._lost(delivery)
            work.end(lambda: [_done(work)])
            return
        logger.info("a delivery to %s was not taken and will be made again: %s", _target(delivery), error)
        if now_ms >= trouble.until_ms:
            trouble.until_ms = now_ms + min(FIRST_WAIT_MS << min(trouble.rounds, 20), LAST_WAIT_MS)
            trouble.rounds += 1
            if missing_since_ms is not None:
                trouble.until_ms = min(trouble.until_ms, missing_since_ms + MISSING_MS)
        until_ms, item = trouble.until_ms, work.item
        work.refuse(lambda: [Retry(item.queue, item.item_id, item.lease, until_ms)], until_ms)


def _target(delivery: Delivery) -> str:
    return delivery.arn or "EventBridge"


def _done(work: Work) -> Change:
    return Done(work.item.queue, work.item.item_id, work.item.lease)
