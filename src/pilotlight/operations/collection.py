"""Packages nothing refers to any more: deleted functions', replaced ones, and those whose function was refused.

To be run when a node starts: an environment still serving a function that was deleted a moment ago runs from its
package, so this is no work for busy times.
"""

from __future__ import annotations

import asyncio

from pilotlight.operations.context import OperationsContext
from pilotlight.operations.durable_executions import remove_forgotten


async def collect_unused(context: OperationsContext, put_before_ms: int) -> list[str]:
    """Remove what no version refers to and what was put before that moment (epoch ms); gives the SHA-256s."""
    await remove_forgotten(context)
    in_use = context.catalog.blobs_in_use()
    context.packages.collect(in_use)
    stored = await asyncio.to_thread(lambda: list(context.blobs.stored()))
    unused = [blob.sha256_hex for blob in stored if blob.sha256_hex not in in_use and blob.put_ms < put_before_ms]
    for sha256_hex in unused:
        await context.blobs.remove(sha256_hex)
    return unused
