from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.front.parts import RunningFront, running_front


@pytest_asyncio.fixture
async def front() -> AsyncIterator[RunningFront]:
    """A front with default settings on a port of its own."""
    async with running_front() as running:
        yield running
