"""A front, reduced to what the forwarder needs: a real HTTP server around the real neighbours, tap and store.

It runs on an event loop in a thread of its own, so that tests can be plain boto3. What the catalog and the dispatcher
do for a node, `Functions` and the store's own queue do here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
import uvloop
from botocore.config import Config

from pilotlight.catalog.records import FunctionVersion
from pilotlight.clock import SystemClock
from pilotlight.errors import ResourceNotFoundException
from pilotlight.invoke.async_event import QUEUE_PREFIX, AsyncEvent, decode, enqueue
from pilotlight.neighbours.neighbours import Neighbours
from pilotlight.settings import Settings
from pilotlight.store.interface import Change, Done, Enqueue
from pilotlight.store.sqlite import SqliteStore, open_sqlite
from pilotlight.triggers.deliverer import Deliverer
from pilotlight.triggers.s3_tap import S3Tap
from pilotlight.triggers.targets import Targets
from tests.support import aws_client, eventually

T = TypeVar("T")

ACCOUNT = "000000000000"
REGION = "us-east-1"
KEYS = ("pilotlight", "pilotlight-secret")
#: names of the service in paths and hosts are the front's to know; here the credential scope is enough
_DEFAULT_SERVICE = "s3"


@dataclass
class Destination:
    account: str
    region: str
    service: str
    request_id: str
    caller: str = ""


class Functions:
    """The catalog, as far as the tap asks it."""

    def __init__(self) -> None:
        self.versions: dict[tuple[str, str, str, str | None], FunctionVersion] = {}
        self.permissions: set[tuple[str, str, str, str]] = set()

    def add(self, name: str, *, region: str = REGION, qualifier: str | None = None) -> str:
        """The function's ARN, with its qualifier if it has one."""
        version = FunctionVersion(
            account=ACCOUNT,
            region=region,
            name=name,
            version=qualifier or "$LATEST",
            runtime="python3.12",
            handler="app.handler",
            role="arn:aws:iam::000000000000:role/r",
            code_blob="",
            code_sha256="",
            code_size=0,
        )
        self.versions[(ACCOUNT, region, name, qualifier)] = version
        return version.function_arn + (f":{qualifier}" if qualifier else "")

    def allow(self, name: str, bucket: str, account: str = ACCOUNT, *, qualifier: str | None = None) -> None:
        """In the policy of the function, or of the version or alias that is named."""
        named = f"{name}:{qualifier}" if qualifier else name
        self.permissions.add((named, "s3.amazonaws.com", f"arn:aws:s3:::{bucket}", account))

    def resolve(self, account: str, region: str, function_ref: str, qualifier: str | None) -> FunctionVersion:
        try:
            return self.versions[(account, region, function_ref, qualifier)]
        except KeyError:
            raise ResourceNotFoundException(f"Function not found: {function_ref}") from None

    def may_invoke(
        self, version: FunctionVersion, qualifier: str | None, principal: str, source_arn: str, source_account: str
    ) -> bool:
        named = f"{version.name}:{qualifier}" if qualifier else version.name
        return (named, principal, source_arn, source_account) in self.permissions


