"""Runs what lies on the asynchronous queues: invokes, and retries as Lambda does. The queue worker claims and records.

A function error is retried after one minute, then after two; a throttle or a failure of ours goes back with 1 s to
5 min of back-off until the event is six hours old, and its function's queue is read more slowly meanwhile. The event
invoke config of the qualifier that was invoked may allow fewer retries and a lower age. An event leaves the queue only
in the transaction that says it is done, and that sends its result to destinations and dead letter queues: a node
killed at any moment runs it again, so delivery is at least once. Ages and waits are of the clock's steady time.
Source: developer guide, "How Lambda handles errors and retries with asynchronous invocation".
"""

from __future__ import annotations

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
from pilotlight.invoke.deliveries import DESTINATION_FAILURES
from pilotlight.invoke.invocable import check
from pilotlight.invoke.invoker import Invoker
from pilotlight.invoke.lanes import Bounds
from pilotlight.invoke.messages import InvokeRequest
from pilotlight.invoke.queue_worker import QueueWorker, Work
from pilotlight.invoke.results import Condition, Ending, Response, refused, sent
from pilotlight.store.interface import Change, Done, Retry, Store

logger = logging.getLogger(__name__)

RETRY_WAITS_MS = (60_000, 120_000)
BACKOFF_FIRST_MS = 1_000
BACKOFF_LAST_MS = 300_000
MAX_AGE_MS = 6 * 3600 * 1000
#: events of one function at once, unless they are slow: enough to keep it busy while the next ones are claimed
_OF_ONE_FUNCTION = 32
_DEFAULTS = EventInvokeConfig()


