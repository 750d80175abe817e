"""Deliveries of log events, whenever their node ends: each event is accepted once, and none before there is room."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import random
from pathlib import Path

from pilotlight.catalog.records import FunctionVersion
from pilotlight.clock import SystemClock
from pilotlight.observe.logs import LogStore
from pilotlight.settings import Settings
from pilotlight.store.interface import Done, Enqueue, Put
from pilotlight.store.sqlite import open_sqlite
from pilotlight.triggers.log_deliveries import LogDeliveries
from pilotlight.triggers.log_subscriptions import CURSOR_KIND, LogSubscriptions
from pilotlight.wire.messages import Call
from tests.support import eventually_async

ARN = "arn:aws:lambda:r:1:function:f"
FUNCTION = FunctionVersion(
    account="1",
    region="r",
    name="f",
    version="$LATEST",
    runtime="python3.12",
    handler="app.handler",
    role="arn:aws:iam::1:role/r",
    memory_mib=128,
    code_blob="",
    code_sha256="",
    code_size=0,
)


class Parts:
    """A log store, a store and deliveries into one of its queues, as a node has them; opened and closed again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._now_ms = 0

    async def __aenter__(self) -> Parts:
        self.store = open_sqlite(self._path, clock=SystemClock())
        self.log_store = LogStore(self._path / "logs", SystemClock(), Settings())
        await self.log_store.start()
        self.subscriptions = LogSubscriptions(
            store=self.store,
            log_store=self.log_store,
            clock=SystemClock(),
            resolve=lambda account, region, function_ref, qualifier: FUNCTION,
            may_invoke=lambda *_: True,
        )
        await self.subscriptions.load()
        self.deliveries = LogDeliveries(
            store=self.store,
            log_store=self.log_store,
            subscriptions=self.subscriptions,
            enqueue_event=lambda arn, payload, *_: Enqueue("taken", payload, 0),
        )
        await self.deliveries.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.deliveries.stop()
        await self.log_store.stop()
        await self.store.close()

    async def put_filter(self) -> None:
        params = {"logGroupName": "g", "filterName": "f", "filterPattern": "", "destinationArn": ARN}
        call = Call("PutSubscriptionFilter", params, "1", "r", "id")
        await self.subscriptions.handlers()["PutSubscriptionFilter"](call)

    async def taken(self) -> list[str]:
        self._now_ms += 10  # the lease of the last time is over
        items = await self.store.claim("taken", self._now_ms, 1, 100_000)
        data = [json.loads(item.body)["awslogs"]["data"] for item in items]
        unpacked = [json.loads(gzip.decompress(base64.b64decode(text))) for text in data]
        return [event["message"] for message in unpacked for event in message["logEvents"]]


async def test_each_event_is_accepted_once_whenever_the_node_ends(tmp_path: Path) -> None:
    chance = random.Random(11)
    written = 0
    for round_number in range(6):
        async with Parts(tmp_path) as parts:
            stream = parts.log_store.stream("1", "r", "g", f"s{round_number}")
            if round_number == 0:
                stream.append(1, "before\n")
                await parts.log_store.read(lambda database: None)
                await parts.put_filter()
            for _ in range(300):
                stream.append(2 + written, f"{written}\n")
                written += 1
            await parts.log_store.read(lambda database: None)
            await asyncio.sleep(chance.random() * 0.5)  # not to wait for anything: it ends at any moment
    async with Parts(tmp_path) as parts:

        async def all_there() -> bool:
            return len(await parts.taken()) >= written

        await eventually_async(all_there)
        assert sorted(map(int, await parts.taken())) == list(range(written))


async def test_a_function_that_does_not_keep_up_makes_its_events_wait_in_the_log(tmp_path: Path) -> None:
    async with Parts(tmp_path) as parts:
        stream = parts.log_store.stream("1", "r", "g", "s")
        stream.append(1, "before\n")
        await parts.log_store.read(lambda database: None)
        await parts.put_filter()
        busy = [Enqueue("async/1/r/f", b"", 0, item_id=str(n)) for n in range(100)]
        await parts.store.transact(busy)
        stream.append(2, "after\n")
        await parts.log_store.read(lambda database: None)
        await asyncio.sleep(0.5)
        assert await parts.taken() == []
        for item in await parts.store.claim("async/", 1, 60_000, 100):
            await parts.store.transact([Done(item.queue, item.item_id, item.lease)])

        async def there() -> bool:
            return await parts.taken() == ["after\n"]

        await eventually_async(there)


async def test_a_log_database_that_was_cut_short_loses_no_events_to_come(tmp_path: Path) -> None:
    """As after a loss of power: the store knows blocks that the log database has not any more."""
    async with Parts(tmp_path) as parts:
        parts.log_store.stream("1", "r", "g", "s").append(1, "before\n")
        await parts.log_store.read(lambda database: None)
        await parts.put_filter()
    store = open_sqlite(tmp_path, clock=SystemClock())
    (record,) = await store.scan(CURSOR_KIND)
    await store.transact([Put(CURSOR_KIND, record.key, b"%d" % (int(record.body) + 1000))])
    await store.close()
    async with Parts(tmp_path) as parts:
        stream = parts.log_store.stream("1", "r", "g", "s")
        for number in range(3):
            stream.append(2 + number, f"{number}\n")
            await parts.log_store.read(lambda database: None)

        async def all_there() -> bool:
            return sorted(await parts.taken()) == ["0\n", "1\n", "2\n"]

        await eventually_async(all_there)
