"""Load on one URL: wrk where it is installed, else a small generator on asyncio (slower, so figures are lower: it
says so). Both send the same request and report the same figures.

Run alone: python -m bench.load URL connections seconds
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any, NamedTuple

import httptools
import uvloop

AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/lambda/aws4_request, "
    f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
)


class Load(NamedTuple):
    """What one run saw. Rates in requests per second, latencies in microseconds."""

    rate: float
    p50_us: float
    p99_us: float
    requests: int
    failed: int


def generator() -> str:
    return "wrk" if shutil.which("wrk") else "bench/load.py"


def run(
    url: str, *, connections: int, seconds: float, body: str = "{}", kind: str = "RequestResponse", host: str = ""
) -> Load:
    """Keep `connections` busy for `seconds`, one request after the other on each; RuntimeError when none worked.

    With a `host` it is not an invocation but a plain POST to the function URL of that name.
    """
    environ = {**os.environ, "BENCH_BODY": body, "BENCH_TYPE": kind, "BENCH_HOST": host}
    if shutil.which("wrk"):
        script = Path(__file__).with_name("invoke.lua")
        threads = min(2, connections)
        command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script), url]
    else:
        command = [sys.executable, "-m", "bench.load", url, str(connections), str(seconds)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=seconds + 60)
    lines = [line for line in done.stdout.splitlines() if line.startswith("JSON ")]
    if done.returncode != 0 or not lines:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}")
    seen: dict[str, Any] = json.loads(lines[0].removeprefix("JSON "))
    if seen["failed"] >= seen["requests"]:
        raise RuntimeError(f"every request to {url} failed ({seen['failed']} of them)")
    rate = (seen["requests"] - seen["failed"]) / seen["duration_us"] * 1e6
    return Load(rate, seen["p50_us"], seen["p99_us"], seen["requests"], seen["failed"])


class _Client(asyncio.Protocol):
    """One connection: sends the request, waits for the whole answer, sends it again."""

    def __init__(self, request: bytes, latencies: list[int], until: float, closed: asyncio.Future[None]) -> None:
        self._request, self._latencies, self._until, self._closed = request, latencies, until, closed
        self.failed = 0
        self._sent = 0
        self.transport: Any = None
        self._parser: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._sent = time.perf_counter_ns()
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        now = time.perf_counter_ns()
        self._latencies.append(now - self._sent)
        if self._parser.get_status_code() >= 300:
            self.failed += 1
        if now / 1e9 < self._until:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closed.done():
            self._closed.set_result(None)


async def _generate(url: str, connections: int, seconds: float) -> None:
    parts = urllib.parse.urlsplit(url)
    body = os.environ.get("BENCH_BODY", "{}").encode()
    host = os.environ.get("BENCH_HOST")
    of_invoke = (
        f"X-Amz-Invocation-Type: {os.environ.get('BENCH_TYPE', 'RequestResponse')}\r\nX-Amz-Date: 20261121T000000Z\r\n"
        f"Authorization: {AUTHORIZATION}\r\n"
    )
    request = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {host or parts.netloc}\r\nContent-Type: application/json\r\n"
        f"{'' if host else of_invoke}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    loop = asyncio.get_running_loop()
    latencies: list[int] = []
    started = time.perf_counter()
    clients: list[_Client] = []
    ends: list[asyncio.Future[None]] = []
    for _ in range(connections):
        closed = loop.create_future()
        ends.append(closed)
        client = _Client(request, latencies, started + seconds, closed)
        clients.append(client)
        await loop.create_connection(lambda client=client: client, parts.hostname, parts.port)
    await asyncio.wait(ends, timeout=seconds + 30)
    took = time.perf_counter() - started
    latencies.sort()
    figures = {
        "requests": len(latencies),
        "duration_us": round(took * 1e6),
        "p50_us": latencies[len(latencies) // 2] / 1000 if latencies else 0,
        "p99_us": latencies[int(len(latencies) * 0.99)] / 1000 if latencies else 0,
        "failed": sum(client.failed for client in clients),
    }
    print("JSON " + json.dumps(figures))


if __name__ == "__main__":
    uvloop.run(_generate(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
