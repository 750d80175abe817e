"""Where a version's package lies, unpacked and compiled for its interpreter: prepared once, ahead of the first call.

Compiled bytecode beside the code takes a handler's import from 2.3 to 0.7 ms, so it is made when a function is
created or updated, while it is still Pending, rather than in a cold start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pilotlight.catalog.records import FunctionVersion
from pilotlight.store.packages import Packages


class Code:
    def __init__(self, packages: Packages, interpreter: Callable[[str], str]) -> None:
        """`interpreter` gives the path of the Python that runs a runtime (`python3.12`)."""
        self._packages = packages
        self._interpreter = interpreter
        self._ready: dict[tuple[str, str], asyncio.Task[str]] = {}

    async def directory(self, version: FunctionVersion) -> str:
        """The directory, when it is ready to run. Concurrent callers share one preparation."""
        key = (version.code_blob, version.runtime)
        task = self._ready.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._ready[key] = asyncio.create_task(self._prepare(version))
        return await asyncio.shield(task)

    async def _prepare(self, version: FunctionVersion) -> str:
        path = await self._packages.unpacked(version.code_blob)
        await self._packages.compile(path, self._interpreter(version.runtime))
        return str(path)

    def forget(self, blobs: set[str]) -> None:
        """The packages of these blobs are gone."""
        for key in [key for key in self._ready if key[0] in blobs]:
            del self._ready[key]
