"""What tests of asynchronous invocation share: sending events, and seeing how often they ran."""

from __future__ import annotations

import uuid
from typing import Any

from pilotlight.invoke.async_event import AsyncEvent
from tests.support import RunningNode, eventually_async


async def runs(node: RunningNode, name: str, request_id: str) -> int:
    """How often the function was started for a request, by its log: that outlives environments and nodes."""
    client = node.client("logs")

    def starts() -> int:
        try:
            pages = client.get_paginator("filter_log_events").paginate(
                logGroupName=f"/aws/lambda/{name}", filterPattern=f'"START RequestId: {request_id}"'
            )
            return sum(len(page["events"]) for page in pages)
        except client.exceptions.ResourceNotFoundException:
            return 0

    return await node.call(starts)


async def has_run(node: RunningNode, name: str, request_id: str, times: int) -> None:
    """Until it ran so often and its end is recorded."""

    async def so_often() -> bool:
        # In this order: a run that is seen may not have ended, but before it was claimed nothing was in flight either.
        return await runs(node, name, request_id) == times and node.node.in_flight_events == 0

    await eventually_async(so_often, what=f"{times} runs")


def event_of(name: str, accepted_ms: int) -> AsyncEvent:
    return AsyncEvent(
        account="000000000000",
        region="us-east-1",
        function=name,
        request_id=str(uuid.uuid4()),
        payload=b"1",
        accepted_ms=accepted_ms,
    )


async def send(node: RunningNode, name: str) -> str:
    answer = await node.call(node.client("lambda").invoke, FunctionName=name, InvocationType="Event", Payload=b"1")
    assert answer["StatusCode"] == 202
    return answer["ResponseMetadata"]["RequestId"]


async def send_to(node: RunningNode, name: str, qualifier: str) -> str:
    client = node.client("lambda")
    answer = await node.call(client.invoke, FunctionName=name, Qualifier=qualifier, InvocationType="Event")
    return answer["ResponseMetadata"]["RequestId"]


async def configure(node: RunningNode, name: str, **members: Any) -> None:
    await node.call(node.client("lambda").put_function_event_invoke_config, FunctionName=name, **members)
