"""Sends spans to an OpenTelemetry collector over OTLP/HTTP, off every path that somebody waits on.

What ends is appended to a list; every second of the clock the list is sent as one request. A collector that is down is
tried again with longer and longer pauses, while at most `KEPT` invocations wait in memory: what comes after is dropped
and counted, and functions never notice. What is left is sent once more when the node stops.
Source: OpenTelemetry Protocol specification, "OTLP/HTTP" (which answers are to be tried again, partial success).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec

from pilotlight.clock import Clock
from pilotlight.observe.spans import TracedInvocation, export_request
from pilotlight.settings import Settings, SettingsError

logger = logging.getLogger(__name__)

KEPT = 10_000
AT_ONCE = 100
EVERY_MS = 1_000
LAST_WAIT_MS = 60_000
ANSWER_LIMIT_S = 10.0
STOP_LIMIT_S = 3.0
_TRY_AGAIN = frozenset({429, 502, 503, 504})


class _NotTaken(Exception):
    """The collector is not there, or asks to be tried again."""


class SpanExporter:
    """`start`, then `add` as often as wanted, then `stop`. All on the event loop."""

    def __init__(self, settings: Settings, clock: Clock, kept: int = KEPT) -> None:
        """`kept`: how many invocations wait at most. Raises SettingsError when otlp_endpoint is not a URL."""
        endpoint = settings.otlp_endpoint
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError("otlp_endpoint: not the URL of a collector such as http://127.0.0.1:4318")
        self._url = endpoint.rstrip("/") + "/v1/traces"
        self._name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        """For messages: never with credentials."""
        self._headers = {**settings.otlp_headers, "Content-Type": "application/json"}
        self._clock = clock
        self._kept = kept
        self._waiting: deque[TracedInvocation] = deque()
        self._some = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._down = False
        self.exported = 0
        """Invocations whose spans the collector has taken."""
        self.dropped = 0
        """Invocations whose spans nobody will see."""

    def add(self, invocation: TracedInvocation) -> None:
        if len(self._waiting) >= self._kept:
            self.dropped += 1
            return
        self._waiting.append(invocation)
        self._some.set()

    def start(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_LIMIT_S))
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Send what is left, for a moment."""
        assert self._task is not None and self._session is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        with contextlib.suppress(TimeoutError, _NotTaken):
            async with asyncio.timeout(STOP_LIMIT_S):
                while self._waiting:
                    await self._send()
        if self._waiting:
            self.dropped += len(self._waiting)
            logger.warning("the spans of %d invocations were not sent before the node stopped", len(self._waiting))
        await self._session.close()

    def statistics(self) -> dict[str, int]:
        return {"exported": self.exported, "waiting": len(self._waiting), "dropped": self.dropped}

    async def _run(self) -> None:
        wait_ms = EVERY_MS
        while True:
            self._some.clear()
            if not self._waiting:
                await self._some.wait()
            await self._clock.sleep_until(self._clock.time_ms() + wait_ms)
            try:
                while self._waiting:
                    await self._send()
                wait_ms = EVERY_MS
                if self._down:
                    self._down = False
                    logger.warning("spans are sent again; those of %d invocations were dropped so far", self.dropped)
            except _NotTaken as error:
                wait_ms = min(wait_ms * 2, LAST_WAIT_MS)
                if not self._down:
                    self._down = True
                    logger.warning("spans are not sent: %s", error)
            except Exception:
                logger.exception("sending spans")

    async def _send(self) -> None:
        """Send the oldest, and forget them unless they are to be sent again: then raises _NotTaken."""
        assert self._session is not None
        batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        try:
            async with self._session.post(
                self._url, data=export_request(batch), headers=self._headers, allow_redirects=False
            ) as answer:
                status, content = answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._waiting.extendleft(reversed(batch))
            raise _NotTaken(f"{self._name} does not answer: {str(error) or type(error).__name__}") from error
        except asyncio.CancelledError:
            self._waiting.extendleft(reversed(batch))
            raise
        if status in _TRY_AGAIN:
            self._waiting.extendleft(reversed(batch))
            raise _NotTaken(f"{self._name} answers {status}")
        if status >= 300:
            self.dropped += len(batch)
            logger.warning("%s refused spans with %d: %s", self._name, status, content[:200].decode(errors="replace"))
            return
        self.exported += len(batch)
        if refused := _rejected(content):
            logger.warning("%s left out some spans: %s", self._name, refused)


def _rejected(content: bytes) -> str:
    """What an answer says of spans that it did not take; "" when it took all."""
    try:
        answer = msgspec.json.decode(content or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return ""
    partial: Any = answer.get("partialSuccess")
    if not isinstance(partial, dict):
        return ""
    rejected = cast(dict[str, Any], partial)
    return str(rejected) if rejected.get("rejectedSpans") not in (None, 0, "0") else ""
