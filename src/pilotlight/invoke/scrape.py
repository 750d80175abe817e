"""Answers Prometheus at `GET /_pilotlight/metrics`: what this node is now, and what it did since it started.

Everything is counted elsewhere; here it is gathered, and the page is written in a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from pilotlight import __version__
from pilotlight.environments.pool import Pool
from pilotlight.invoke import async_event, deliveries
from pilotlight.invoke.admission import Admission
from pilotlight.observe import exposition
from pilotlight.observe.counters import Counters
from pilotlight.observe.exposition import Gauge
from pilotlight.observe.logs import LogStore
from pilotlight.store.interface import Store
from pilotlight.wire.messages import WireResponse

logger = logging.getLogger(__name__)

_MIB = 1_048_576


class Scrape:
    def __init__(
        self, *, counters: Counters, pool: Pool, admission: Admission, store: Store, log_store: LogStore
    ) -> None:
        self._counters = counters
        self._pool = pool
        self._admission = admission
        self._store = store
        self._log_store = log_store

    async def answer(self, query: str) -> WireResponse:
        try:
            await self._counters.flush()
        except Exception as error:
            # A full disk does not blind those who watch it: what was counted is in the totals.
            logger.warning("counts could not be stored, and are only in the totals: %s", error)
        gauges = [*self._gauges(), *await self._queues()]
        totals = self._counters.totals
        body = await asyncio.to_thread(lambda: exposition.page(totals.lines(), gauges))
        return WireResponse(200, {"content-type": exposition.CONTENT_TYPE}, body)

    def _gauges(self) -> Iterator[Gauge]:
        yield "pilotlight_info", {"version": __version__}, 1.0
        yield "pilotlight_concurrent_executions", {}, float(self._admission.in_flight)
        for state, count in self._pool.statistics().items():
            yield "pilotlight_environments", {"state": state}, float(count)
        room = self._pool.room
        yield "pilotlight_environments_memory_bytes", {}, float(room.used_mib() * _MIB)
        yield "pilotlight_environments_memory_limit_bytes", {}, float(room.budget_mib * _MIB)
        logs = self._log_store.statistics()
        yield "pilotlight_log_events_stored_total", {}, float(logs.stored_events)
        yield "pilotlight_log_events_dropped_total", {}, float(logs.dropped_events)
        yield "pilotlight_log_waiting_bytes", {}, float(logs.waiting)

    async def _queues(self) -> list[Gauge]:
        gauges: list[Gauge] = []
        for queue, depth in (await self._store.queue_depths(async_event.QUEUE_PREFIX)).items():
            account, region, function = queue.removeprefix(async_event.QUEUE_PREFIX).split("/", 2)
            place = {"account": account, "region": region, "function": function}
            gauges.append(("pilotlight_async_queue_events", place, float(depth)))
        for queue, depth in (await self._store.queue_depths(deliveries.QUEUE_PREFIX)).items():
            target = queue.removeprefix(deliveries.QUEUE_PREFIX)
            gauges.append(("pilotlight_deliveries_waiting", {"target": target}, float(depth)))
        return gauges
