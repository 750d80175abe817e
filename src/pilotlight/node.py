"""The composition root: builds one node from Settings, starts its rooms in order and stops them in reverse.

Every room gets what it needs here and nowhere else; reading `_start` from top to bottom is reading what depends on
what. Whatever is acquired goes on one exit stack at the moment it is acquired.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import secrets
import uuid
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from pilotlight import __version__
from pilotlight.catalog.catalog import Catalog
from pilotlight.catalog.credentials import CredentialIssuer, Identity
from pilotlight.catalog.held import not_runnable
from pilotlight.catalog.records import FunctionVersion
from pilotlight.clock import Clock
from pilotlight.environments.code import Code
from pilotlight.environments.machine_memory import MachineMemory
from pilotlight.environments.output_turns import OutputTurns
from pilotlight.environments.pool import Pool
from pilotlight.environments.provisioning import Provisioning
from pilotlight.environments.streaming import StreamLimits
from pilotlight.environments.tools import EnvironmentTools
from pilotlight.front.guard import check_exposure
from pilotlight.front.server import Front
from pilotlight.invoke.admission import Admission
from pilotlight.invoke.async_event import AsyncEvent, enqueue
from pilotlight.invoke.deliveries import Delivery
from pilotlight.invoke.dispatcher import Dispatcher
from pilotlight.invoke.invoker import Invoker
from pilotlight.invoke.scrape import Scrape
from pilotlight.invoke.tracing import Tracing
from pilotlight.neighbours.event_sources import NeighbourEventSources
from pilotlight.neighbours.neighbours import Neighbours
from pilotlight.observe.api import logs_handlers
from pilotlight.observe.billing import prices_of
from pilotlight.observe.bills import Bills
from pilotlight.observe.counters import Counters
from pilotlight.observe.embedded_metrics import EmbeddedMetrics
from pilotlight.observe.logs import LogStore
from pilotlight.observe.monitoring import monitoring_handlers
from pilotlight.observe.otlp import SpanExporter
from pilotlight.observe.trace_header import new_root
from pilotlight.operations.api import lambda_handlers
from pilotlight.operations.code_location import CodeLocation
from pilotlight.operations.collection import collect_unused
from pilotlight.operations.context import OperationsContext
from pilotlight.operations.event_source_mappings import warn_of_unpolled
from pilotlight.runtimes.python.launcher import PythonLauncher
from pilotlight.settings import Settings
from pilotlight.store.blobs import Blobs
from pilotlight.store.interface import Change, Store
from pilotlight.store.packages import Packages
from pilotlight.store.sqlite import open_sqlite
from pilotlight.triggers.deliverer import Deliverer
from pilotlight.triggers.function_urls import FunctionUrls
from pilotlight.triggers.log_deliveries import LogDeliveries
from pilotlight.triggers.log_subscriptions import LogSubscriptions
from pilotlight.triggers.s3_tap import S3Tap
from pilotlight.triggers.targets import Targets
from pilotlight.wire.messages import WireRequest, WireResponse
from pilotlight.wire.service import ServiceApi

logger = logging.getLogger(__name__)

_KEY_BYTES = 32
_COLLECT_EVERY_MS = 3_600_000


class Node:
    """`async with Node(settings, clock=...) as node:` serves inside the block; `port` says where."""

    store: Store
    catalog: Catalog
    log_store: LogStore
    launcher: PythonLauncher
    pool: Pool

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._stack = AsyncExitStack()
        self._draining = False

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        settings, clock = self.settings, self._clock
        check_exposure(settings)
        prices = prices_of(settings.prices)
        data = settings.data_path
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        _raise_file_limit()

        # What is kept: records and queues, packages, logs.
        self.store = store = open_sqlite(data, clock=clock)
        stack.push_async_callback(store.close)
        await store.release_leases()
        key = _secret_key(data / "secret.key")
        credentials = CredentialIssuer(key)
        blobs = Blobs(data / "blobs")
        packages = Packages(data / "packages", blobs, max_unzipped_bytes=settings.max_unzipped_bytes)
        stack.callback(packages.close)
        self.log_store = log_store = LogStore(data / "logs", clock, settings)
        await log_store.start()
        stack.push_async_callback(log_store.stop)
        self.catalog = catalog = await Catalog.open(store, settings, clock)
        stack.push_async_callback(catalog.close)
        counters = Counters(log_store, clock, catalog.function)
        await counters.start()
        stack.push_async_callback(counters.stop)
        embedded_metrics = EmbeddedMetrics(counters.write, clock)
        log_store.embedded = embedded_metrics.take
        stack.push_async_callback(embedded_metrics.stop)

        self._exporter = exporter = SpanExporter(settings, clock) if settings.otlp_endpoint else None
        if exporter is not None:
            exporter.start()
            stack.push_async_callback(exporter.stop)

        # What runs functions.
        admission = Admission(settings.concurrency, settings.request_rate)
        catalog.subscribe_functions(admission.follow)
        counters.watch(admission.take_peaks)
        self.launcher = launcher = PythonLauncher(settings)
        await launcher.start()
        stack.push_async_callback(launcher.stop)
        self._code = code = Code(packages, launcher.interpreter_path)
        self.pool = pool = Pool(
            EnvironmentTools(
                launcher=launcher,
                directories=code.directories,
                runtime_notice=lambda version: launcher.notice(version.runtime),
                log_store=log_store,
                output_turns=OutputTurns(log_store.is_behind),
                credentials=credentials,
                clock=clock,
                endpoint_protocol=self._endpoint_protocol,
                network=settings.network,
                stream_limits=StreamLimits(
                    settings.max_streamed_response_bytes,
                    settings.stream_burst_bytes,
                    settings.stream_bytes_per_s,
                ),
                provisioned_init=counters.provisioned.initialized,
            ),
            idle_s=settings.idle_environment_s,
            max_idle=settings.max_idle_environments,
            scaling_rate=settings.scaling_rate,
            memory_mib=settings.memory_mib,
            available_mib=MachineMemory().available_mib,
            on_allocated=admission.allocated,
        )
        pool.start()
        stack.push_async_callback(pool.stop)
        self._background: set[asyncio.Task[Any]] = set()
        stack.callback(catalog.subscribe(self._version_changed))
        self._invoker = invoker = Invoker(
            resolver=catalog,
            pool=pool,
            store=store,
            clock=clock,
            counters=counters,
            tracing=Tracing(clock, catalog.function, settings.trace_sampling, exporter and exporter.add),
            admission=admission,
        )
        provisioning = Provisioning(catalog, pool)

        # What stands next door, and what it sends.
        self._neighbours = neighbours = Neighbours(settings)
        stack.push_async_callback(neighbours.stop)
        targets = Targets(neighbours.request)
        self._tap = tap = S3Tap(
            settings=settings,
            store=store,
            clock=clock,
            request=neighbours.request,
            targets=targets,
            resolve=catalog.resolve,
            may_invoke=catalog.may_invoke,
            enqueue_event=self._trigger_event,
            is_embedded=neighbours.is_embedded,
        )
        await tap.start()
        deliverer = Deliverer(store, clock, targets, self._delivery_lost)
        await deliverer.start()
        stack.push_async_callback(deliverer.stop)
        neighbours.use_tap(tap)
        subscriptions = LogSubscriptions(
            store=store, log_store=log_store, clock=clock, resolve=catalog.resolve, may_invoke=catalog.may_invoke
        )
        await subscriptions.load()
        self._dispatcher = dispatcher = Dispatcher(
            store=store,
            invoker=invoker,
            catalog=catalog,
            clock=clock,
            limit=settings.async_concurrency,
            permitted=lambda event: tap.still_permitted(event) and subscriptions.still_permitted(event),
        )
        dispatcher.start()
        stack.push_async_callback(dispatcher.stop)
        log_deliveries = LogDeliveries(
            store=store, log_store=log_store, subscriptions=subscriptions, enqueue_event=self._trigger_event
        )
        await log_deliveries.start()
        stack.push_async_callback(log_deliveries.stop)

        # What clients see.
        code_location = CodeLocation(key, clock, blobs)
        operations = OperationsContext(
            settings=settings,
            clock=clock,
            catalog=catalog,
            blobs=blobs,
            packages=packages,
            runtimes=launcher,
            code_from_s3=neighbours.code_from_s3,
            code_location=code_location,
            event_sources=NeighbourEventSources(neighbours),
            provisioned=provisioning,
        )
        warn_of_unpolled(operations)
        function_urls = FunctionUrls(catalog.function, counters, clock, settings.url_domain)
        catalog.subscribe_functions(function_urls.follow)
        counters.provisioned.watch(provisioning.asked_for)
        bills = Bills(log_store, counters, clock, prices, settings.account_id)
        scrape = Scrape(counters=counters, pool=pool, admission=invoker.admission, store=store, log_store=log_store)
        monitoring = ServiceApi("cloudwatch", monitoring_handlers(counters, log_store, clock))
        self._front = front = Front(
            settings=settings,
            clock=clock,
            invoker=invoker,
            services={
                "lambda": ServiceApi("lambda", lambda_handlers(operations)).handle,
                "logs": ServiceApi("logs", logs_handlers(log_store, clock) | subscriptions.handlers()).handle,
                "monitoring": monitoring.handle,
            },
            shared={"monitoring": monitoring.serves},
            forward=neighbours.forward,
            code_download=code_location.download,
            credentials=credentials,
            health=self._health,
            function_urls=function_urls,
            pages={"/_pilotlight/s3-events": self._s3_events},
            reports={"/_pilotlight/bill": bills.page, "/_pilotlight/metrics": scrape.answer},
        )
        await front.start()
        stack.push_async_callback(front.stop)
        provisioning.start()  # what a function does while it is initialised may be to call this node
        self._in_background(self._collect_hourly(operations))
        stack.push_async_callback(self._end_background)
        gc.freeze()  # what a node has at its start it keeps: no collection need walk ten thousand functions
        for runtime in settings.prewarm_runtimes:
            self._in_background(launcher.prewarm(runtime))

    # -- what outsiders ask of a node --------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        return self._front.port

    @property
    def concurrent_executions(self) -> int:
        return self._invoker.admission.in_flight

    @property
    def in_flight_events(self) -> int:
        """Events taken from the queue whose end is not recorded yet."""
        return self._dispatcher.in_flight

    async def drain(self) -> None:
        """Take nothing new; what is running may finish within settings.drain_s."""
        self._draining = True
        await self._dispatcher.stop()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._front.drain(self.settings.drain_s))
            tasks.create_task(self._invoker.drain(self.settings.drain_s))

    def facts(self) -> dict[str, Any]:
        """What the start banner and `doctor` tell."""
        return {**msgspec.structs.asdict(self.launcher.describe()), "neighbours": self._neighbours.describe()}

    def _health(self) -> dict[str, Any]:
        return {
            "status": "draining" if self._draining else "serving",
            "version": __version__,
            "environments": self.pool.statistics(),
            "concurrentExecutions": self.concurrent_executions,
            "memoryMib": {"used": round(self.pool.room.used_mib()), "budget": round(self.pool.room.budget_mib)},
            **({"spans": self._exporter.statistics()} if self._exporter is not None else {}),
        }

    async def _s3_events(self, request: WireRequest) -> WireResponse:
        """Events that an S3 server posts itself, for writes that do not pass this node."""
        accepted = await self._tap.ingest(request.body)
        return WireResponse(200, {"content-type": "application/json"}, msgspec.json.encode({"accepted": accepted}))

    # -- what rooms are handed instead of each other -----------------------------------------------------------------

    def _endpoint_protocol(self, identity: Identity) -> asyncio.Protocol:
        return self._front.protocol(identity)

    def _version_changed(self, version: FunctionVersion) -> None:
        """The catalog's news: replace environments, and get the package ready before the first call wants it."""
        self.pool.changed(version)
        if version.state != "Deleting" and not not_runnable(version):
            self._in_background(self._prepare(version))

    async def _prepare(self, version: FunctionVersion) -> None:
        await self._code.directories(version)
        await self.launcher.prewarm(version.runtime)

    def _trigger_event(
        self, function_arn: str, payload: bytes, source: str, source_arn: str, trace_header: str
    ) -> Change:
        _, _, _, region, account, _, name, *qualifier = function_arn.split(":")
        event = AsyncEvent(
            account=account,
            region=region,
            function=name,
            qualifier=qualifier[0] if qualifier else None,
            request_id=str(uuid.uuid4()),
            payload=payload,
            source=source,
            source_arn=source_arn,
            trace_header=trace_header or f"Root={new_root()}",  # its retries are of one trace
            accepted_ms=self._clock.steady_ms(),
        )
        self._dispatcher.received(event)
        return enqueue(event)

    def _delivery_lost(self, delivery: Delivery) -> None:
        """Counted for the function whose result it was, while there is such a function."""
        origin = delivery.origin
        if origin is not None:
            view = self.catalog.function(delivery.account, delivery.region, origin.function)
            version = view.version_of(origin.version) if view else None
            if version is not None:
                self._invoker.counters.count(origin.metric, version, origin.qualifier)

    async def _collect_hourly(self, operations: OperationsContext) -> None:
        """Packages nothing refers to any more are removed, an hour after they came at the earliest."""
        while True:
            now_ms = self._clock.time_ms()
            removed = await collect_unused(operations, now_ms - _COLLECT_EVERY_MS)
            self._code.forget(set(removed))
            await self._clock.sleep_until(now_ms + _COLLECT_EVERY_MS)

    async def _end_background(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def _in_background(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background_done)

    def _background_done(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("preparing ahead of a first call: %s", error)


def _secret_key(path: Path) -> bytes:
    """The node's own key, made at its first start; only the node's user can read it."""
    with contextlib.suppress(FileNotFoundError):
        key = path.read_bytes()
        if len(key) == _KEY_BYTES:
            return key
    partial = path.with_suffix(".partial")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key := secrets.token_bytes(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return key


def _raise_file_limit() -> None:
    """Each environment needs a dozen descriptors here; the usual soft limit of 1,024 would end at eighty."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
