"""Takes what is due from the durable queues of one prefix and has it done: asynchronous events, deliveries.

Claims are fair over the queues and bounded (lanes.py). An item leaves its queue, or goes back for later, in the
transaction that records what became of it, and many that ended meanwhile share one. Waits are counted by the clock's
steady time, which no setting of the machine's clock moves. Nothing is lost when the store fails: an end is recorded
later, and what this node had in hand when it died is due again when it starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial

from pilotlight.clock import Clock
from pilotlight.invoke.lanes import Bounds, Lane
from pilotlight.store.interface import Change, Conflict, QueueItem, Store, StoreClosed, StoreError

logger = logging.getLogger(__name__)

#: longer than any function may run; a node that dies gives its leases back when it starts again
LEASE_MS = 20 * 60 * 1000
#: nothing here is ever put off for longer; what lies further ahead was timed by a clock that has been set back since
_FURTHEST_MS = 10 * 60 * 1000
_LOOK_AGAIN_MS = 60_000
_CLAIMED_AT_ONCE = 128
#: ends that wait to be recorded, beyond which nothing new is begun
_UNRECORDED = 1_000
_RECORDED_AT_ONCE = 128
_AFTER_FAULT_S = 1.0

Decide = Callable[[], list[Change]]
_End = tuple["Work", list[Change]]


class Work:
    """One item in hand. Whoever handles it calls `end` or `refuse`, once."""

    __slots__ = ("_lane", "_worker", "is_over", "item")

    def __init__(self, item: QueueItem, lane: Lane, worker: QueueWorker) -> None:
        self.item = item
        self.is_over = False
        self._lane = lane
        self._worker = worker

    def end(self, decide: Decide) -> None:
        """It is over. `decide` says what is to be recorded, from a task: its caller must not meet what goes wrong."""
        self._lane.end(self.item.item_id)
        self._worker.ended(self, decide)

    def refuse(self, decide: Decide, until_ms: int) -> None:
        """It could not be done, and nor could others of its queue: they wait until then (steady), or until one that
        is in hand has ended well."""
        self._lane.refuse(self.item.item_id, until_ms, asyncio.get_running_loop().time())
        self._worker.ended(self, decide)


class QueueWorker:
    """`start`, then `stop`; `handle` is called with each item as it is begun, must not block, and may raise."""

    def __init__(
        self, *, store: Store, clock: Clock, prefix: str, bounds: Bounds, handle: Callable[[Work], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._prefix = prefix
        self._bounds = bounds
        self._handle = handle
        self._running = 0
        self._lanes: dict[str, Lane] = {}
        self._works: set[Work] = set()
        """In hand, until their ends are recorded."""
        self._claim_lost = False
        self._ends: list[tuple[Work, Decide]] = []
        self._recording: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None

    @property
    def in_hand(self) -> int:
        """Items that are being done, or whose end is being recorded."""
        return len(self._works)

    def start(self) -> None:
        self._unsubscribe = self._store.subscribe(self._wake.set, on="queue")
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Claim nothing more, and record what has ended; what ends later is recorded too, while the store is open."""
        self._stopping = True
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        while self._recording is not None:
            await asyncio.gather(self._recording, return_exceptions=True)

    # -- taking

    async def _run(self) -> None:
        brought = False
        while True:
            self._wake.clear()
            try:
                if not brought:
                    await self._bring_forward()
                    brought = True
                limit, rooms = self._rooms()
                items = await self._claim(limit, rooms) if limit else []
                for item in items:
                    self._begin(item)
                if not limit or len(items) < limit:
                    await self._wait(limit > 0)
            except StoreClosed:
                return
            except Exception:
                logger.exception("the queues %s could not be read; trying again", self._prefix)
                await asyncio.sleep(_AFTER_FAULT_S)

    async def _bring_forward(self) -> None:
        now_ms = self._clock.steady_ms()
        if brought := await self._store.bring_forward(self._prefix, now_ms + _FURTHEST_MS, now_ms):
            logger.warning(
                "%d items of the queues %s lay far in the future and are due now: the machine's clock was set back",
                brought,
                self._prefix,
            )

    def _rooms(self) -> tuple[int, dict[str, int]]:
        """How many items to take in all, and of the queues that are known."""
        free = self._bounds.total - self._running
        if len(self._ends) >= _UNRECORDED:
            free = 0
        now, now_ms = asyncio.get_running_loop().time(), self._clock.steady_ms()
        for queue in [queue for queue, lane in self._lanes.items() if lane.idle(now, now_ms)]:
            del self._lanes[queue]
        rooms = {queue: lane.room(free, now_ms) for queue, lane in self._lanes.items()}
        return max(0, min(free, _CLAIMED_AT_ONCE)), rooms

    async def _claim(self, limit: int, rooms: dict[str, int]) -> list[QueueItem]:
        if self._claim_lost:
            await self._store.release_items(self._prefix, {work.item.lease for work in self._works})
        self._claim_lost = True
        items = await self._store.claim(
            self._prefix,
            self._clock.steady_ms(),
            LEASE_MS,
            limit,
            of_each=Lane(self._bounds).room(limit, 0),
            rooms=rooms,
        )
        self._claim_lost = False
        return items

    def _begin(self, item: QueueItem) -> None:
        lane = self._lanes.get(item.queue)
        if lane is None:
            lane = self._lanes[item.queue] = Lane(self._bounds)
        lane.begin(item.item_id, asyncio.get_running_loop().time())
        self._running += 1
        work = Work(item, lane, self)
        self._works.add(work)
        try:
            self._handle(work)
        except Exception:
            # Not lost: its lease ends, and it is begun again; and it keeps nothing else waiting.
            logger.exception("item %s of %s could not be begun", item.item_id, item.queue)
            if not work.is_over:
                work.end(list)

    async def _wait(self, has_room: bool) -> None:
        """Until something was committed or ended, the next item is due, or a lane opens or widens."""
        if self._wake.is_set():
            return
        loop = asyncio.get_running_loop()
        now_ms, now = self._clock.steady_ms(), loop.time()
        until_ms = now_ms + _LOOK_AGAIN_MS
        full: list[str] = []
        grows: list[float] = []
        free = self._bounds.total - self._running
        for queue, lane in self._lanes.items():
            opens_ms = lane.shut_until_ms(now_ms)
            if opens_ms is not None:
                until_ms = min(until_ms, opens_ms)
            elif (at := lane.grow(now)) is not None:
                grows.append(at)
            if not lane.room(free, now_ms):
                full.append(queue)
        if has_room:
            due_ms = await self._store.next_due(self._prefix, without=full)
            until_ms = until_ms if due_ms is None else min(until_ms, due_ms)
        growth = loop.call_at(min(grows), self._wake.set) if grows else None
        woken = asyncio.ensure_future(self._wake.wait())
        due = asyncio.ensure_future(self._clock.sleep_until(self._clock.time_ms() + until_ms - self._clock.steady_ms()))
        try:
            await asyncio.wait({woken, due}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            due.cancel()
            if growth is not None:
                growth.cancel()

    # -- recording

    def ended(self, work: Work, decide: Decide) -> None:
        work.is_over = True
        self._running -= 1
        self._ends.append((work, decide))
        if self._recording is None:
            self._recording = asyncio.create_task(self._record())
        self._wake.set()

    async def _record(self) -> None:
        """Write down what became of the items that have ended, as many at a time as have ended meanwhile."""
        try:
            while self._ends:
                ends, self._ends = self._ends[:_RECORDED_AT_ONCE], self._ends[_RECORDED_AT_ONCE:]
                left = await self._write(
                    [(work, changes) for work, decide in ends if (changes := _decided(work, decide))]
                )
                again = {work for work, _ in left}
                self._works.difference_update(work for work, _ in ends if work not in again)
                if left:
                    self._ends += [(work, partial(list, changes)) for work, changes in left]
                    await asyncio.sleep(_AFTER_FAULT_S)
        finally:
            self._recording = None
            self._wake.set()

    async def _write(self, ends: list[_End]) -> list[_End]:
        """Each end as a whole or not at all. Returns those that the store could not take just now.

        What fails together is tried one by one: another node may have one of the items, and a full disk has no room
        for one end while another gives some back.
        """
        try:
            if ends:
                await self._store.transact([change for _, changes in ends for change in changes])
            return []
        except Exception as error:
            if len(ends) > 1 and not isinstance(error, StoreClosed):
                return [end for left in await asyncio.gather(*(self._write([end]) for end in ends)) for end in left]
            for_now = isinstance(error, StoreError) and not isinstance(error, Conflict | StoreClosed)
            if for_now and not self._stopping:
                logger.warning("the end of an item could not be recorded; trying again: %s", error)
                return ends
            # Not lost: it is due again when its lease ends, or when a node starts.
            logger.warning("the ends of %d items are not recorded, they will be done again: %r", len(ends), error)
            return []


def _decided(work: Work, decide: Decide) -> list[Change]:
    try:
        return decide()
    except Exception:
        # Not lost: its lease ends, and it is done again. At least once is the promise.
        logger.exception("what became of item %s of %s could not be decided", work.item.item_id, work.item.queue)
        return []
