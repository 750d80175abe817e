"""A front on a real socket, with small real implementations of what is behind it, and a client that speaks bytes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec

from pilotlight.catalog.attached import UrlConfig
from pilotlight.catalog.credentials import CredentialIssuer, Identity
from pilotlight.catalog.records import Function, FunctionVersion
from pilotlight.catalog.views import FunctionKey, FunctionView
from pilotlight.clock import Clock, SystemClock
from pilotlight.front.router import Destination
from pilotlight.front.server import Front
from pilotlight.invoke.messages import InvokeReply, InvokeRequest
from pilotlight.settings import Settings
from pilotlight.triggers.function_urls import FunctionUrls
from pilotlight.wire.messages import WireRequest, WireResponse
from tests.support import aws_client

INVOKE = "/2015-03-31/functions/{}/invocations"
IDENTITY = Identity(
    account="123456789012",
    region="eu-west-1",
    role_arn="arn:aws:iam::123456789012:role/service/thumbs",
    function_arn="arn:aws:lambda:eu-west-1:123456789012:function:thumb",
    environment_id="env-1",
)
CALLER_ARN = "arn:aws:sts::123456789012:assumed-role/thumbs/thumb"


class EchoInvoker:
    """Answers every invocation with its payload, at once or, while `holding`, when `release` is called."""

    def __init__(self) -> None:
        self.requests: list[InvokeRequest] = []
        self.holding = False
        self.held: list[tuple[InvokeRequest, Callable[[InvokeReply], None]]] = []
        self.answer: Callable[[InvokeRequest], InvokeReply] = self.echo

    def submit(self, request: InvokeRequest, reply: Callable[[InvokeReply], None]) -> None:
        self.requests.append(request)
        if self.holding:
            self.held.append((request, reply))
        else:
            reply(self.answer(request))

    def echo(self, request: InvokeRequest) -> InvokeReply:
        if request.invocation_type == "Event":
            return InvokeReply(status=202)
        if request.invocation_type == "DryRun":
            return InvokeReply(status=204)
        return InvokeReply(payload=request.payload)

    def release(self) -> None:
        held, self.held = self.held, []
        for request, reply in held:
            reply(self.answer(request))


class RecordingService:
    """A service of ours that says what it was asked."""

    def __init__(self) -> None:
        self.requests: list[WireRequest] = []
        self.response: WireResponse | None = None

    async def handle(self, request: WireRequest) -> WireResponse:
        self.requests.append(request)
        if self.response is not None:
            return self.response
        facts = {"path": request.raw_path, "bytes": len(request.body), "account": request.account}
        headers = {"Content-Type": "application/json", "x-amzn-RequestId": request.request_id}
        return WireResponse(200, headers, msgspec.json.encode(facts))


class RecordingForward:
    """An application behind the front: reads the body piece by piece and says what came."""

    def __init__(self) -> None:
        self.destinations: list[Destination] = []
        self.scopes: list[MutableMapping[str, Any]] = []
        self.pieces: list[int] = []
        self.bodies: list[str] = []
        self.gone = 0
        self.body = b"forwarded"
        self.read_body = True
        self.gate: asyncio.Event | None = None
        self.response_headers: list[tuple[bytes, bytes]] = []

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        self.destinations.append(scope["pilotlight"])
        self.scopes.append(scope)
        digest = hashlib.sha256()
        more = self.read_body
        while more:
            if self.gate is not None:
                await self.gate.wait()
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone += 1
                return
            self.pieces.append(len(message["body"]))
            digest.update(message["body"])
            more = message["more_body"]
        self.bodies.append(digest.hexdigest())
        headers = [(b"content-length", b"%d" % len(self.body)), *self.response_headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


PUBLIC = (
    {"Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunctionUrl", "Resource": "*"},
    {"Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunction", "Resource": "*"},
)


class RecordedCounts:
    """What was counted, as (metric, qualifier, value)."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str | None, float]] = []

    def count(self, metric: str, version: FunctionVersion, qualifier: str | None, value: float = 1) -> None:
        self.seen.append((metric, qualifier, value))

    def observe(self, metric: str, version: FunctionVersion, qualifier: str | None, value: float) -> None:
        self.seen.append((metric, qualifier, value))


class KnownUrls:
    """Function URLs as the node serves them, of functions that are in no catalog."""

    def __init__(self, clock: Clock) -> None:
        self._functions: dict[FunctionKey, FunctionView] = {}
        self.counts = RecordedCounts()
        self.served = FunctionUrls(lambda *key: self._functions.get(key), self.counts, clock, "localhost")

    def add(
        self, url_id: str = "abc123", alias: str = "", *, policies: Any = None, name: str = "hello", **config: Any
    ) -> str:
        """Its host. Open to everybody unless it is AWS_IAM's or `policies` say otherwise."""
        url = UrlConfig(url_id=url_id, **{"auth_type": "NONE", **config})
        statements = {alias: PUBLIC} if policies is None else policies
        function = Function(
            account="123456789012", region="eu-west-1", name=name, urls={alias: url}, policies=statements
        )
        key = (function.account, function.region, function.name)
        latest = FunctionVersion(
            account=function.account,
            region=function.region,
            name=name,
            role="",
            code_blob="",
            code_sha256="",
            code_size=0,
        )
        self._functions[key] = FunctionView(function, 1, {latest.version: latest}, {})
        self.served.follow(key, function)
        return f"{url_id}.lambda-url.eu-west-1.localhost:4566"

    def remove(self, name: str = "hello") -> None:
        key = ("123456789012", "eu-west-1", name)
        del self._functions[key]
        self.served.follow(key, None)


