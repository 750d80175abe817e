"""kill -9 of the node at random moments under load loses no function, no accepted event and no result of one."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.e2e.functions import create
from tests.support import NodeProcess, eventually
from tests.support.queue_server import QueueServer

KILLS = 20
RESULT_KILLS = 5

REPORTING = (
    "import socket\n"
    "def handler(event, context):\n"
    "    with socket.create_connection(('127.0.0.1', event['port'])) as s:\n"
    "        s.sendall(event['id'].encode() + b'.')\n"
    "        s.shutdown(socket.SHUT_WR)\n"
    "        s.recv(1)\n"
)


class Collector:
    """Writes down every event that ran; outside the node, so that nothing the node does can lose it."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                try:
                    told = connection.makefile("rb").read().decode()
                    if told.endswith("."):  # else its node was killed before the function could say which event it had
                        self.ran.append(told[:-1])
                        connection.sendall(b".")
                except OSError:
                    continue

    def close(self) -> None:
        self._listener.close()


class Load:
    """Clients that send numbered events as fast as they are answered, and which of them were accepted."""

    def __init__(self, name: str, payload: Callable[[int], str]) -> None:
        self._name = name
        self._payload = payload
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self.sent = 0
        self.accepted: set[int] = set()

    def start(self, node: NodeProcess, clients: int) -> None:
        self._stopping.clear()
        self._threads = [
            threading.Thread(target=self._send, args=(node.client("lambda"),), daemon=True) for _ in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _send(self, client: Any) -> None:
        while not self._stopping.is_set():
            with self._lock:
                self.sent += 1
                number = self.sent
            try:
                client.invoke(FunctionName=self._name, InvocationType="Event", Payload=self._payload(number))
            except (ClientError, BotoCoreError):
                continue
            with self._lock:
                self.accepted.add(number)


def test_accepted_events_survive_kills(tmp_path: Path, unique_name: str) -> None:
    random.seed(20261121)
    collector = Collector()
    node = NodeProcess(tmp_path / "data", network="host", state_delay_ms=0, neighbours=False)
    node.data_dir.mkdir()
    load = Load(unique_name, lambda number: json.dumps({"id": str(number), "port": collector.port}))
    functions = [unique_name]
    try:
        node.start()
        create(node.client("lambda"), unique_name, REPORTING)
        for round_number in range(KILLS):
            load.start(node, 4)
            extra = f"{unique_name}-{round_number}"
            create(node.client("lambda"), extra, REPORTING)
            functions.append(extra)
            time.sleep(random.uniform(0.0, 0.25))
            node.kill()
            load.stop()
            node.start()
        client = node.client("lambda")
        listed = {
            f["FunctionName"] for page in client.get_paginator("list_functions").paginate() for f in page["Functions"]
        }
        assert listed == set(functions)
        assert len(load.accepted) >= KILLS

        def ran() -> set[int]:
            return {int(told) for told in collector.ran}

        eventually(lambda: load.accepted <= ran(), within_s=90, what="every accepted event ran")
        assert ran() <= set(range(1, load.sent + 1))
    finally:
        node.stop()
        collector.close()


def test_every_result_reaches_its_destination_through_kills(tmp_path: Path, unique_name: str) -> None:
    """Events that fail are told to a destination and to a dead letter queue, the others to another destination."""
    random.seed(20261130)
    told = "def handler(event, context):\n    assert event['id'] % 3\n    return event['id']\n"
    load = Load(unique_name, lambda number: json.dumps({"id": number}))
    with QueueServer() as queues:
        endpoints = json.dumps({"sqs": queues.endpoint})
        node = NodeProcess(tmp_path / "data", state_delay_ms=0, neighbours=False, endpoints=endpoints)
        try:
            node.start()
            client = node.client("lambda")
            create(client, unique_name, told, DeadLetterConfig={"TargetArn": queues.arn("letters")})
            destinations = {name: {"Destination": queues.arn(name)} for name in ("OnSuccess", "OnFailure")}
            client.put_function_event_invoke_config(
                FunctionName=unique_name, MaximumRetryAttempts=0, DestinationConfig=destinations
            )
            for _ in range(RESULT_KILLS):
                load.start(node, 3)
                time.sleep(random.uniform(0.2, 0.6))
                node.kill()
                load.stop()
                node.start()
            assert len(load.accepted) >= RESULT_KILLS

            def told_of(name: str) -> set[int]:
                return {body.get("requestPayload", body)["id"] for body in queues.bodies(name)}

            failed = {number for number in load.accepted if number % 3 == 0}
            for name, expected in (
                ("OnFailure", failed),
                ("letters", failed),
                ("OnSuccess", load.accepted - failed),
            ):
                eventually(lambda name=name, expected=expected: expected <= told_of(name), within_s=60, what=name)
                others = told_of(name) - expected  # whose 202 the kill has kept from its client
                assert all((number % 3 == 0) == (name != "OnSuccess") and number <= load.sent for number in others)
        finally:
            node.stop()
