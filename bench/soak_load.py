"""The soak's clients: connections that send one invocation after another and hold each answer against what may be said.

An answer is right when it is the echo of its own request by the right function, the news that this very invocation's
process was killed, or a throttle. Anything else, an answer nobody asked for, or none in time, is a fault.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections import Counter
from typing import Any, cast

import httptools
import msgspec

from bench.load import AUTHORIZATION

ANSWER_LIMIT_S = 60.0
#: after a throttle; a client that heeds Retry-After would wait for longer
PAUSE_S = 0.05
_MAX_FAULTS = 50


class Served(msgspec.Struct, frozen=True, gc=False):
    """One invocation as its function saw it: in which environment, from when to when (monotonic nanoseconds)."""

    function: str
    stream: str
    began_ns: int
    ended_ns: int


class Target(msgspec.Struct, frozen=True):
    """A function under load."""

    name: str
    takes_ms: int
    """How long its handler sleeps."""
    reserved: int | None = None
    qualifier: str = ""

    @property
    def path(self) -> str:
        query = f"?Qualifier={self.qualifier}" if self.qualifier else ""
        return f"/2015-03-31/functions/{self.name}/invocations{query}"


class Tally:
    """What all connections saw."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """Of requests: sent, echoed, killed, and by Reason what was throttled."""
        self.served: list[Served] = []
        self.faults: list[str] = []
        self.latencies_ms: list[float] = []

    def fault(self, what: str) -> None:
        if len(self.faults) < _MAX_FAULTS:
            self.faults.append(what)


class Client(asyncio.Protocol):
    """One connection: one request at a time, and nothing may come that was not asked for."""

    def __init__(self, tally: Tally, targets: list[Target], seed: int) -> None:
        self._tally = tally
        self._targets = targets
        self._chance = random.Random(seed)
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[None] | None = None
        self._headers: dict[bytes, bytes] = {}
        self._body = b""

    # -- asyncio and httptools ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the node closed the connection"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._tally.fault(f"not an answer: {error}: {data[:200]!r}")
            assert self._transport is not None
            self._transport.abort()

    def on_message_begin(self) -> None:
        self._headers, self._body = {}, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._answer is None or self._answer.done():
            self._tally.fault(f"an answer that nobody asked for: {self._body[:200]!r}")
        else:
            self._answer.set_result(None)

    # -- invoking -------------------------------------------------------------------------------------------------

    async def run(self, port: int, until_s: float) -> None:
        """One invocation after another until then (monotonic)."""
        loop = asyncio.get_running_loop()
        while time.monotonic() < until_s:
            if self._transport is None:
                self._parser = httptools.HttpResponseParser(self)
                await loop.create_connection(lambda: self, "127.0.0.1", port)
            if not await self._invoke(self._chance.choice(self._targets)):
                await asyncio.sleep(PAUSE_S)
        if self._transport is not None:
            self._transport.close()

    async def _invoke(self, target: Target) -> bool:
        """Whether it was let in."""
        assert self._transport is not None
        tally = self._tally
        mine = str(uuid.UUID(int=self._chance.getrandbits(128)))
        body = json.dumps({"id": mine, "padding": "x" * self._chance.choice([0, 10, 1000, 100_000])}).encode()
        self._answer = asyncio.get_running_loop().create_future()
        tally.counts["sent"] += 1
        began = time.perf_counter()
        self._transport.write(
            f"POST {target.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: {AUTHORIZATION}\r\nX-Amz-Date: 20261121T000000Z\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                await self._answer
        except (TimeoutError, OSError) as error:
            tally.fault(f"no answer from {target.name}: {error!r}")
            if self._transport is not None:
                self._transport.abort()
            return False
        finally:
            self._answer = None
        tally.latencies_ms.append((time.perf_counter() - began) * 1000 - target.takes_ms)
        status = self._parser.get_status_code()
        self._judge(target, mine, status)
        return status != 429

    def _judge(self, target: Target, mine: str, status: int) -> None:
        tally, document = self._tally, self._document()
        shown = f"{target.name}: {status} {self._body[:300]!r}"
        if status == 429:
            tally.counts[str(document.get("Reason"))] += 1
            if self._headers.get(b"retry-after") != b"1":
                tally.fault(f"a throttle without Retry-After: {shown}")
        elif status != 200:
            tally.fault(f"neither answered nor throttled: {shown}")
        elif b"x-amz-function-error" in self._headers:
            request_id = self._headers[b"x-amzn-requestid"].decode()
            expected = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
            if document != {"errorType": "Runtime.ExitError", "errorMessage": expected}:
                tally.fault(f"not this one's death: {shown}")
            tally.counts["killed"] += 1
        elif document.get("id") != mine or document.get("function") != target.name:
            tally.fault(f"not the echo of {mine}: {shown}")
        elif document["two at once"]:
            tally.fault(f"its environment was serving another: {shown}")
        else:
            tally.counts["echoed"] += 1
            tally.served.append(Served(target.name, document["stream"], document["began"], document["ended"]))

    def _document(self) -> dict[str, Any]:
        try:
            document = json.loads(self._body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}


def most_at_once(served: list[Served]) -> int:
    """The most of these that ran at the same moment."""
    steps = [(each.began_ns, 1) for each in served] + [(each.ended_ns, -1) for each in served]
    most = now = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most
