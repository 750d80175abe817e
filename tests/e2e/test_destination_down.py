"""A destination that nothing answers for, for an hour: over real HTTP, with the clock in hand."""

from __future__ import annotations

import json
import socket

from pilotlight.clock import ManualClock
from tests.e2e.events import configure
from tests.e2e.functions import create
from tests.support import eventually_async, running_node
from tests.support.queue_server import QueueServer

TOLD = "def handler(e, c):\n    if e['fail']:\n        raise ValueError('told to')\n    return e\n"


async def test_results_arrive_when_their_queue_is_back(unique_name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    clock = ManualClock()
    queue, topic = (f"arn:aws:{service}:us-east-1:000000000000:later" for service in ("sqs", "sns"))
    async with running_node(clock=clock, state_delay_ms=0, endpoints={"sqs": f"http://127.0.0.1:{port}"}) as node:
        client = node.client("lambda")
        await node.call(create, client, unique_name, TOLD, DeadLetterConfig={"TargetArn": queue})
        await node.call(node.client("sns").create_topic, Name="later")
        destinations = {"OnSuccess": {"Destination": topic}, "OnFailure": {"Destination": queue}}
        await configure(node, unique_name, DestinationConfig=destinations, MaximumRetryAttempts=0)
        for number in range(20):
            payload = json.dumps({"fail": number % 2 == 0, "number": number})
            await node.call(client.invoke, FunctionName=unique_name, InvocationType="Event", Payload=payload)

        async def waiting() -> tuple[int, int, int]:
            store = node.node.store
            queues = (f"deliveries/{queue}", f"deliveries/{topic}", f"async/000000000000/us-east-1/{unique_name}")
            return tuple([await store.queue_depth(name) for name in queues])  # type: ignore[return-value]

        async def only_those() -> bool:
            return await waiting() == (20, 0, 0)

        await eventually_async(
            only_those, what="ten records and ten dead letters wait, and what goes elsewhere is there"
        )
        for _ in range(60):
            clock.advance(60_000)
        assert await waiting() == (20, 0, 0)
        with QueueServer(port) as queues:

            async def all_there() -> bool:
                clock.advance(60_000)
                return await waiting() == (0, 0, 0)

            await eventually_async(all_there)
            taken = queues.messages["later"]
            records = [json.loads(one["MessageBody"]) for one in taken if "MessageAttributes" not in one]
            letters = [json.loads(one["MessageBody"]) for one in taken if "MessageAttributes" in one]
            assert sorted(record["requestPayload"]["number"] for record in records) == list(range(0, 20, 2))
            assert sorted(letter["number"] for letter in letters) == list(range(0, 20, 2))
