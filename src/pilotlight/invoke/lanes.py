"""How much of each queue is in hand at once, so that a queue worker is fair without knowing what its items do.

Each queue has a lane with a window. A window that is full of slow items opens further, to `most`: what is quick is not
helped by more of it at once, what is slow shall have all it can use. A refusal (a throttle, a target that is down)
narrows it to what is running, shuts the lane for a while, and has it grow carefully from there; so thousands of waiting
items cost one attempt and not thousands. No lane may take all of the room: whoever comes next gets in.
"""

from __future__ import annotations

import msgspec

#: a lane may hold so many times what is left for all others (dynamic thresholds, Choudhury and Hahne 1998)
_TIMES_WHAT_IS_LEFT = 8
#: an item that has been in hand for so long is slow
SLOW_S = 0.05
#: a window that is full of them grows by the base, so long apart: for 32 events, somewhat faster than AWS scales a
#: function (100 environments a second), and slowly enough that others start theirs between
GROW_S = 0.2
#: after a refusal a window grows by 1, 2, 4 ... at a time, so long apart
CAREFUL_S = 1.0
_FORGET_AFTER_S = 60.0


class Bounds(msgspec.Struct, frozen=True):
    """Items in hand at once: over all queues; of one queue to begin with; of one queue whose items are slow."""

    total: int
    base: int
    most: int


class Lane:
    """What is in hand of one queue. Times in seconds are `loop.time()`, in milliseconds the clock's steady ones."""

    __slots__ = ("_began", "_bounds", "_changed", "_shut_until_ms", "_step", "window")

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._began: dict[str, float] = {}
        """By item id, oldest first."""
        self._changed = 0.0
        """When the window was last changed."""
        self._step = 0
        """By how much it grows; 0: by the base, for nothing has been refused."""
        self._shut_until_ms = 0
        self.window = bounds.base

    @property
    def held(self) -> int:
        return len(self._began)

    def shut_until_ms(self, now_ms: int) -> int | None:
        """When it opens again; None when it is open."""
        return self._shut_until_ms if now_ms < self._shut_until_ms else None

    def room(self, free: int, now_ms: int) -> int:
        """How many more may be taken of this queue while there is room for `free` in all."""
        if now_ms < self._shut_until_ms:
            return 0
        held = self.held
        fair = (_TIMES_WHAT_IS_LEFT * free - held) // (_TIMES_WHAT_IS_LEFT + 1)
        if not held and free > 0:
            fair = max(1, fair)
        return max(0, min(self.window - held, fair))

    def begin(self, item_id: str, now: float) -> None:
        self._began[item_id] = now

    def end(self, item_id: str) -> None:
        """It ended: whoever comes next may do as well."""
        self._began.pop(item_id, None)  # once for an item that was begun again because its lease had ended
        self._shut_until_ms = 0

    def refuse(self, item_id: str, until_ms: int, now: float) -> None:
        """It was not taken, and others would not be either: try again when an item in hand has ended, or then."""
        self._began.pop(item_id, None)
        self.window = max(1, self.held)
        self._step = 1
        self._changed = now
        self._shut_until_ms = until_ms

    def grow(self, now: float) -> float | None:
        """Widen a full window when it is time; returns when to look again (`loop.time()`), None for not by itself."""
        if self.held < self.window or self.window >= self._bounds.most:
            return None
        at = self._changed + (CAREFUL_S if self._step else GROW_S)
        if self.window >= self._bounds.base:
            at = max(at, next(iter(self._began.values())) + SLOW_S)
        if now < at:
            return at
        self.window = min(self.window + (self._step or self._bounds.base), self._bounds.most)
        self._step *= 2
        self._changed = now
        return None

    def idle(self, now: float, now_ms: int) -> bool:
        """Whether nothing of it is worth remembering."""
        if self._began or now_ms < self._shut_until_ms:
            return False
        return not self._step or now - self._changed > _FORGET_AFTER_S
