"""kill -9 of the node at random moments under load loses no function, no accepted event and no result of one."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from pathlib import Path

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


def test_accepted_events_survive_kills(tmp_path: Path, unique_name: str) -> None:
    random.seed(20261121)
    collector = Collector()
    node = NodeProcess(tmp_path / "data", network="host", state_delay_ms=0, neighbours=False)
    node.data_dir.mkdir()
    accepted: list[str] = []
    functions: list[str] = []
    number = 0
    try:
        node.start()
        create(node.client("lambda"), unique_name, REPORTING)
        functions.append(unique_name)
        for round_number in range(KILLS):
            stop = threading.Event()
            lock = threading.Lock()

            def load(client: object, stop: threading.Event = stop, lock: threading.Lock = lock) -> None:
                nonlocal number
                while not stop.is_set():
                    with lock:
                        number += 1
                        event_id = f"e{number:06d}"
                    payload = f'{{"id": "{event_id}", "port": {collector.port}}}'
                    try:
                        client.invoke(FunctionName=unique_name, InvocationType="Event", Payload=payload)  # type: ignore[attr-defined]
                    except (ClientError, BotoCoreError):
                        continue
                    with lock:
                        accepted.append(event_id)

            threads = [threading.Thread(target=load, args=(node.client("lambda"),)) for _ in range(4)]
            for thread in threads:
                thread.start()
            extra = f"{unique_name}-{round_number}"
            create(node.client("lambda"), extra, REPORTING)
            functions.append(extra)
            time.sleep(random.uniform(0.0, 0.25))
            node.kill()
            stop.set()
            for thread in threads:
                thread.join()
            node.start()
        client = node.client("lambda")
        listed = {
            f["FunctionName"] for page in client.get_paginator("list_functions").paginate() for f in page["Functions"]
        }
        assert listed == set(functions)
        assert len(accepted) >= KILLS
        eventually(lambda: set(accepted) <= set(collector.ran), within_s=90, what="every accepted event ran")
        unknown = set(collector.ran) - {f"e{n:06d}" for n in range(1, number + 1)}
        assert not unknown
    finally:
        node.stop()
        collector.close()


def test_every_result_reaches_its_destination_through_kills(tmp_path: Path, unique_name: str) -> None:
    """Events that fail are told to a destination and to a dead letter queue, the others to another destination."""
    random.seed(20261130)
    told = "def handler(event, context):\n    assert event['id'] % 3\n    return event['id']\n"
    accepted: list[int] = []
    sent = 0
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
                stop = threading.Event()
                lock = threading.Lock()

                def load(client: object, stop: threading.Event = stop, lock: threading.Lock = lock) -> None:
                    nonlocal sent
                    while not stop.is_set():
                        with lock:
                            sent += 1
                            number = sent
                        try:
                            client.invoke(  # type: ignore[attr-defined]
                                FunctionName=unique_name, InvocationType="Event", Payload=json.dumps({"id": number})
                            )
                        except (ClientError, BotoCoreError):
                            continue
                        with lock:
                            accepted.append(number)

                threads = [threading.Thread(target=load, args=(node.client("lambda"),)) for _ in range(3)]
                for thread in threads:
                    thread.start()
                time.sleep(random.uniform(0.2, 0.6))
                node.kill()
                stop.set()
                for thread in threads:
                    thread.join()
                node.start()
            assert len(accepted) >= RESULT_KILLS

            def told_of(name: str) -> set[int]:
                return {body.get("requestPayload", body)["id"] for body in queues.bodies(name)}

            failed = {number for number in accepted if number % 3 == 0}
            for name, expected in (
                ("OnFailure", failed),
                ("letters", failed),
                ("OnSuccess", set(accepted) - failed),
            ):
                eventually(lambda name=name, expected=expected: expected <= told_of(name), within_s=60, what=name)
                others = told_of(name) - expected
                assert all((number % 3 == 0) == (name != "OnSuccess") and number <= sent for number in others), name
        finally:
            node.stop()
