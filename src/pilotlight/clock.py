"""One clock, passed in, so that a test can hold time still and a retry after two minutes takes none."""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time in epoch milliseconds, and waiting by it."""

    def time_ms(self) -> int: ...

    async def sleep_until(self, when_ms: int) -> None:
        """Return at or after `when_ms` (epoch milliseconds); at once when it has passed."""
        ...


class SystemClock:
    """The machine's clock. A wait re-reads it, so a clock that jumps forward ends the wait within a second."""

    def time_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep_until(self, when_ms: int) -> None:
        while (left_ms := when_ms - self.time_ms()) > 0:  # noqa: ASYNC110 - time is what is waited for
            await asyncio.sleep(min(left_ms / 1000, 1.0))


class ManualClock:
    """A clock that moves only by `advance`: for tests, and only ever handed in through the composition root."""

    def __init__(self, start_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = start_ms
        self._order = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    def time_ms(self) -> int:
        return self._now_ms

    async def sleep_until(self, when_ms: int) -> None:
        if when_ms <= self._now_ms:
            return
        future = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._waiting, (when_ms, self._order, future))
        await future

    def advance(self, milliseconds: int) -> None:
        """Move time on and wake whoever was waiting for a moment now past."""
        self._now_ms += milliseconds
        while self._waiting and self._waiting[0][0] <= self._now_ms:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)
