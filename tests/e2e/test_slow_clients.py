"""Clients that go away, take their time, or do not wait for answers: what becomes of the function, and of the node."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
import time

import pytest

from tests.e2e.functions import create, descendants, health, invoke
from tests.e2e.streams import (
    STREAMS,
    WAIT,
    Answers,
    Stream,
    connection,
    events,
    gate,
    invoke_request,
    open_gate,
    reported,
    stream_request,
)
from tests.e2e.test_metrics import values
from tests.support import NodeProcess, eventually, node_process

PATIENT = (
    WAIT
    + """
def parts(gate):
    yield "first"
    wait(gate)
    for _ in range(100):
        yield bytes(100_000)
    print("finished")
def handler(event, context):
    if event["stream"]:
        return parts(event["gate"])
    wait(event["gate"])
    print("finished")
    return "nobody reads this"
"""
)


def _resident_kib(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


@pytest.mark.parametrize("stream", [False, True], ids=["invoke", "stream"])
def test_a_client_that_vanishes_does_not_stop_the_function(node: NodeProcess, unique_name: str, stream: bool) -> None:
    client = node.client("lambda")
    create(client, unique_name, PATIENT, Timeout=30, **STREAMS)
    with gate(client, unique_name + "-gate") as shut:
        payload = json.dumps({"gate": shut, "stream": stream}).encode()
        with connection(node) as vanishing:
            vanishing.sendall((stream_request if stream else invoke_request)(unique_name, payload))
            if stream:
                assert vanishing.recv(65_536)
            eventually(lambda: health(node)["concurrentExecutions"] == 1)
        open_gate(client, shut)
    lines = reported(node, unique_name)
    assert "finished\n" in lines
    report = next(line for line in lines if line.startswith("REPORT "))
    assert "Status:" not in report, "it ended as if its client were there"
    assert "Max Memory Used: " in report
    eventually(lambda: health(node)["concurrentExecutions"] == 0)
    assert values(node, "Invocations", "Sum", FunctionName=unique_name) == [1]
    assert values(node, "Errors", "Sum", FunctionName=unique_name) == [0]


@pytest.mark.parametrize("resets", [False, True], ids=["closes", "resets"])
def test_a_client_that_vanishes_before_the_first_byte(node: NodeProcess, unique_name: str, resets: bool) -> None:
    client = node.client("lambda")
    source = (
        WAIT + "def handler(event, context):\n    if event:\n        wait(event)\n    yield str(os.getpid())\n"
        "    for _ in range(50):\n        yield bytes(100_000)\n    print('finished')\n"
    )
    create(client, unique_name, source, Timeout=30, **STREAMS)
    pid = Stream(client, unique_name).rest().rstrip(b"\0")
    with gate(client, unique_name + "-gate") as shut:
        eventually(lambda: health(node)["concurrentExecutions"] == 0)
        with connection(node) as vanishing:
            vanishing.sendall(stream_request(unique_name, json.dumps(shut).encode()))
            eventually(lambda: health(node)["concurrentExecutions"] == 1)
            if resets:
                vanishing.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        open_gate(client, shut)
    lines = reported(node, unique_name, 2)
    assert lines.count("finished\n") == 2
    assert not any("Status:" in line for line in lines)
    assert Stream(client, unique_name).rest().rstrip(b"\0") == pid, "its environment serves on"


def test_a_client_that_reads_nothing_makes_the_function_wait() -> None:
    """The function would write 300 MB at once. It is stopped in its write, and in the end by its timeout."""
    with node_process(state_delay_ms=0, stream_bytes_per_s=0, max_streamed_response_bytes=1_000_000_000) as node:
        client = node.client("lambda")
        source = (
            "def parts():\n    yield 'first'\n    for _ in range(3000):\n        yield bytes(100_000)\n"
            "    print('written')\ndef handler(e, c):\n    return parts() if e else 'ready'\n"
        )
        create(client, "writes", source, Timeout=2, **STREAMS)
        assert invoke(client, "writes", 0) == "ready"
        before_kib = _resident_kib(node.pid)
        with connection(node, receive_buffer=65_536) as lazy:
            lazy.sendall(stream_request("writes", b"1"))
            lines = reported(node, "writes", 2)
            assert "written\n" not in lines
            assert "Status: timeout" in lines[-1]
            assert _resident_kib(node.pid) - before_kib < 16_384
            status, body = Answers(lazy).next()
            payload, complete = events(body)
            assert status == 200
            assert complete["ErrorCode"] == "Sandbox.Timedout"
            assert 5 < len(payload) < 16_000_000, "what the sockets and the node hold, and no more"
        assert invoke(client, "writes", 0) == "ready", "the environment serves on"


def test_a_client_that_reads_a_byte_at_a_time_is_left_and_the_function_finishes() -> None:
    with node_process(state_delay_ms=0, stream_bytes_per_s=0, slow_client_s=1) as node:
        client = node.client("lambda")
        source = (
            "def parts():\n    for _ in range(300):\n        yield bytes(100_000)\n    print('written')\n"
            "def handler(e, c):\n    return parts()\n"
        )
        create(client, "writes", source, Timeout=60, **STREAMS)
        with connection(node, receive_buffer=65_536) as slow:
            slow.sendall(stream_request("writes"))
            reading = threading.Thread(target=_read_slowly, args=(slow,))
            reading.start()
            lines = reported(node, "writes")  # the kernel holds a part, the rest has nobody to take it
        reading.join()
        assert "written\n" in lines
        assert "Status:" not in lines[-1]
        assert len(Stream(client, "writes").rest()) == 30_000_000, "the environment serves on"
        assert health(node)["concurrentExecutions"] == 0


def _read_slowly(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while client.recv(1):
            time.sleep(0.2)


def test_a_client_that_does_not_wait_for_answers(node: NodeProcess, unique_name: str) -> None:
    """Invocations and streams sent at once on one connection are answered in their order."""
    client = node.client("lambda")
    source = (
        "import time\n"
        "def parts(event):\n    for _ in range(3):\n        yield str(event)\n        time.sleep(0.02)\n"
        "def handler(event, context):\n    return parts(event) if event % 2 else event\n"
    )
    create(client, unique_name, source, Timeout=30, **STREAMS)
    with connection(node) as eager:
        everything = b"".join(
            (stream_request if number % 2 else invoke_request)(unique_name, str(number).encode())
            for number in range(10)
        )
        eager.sendall(everything)
        answers = Answers(eager)
        for number in range(10):
            status, body = answers.next()
            assert status == 200
            if number % 2:
                assert events(body) == (str(number).encode() * 3, {})
            else:
                assert json.loads(body) == number


def test_streams_that_are_cut_leave_nothing_behind() -> None:
    """Fifty clients that go after the first byte, ten at a time: no descriptor, no process and no memory stays."""
    with node_process(state_delay_ms=0, stream_bytes_per_s=0) as node:
        client = node.client("lambda")
        source = "def handler(e, c):\n    for _ in range(50):\n        yield bytes(100_000)\n"
        create(client, "writes", source, Timeout=30, **STREAMS)

        def cut_ten() -> None:
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(connection(node)) for _ in range(10)]
                for one in clients:
                    one.sendall(stream_request("writes"))
                for one in clients:
                    assert one.recv(100)
            eventually(lambda: health(node)["concurrentExecutions"] == 0)

        cut_ten()
        client.invoke(FunctionName="writes")
        held, processes, before_kib = _descriptors(node.pid), len(descendants(node.pid)), _resident_kib(node.pid)
        for _ in range(4):
            cut_ten()
        eventually(lambda: _descriptors(node.pid) <= held, what="descriptors are given back")
        assert len(descendants(node.pid)) <= processes + 2
        assert _resident_kib(node.pid) - before_kib < 16_384


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
