"""The way in for every invocation: resolve the version, admit it, run it or put it on the durable queue.

`submit` is the hot path: no awaiting, no SQL, one callback. A trigger, a poller and the front all come through here;
nothing else starts an invocation. Statuses: 200 with the payload (function errors included), 202 accepted for later,
204 dry run.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable
from typing import Protocol

import msgspec

from pilotlight.catalog.held import RUNS
from pilotlight.catalog.records import FunctionVersion
from pilotlight.clock import Clock
from pilotlight.environments.invocation import Invocation, Outcome
from pilotlight.environments.pool import Pool
from pilotlight.environments.room import NoRoom
from pilotlight.errors import AwsError, RecursiveInvocationException, ServiceException, ServiceUnavailableException
from pilotlight.invoke.admission import RATE_EXCEEDED, Admission, Seat, throttled
from pilotlight.invoke.async_event import AsyncEvent, enqueue
from pilotlight.invoke.invocable import check, qualifier_of
from pilotlight.invoke.messages import InvokeReply, InvokeRequest
from pilotlight.invoke.tracing import Tracing
from pilotlight.observe.counters import Counters
from pilotlight.observe.trace import Trace
from pilotlight.store.interface import Store

logger = logging.getLogger(__name__)

Reply = Callable[[InvokeReply], None]

_DRY_RUN = InvokeReply(status=204)


class Resolver(Protocol):
    def resolve(
        self, account: str, region: str, function_ref: str, qualifier: str | None, caller: str = ""
    ) -> FunctionVersion: ...


class Invoker:
    def __init__(
        self,
        *,
        resolver: Resolver,
        pool: Pool,
        store: Store,
        clock: Clock,
        counters: Counters,
        tracing: Tracing,
        admission: Admission,
    ) -> None:
        self._resolve = resolver.resolve
        self._pool = pool
        self._store = store
        self._clock = clock
        self.counters = counters
        self.tracing = tracing
        self.admission = admission
        self._draining = False
        self._quiet = asyncio.Event()
        self._accepting: set[asyncio.Task[None]] = set()

    def submit(self, request: InvokeRequest, reply: Reply) -> None:
        """Serve one call; `reply` is called exactly once, perhaps before this returns. Never raises."""
        try:
            if self._draining:
                raise ServiceUnavailableException("The node is stopping.")
            version = self._resolve(
                request.account, request.region, request.function, request.qualifier, request.caller
            )
            if version.state != "Active" or version.held or version.runtime not in RUNS or request.extras:
                check(version, request)
            kind = request.invocation_type
            if kind == "RequestResponse":
                self.run(version, request, _SyncCall(version, reply, request).done, paced=True)
            elif kind == "Event":
                task = asyncio.ensure_future(self._accept(version, request, reply))
                self._accepting.add(task)
                task.add_done_callback(self._accepting.discard)
            else:
                reply(_DRY_RUN)
        except AwsError as error:
            reply(InvokeReply(error=error))
        except Exception as error:
            logger.exception("invoking %s", request.function)
            reply(InvokeReply(error=ServiceException(f"The invocation could not be started: {error!r}")))

    def run(
        self, version: FunctionVersion, request: InvokeRequest, done: Callable[[Outcome], None], *, paced: bool = False
    ) -> None:
        """Admit and run on an environment. Raises TooManyRequestsException when there is no room, and
        RecursiveInvocationException when the request has come this way too often. `paced`: somebody waits for the
        answer, and the rate of such calls is limited.

        The caller has seen to it that `version` is one that may run (invocable.py).
        """
        qualifier = qualifier_of(request)
        try:
            seat = self.admission.enter(version, paced)
        except AwsError:
            self.counters.throttled(version, qualifier)
            raise
        try:
            admitted = _Admitted(self, seat, version, qualifier, done)
            self._pool.run(version, self._invocation(version, qualifier, request, admitted.done))
        except RecursiveInvocationException:
            self.admission.withdraw(seat, version)
            logger.warning("%s is in a recursive loop and is not invoked", version.function_arn)
            self.counters.count("RecursiveInvocationsDropped", version, qualifier)
            raise
        except NoRoom as full:
            self.admission.withdraw(seat, version)
            self.counters.throttled(version, qualifier)
            raise throttled(self.admission.reason(version), f"{RATE_EXCEEDED} {full}.") from full
        except Exception:
            self.admission.withdraw(seat, version)
            raise

    def _invocation(
        self, version: FunctionVersion, qualifier: str | None, request: InvokeRequest, done: Callable[[Outcome], None]
    ) -> Invocation:
        arn = version.function_arn
        client_context = request.client_context
        tracing = self.tracing
        trace: Trace | None = None
        if request.trace_header is None and version.tracing not in tracing.decides_for:
            request.trace_header = tracing.not_sampled(version, request.trace_root)
        else:
            trace = tracing.begin(version, request)
        return Invocation(
            request.request_id,
            request.payload,
            f"{arn}:{qualifier}" if qualifier else arn,
            request.trace_header or "",
            done,
            client_context=base64.b64decode(client_context).decode() if client_context else "",
            log_tail=request.log_tail,
            stream=request.stream,
            trace=trace,
        )

    async def _accept(self, version: FunctionVersion, request: InvokeRequest, reply: Reply) -> None:
        """Put an Event on the durable queue; 202 once it is on disk."""
        header = self.tracing.accept(version, request)
        event = AsyncEvent(
            account=version.account,
            region=version.region,
            function=version.name,
            qualifier=qualifier_of(request),
            request_id=request.request_id,
            payload=request.payload,
            caller=request.caller,
            source=request.source,
            trace_header=header,
            accepted_ms=self._clock.steady_ms(),
        )
        try:
            await self._store.transact([enqueue(event)])
        except Exception as error:
            reply(InvokeReply(error=ServiceException(f"The event could not be stored: {error}")))
            return
        self.counters.count("AsyncEventsReceived", version, event.qualifier)
        reply(InvokeReply(status=202, trace_header=header))

    def left(self, seat: Seat) -> None:
        seat.leave()
        if self._draining and not self.admission.in_flight:
            self._quiet.set()

    async def drain(self, seconds: float) -> bool:
        """Take nothing new; wait for what is running. True when all of it finished in time."""
        self._draining = True
        if self.admission.in_flight:
            try:
                async with asyncio.timeout(seconds):
                    await self._quiet.wait()
            except TimeoutError:
                return False
        return True


class _Admitted:
    """Leaves the admission and counts, whatever the outcome, then passes it on."""

    __slots__ = ("_done", "_invoker", "_qualifier", "_seat", "_version")

    def __init__(
        self,
        invoker: Invoker,
        seat: Seat,
        version: FunctionVersion,
        qualifier: str | None,
        done: Callable[[Outcome], None],
    ) -> None:
        self._invoker = invoker
        self._seat = seat
        self._version = version
        self._qualifier = qualifier
        self._done = done

    def done(self, outcome: Outcome) -> None:
        invoker = self._invoker
        invoker.left(self._seat)
        if not outcome.never_ran:
            invoker.counters.invoked(self._version, self._qualifier, outcome)
            if outcome.trace is not None:
                invoker.tracing.ended(outcome.trace, self._version, self._qualifier, outcome)
        self._done(outcome)


class _SyncCall:
    """A RequestResponse call: turns the outcome into the reply."""

    __slots__ = ("_reply", "_request", "_version")

    def __init__(self, version: FunctionVersion, reply: Reply, request: InvokeRequest) -> None:
        self._version = version
        self._reply = reply
        self._request = request

    def done(self, outcome: Outcome) -> None:
        if outcome.never_ran:
            message = msgspec.json.decode(outcome.payload)["errorMessage"]
            self._reply(InvokeReply(error=ServiceException(message)))
            return
        self._reply(
            InvokeReply(
                200,
                outcome.payload,
                self._version.version,
                outcome.function_error or None,
                outcome.log_tail.encoded() if outcome.log_tail is not None else None,
                None,
                outcome.error_type,
                self._request.trace_header or "",
            )
        )
