"""What a real node puts on the bill beside plain invocations: provisioned concurrency, by the clock."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from pilotlight.clock import ManualClock
from pilotlight.settings import SettingsError
from tests.e2e.functions import create, invoke
from tests.support import RunningNode, eventually_async, running_node

#: 2026-11-30T23:50
BEFORE_MIDNIGHT_MS = 1_796_082_600_000


async def _line(node: RunningNode, query: str, version: str) -> dict[str, Any]:
    def fetch() -> dict[str, Any]:
        with urllib.request.urlopen(f"{node.endpoint}/_pilotlight/bill?{query}", timeout=10) as answer:
            return json.load(answer)

    lines = (await node.call(fetch))["lines"]
    return next((line for line in lines if line["version"] == version), {})


async def test_provisioned_concurrency_is_billed_while_it_is_asked_for(unique_name: str) -> None:
    clock = ManualClock(BEFORE_MIDNIGHT_MS)
    async with running_node(clock=clock, state_delay_ms=0, neighbours=False) as node:
        client = node.client("lambda")
        await node.call(
            create, client, unique_name, "def handler(e, c):\n    return 1\n", MemorySize=1024, Publish=True
        )
        named = {"FunctionName": unique_name, "Qualifier": "1"}
        await node.call(client.put_provisioned_concurrency_config, **named, ProvisionedConcurrentExecutions=2)

        async def ready() -> bool:
            return (await node.call(client.get_provisioned_concurrency_config, **named))["Status"] == "READY"

        await eventually_async(ready)
        await node.call(invoke, client, unique_name, Qualifier="1")
        line = await _line(node, "month=2026-11", "1")
        assert (line["requests"], line["provisionedRequests"], line["gbSeconds"]) == (0, 1, 0)
        assert line["keptGbSeconds"] == 2 * 300, "at once, and for five minutes"
        assert line["provisionedGbSeconds"] > 0.003, "two initialisations and an invocation"
        for _ in range(3):  # to five past midnight, in the next month
            clock.advance(300_000)
            await _line(node, "", "1")
        assert (await _line(node, "month=2026-11", "1"))["keptGbSeconds"] == 2 * 2 * 300
        assert (await _line(node, "month=2026-12", "1"))["keptGbSeconds"] == 2 * 2 * 300
        await node.call(client.delete_provisioned_concurrency_config, **named)
        clock.advance(3_600_000)
        assert (await _line(node, "", "1"))["keptGbSeconds"] == 2 * 2 * 300
        await node.call(invoke, client, unique_name)
        plain = await _line(node, "", "$LATEST")
        assert (plain["requests"], plain["provisionedRequests"]) == (1, 0)


async def test_a_node_does_not_start_with_prices_that_cannot_be() -> None:
    with pytest.raises(SettingsError, match="prices: Object contains unknown field `milion_requests`"):
        async with running_node(prices={"milion_requests": 1.0}):
            pass