class Front:
    """`with Front(settings) as front`: listens on `front.port`."""

    def __init__(self, **settings: Any) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="pilotlight-test-"))
        self.settings = Settings(data_dir=str(self.directory / "data"), **settings)
        self.settings.data_path.mkdir()
        self.functions = Functions()
        self.clock = SystemClock()
        self.port = 0
        self.seen: list[dict[str, Any]] = []
        self.store: SqliteStore
        self.neighbours: Neighbours
        self.tap: S3Tap
        self._loop: asyncio.AbstractEventLoop
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._failure: BaseException | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str = "s3", **options: Any) -> Any:
        return aws_client(service, self.endpoint, **options)

    def virtual_host_client(self) -> Any:
        """Addresses buckets as `bucket.localhost`. A proxy setting stands in for a resolver that knows such names."""
        config = Config(s3={"addressing_style": "virtual"}, proxies={"http": self.endpoint})
        return aws_client("s3", f"http://localhost:{self.port}", config=config)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def events(self, count: int = 1) -> list[AsyncEvent]:
        """Take `count` accepted invocations off the queue. They are there already: a write's answer comes after."""
        return self.run(self._take(QUEUE_PREFIX, count))

    def records(self, count: int = 1) -> list[dict[str, Any]]:
        """The S3 records in `events`, oldest first."""
        return [record for event in self.events(count) for record in json.loads(event.payload)["Records"]]

    def drain(self) -> None:
        """Forget what other tests have left on the queue."""
        while not self.no_events():
            for event in self.run(self.store.claim(QUEUE_PREFIX, 1 << 52, 1, 100)):
                self.run(self.store.transact([Done(event.queue, event.item_id, event.lease)]))

    def no_events(self) -> bool:
        return self.run(self.store.next_due(QUEUE_PREFIX)) is None

    async def _take(self, prefix: str, count: int) -> list[AsyncEvent]:
        items = await self.store.claim(prefix, self.clock.steady_ms(), 60_000, count)
        if items:
            await self.store.transact([Done(item.queue, item.item_id, item.lease) for item in items])
        assert len(items) == count, f"{len(items)} of {count} events on the queue"
        return [decode(item.body) for item in items]

    def _enqueue_event(
        self, function_arn: str, payload: bytes, source: str, source_arn: str, trace_header: str
    ) -> Change:
        region, account, _, name, *qualifier = function_arn.split(":")[3:]
        event = AsyncEvent(
            account=account,
            region=region,
            function=name,
            qualifier=qualifier[0] if qualifier else None,
            request_id="r",
            payload=payload,
            source=source,
            source_arn=source_arn,
            accepted_ms=0,
        )
        change: Enqueue = enqueue(event)
        return change

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        self.seen.append(headers)
        service, region = _DEFAULT_SERVICE, REGION
        if "Credential=" in headers.get("authorization", ""):
            scope_parts = headers["authorization"].split("Credential=")[1].split(",")[0].split("/")
            region, service = scope_parts[2], scope_parts[3]
        account = headers.get("x-test-account", ACCOUNT)
        scope["pilotlight"] = Destination(
            account, region, service, "0123456789ABCDEF", headers.get("x-test-caller", "")
        )
        await self.neighbours.forward(scope, receive, send)

    def _serve(self) -> None:
        try:
            uvloop.run(self._main())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            self.store = open_sqlite(self.settings.data_path)
            stack.push_async_callback(self.store.close)
            self.neighbours = Neighbours(self.settings)
            stack.push_async_callback(self.neighbours.stop)
            self.tap = self._new_tap()
            await self.tap.start()
            deliverer = Deliverer(self.store, self.clock, Targets(self.neighbours.request), lambda _: None)
            await deliverer.start()
            stack.push_async_callback(deliverer.stop)
            self.neighbours.use_tap(self.tap)
            await stack.enter_async_context(self._listening())
            self._ready.set()
            await self._stopping.wait()

    def _new_tap(self) -> S3Tap:
        return S3Tap(
            settings=self.settings,
            store=self.store,
            clock=self.clock,
            request=self.neighbours.request,
            targets=Targets(self.neighbours.request),
            resolve=self.functions.resolve,
            may_invoke=self.functions.may_invoke,
            enqueue_event=self._enqueue_event,
            is_embedded=self.neighbours.is_embedded,
        )

    async def restart_tap(self) -> None:
        """As a node's restart would: what the tap knows comes from the store again."""
        self.tap = self._new_tap()
        await self.tap.start()
        self.neighbours.use_tap(self.tap)

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._application,
            interface="asgi3",
            lifespan="off",
            log_level="error",
            http="httptools",
            ws="none",
            proxy_headers=False,
        )
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined,method-assign]
        serving = asyncio.create_task(server._serve([listener]))
        try:
            yield
        finally:
            server.should_exit = True
            server.force_exit = True
            await serving
            listener.close()

    def __enter__(self) -> Front:
        self._thread.start()
        self._ready.wait(60)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(60)
        shutil.rmtree(self.directory, ignore_errors=True)
        if self._failure is not None:
            raise self._failure


def other_s3_server() -> str | None:
    """The path of Versity's S3 gateway, which checks signatures and keeps versions: PATH, or `.cache/bin` here.

    `GOBIN=$PWD/.cache/bin go install github.com/versity/versitygw/cmd/versitygw@latest` builds it.
    """
    cached = Path(__file__).parents[2] / ".cache" / "bin" / "versitygw"
    return shutil.which("versitygw") or (str(cached) if os.access(cached, os.X_OK) else None)


@contextlib.contextmanager
def other_s3(binary: str) -> Iterator[str]:
    """A running Versity gateway on a directory of its own; its authority, `127.0.0.1:port`."""
    directory = Path(tempfile.mkdtemp(prefix="pilotlight-s3-"))
    (directory / "data").mkdir()
    (directory / "versions").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            *(binary, "--port", f"127.0.0.1:{port}", "--access", KEYS[0], "--secret", KEYS[1], "--quiet"),
            *("--virtual-domain", "localhost"),
            *("posix", "--versioning-dir", str(directory / "versions"), str(directory / "data")),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: _accepts(port), what="the S3 gateway listens")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
