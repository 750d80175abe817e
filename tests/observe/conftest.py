"""A log store and, where a test asks for it, CloudWatch Logs' API over real HTTP with real clients."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import web
from botocore.config import Config

from pilotlight.clock import SystemClock
from pilotlight.observe.api import logs_handlers
from pilotlight.observe.database import LogDatabase
from pilotlight.observe.logs import LogStore, LogStream
from pilotlight.observe.reader import Range, StoredEvent, read_forward
from pilotlight.settings import Settings
from pilotlight.wire.messages import WireRequest
from pilotlight.wire.service import ServiceApi
from tests.observe.metric_world import MetricWorld, metric_world

ACCOUNT = "000000000000"
REGION = "us-east-1"
GROUP = "/aws/lambda/hello"


def read_all(database: LogDatabase, group: str = GROUP) -> list[StoredEvent]:
    row = database.group(ACCOUNT, REGION, group)
    return list(read_forward(database, Range(row.id))) if row else []


def messages(database: LogDatabase) -> list[str]:
    return [event.message for event in read_all(database)]


@pytest.fixture
async def log_store(tmp_path: Path) -> AsyncIterator[LogStore]:
    store = LogStore(tmp_path / "logs", SystemClock(), Settings())
    await store.start()
    yield store
    await store.stop()


@pytest.fixture
def stream_of(log_store: LogStore) -> Callable[..., LogStream]:
    def stream_of(name: str = "2026/11/21/[$LATEST]" + "a" * 32, group: str = GROUP) -> LogStream:
        return log_store.stream(ACCOUNT, REGION, group, name)

    return stream_of


class LogsServer:
    """ServiceApi("logs") on a port of its own: all that a client needs to take it for CloudWatch Logs."""

    def __init__(self, log_store: LogStore) -> None:
        self._api = ServiceApi("logs", logs_handlers(log_store, SystemClock()))
        self.url = ""
        self.open_streams = 0

    async def start(self) -> None:
        application = web.Application(client_max_size=10_000_000)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        answer = await self._api.handle(
            WireRequest(
                method=request.method,
                raw_path=request.raw_path,
                query_string=request.query_string,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=await request.read(),
                account=ACCOUNT,
                region=REGION,
                request_id=str(uuid.uuid4()),
            )
        )
        if isinstance(answer.body, bytes):
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        await response.prepare(request)
        self.open_streams += 1
        try:
            async for chunk in answer.body:
                await response.write(chunk)
        finally:
            self.open_streams -= 1
            await answer.body.aclose()  # type: ignore[attr-defined]
        return response


@pytest.fixture
async def logs_server(log_store: LogStore) -> AsyncIterator[LogsServer]:
    server = LogsServer(log_store)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def logs_client(logs_server: LogsServer) -> Iterator[Any]:
    client = boto3.session.Session().client(
        "logs",
        endpoint_url=logs_server.url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1}, proxies={}),
    )
    yield client
    client.close()


@pytest.fixture
def client_environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a command-line client that knows nothing but fake credentials."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return environ | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        "AWS_PAGER": "",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[MetricWorld]:
    async with metric_world(tmp_path) as world:
        yield world
