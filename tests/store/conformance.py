"""What every store engine promises (store/interface.py), as tests. An engine runs them by subclassing StoreConformance.

`open_store(**options)` opens the same data again each time it is called, once the one before is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pilotlight.store.interface import (
    Add,
    ChangeEvent,
    Conflict,
    Done,
    Enqueue,
    Extend,
    FeedTrimmed,
    Put,
    QueueItem,
    Record,
    Remove,
    Retry,
    Store,
    StoreClosed,
)

Open = Callable[..., Store]
LEASE_MS = 10_000


class StoreConformance:
    """Subclasses give the fixture `open_store`."""

    @pytest.fixture
    async def store(self, open_store: Open) -> Any:
        store = open_store()
        yield store
        await store.close()

    # -- records

    async def test_put_then_get(self, store: Store) -> None:
        revision = await store.transact([Put("function", "a", b"\x00body\xff")])
        assert await store.get("function", "a") == Record("function", "a", revision, b"\x00body\xff")
        assert await store.get("function", "b") is None
        assert await store.get("other kind", "a") is None

    async def test_revisions_grow_by_transaction_and_are_shared_by_its_records(self, store: Store) -> None:
        assert await store.revision() == 0
        first = await store.transact([Put("k", "a", b"1"), Put("k", "b", b"1")])
        second = await store.transact([Put("k", "c", b"1")])
        assert second > first
        assert [record.revision for record in await store.scan("k")] == [first, first, second]
        assert await store.revision() == second

    async def test_a_transaction_without_records_makes_no_revision(self, store: Store) -> None:
        revision = await store.transact([Put("k", "a", b"")])
        assert await store.transact([Enqueue("q", b"", 0), Add("c", 1)]) == revision
        assert await store.transact([Remove("k", "never there")]) == revision
        assert await store.transact([]) == revision
        assert await store.revision() == revision

    async def test_put_replaces(self, store: Store) -> None:
        await store.transact([Put("k", "a", b"old")])
        revision = await store.transact([Put("k", "a", b"new")])
        assert await store.get("k", "a") == Record("k", "a", revision, b"new")

    async def test_remove(self, store: Store) -> None:
        await store.transact([Put("k", "a", b"")])
        await store.transact([Remove("k", "a")])
        assert await store.get("k", "a") is None

    async def test_put_expecting_nothing(self, store: Store) -> None:
        await store.transact([Put("k", "a", b"first", expect=0)])
        change = Put("k", "a", b"second", expect=0)
        with pytest.raises(Conflict) as raised:
            await store.transact([change])
        assert raised.value.change == change
        record = await store.get("k", "a")
        assert record is not None and record.body == b"first"

    async def test_put_expecting_a_revision(self, store: Store) -> None:
        first = await store.transact([Put("k", "a", b"1")])
        second = await store.transact([Put("k", "a", b"2", expect=first)])
        with pytest.raises(Conflict):
            await store.transact([Put("k", "a", b"3", expect=first)])
        with pytest.raises(Conflict):
            await store.transact([Put("k", "not there", b"3", expect=first)])
        assert await store.get("k", "a") == Record("k", "a", second, b"2")

    async def test_remove_with_expectations(self, store: Store) -> None:
        revision = await store.transact([Put("k", "a", b"1")])
        for wrong in (0, revision + 1):
            with pytest.raises(Conflict):
                await store.transact([Remove("k", "a", expect=wrong)])
        await store.transact([Remove("k", "b", expect=0)])
        await store.transact([Remove("k", "a", expect=revision)])
        assert await store.get("k", "a") is None

    async def test_a_conflict_undoes_all_of_its_transaction(self, store: Store) -> None:
        before = await store.transact([Put("k", "kept", b"1")])
        refused = Put("k", "kept", b"2", expect=0)
        with pytest.raises(Conflict) as raised:
            await store.transact(
                [
                    Put("k", "new", b""),
                    Remove("k", "kept"),
                    Add("c", 5),
                    Enqueue("q", b"", 0, "i"),
                    Put("k", "kept", b"x"),
                    refused,
                ]
            )
        assert raised.value.change == refused
        assert await store.get("k", "new") is None
        assert await store.get("k", "kept") == Record("k", "kept", before, b"1")
        assert await store.counter("c") == 0
        assert await store.queue_depth("q") == 0
        assert await store.revision() == before
        assert await store.changes_since(before) == []

    async def test_concurrent_callers_do_not_share_conflicts(self, store: Store) -> None:
        """Of every three callers of one batch, one is refused at its last change: the others are untouched by it."""
        await store.transact([Put("k", "taken", b"")])

        async def call(number: int) -> int:
            changes: list[Any] = [Put("k", f"{number}/a", b""), Add("done", 1), Put("k", f"{number}/b", b"")]
            if number % 3 == 0:
                changes.append(Put("k", "taken", b"", expect=0))
            return await store.transact(changes)

        results = await asyncio.gather(*(call(number) for number in range(300)), return_exceptions=True)
        for number, result in enumerate(results):
            there = [await store.get("k", f"{number}/{end}") for end in "ab"]
            if number % 3 == 0:
                assert isinstance(result, Conflict) and there == [None, None]
            else:
                assert [record and record.revision for record in there] == [result, result]
        assert await store.counter("done") == 200
        revisions = [result for result in results if isinstance(result, int)]
        assert len(set(revisions)) == len(revisions)

    async def test_one_of_many_rivals_wins(self, store: Store) -> None:
        revision = await store.transact([Put("k", "a", b"start")])
        rivals = (store.transact([Put("k", "a", b"%d" % n, expect=revision)]) for n in range(50))
        results = await asyncio.gather(*rivals, return_exceptions=True)
        assert sum(isinstance(result, int) for result in results) == 1
        assert sum(isinstance(result, Conflict) for result in results) == 49

    async def test_scan_is_ordered_by_code_point_and_paged(self, store: Store) -> None:
        keys = ["a", "a/1", "a/2", "a/ä", "a/😀", "aa", "B", "b", "z"]
        await store.transact([Put("k", key, b"") for key in reversed(keys)])
        assert [record.key for record in await store.scan("k")] == sorted(keys)
        assert [record.key for record in await store.scan("k", "a/")] == ["a/1", "a/2", "a/ä", "a/😀"]
        page = await store.scan("k", "a/", limit=2)
        assert [record.key for record in page] == ["a/1", "a/2"]
        assert [record.key for record in await store.scan("k", "a/", after=page[-1].key)] == ["a/ä", "a/😀"]
        assert await store.scan("k", "a/", after="b") == []
        assert await store.scan("k", "a_") == [] and await store.scan("k", "%") == []
        assert await store.scan("nothing") == []

    async def test_large_values_come_back_whole(self, store: Store) -> None:
        body = bytes(range(256)) * 40_000
        await asyncio.gather(*(store.transact([Put("k", str(n), body)]) for n in range(4)))
        assert [record.body == body for record in await store.scan("k")] == [True] * 4

    # -- feed and wake-ups

    async def test_the_feed_tells_every_change_in_order(self, store: Store) -> None:
        one = await store.transact([Put("k", "a", b""), Put("k", "b", b"")])
        two = await store.transact([Remove("k", "a"), Put("j", "c", b"")])
        assert await store.changes_since(0) == [
            ChangeEvent(one, "k", "a", False),
            ChangeEvent(one, "k", "b", False),
            ChangeEvent(two, "j", "c", False),
            ChangeEvent(two, "k", "a", True),
        ]
        assert [event.revision for event in await store.changes_since(one)] == [two, two]
        assert await store.changes_since(two) == []

    async def test_the_last_word_of_a_transaction_on_a_key_counts(self, store: Store) -> None:
        revision = await store.transact([Put("k", "a", b"1"), Remove("k", "a")])
        assert await store.changes_since(0) == [ChangeEvent(revision, "k", "a", True)]
        assert await store.get("k", "a") is None

    async def test_a_page_of_the_feed_never_cuts_a_transaction(self, store: Store) -> None:
        one = await store.transact([Put("k", f"{n}", b"") for n in range(5)])
        await store.transact([Put("k", "x", b"")])
        page = await store.changes_since(0, limit=2)
        assert [event.revision for event in page] == [one] * 5
        assert [event.key for event in await store.changes_since(one, limit=2)] == ["x"]
        assert len(await store.changes_since(0, limit=6)) == 6

    async def test_a_trimmed_feed_says_so(self, open_store: Open) -> None:
        store = open_store(feed_revisions=1500)
        for start in range(0, 3000, 500):
            await asyncio.gather(*(store.transact([Put("k", str(n % 7), b"")]) for n in range(start, start + 500)))
        with pytest.raises(FeedTrimmed):
            await store.changes_since(0)
        newest = await store.revision()
        assert [event.revision for event in await store.changes_since(newest - 3)] == [newest - 2, newest - 1, newest]
        await store.close()

    async def test_revisions_go_on_after_reopening(self, open_store: Open) -> None:
        store = open_store()
        one = await store.transact([Put("k", "a", b"1")])
        await store.close()
        store = open_store()
        assert await store.revision() == one
        assert await store.transact([Put("k", "b", b"")]) > one
        assert [event.key for event in await store.changes_since(one)] == ["b"]
        await store.close()

    async def test_subscribers_are_woken_by_what_they_wait_for(self, store: Store) -> None:
        woken: list[str] = []
        ends = [store.subscribe(lambda: woken.append("any"))]
        ends.append(store.subscribe(lambda: woken.append("records"), on="records"))
        ends.append(store.subscribe(lambda: woken.append("queue"), on="queue"))
        await store.transact([Put("k", "a", b"")])
        assert woken == ["any", "records"]
        woken.clear()
        await store.transact([Enqueue("q", b"", 0)])
        assert woken == ["any", "queue"]
        woken.clear()
        (item,) = await store.claim("q", 0, LEASE_MS, 10)
        await store.transact([Add("c", 1)])
        assert woken == []
        await store.transact([Retry("q", item.item_id, item.lease, 5)])
        assert woken == ["any", "queue"]
        woken.clear()
        with pytest.raises(Conflict):
            await store.transact([Put("k", "b", b""), Enqueue("q", b"", 0), Put("k", "a", b"", expect=0)])
        assert woken == []
        for end in ends:
            end()
            end()
        await store.transact([Put("k", "a", b""), Enqueue("q", b"", 0)])
        assert woken == []

    async def test_a_subscriber_that_fails_disturbs_nobody(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        woken: list[str] = []

        def fails() -> None:
            raise RuntimeError("mine")

        store.subscribe(fails)
        store.subscribe(lambda: woken.append("x"))
        await store.transact([Put("k", "a", b"")])
        assert woken == ["x"]
        assert "wake-up failed" in caplog.text

    # -- queue

    async def test_items_are_claimed_when_due_in_the_order_they_came(self, store: Store) -> None:
        await store.transact([Enqueue("q", b"%d" % n, 100) for n in range(20)])
        await store.transact([Enqueue("q", b"later", 200), Enqueue("q", b"first", 50)])
        assert await store.claim("q", 49, LEASE_MS, 100) == []
        items = await store.claim("q", 150, LEASE_MS, 100)
        assert [item.body for item in items] == [b"first", *(b"%d" % n for n in range(20))]
        assert items[1].due_at_ms == 100 and items[1].attempts == 1 and items[1].queue == "q"
        assert [item.body for item in await store.claim("q", 200, LEASE_MS, 100)] == [b"later"]

    async def test_a_claimed_item_is_nobody_elses_until_its_lease_ends(self, store: Store) -> None:
        await store.transact([Enqueue("q", b"x", 0)])
        (first,) = await store.claim("q", 1000, LEASE_MS, 1)
        assert await store.claim("q", 1000 + LEASE_MS - 1, LEASE_MS, 1) == []
        (second,) = await store.claim("q", 1000 + LEASE_MS, LEASE_MS, 1)
        assert (second.item_id, second.attempts) == (first.item_id, 2)
        assert second.lease != first.lease
        for late in (
            Done("q", first.item_id, first.lease),
            Retry("q", first.item_id, first.lease, 0),
            Extend("q", first.item_id, first.lease, 10**9),
        ):
            with pytest.raises(Conflict) as raised:
                await store.transact([late])
            assert raised.value.change == late
        await store.transact([Done("q", second.item_id, second.lease)])
        assert await store.queue_depth("q") == 0

    async def test_a_late_claimer_may_finish_while_nobody_else_has_the_item(self, store: Store) -> None:
        await store.transact([Enqueue("q", b"x", 0)])
        (item,) = await store.claim("q", 0, 1, 1)
        await store.transact([Done("q", item.item_id, item.lease)])
        assert await store.claim("q", 10**6, 1, 1) == []

    async def test_done_and_the_records_it_comes_with_are_one(self, store: Store) -> None:
        await store.transact([Enqueue("q", b"x", 0)])
        (item,) = await store.claim("q", 0, LEASE_MS, 1)
        await store.transact([Done("q", item.item_id, item.lease), Put("result", "x", b"")])
        with pytest.raises(Conflict):
            await store.transact([Put("result", "y", b""), Done("q", item.item_id, item.lease)])
        assert [record.key for record in await store.scan("result")] == ["x"]

    async def test_retry_puts_it_back_for_later_with_or_without_a_new_body(self, store: Store) -> None:
        await store.transact([Enqueue("q", b"old", 0)])
        (item,) = await store.claim("q", 0, LEASE_MS, 1)
        await store.transact([Retry("q", item.item_id, item.lease, 500)])
        assert await store.claim("q", 499, LEASE_MS, 1) == []
        (again,) = await store.claim("q", 500, LEASE_MS, 1)
        assert (again.body, again.attempts, again.due_at_ms) == (b"old", 2, 500)
        assert again.enqueued_at_ms == item.enqueued_at_ms
        await store.transact([Retry("q", item.item_id, again.lease, 600, b"new")])
        (third,) = await store.claim("q", 600, LEASE_MS, 1)
        assert (third.body, third.attempts) == (b"new", 3)

    async def test_an_unclaimed_item_can_be_finished_by_nobody(self, store: Store) -> None:
        await store.transact([Enqueue("q", b"x", 0, "i")])
        for change in (Done("q", "i", ""), Retry("q", "i", "", 9), Extend("q", "i", "", 9), Done("q", "i", "made up")):
            with pytest.raises(Conflict):
                await store.transact([change])
        assert await store.queue_depth("q") == 1

    async def test_extend(self, store: Store) -> None:
        await store.transact([Enqueue("q", b"x", 0)])
        (item,) = await store.claim("q", 0, 100, 1)
        await store.extend("q", item.item_id, item.lease, 5000)
        assert await store.claim("q", 4999, 100, 1) == []
        assert len(await store.claim("q", 5000, 100, 1)) == 1
        with pytest.raises(Conflict):
            await store.extend("q", item.item_id, item.lease, 9000)

    async def test_an_item_id_is_accepted_once(self, store: Store) -> None:
        await store.transact([Enqueue("q", b"first", 0, "same"), Enqueue("q", b"second", 0, "same")])
        await store.transact([Enqueue("q", b"third", 0, "same"), Enqueue("r", b"elsewhere", 0, "same")])
        (item,) = await store.claim("q", 0, LEASE_MS, 10)
        assert (item.item_id, item.body) == ("same", b"first")
        await store.transact([Done("q", "same", item.lease)])
        await store.transact([Enqueue("q", b"after", 0, "same")])
        assert [item.body for item in await store.claim("q", 0, LEASE_MS, 10)] == [b"after"]

    async def test_claims_keep_to_their_prefix(self, store: Store) -> None:
        names = ["async/1/a", "async/1/b", "async/10/a", "async", "esm/x", "asynch"]
        await store.transact([Enqueue(name, name.encode(), 0) for name in names])
        assert {item.queue for item in await store.claim("async/1/", 0, LEASE_MS, 10)} == {"async/1/a", "async/1/b"}
        assert {item.queue for item in await store.claim("async/", 0, LEASE_MS, 10)} == {"async/10/a"}
        assert {item.queue for item in await store.claim("", 0, LEASE_MS, 10)} == {"async", "esm/x", "asynch"}

    async def test_a_busy_queue_does_not_starve_another(self, store: Store) -> None:
        await store.transact([Enqueue("q/busy", b"", 0) for _ in range(1000)])
        await store.transact([Enqueue("q/quiet", b"", 10), Enqueue("q/zz", b"", 10)])
        items = await store.claim("q/", 10, LEASE_MS, 9)
        by_queue = [item.queue for item in items]
        assert len(by_queue) == 9
        assert by_queue.count("q/quiet") == 1 and by_queue.count("q/zz") == 1

    async def test_queues_take_turns_when_there_is_room_for_few(self, store: Store) -> None:
        """Claims of one: every queue is served once before any is served again."""
        queues = [f"q/{n:02}" for n in range(12)]
        await store.transact([Enqueue(queue, b"", 0) for queue in queues for _ in range(4)])
        for _ in range(4):
            served = [(await store.claim("q/", 0, LEASE_MS, 1))[0].queue for _ in queues]
            assert sorted(served) == queues
        assert await store.claim("q/", 0, LEASE_MS, 1) == []

    async def test_a_claim_is_filled_when_there_is_enough(self, store: Store) -> None:
        await store.transact([Enqueue(f"q/{n % 7}", b"", 0) for n in range(100)])
        sizes: list[int] = []
        seen: set[tuple[str, str]] = set()
        while items := await store.claim("q/", 0, LEASE_MS, 30):
            sizes.append(len(items))
            seen |= {(item.queue, item.item_id) for item in items}
        assert sizes == [30, 30, 30, 10]
        assert len(seen) == 100

    async def test_no_more_than_their_room_is_taken_of_queues(self, store: Store) -> None:
        """And what one has no room for goes to the others."""
        await store.transact([Enqueue(f"q/{name}", b"", 0) for name in "abcd" for _ in range(50)])
        items = await store.claim("q/", 0, LEASE_MS, 60, of_each=5, rooms={"q/a": 0, "q/b": 2, "q/c": 40})
        taken = [item.queue for item in items]
        assert {queue: taken.count(queue) for queue in set(taken)} == {"q/b": 2, "q/c": 40, "q/d": 5}
        assert len(await store.claim("q/", 0, LEASE_MS, 60, of_each=0, rooms={"q/b": 3})) == 3
        assert await store.claim("q/", 0, LEASE_MS, 60, of_each=0) == []

    async def test_queues_left_out_take_no_turns(self, store: Store) -> None:
        queues = [f"q/{n:02}" for n in range(12)]
        await store.transact([Enqueue(queue, b"", 0) for queue in queues for _ in range(4)])
        out = dict.fromkeys(queues[:10], 0)
        served = [(await store.claim("q/", 0, LEASE_MS, 1, rooms=out))[0].queue for _ in range(8)]
        assert served.count(queues[10]) == served.count(queues[11]) == 4
        assert await store.claim("q/", 0, LEASE_MS, 1, rooms=out) == []

    async def test_concurrent_claims_never_share_an_item(self, store: Store) -> None:
        await store.transact([Enqueue(f"q/{n % 5}", b"", 0) for n in range(500)])
        claims = await asyncio.gather(*(store.claim("q/", 0, LEASE_MS, 20) for _ in range(40)))
        taken = [(item.queue, item.item_id) for items in claims for item in items]
        assert len(taken) == len(set(taken)) == 500

    async def test_nothing_is_claimed_for_no_room(self, store: Store) -> None:
        await store.transact([Enqueue("q", b"", 0)])
        assert await store.claim("q", 0, LEASE_MS, 0) == []

    async def test_next_due(self, store: Store) -> None:
        assert await store.next_due("q/") is None
        await store.transact([Enqueue("q/a", b"", 700), Enqueue("q/b", b"", 300), Enqueue("r", b"", 1)])
        assert await store.next_due("q/") == 300
        assert await store.next_due("q/a") == 700
        (item,) = await store.claim("q/", 300, 100, 1)
        assert await store.next_due("q/") == 400  # the end of the lease
        await store.transact([Done(item.queue, item.item_id, item.lease)])
        assert await store.next_due("q/") == 700

    async def test_next_due_without_some_queues(self, store: Store) -> None:
        await store.transact([Enqueue(f"q/{name}", b"", due) for name, due in (("a", 3), ("b", 1), ("b", 9), ("c", 2))])
        assert await store.next_due("q/", without=["q/b"]) == 2
        assert await store.next_due("q/", without=["q/b", "q/c", "q/none"]) == 3
        assert await store.next_due("q/", without=["q/a", "q/b", "q/c"]) is None

    async def test_what_lies_too_far_ahead_is_brought_forward(self, store: Store) -> None:
        await store.transact([Enqueue("q/a", b"far", 9000), Enqueue("q/b", b"near", 100), Enqueue("r", b"", 9000)])
        await store.transact([Enqueue("q/c", b"held", 0)])
        (held,) = await store.claim("q/c", 0, 10**6, 1)
        assert await store.bring_forward("q/", 1000, 50) == 1
        assert await store.next_due("q/") == 50
        (item,) = await store.claim("q/", 50, LEASE_MS, 5)
        assert (item.body, item.due_at_ms) == (b"far", 50)
        assert await store.next_due("r") == 9000
        await store.transact([Done("q/c", held.item_id, held.lease)])

    async def test_queue_depth_counts_everything_on_it(self, store: Store) -> None:
        await store.transact([Enqueue("q", b"", due) for due in (0, 0, 10**12)])
        await store.transact([Enqueue("q2", b"", 0)])
        await store.claim("q", 0, LEASE_MS, 1)
        assert await store.queue_depth("q") == 3
        assert await store.queue_depth("nothing") == 0
        await store.transact([Enqueue("other", b"", 0)])
        assert await store.queue_depths("q") == {"q": 3, "q2": 1}
        assert await store.queue_depths("nothing") == {}

    async def test_leases_of_a_dead_node_are_freed(self, open_store: Open) -> None:
        store = open_store(owner="node-1")
        await store.transact([Enqueue("q", b"%d" % n, 5) for n in range(3)])
        (held,) = await store.claim("q", 10, 10**9, 1)
        assert await store.acquire_lease("collector", "node-1", 10**9, 0)
        await store.close()

        other = open_store(owner="node-2")
        (others,) = await other.claim("q", 10, 10**9, 1)
        assert others.item_id != held.item_id
        assert await other.release_leases("node-1") == 1
        assert await other.acquire_lease("collector", "node-2", 10**9, 0)
        bodies = {item.body for item in await other.claim("q", 10, 10**9, 10)}
        assert bodies == {b"0", b"1", b"2"} - {others.body}
        with pytest.raises(Conflict):
            await other.transact([Done("q", held.item_id, held.lease)])
        assert await other.release_leases() == 3
        assert len(await other.claim("q", 10, 10**9, 10)) == 3
        await other.close()

    async def test_a_freed_item_keeps_its_due_time_and_attempts(self, store: Store) -> None:
        await store.transact([Enqueue("q", b"", 5)])
        await store.claim("q", 10, 10**9, 1)
        await store.release_leases()
        assert await store.next_due("q") == 5
        (item,) = await store.claim("q", 10, 10, 1)
        assert (item.due_at_ms, item.attempts) == (5, 2)

    async def test_what_a_lost_claim_took_is_freed(self, store: Store) -> None:
        await store.transact([Enqueue("q/a", b"%d" % n, 5) for n in range(4)] + [Enqueue("r", b"", 5)])
        (kept,) = await store.claim("q/", 10, 10**9, 1)
        lost = await store.claim("q/", 10, 10**9, 2)
        await store.claim("r", 10, 10**9, 1)
        assert await store.release_items("q/", but=[kept.lease]) == 2
        again = await store.claim("q/", 10, 10**9, 10)
        assert {item.item_id for item in lost} < {item.item_id for item in again}
        assert kept.item_id not in {item.item_id for item in again} and len(again) == 3
        await store.transact([Done("q/a", kept.item_id, kept.lease)])
        assert await store.next_due("r") == 10 + 10**9

    # -- counters and leases

    async def test_counters_add_up(self, store: Store) -> None:
        assert await store.counter("c") == 0
        await asyncio.gather(*(store.transact([Add("c", n), Add("other", -1)]) for n in range(100)))
        assert await store.counter("c") == 4950
        assert await store.counter("other") == -100

    async def test_a_named_lease_has_one_holder(self, store: Store) -> None:
        assert await store.acquire_lease("l", "me", 100, now_ms=0)
        assert not await store.acquire_lease("l", "you", 100, now_ms=99)
        assert await store.acquire_lease("l", "me", 100, now_ms=99)
        assert not await store.acquire_lease("l", "you", 100, now_ms=198)
        assert await store.acquire_lease("l", "you", 100, now_ms=199)
        assert not await store.acquire_lease("l", "me", 100, now_ms=200)
        assert await store.acquire_lease("another", "me", 100, now_ms=0)

    async def test_a_named_lease_can_be_given_up(self, store: Store) -> None:
        assert await store.acquire_lease("l", "me", 100, now_ms=0)
        await store.release_lease("l", "you")
        assert not await store.acquire_lease("l", "you", 100, now_ms=0)
        await store.release_lease("l", "me")
        assert await store.acquire_lease("l", "you", 100, now_ms=0)

    # -- life

    async def test_everything_is_there_after_reopening(self, open_store: Open) -> None:
        store = open_store()
        revision = await store.transact([Put("k", "a", b"1"), Add("c", 3), Enqueue("q", b"x", 7)])
        await store.close()
        store = open_store()
        assert await store.get("k", "a") == Record("k", "a", revision, b"1")
        assert await store.counter("c") == 3
        (item,) = await store.claim("q", 7, 1, 1)
        assert isinstance(item, QueueItem) and item.body == b"x"
        await store.close()

    async def test_close_finishes_what_was_begun_and_refuses_the_rest(self, open_store: Open) -> None:
        store = open_store()
        begun = [asyncio.ensure_future(store.transact([Put("k", str(n), b"")])) for n in range(50)]
        await asyncio.sleep(0)
        await store.close()
        assert len(await asyncio.gather(*begun)) == 50
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: store.transact([]),
            lambda: store.get("k", "1"),
            lambda: store.claim("q", 0, 1, 1),
        ]
        for call in calls:
            with pytest.raises(StoreClosed):
                await call()
        await store.close()
        store = open_store()
        assert len(await store.scan("k")) == 50
        await store.close()

    async def test_a_cancelled_caller_harms_nobody(self, store: Store) -> None:
        calls = [asyncio.ensure_future(store.transact([Put("k", str(n), b"")])) for n in range(20)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, int) for result in results[1::2])
        await store.transact([Put("k", "after", b"")])
        assert {"1", "19", "after"} <= {record.key for record in await store.scan("k")}