class Dispatcher:
    """`start`, `stop`."""

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
        self._invoker = invoker
        self._catalog = catalog
        self._clock = clock
        self._counters = invoker.counters
        self._permitted = permitted
        bounds = Bounds(total=limit, base=min(_OF_ONE_FUNCTION, limit), most=limit)
        self._worker = QueueWorker(store=store, clock=clock, prefix=QUEUE_PREFIX, bounds=bounds, handle=self._begin)
        self.start = self._worker.start
        self.stop = self._worker.stop

    @property
    def in_flight(self) -> int:
        """Events that run, or whose end is being recorded."""
        return self._worker.in_hand

    def received(self, event: AsyncEvent) -> None:
        """Count an event that was put on the queue by another than a client."""
        view = self._catalog.function(event.account, event.region, event.function)
        version = view.version_of(event.qualifier) if view else None
        if version is not None:
            self._counters.count("AsyncEventsReceived", version, event.qualifier)

    def _begin(self, work: Work) -> None:
        event = decode(work.item.body)
        version: FunctionVersion | None = None

        def done(outcome: Outcome) -> None:
            assert version is not None
            if outcome.never_ran:
                self._refuse(work, event, version, Response(500, outcome.payload))
            else:
                work.end(partial(self._after, work, event, version, outcome, request.trace_header or ""))

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
                work.end(partial(self._end, work, event, version, "ZeroReservedConcurrency"))
                return
            now_ms = self._clock.steady_ms()
            if now_ms > self._expires_ms(event):
                work.end(partial(self._end, work, event, version, "EventAgeExceeded"))
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
            self._counters.observe("AsyncEventAge", version, event.qualifier, max(0, now_ms - event.accepted_ms))
        except (ResourceNotFoundException, AccessDeniedException) as error:
            logger.warning("event %s is dropped: %s", event.request_id, error)
            work.end(partial(self._drop, work, event))
        except RecursiveInvocationException as error:
            work.end(partial(self._end, work, event, version, "RecursiveLoopDetected", refused(error)))
        except AwsError as error:
            if not isinstance(error, TooManyRequestsException):
                logger.warning("event %s waits: %s", event.request_id, error)
            self._refuse(work, event, version, refused(error))

    def _refuse(self, work: Work, event: AsyncEvent, version: FunctionVersion | None, response: Response) -> None:
        """A throttle or a failure of ours: whoever comes next of this function would fare no better just now."""
        work.refuse(partial(self._back_off, work, event, version, response), self._clock.steady_ms() + BACKOFF_FIRST_MS)

    def _after(
        self, work: Work, event: AsyncEvent, version: FunctionVersion, outcome: Outcome, trace_header: str
    ) -> list[Change]:
        response = Response(200, outcome.payload, outcome.function_error, trace_header=trace_header)
        if not outcome.function_error:
            return self._end(work, event, version, "Success", response)
        event.failures += 1
        allowed = self._config(event).maximum_retry_attempts
        if event.failures > (len(RETRY_WAITS_MS) if allowed is None else allowed):
            return self._end(work, event, version, "RetriesExhausted", response)
        due_at_ms = self._clock.steady_ms() + RETRY_WAITS_MS[event.failures - 1]
        if due_at_ms > self._expires_ms(event):
            return self._end(work, event, version, "EventAgeExceeded", response)
        return [self._again(work, event, due_at_ms)]

    def _back_off(
        self, work: Work, event: AsyncEvent, version: FunctionVersion | None, response: Response
    ) -> list[Change]:
        now_ms, expires_ms = self._clock.steady_ms(), self._expires_ms(event)
        if now_ms >= expires_ms:
            return self._end(work, event, version, "EventAgeExceeded", response)
        wait_ms = min(BACKOFF_FIRST_MS << min(event.refusals, 20), BACKOFF_LAST_MS)
        event.refusals += 1
        return [self._again(work, event, min(now_ms + wait_ms, expires_ms))]

    def _again(self, work: Work, event: AsyncEvent, due_at_ms: int) -> Change:
        item = work.item
        return Retry(item.queue, item.item_id, item.lease, due_at_ms, encode(event))

    def _end(
        self,
        work: Work,
        event: AsyncEvent,
        version: FunctionVersion | None,
        condition: Condition,
        response: Response | None = None,
    ) -> list[Change]:
        """The event leaves the queue, and its result goes where it is to go."""
        done = _done(work)
        if version is None:
            return [done]
        if condition != "Success":
            logger.info("event %s of %s is given up: %s", event.request_id, event.function, condition)
            self._counters.count("AsyncEventsDropped", version, event.qualifier)
        attempts = event.failures + (1 if condition == "Success" else 0)
        now_ms, steady_ms = self._clock.time_ms(), self._clock.steady_ms()
        ending = Ending(event, version, condition, attempts, now_ms, steady_ms, response)
        result = sent(ending, self._config(event), partial(self._may_invoke, version))
        for why in result.lost:
            logger.warning("the result of event %s of %s is lost: %s", event.request_id, event.function, why)
            self._counters.count(DESTINATION_FAILURES, version, event.qualifier)
        if result.event is not None:
            self.received(result.event)
        return [done, *result.changes]

    def _drop(self, work: Work, event: AsyncEvent) -> list[Change]:
        """Its function or qualifier is gone, or may not be invoked any more: there is nobody to tell."""
        view = self._catalog.function(event.account, event.region, event.function)
        version = view.version_of(None) if view else None
        if version is not None:
            self._counters.count("AsyncEventsDropped", version, event.qualifier)
        return [_done(work)]

    def _may_invoke(self, sender: FunctionVersion, arn: str) -> str:
        """Why the role of `sender` cannot invoke the function `arn`; "" when it can."""
        region = arn.split(":")[3]
        try:
            self._catalog.resolve(sender.account, region, arn, None, sender.role)
        except AwsError as error:
            return error.message
        return ""

    def _config(self, event: AsyncEvent) -> EventInvokeConfig:
        """How the qualifier that was invoked is to be retried; a function's own config is that of $LATEST."""
        view = self._catalog.function(event.account, event.region, event.function)
        configs = view.function.event_invokes if view else {}
        return configs.get(event.qualifier or LATEST, _DEFAULTS)

    def _expires_ms(self, event: AsyncEvent) -> int:
        age_s = self._config(event).maximum_event_age_s
        return event.accepted_ms + (MAX_AGE_MS if age_s is None else age_s * 1000)


def _done(work: Work) -> Change:
    item = work.item
    return Done(item.queue, item.item_id, item.lease)
