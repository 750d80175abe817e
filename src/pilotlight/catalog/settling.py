"""What the clock ends: Pending, InProgress, Creating, Deleting and the like, each at the moment its record says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable

from pilotlight.clock import Clock


class Settling:
    """One timer per key. `close` takes all of them back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}

    def later(self, key: Hashable, at_ms: int, settle: Callable[[], Awaitable[None]]) -> None:
        """Have `settle` run at that moment (epoch ms), in place of whatever was to run for `key`; 0 is never.

        Taking one back is harmless at any moment: what it would still write expects a revision that has passed.
        """
        task = self._tasks.pop(key, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        if at_ms:
            self._tasks[key] = asyncio.create_task(self._settle_at(at_ms, settle), name=f"settle-{key}")

    async def _settle_at(self, at_ms: int, settle: Callable[[], Awaitable[None]]) -> None:
        await self._clock.sleep_until(at_ms)
        await settle()

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
