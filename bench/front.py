"""What the front door costs: requests per second of the hot path, with an invoker that answers at once, beside a bare
httptools protocol that answers without looking, under the same load generator (wrk) in one run.

    .venv/bin/python bench/front.py [--seconds 3] [--connections 8]

CPU per request is the server's own (user and system), so it means something on a busy machine too.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httptools
import uvloop
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from pilotlight.catalog.credentials import CredentialIssuer
from pilotlight.catalog.records import FunctionVersion
from pilotlight.clock import SystemClock
from pilotlight.front.server import Front
from pilotlight.invoke.messages import InvokeReply, InvokeRequest
from pilotlight.settings import Settings
from pilotlight.triggers.function_urls import FunctionUrls
from pilotlight.wire.messages import WireRequest, WireResponse

INVOCATION = "/2015-03-31/functions/hello/invocations"
BODY = b'{"name":"pilotlight","n":1}'
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
Ready = Any  # the sending end of a pipe: the port goes through it


class BareProtocol(asyncio.Protocol):
    """The floor: parse, and echo the body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        pass

    def on_body(self, body: bytes) -> None:
        self._body = body

    def on_message_complete(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % len(self._body) + self._body)


class EchoInvoker:
    def submit(self, request: InvokeRequest, reply: Callable[[InvokeReply], None]) -> None:
        reply(InvokeReply(payload=request.payload))


def serve_bare(ready: Ready) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(BareProtocol, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    uvloop.run(serve())


class Uncounted:
    def count(self, metric: str, version: FunctionVersion, qualifier: str | None, value: float = 1) -> None:
        pass

    def observe(self, metric: str, version: FunctionVersion, qualifier: str | None, value: float) -> None:
        pass


def serve_front(ready: Ready, **settings: Any) -> None:
    async def answer(request: WireRequest) -> WireResponse:
        return WireResponse(200, {"Content-Type": "application/json"}, b"{}")

    async def download(path: str, query: str) -> WireResponse:
        return WireResponse(404, {}, b"")

    async def forward(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})

    async def serve() -> None:
        front = Front(
            settings=Settings(port=0, **settings),
            clock=SystemClock(),
            invoker=EchoInvoker(),
            services={"lambda": answer},
            forward=forward,
            code_download=download,
            credentials=CredentialIssuer(os.urandom(32)),
            health=dict,
            function_urls=FunctionUrls(lambda *key: None, Uncounted(), SystemClock(), "localhost"),
        )
        await front.start()
        ready.send(front.port)
        await asyncio.Event().wait()

    uvloop.run(serve())


def measure(name: str, serve: Callable[..., None], options: argparse.Namespace, path: str, **settings: Any) -> None:
    """Run one server in a process of its own under load, and print a line."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(there,), kwargs=settings, daemon=True)
    server.start()
    port = here.recv()
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            if path == INVOCATION:
                script.write(wrk_script(f"http://127.0.0.1:{port}{path}"))
            script.flush()
            before = cpu_s(server.pid)
            command = ["wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds}s", "-s", script.name]
            text = subprocess.run([*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, check=True).stdout
            spent_s = cpu_s(server.pid) - before
    finally:
        server.kill()
        server.join()
    rate = float(re.search(rb"Requests/sec:\s+([\d.]+)", text)[1])  # type: ignore[index]
    count = int(re.search(rb"(\d+) requests in", text)[1])  # type: ignore[index]
    failed = " NOT ALL 2xx" if b"Non-2xx" in text else ""
    print(f"{name:<34} {rate:>9,.0f} req/s {spent_s / count * 1e6:>7.1f} us CPU per request{failed}")


def wrk_script(url: str) -> str:
    """A request as boto3 sends it, signed."""
    headers = {
        "Host": url.split("/")[2],
        "User-Agent": "Boto3/1.44.5 md/Botocore#1.44.5",
        "Accept-Encoding": "identity",
    }
    headers |= {"amz-sdk-invocation-id": "5b1b1f0e-50c0-4a9f-8a2a-97ea1b0d8a80", "amz-sdk-request": "attempt=1"}
    request = AWSRequest(method="POST", url=url, data=BODY, headers=headers)
    SigV4Auth(Credentials(KEY, SECRET), "lambda", "us-east-1").add_auth(request)
    lines = ['wrk.method = "POST"', f"wrk.body = '{BODY.decode()}'"]
    return "\n".join([*lines, *(f'wrk.headers["{name}"] = "{value}"' for name, value in request.headers.items())])


def cpu_s(pid: int | None) -> float:
    """User and system time of a process, from /proc (see proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    measure("bare httptools protocol", serve_bare, options, INVOCATION)
    measure("invocation", serve_front, options, INVOCATION)
    measure("invocation, signature verified", serve_front, options, INVOCATION, auth="sigv4", access_keys={KEY: SECRET})
    measure("Lambda API call (handler at once)", serve_front, options, "/2015-03-31/functions")
    measure("passed on (application at once)", serve_front, options, "/bucket/key")


if __name__ == "__main__":
    main()