class RunningFront:
    """What a test has in hand."""

    def __init__(
        self, front: Front, invoker: EchoInvoker, clock: Clock, issuer: CredentialIssuer, urls: KnownUrls
    ) -> None:
        self.urls = urls
        self.front = front
        self.invoker = invoker
        self.clock = clock
        self.issuer = issuer
        self.lambda_api = RecordingService()
        self.forward = RecordingForward()
        self.clients: list[RawClient] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.front.port}"

    @property
    def connections(self) -> int:
        return self.front.statistics()["connections"]

    async def call(self, method: Callable[..., Any], **arguments: Any) -> Any:
        """Call a boto3 method without blocking the loop that serves it."""
        return await asyncio.to_thread(lambda: method(**arguments))

    def client(self, service: str, **options: Any) -> Any:
        return aws_client(service, self.endpoint, **options)

    async def connect(self) -> RawClient:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.front.port))
        self.clients.append(client)
        return client

    async def ask(self, request: bytes) -> Answer:
        """One request on a connection of its own."""
        client = await self.connect()
        try:
            client.send(request)
            return await client.answer()
        finally:
            client.close()


@asynccontextmanager
async def running_front(clock: Clock | None = None, **settings: Any) -> AsyncIterator[RunningFront]:
    clock = clock or SystemClock()
    issuer = CredentialIssuer(b"0123456789abcdef0123456789abcdef")
    invoker = EchoInvoker()
    urls = KnownUrls(clock)
    running: RunningFront

    async def download(path: str, query: str) -> WireResponse:
        return WireResponse(200, {"content-type": "application/zip", "x-query": query}, path.encode())

    async def forward(scope: Any, receive: Any, send: Any) -> None:
        await running.forward(scope, receive, send)

    async def handle(request: WireRequest) -> WireResponse:
        return await running.lambda_api.handle(request)

    front = Front(
        settings=Settings(**{"port": 0, **settings}),
        clock=clock,
        invoker=invoker,
        services={"lambda": handle, "logs": handle},
        forward=forward,
        code_download=download,
        credentials=issuer,
        health=lambda: {"functions": 3},
        function_urls=urls.served,
    )
    running = RunningFront(front, invoker, clock, issuer, urls)
    await front.start()
    try:
        yield running
    finally:
        for client in running.clients:
            client.close()
        await front.stop()
        for client in running.clients:
            with suppress(ConnectionError):
                await client.writer.wait_closed()


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes
    version: str
    cookies: list[str] = []

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class RawClient:
    """HTTP by hand: what is sent is exactly what is given."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def line(self) -> bytes:
        return await asyncio.wait_for(self.reader.readline(), 10)

    async def answer(self, *, head_request: bool = False) -> Answer:
        """The next answer on the connection; ConnectionError when it ended instead."""
        first = await self.line()
        if not first:
            raise ConnectionError("closed without an answer")
        version, status, *_ = first.decode().split(" ")
        headers: dict[str, str] = {}
        cookies: list[str] = []
        while (line := await self.line()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() == "set-cookie":
                cookies.append(value.strip())
                continue
            assert name.lower() not in headers, f"{name} is given twice"
            headers[name.lower()] = value.strip()
        if int(status) == 100:
            return Answer(100, headers, b"", version)
        body = b""
        if head_request or int(status) in (204, 304):
            pass
        elif "content-length" in headers:
            body = await asyncio.wait_for(self.reader.readexactly(int(headers["content-length"])), 10)
        elif headers.get("transfer-encoding") == "chunked":
            while size := int((await self.line()).strip(), 16):
                body += await asyncio.wait_for(self.reader.readexactly(size), 10)
                await self.line()
            await self.line()
        else:
            body = await asyncio.wait_for(self.reader.read(), 10)
        return Answer(int(status), headers, body, version, cookies)

    async def closed(self, within_s: float = 10) -> bool:
        """Whether the server closes the connection (after what it still has to say)."""
        try:
            while await asyncio.wait_for(self.reader.read(65536), within_s):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self.writer.close()


def request(
    method: str, target: str, *, host: str = "localhost:4566", body: bytes | None = None, **headers: str
) -> bytes:
    """The bytes of a request; underscores in header names stand for dashes."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def invoke(name: str = "hello", payload: bytes = b"{}", query: str = "", **headers: str) -> bytes:
    return request("POST", INVOKE.format(name) + query, body=payload, **headers)
