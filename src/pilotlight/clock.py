"""One clock, passed in, so that a test can hold time still and a retry after two minutes takes none."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Two readings, both in epoch milliseconds, and waiting.

    `time_ms` is what a user's watch says: for timestamps. It jumps when the machine's clock is set. `steady_ms` never
    does: for how long something waits, and how old it is.
    """

    def time_ms(self) -> int: ...

    def steady_ms(self) -> int:
        """What `time_ms` said when the clock was made, and what has really passed since (sleep included)."""
        ...

    async def sleep_until(self, when_ms: int) -> None:
        """Return when `time_ms` has come to `when_ms`, at once when it has passed; or when as much time has really
        passed as was left at the call, so that a clock that is set back keeps nobody waiting longer."""
        ...


#: counts while the machine sleeps, where it exists (Linux)
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's clock. A wait re-reads it, so a clock that jumps forward ends the wait within a second."""

    def __init__(self) -> None:
        self._ahead_ns = time.time_ns() - time.clock_gettime_ns(_STEADY)

    def time_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def steady_ms(self) -> int:
        return (time.clock_gettime_ns(_STEADY) + self._ahead_ns) // 1_000_000

    async def sleep_until(self, when_ms: int) -> None:
        until_ms = self.steady_ms() + when_ms - self.time_ms()
        while (left_ms := min(when_ms - self.time_ms(), until_ms - self.steady_ms())) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left_ms / 1000, 1.0))


class ManualClock:
    """A clock that moves only by `advance` and `jump`: for tests, and only ever handed in through the composition
    root."""

    def __init__(self, start_ms: int = 1_700_000_000_000) -> None:
        self._steady_ms = start_ms
        self._ahead_ms = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        """(by `time_ms`, by `steady_ms`, who waits)"""

    def time_ms(self) -> int:
        return self._steady_ms + self._ahead_ms

    def steady_ms(self) -> int:
        return self._steady_ms

    async def sleep_until(self, when_ms: int) -> None:
        left_ms = when_ms - self.time_ms()
        if left_ms <= 0:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((when_ms, self._steady_ms + left_ms, future))
        await future

    def advance(self, milliseconds: int) -> None:
        """Let time pass, and wake whoever was waiting for a moment now past."""
        self._steady_ms += milliseconds
        self._wake()

    def jump(self, milliseconds: int) -> None:
        """Have the clock set, forward or (negative) back: no time passes."""
        self._ahead_ms += milliseconds
        self._wake()

    def _wake(self) -> None:
        now_ms = self.time_ms()
        past = [one for one in self._waiting if one[0] <= now_ms or one[1] <= self._steady_ms]
        self._waiting = [one for one in self._waiting if one not in past]
        for _, _, future in sorted(past, key=lambda one: one[:2]):
            if not future.done():
                future.set_result(None)
