"""The queue worker on a real store: fair, bounded, by the clock's steady time, and deaf to a store that fails."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pilotlight.clock import ManualClock
from pilotlight.invoke.lanes import Bounds
from pilotlight.invoke.queue_worker import LEASE_MS, QueueWorker, Work
from pilotlight.store.interface import Change, Done, Enqueue, Put, Retry, StoreBroken
from pilotlight.store.sqlite import SqliteStore, open_sqlite
from tests.support import eventually_async

HOUR_MS = 3_600_000
BOUNDS = Bounds(total=20, base=4, most=20)


def done(work: Work) -> list[Change]:
    return [Done(work.item.queue, work.item.item_id, work.item.lease)]


class Handler:
    """Keeps what is begun in hand, unless `quick`."""

    def __init__(self) -> None:
        self.in_hand: list[Work] = []
        self.begun: list[str] = []
        self.quick = False

    def __call__(self, work: Work) -> None:
        self.begun.append(work.item.body.decode())
        if self.quick:
            self.end(work)
        else:
            self.in_hand.append(work)

    def end(self, work: Work) -> None:
        work.end(lambda: done(work))

    def of(self, queue: str) -> list[Work]:
        return [work for work in self.in_hand if work.item.queue == queue]


class Bench:
    def __init__(self, directory: Path, **options: int) -> None:
        self.clock = ManualClock()
        self.store: SqliteStore = open_sqlite(directory, clock=self.clock, **options)
        self.handler = Handler()
        self.handle: Callable[[Work], None] = self.handler
        """What is to become of items from here on."""
        self.worker = QueueWorker(
            store=self.store, clock=self.clock, prefix="q/", bounds=BOUNDS, handle=lambda work: self.handle(work)
        )

    async def put(self, queue: str, *bodies: str, in_ms: int = 0) -> None:
        due_ms = self.clock.steady_ms() + in_ms
        await self.store.transact([Enqueue(queue, body.encode(), due_ms) for body in bodies])

    async def empty(self, queue: str) -> None:
        async def is_empty() -> bool:
            try:
                return await self.store.queue_depth(queue) == 0
            except StoreBroken:  # its process was killed: the next call is answered by another
                return False

        await eventually_async(is_empty, what=f"{queue} is empty")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    made.worker.start()
    yield made
    await made.worker.stop()
    await made.store.close()


async def test_one_queue_of_slow_items_keeps_no_other_waiting(bench: Bench) -> None:
    await bench.put("q/slow", *(str(number) for number in range(500)))
    await eventually_async(lambda: len(bench.handler.of("q/slow")) >= 17, what="the slow ones use the room")
    await bench.put("q/other", "single")
    await eventually_async(lambda: bench.handler.of("q/other"), what="the other comes at once")
    assert len(bench.handler.in_hand) <= BOUNDS.total


async def test_what_is_refused_is_not_claimed_again_and_again(bench: Bench) -> None:
    """A thousand items of a queue that takes none: one attempt a second, and each has its own due time."""
    refused: list[str] = []

    def refuse(work: Work) -> None:
        if work.item.queue != "q/shut":
            bench.handler.end(work)
            return
        refused.append(work.item.item_id)
        until_ms = bench.clock.steady_ms() + 1_000
        item = work.item
        work.refuse(lambda: [Retry(item.queue, item.item_id, item.lease, until_ms)], until_ms)

    bench.handle = refuse
    await bench.put("q/shut", *(str(number) for number in range(1000)))
    await eventually_async(lambda: len(refused) == 4, what="as many as a new queue may have")
    for attempts in (5, 6, 7):
        for _ in range(20):  # others come and go meanwhile
            await bench.put("q/other", "x")
            await bench.empty("q/other")
        assert len(refused) == attempts - 1
        bench.clock.advance(1_000)
        await eventually_async(lambda attempts=attempts: len(refused) == attempts)
    assert len(set(refused)) == 7, "each time another: those wait for their own time"


@pytest.mark.parametrize("jump_ms", [5 * HOUR_MS, -5 * HOUR_MS])
async def test_a_clock_that_is_set_moves_nothing(bench: Bench, jump_ms: int) -> None:
    bench.handler.quick = True
    await bench.put("q/a", "later", in_ms=60_000)
    await bench.put("q/a", "held")
    await eventually_async(lambda: bench.handler.begun == ["held"])
    bench.clock.jump(jump_ms)
    await bench.put("q/b", "new")
    await bench.empty("q/b")
    assert bench.handler.begun == ["held", "new"], "not early"
    bench.clock.advance(59_999)
    await bench.put("q/b", "newer")
    await bench.empty("q/b")
    assert bench.handler.begun == ["held", "new", "newer"], "still not early"
    bench.clock.advance(1)
    await bench.empty("q/a")
    assert bench.handler.begun == ["held", "new", "newer", "later"], "not late, and nothing twice"


async def test_a_lease_outlives_a_clock_that_is_set_forward(bench: Bench) -> None:
    await bench.put("q/a", "long")
    await eventually_async(lambda: bench.handler.in_hand)
    bench.clock.jump(5 * HOUR_MS)
    await bench.put("q/b", "x")
    await eventually_async(lambda: bench.handler.of("q/b"))
    assert bench.handler.begun == ["long", "x"], "nobody begins it a second time"


async def test_what_a_clock_set_back_has_left_far_ahead_is_due_at_the_next_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.put("q/a", "from the future", in_ms=3 * HOUR_MS)
    await bench.put("q/b", "soon", in_ms=60_000)
    bench.handler.quick = True
    bench.worker.start()
    await bench.empty("q/a")
    assert bench.handler.begun == ["from the future"]
    bench.clock.advance(60_000)
    await bench.empty("q/b")
    await bench.worker.stop()
    await bench.store.close()


async def test_an_item_that_cannot_be_begun_keeps_no_other_waiting(bench: Bench) -> None:
    def poisoned(work: Work) -> None:
        if work.item.body == b"poison":
            raise ValueError("unreadable")
        bench.handler(work)

    bench.handle = poisoned
    await bench.put("q/a", *["poison"] * 10, "good")
    await eventually_async(lambda: bench.handler.begun == ["good"])
    await eventually_async(lambda: bench.worker.in_hand == 1)
    assert await bench.store.queue_depth("q/a") == 11, "they are kept"


async def test_ends_are_recorded_although_one_of_them_conflicts(bench: Bench) -> None:
    await bench.put("q/a", "1", "2", "3")
    await eventually_async(lambda: len(bench.handler.in_hand) == 3)
    ends: list[Callable[[], list[Change]]] = [
        lambda: [*done(bench.handler.in_hand[0]), Put("r", "1", b"")],
        lambda: [*done(bench.handler.in_hand[1]), Put("r", "2", b"", expect=99)],
        lambda: [*done(bench.handler.in_hand[2]), Put("r", "3", b"")],
    ]
    for work, decide in zip(bench.handler.in_hand, ends, strict=True):
        work.end(decide)
    await eventually_async(lambda: bench.worker.in_hand == 0)
    assert [record.key for record in await bench.store.scan("r")] == ["1", "3"]
    assert await bench.store.queue_depth("q/a") == 1, "it is done again when its lease ends"


async def test_a_store_that_dies_loses_nothing(bench: Bench) -> None:
    """Its process is killed while items are in hand: their ends are recorded by the next one."""
    await bench.put("q/a", "1", "2")
    await eventually_async(lambda: len(bench.handler.in_hand) == 2)
    os.kill(bench.store.process_id, signal.SIGKILL)
    for work in bench.handler.in_hand:
        bench.handler.end(work)
    await bench.empty("q/a")
    bench.handler.in_hand.clear()
    for number in range(3, 7):  # killed while a claim is under way, too: what it took is not left to its lease
        await bench.put("q/b", str(number))
        os.kill(bench.store.process_id, signal.SIGKILL)
        await eventually_async(lambda number=number: str(number) in bench.handler.begun)
        bench.handler.end(bench.handler.in_hand.pop())
        await bench.empty("q/b")


async def test_stopping_claims_no_more_and_records_what_has_ended(bench: Bench) -> None:
    await bench.put("q/a", "1", "2")
    await eventually_async(lambda: len(bench.handler.in_hand) == 2)
    first, second = bench.handler.in_hand
    bench.handler.end(first)
    await bench.worker.stop()
    assert await bench.store.queue_depth("q/a") == 1
    await bench.put("q/a", "3")
    bench.handler.end(second)
    await eventually_async(lambda: bench.worker.in_hand == 0)
    await asyncio.sleep(0)
    assert await bench.store.queue_depth("q/a") == 1 and bench.handler.begun == ["1", "2"]


async def test_a_full_store_takes_the_ends_that_give_room_back(tmp_path: Path) -> None:
    """One end needs more room than there is; those beside it are recorded, and it is when there is room again."""
    bench = Bench(tmp_path, max_bytes=1 << 20)
    filler = [Enqueue("filler", b"x" * 100_000, 0) for _ in range(6)]
    await bench.store.transact(filler)
    await bench.put("q/a", "1", "2", "3", "4")
    bench.worker.start()
    await eventually_async(lambda: len(bench.handler.in_hand) == 4)
    first, *others = bench.handler.in_hand
    first.end(lambda: [*done(first), Put("r", "large", b"y" * 500_000)])
    for work in others:
        bench.handler.end(work)
    await eventually_async(lambda: bench.worker.in_hand == 1, what="the others are recorded")
    assert await bench.store.queue_depth("q/a") == 1
    held = await bench.store.claim("filler", 0, 1000, 10)
    await bench.store.transact([Done(item.queue, item.item_id, item.lease) for item in held])
    await bench.empty("q/a")
    assert await bench.store.get("r", "large") is not None
    await bench.worker.stop()
    await bench.store.close()


async def test_an_item_that_is_over_before_its_beginning_fails(bench: Bench) -> None:
    def over_then_broken(work: Work) -> None:
        bench.handler.begun.append(work.item.body.decode())
        bench.handler.end(work)
        raise ValueError("after the end")

    bench.handle = over_then_broken
    await bench.put("q/a", "1", "2")
    await bench.empty("q/a")
    assert sorted(bench.handler.begun) == ["1", "2"]


async def test_an_item_that_outlives_its_lease_is_done_again_and_harms_nothing(bench: Bench) -> None:
    await bench.put("q/a", "long")
    await eventually_async(lambda: len(bench.handler.in_hand) == 1)
    bench.clock.advance(LEASE_MS)
    await eventually_async(lambda: len(bench.handler.in_hand) == 2, what="it is begun again")
    for work in bench.handler.in_hand:
        bench.handler.end(work)
    await bench.empty("q/a")
    await eventually_async(lambda: bench.worker.in_hand == 0)
    await bench.put("q/a", "next")
    await eventually_async(lambda: bench.handler.begun == ["long", "long", "next"])
