"""How fast something may happen: so many a second, in bursts of at most so many seconds' worth.

The generic cell rate algorithm: one number, the moment at which everything taken so far is paid for. It accrues nothing
beyond its burst, refills continuously, and costs two comparisons. Times are monotonic seconds, so that a clock which
jumps opens no gate and closes none.
"""

from __future__ import annotations

import math


class Pace:
    """`burst_s`: how much time's worth may be taken at once; one always may."""

    __slots__ = ("_allowed_s", "_burst_s", "_interval_s", "_paid_s")

    def __init__(self, per_second: float, burst_s: float) -> None:
        self._burst_s = burst_s
        self._paid_s = -math.inf
        self.change(per_second)

    def change(self, per_second: float) -> None:
        """0 lets everything through."""
        self._interval_s = 1 / per_second if per_second > 0 else 0.0
        # And a hair's breadth for the rounding of so many additions.
        self._allowed_s = max(self._burst_s, self._interval_s) + 1e-6

    def take(self, now_s: float) -> bool:
        """Whether one more may happen at `now_s`; if so, it has."""
        paid_s = self._paid_s
        if paid_s < now_s:
            paid_s = now_s
        paid_s += self._interval_s
        if paid_s - now_s > self._allowed_s:
            return False
        self._paid_s = paid_s
        return True

    def is_full(self, now_s: float) -> bool:
        """Whether all of its burst may be taken: it remembers nothing that matters."""
        return self._paid_s <= now_s
