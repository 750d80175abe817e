"""The control plane alone, served over real HTTP: a real store, real blobs and packages, and boto3 as the client.

It runs on an event loop in a thread of its own, so that tests are plain and boto3 may block. What other rooms give the
operations is given here by small real things: a dictionary of buckets for S3, a list of runtimes for the launcher.
"""

from __future__ import annotations

import asyncio
import re
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from aiohttp import web

from pilotlight.catalog.catalog import Catalog
from pilotlight.clock import Clock, ManualClock, SystemClock
from pilotlight.environments.provisioned import Allocation
from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.api import lambda_handlers
from pilotlight.operations.code_location import PREFIX, CodeLocation
from pilotlight.operations.context import OperationsContext
from pilotlight.settings import Settings
from pilotlight.store.blobs import Blobs
from pilotlight.store.packages import Packages
from pilotlight.store.sqlite import open_sqlite
from pilotlight.wire.messages import WireRequest, WireResponse
from pilotlight.wire.service import ServiceApi
from tests.support import aws_client

T = TypeVar("T")

NO_SUCH_KEY = (
    "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
)

NO_SUCH_QUEUE = (
    "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
    "SQS Error Message: The specified queue does not exist."
)

_SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/")


class Runtimes:
    """A machine with Python 3.10 to 3.13."""

    def check(self, runtime: str, architecture: str) -> None:
        if runtime not in {f"python3.{minor}" for minor in range(10, 14)}:
            raise InvalidParameterValueException(f"No interpreter for {runtime} was found on this machine.")


class Buckets:
    """S3 as the operations see it. `objects` is (bucket, key, version) -> bytes; version None is the current one."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str | None], bytes] = {}
        self.meanwhile: Callable[[], object] | None = None
        """What a client does between the request for an object and the answer."""

    async def read(self, account: str, region: str, bucket: str, key: str, version: str | None) -> AsyncIterator[bytes]:
        data = self.objects.get((bucket, key, version))
        if data is None:
            raise InvalidParameterValueException(NO_SUCH_KEY)
        if self.meanwhile is not None:
            await asyncio.to_thread(self.meanwhile)
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]


class Allocations:
    """Provisioned concurrency without environments: none is initialised until a test says how many are."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str, str], Allocation] = {}

    def allocation(self, account: str, region: str, name: str, qualifier: str) -> Allocation:
        return self.known.get((account, region, name, qualifier), Allocation(0, "IN_PROGRESS"))


class Sources:
    """SQS, Kinesis and DynamoDB as the operations see them. `queues` is ARN -> attributes; None: SQS is off. `streams`
    are ARNs; None: they are not asked."""

    def __init__(self) -> None:
        self.queues: dict[str, dict[str, str]] | None = None
        self.streams: set[str] | None = None

    async def queue_attributes(self, arn: str) -> dict[str, str] | None:
        if self.queues is not None and arn not in self.queues:
            raise InvalidParameterValueException(NO_SUCH_QUEUE)
        return self.queues[arn] if self.queues is not None else None

    async def has_stream(self, arn: str) -> bool:
        return self.streams is None or arn in self.streams


class Plane:
    """Started by `with`; `restart` closes everything and opens it again on the same directory."""

    def __init__(self, data_dir: Path, *, clock: Clock | None = None, **settings: Any) -> None:
        self.data_dir = data_dir
        self.clock = clock or SystemClock()
        self.settings = Settings(data_dir=str(data_dir), **{"state_delay_ms": 0, **settings})
        self.buckets = Buckets()
        self.sources = Sources()
        self.provisioned = Allocations()
        self.port = 0
        self.catalog: Catalog
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="plane", daemon=True)

    def __enter__(self) -> Plane:
        self._thread.start()
        self.run(self._open())
        return self

    def __exit__(self, *exc: object) -> None:
        self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def restart(self) -> None:
        self.run(self._close())
        self.run(self._open())

    def run(self, work: Awaitable[T]) -> T:
        """Await something on the plane's loop."""

        async def awaited() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(60)

    def advance(self, milliseconds: int) -> None:
        assert isinstance(self.clock, ManualClock)
        clock = self.clock

        async def advance() -> None:
            clock.advance(milliseconds)

        self.run(advance())

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, *, account: str = "test", region: str = "us-east-1", **options: Any) -> Any:
        return aws_client("lambda", self.endpoint, region=region, aws_access_key_id=account, **options)

    async def _open(self) -> None:
        self._store = open_sqlite(self.data_dir)
        self.blobs = blobs = Blobs(self.data_dir / "blobs")
        self.packages = Packages(self.data_dir / "packages", blobs, self.settings.max_unzipped_bytes)
        self.catalog = await Catalog.open(self._store, self.settings, self.clock)
        self._location = CodeLocation(b"k" * 32, self.clock, blobs)
        self.context = OperationsContext(
            settings=self.settings,
            clock=self.clock,
            catalog=self.catalog,
            blobs=blobs,
            packages=self.packages,
            runtimes=Runtimes(),
            code_from_s3=self.buckets.read,
            code_location=self._location,
            event_sources=self.sources,
            provisioned=self.provisioned,
        )
        self._api = ServiceApi("lambda", lambda_handlers(self.context))
        app = web.Application(client_max_size=200_000_000)
        app.router.add_route("*", "/{path:(?s:.*)}", self._serve)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self.catalog.close()
        self.packages.close()
        await self._store.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        raw_path, _, query = request.raw_path.partition("?")
        if raw_path.startswith(PREFIX):
            return await _sent(await self._location.download(raw_path, query))
        scope = _SCOPE.search(request.headers.get("Authorization", ""))
        account, region = (scope[1], scope[2]) if scope else ("test", self.settings.region)
        answer = await self._api.handle(
            WireRequest(
                method=request.method,
                raw_path=raw_path,
                query_string=query,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=await request.read(),
                account=account if re.fullmatch(r"\d{12}", account) else self.settings.account_id,
                region=region,
                request_id=str(uuid.uuid4()),
                host=request.host,
            )
        )
        return await _sent(answer)


async def _sent(answer: WireResponse) -> web.Response:
    body = answer.body if isinstance(answer.body, bytes) else b"".join([piece async for piece in answer.body])
    headers = {name: value for name, value in answer.headers.items() if name.lower() != "content-length"}
    return web.Response(status=answer.status, headers=headers, body=body)
