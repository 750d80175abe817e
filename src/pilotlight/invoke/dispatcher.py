"""Runs what lies on the asynchronous queue: claims due events, invokes, and retries as Lambda does.

A function error is retried after one minute, then after two; a throttle or a failure of ours goes back with 1 s to
5 min of back-off until the event is six hours old. The event invoke config of the qualifier that was invoked may allow
fewer retries and a lower age. An event leaves the queue only in the transaction that says it is done, and that sends
its result to destinations and dead letter queues: a node killed at any moment runs it again, so delivery is at least
once. Source: developer guide, "How Lambda handles errors and retries with asynchronous invocation".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial

from pilotlight.catalog.attached import EventInvokeConfig
from pilotlight.catalog.catalog import Catalog
from pilotlight.catalog.records import LATEST, FunctionVersion
from pilotlight.clock import Clock
from pilotlight.environments.invocation import Outcome
from pilotlight.errors import (
    AccessDeniedException,
    AwsError,
    RecursiveInvocationException,
    ResourceNotFoundException,
    TooManyRequestsException,
)
from pilotlight.invoke.async_event import QUEUE_PREFIX, AsyncEvent, decode, encode
from pilotlight.invoke.invocable import check
from pilotlight.invoke.invoker import Invoker
from pilotlight.invoke.messages import InvokeRequest
from pilotlight.invoke.results import Condition, Ending, Response, changes, refused
from pilotlight.store.interface import Change, Done, QueueItem, Retry, Store

logger = logging.getLogger(__name__)

RETRY_WAITS_MS = (60_000, 120_000)
BACKOFF_FIRST_MS = 1_000
BACKOFF_LAST_MS = 300_000
MAX_AGE_MS = 6 * 3600 * 1000
#: longer than any function may run; a node that dies gives its leases back when it starts again
LEASE_MS = 20 * 60 * 1000
_DEFAULTS = EventInvokeConfig()
_LOOK_AGAIN_MS = 60_000


class Dispatcher:
    def __init__(
        self,
        *,
        store: Store,
        invoker: Invoker,
        catalog: Catalog,
        clock: Clock,
        limit: int,
        permitted: Callable[[AsyncEvent], bool],
    ) -> None:
        """`limit` is how many events run at once; `permitted` tells whether a trigger may still invoke."""
        self._store = store
        self._invoker = invoker
        self._catalog = catalog
        self._clock = clock
        self._limit = limit
        self._permitted = permitted
        self._running = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._settling: set[asyncio.Task[None]] = set()
        self._unsubscribe: Callable[[], None] | None = None

    @property
    def in_flight(self) -> int:
        """Events that run, or whose end is being recorded."""
        return self._running + len(self._settling)

    def start(self) -> None:
        self._unsubscribe = self._store.subscribe(self._wake.set, on="queue")
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Claim nothing more, and record what has ended."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        while self._settling:
            await asyncio.gather(*self._settling, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                room = self._limit - self._running
                items = await self._claim(room) if room > 0 else []
                for item in items:
                    self._begin(item)
                if not items or self._running >= self._limit:
                    await self._wait()
            except Exception:
                logger.exception("the asynchronous queue could not be read; trying again")
                await asyncio.sleep(1)

    async def _claim(self, room: int) -> list[QueueItem]:
        return await self._store.claim(QUEUE_PREFIX, self._clock.time_ms(), LEASE_MS, room)

    async def _wait(self) -> None:
        """Until something was committed or ended, or the next event is due."""
        due_ms = None if self._running >= self._limit else await self._store.next_due(QUEUE_PREFIX)
        until_ms = due_ms if due_ms is not None else self._clock.time_ms() + _LOOK_AGAIN_MS
        woken = asyncio.ensure_future(self._wake.wait())
        due = asyncio.ensure_future(self._clock.sleep_until(until_ms))
        try:
            await asyncio.wait({woken, due}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            due.cancel()

    def _begin(self, item: QueueItem) -> None:
        self._running += 1
        try:
            self._run_event(item, decode(item.body))
        except Exception:
            # Not lost: its lease ends, and it runs again; and nothing keeps the others waiting.
            self._running -= 1
            logger.exception("the event %s could not be started", item.item_id)

    def _run_event(self, item: QueueItem, event: AsyncEvent) -> None:
        version: FunctionVersion | None = None

        def done(outcome: Outcome) -> None:
            assert version is not None
            self._ended(partial(self._after, item, event, version, outcome, request.trace_header or ""))

        try:
            if not self._permitted(event):
                raise ResourceNotFoundException(f"{event.source} may no longer invoke {event.function}")
            version = self._catalog.resolve(
                event.sender or event.account,
                event.region,
                f"{event.account}:function:{event.function}",
                event.qualifier,
                event.caller,
            )
            if self._invoker.admission.reserves_nothing(version):
                self._ended(partial(self._end, item, event, version, "ZeroReservedConcurrency"))
                return
            if self._clock.time_ms() > self._expires_ms(event):
                self._ended(partial(self._end, item, event, version, "EventAgeExceeded"))
                return
            request = InvokeRequest(
                event.account,
                event.region,
                event.function,
                event.qualifier,
                event.request_id,
                event.payload,
                trace_header=event.trace_header or None,
                source=event.source,
                accepted_ms=event.accepted_ms,
            )
            check(version, request)
            self._invoker.run(version, request, done)
        except (ResourceNotFoundException, AccessDeniedException) as error:
            logger.warning("event %s is dropped: %s", event.request_id, error)
            self._ended(lambda: [Done(item.queue, item.item_id, item.lease)])
        except RecursiveInvocationException as error:
            self._ended(partial(self._end, item, event, version, "RecursiveLoopDetected", refused(error)))
        except AwsError as error:
            if not isinstance(error, TooManyRequestsException):
                logger.warning("event %s waits: %s", event.request_id, error)
            self._ended(partial(self._back_off, item, event, version, refused(error)))

    def _after(
        self, item: QueueItem, event: AsyncEvent, version: FunctionVersion, outcome: Outcome, trace_header: str
    ) -> list[Change]:
        if outcome.never_ran:
            return self._back_off(item, event, version, Response(500, outcome.payload))
        response = Response(200, outcome.payload, outcome.function_error, trace_header=trace_header)
        if not outcome.function_error:
            return self._end(item, event, version, "Success", response)
        event.failures += 1
        allowed = self._config(event).maximum_retry_attempts
        if event.failures > (len(RETRY_WAITS_MS) if allowed is None else allowed):
            return self._end(item, event, version, "RetriesExhausted", response)
        due_at_ms = self._clock.time_ms() + RETRY_WAITS_MS[event.failures - 1]
        if due_at_ms > self._expires_ms(event):
            return self._end(item, event, version, "EventAgeExceeded", response)
        return [Retry(item.queue, item.item_id, item.lease, due_at_ms, encode(event))]

    def _back_off(
        self, item: QueueItem, event: AsyncEvent, version: FunctionVersion | None, response: Response
    ) -> list[Change]:
        now_ms, expires_ms = self._clock.time_ms(), self._expires_ms(event)
        if now_ms >= expires_ms:
            return self._end(item, event, version, "EventAgeExceeded", response)
        wait_ms = min(BACKOFF_FIRST_MS << min(event.refusals, 20), BACKOFF_LAST_MS)
        event.refusals += 1
        due_at_ms = min(now_ms + wait_ms, expires_ms)
        return [Retry(item.queue, item.item_id, item.lease, due_at_ms, encode(event))]

    def _end(
        self,
        item: QueueItem,
        event: AsyncEvent,
        version: FunctionVersion | None,
        condition: Condition,
        response: Response | None = None,
    ) -> list[Change]:
        """The event leaves the queue, and its result goes where it is to go."""
        done = Done(item.queue, item.item_id, item.lease)
        if condition != "Success":
            logger.info("event %s of %s is given up: %s", event.request_id, event.function, condition)
        if version is None:
            return [done]
        count = event.failures + (1 if condition == "Success" else 0)
        ending = Ending(event, version, condition, count, self._clock.time_ms(), response)
        return [done, *changes(ending, self._config(event))]

    def _config(self, event: AsyncEvent) -> EventInvokeConfig:
        """How the qualifier that was invoked is to be retried; a function's own config is that of $LATEST."""
        view = self._catalog.function(event.account, event.region, event.function)
        configs = view.function.event_invokes if view else {}
        return configs.get(event.qualifier or LATEST, _DEFAULTS)

    def _expires_ms(self, event: AsyncEvent) -> int:
        age_s = self._config(event).maximum_event_age_s
        return event.accepted_ms + (MAX_AGE_MS if age_s is None else age_s * 1000)

    def _ended(self, decide: Callable[[], list[Change]]) -> None:
        """It runs no more; what becomes of it is decided and recorded in a task: an environment that has just ended an
        invocation must not meet what goes wrong with that."""
        self._running -= 1
        task = asyncio.create_task(self._record(decide))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _record(self, decide: Callable[[], list[Change]]) -> None:
        try:
            await self._store.transact(decide())
        except Exception:
            # Not lost: its lease ends, and it runs again. At least once is the promise.
            logger.exception("the end of an event could not be recorded")
        finally:
            self._wake.set()
