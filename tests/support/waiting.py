"""Waiting for a condition with a deadline: the only way a test waits for something it cannot be told about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], *, within_s: float = 20.0, what: str = "") -> T:
    """Call `condition` until it returns something true, and return that; AssertionError after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    pause_s = 0.005
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what or condition}; last result: {result!r}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.1)
    return result


async def eventually_async(condition: Callable[[], T | Awaitable[T]], *, within_s: float = 20.0, what: str = "") -> T:
    """`eventually` for code on the event loop; `condition` may be a coroutine function."""
    deadline = time.monotonic() + within_s
    pause_s = 0.005
    while True:
        result = condition()
        if isinstance(result, Awaitable):
            result = await result
        if result:
            return result  # type: ignore[return-value]
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what or condition}; last result: {result!r}")
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.1)
