"""Responses that stream, by real clients of a real node: when chunks leave, what they may be, and how a stream ends."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from urllib3.exceptions import ProtocolError

from tests.e2e.functions import create, health, invoke, invoke_failing
from tests.e2e.streams import STREAMS, WAIT, Answers, Stream, connection, events, gate, open_gate, stream_request
from tests.support import NodeProcess, eventually, node_process

FORKED = STREAMS
EXECUTED = {"Environment": {"Variables": {"PILOTLIGHT_RESPONSE_STREAM": "1", "PYTHONHASHSEED": "1"}}}


@pytest.mark.parametrize("members", [FORKED, EXECUTED], ids=["forked", "executed"])
def test_chunks_leave_as_they_are_written(node: NodeProcess, unique_name: str, members: dict[str, Any]) -> None:
    client = node.client("lambda")
    source = (
        WAIT + "def handler(event, context):\n    yield 'one'\n    wait(event)\n    yield b'two'\n    print('done')\n"
    )
    create(client, unique_name, source, Timeout=30, Publish=True, **members)
    with gate(client, unique_name + "-gate") as shut:
        stream = Stream(client, unique_name, shut, LogType="Tail", Qualifier="1")
        assert stream.chunk() == b"one", "while the handler waits"
        assert stream.answer["ExecutedVersion"] == "1"
        assert stream.answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
        assert health(node)["concurrentExecutions"] >= 1
        open_gate(client, shut)
        assert stream.rest() == b"two"
    assert stream.complete is not None
    assert list(stream.complete) == ["LogResult"]
    log = base64.b64decode(stream.complete["LogResult"]).decode().splitlines()
    assert log[-3] == "done"
    assert log[-1].startswith("REPORT RequestId: ")
    assert "Status:" not in log[-1]


def test_the_duration_goes_until_the_stream_ends(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    source = "import time\ndef handler(e, c):\n    yield 'a'\n    time.sleep(0.3)\n    yield 'b'\n    time.sleep(0.2)\n"
    create(client, unique_name, source, **STREAMS)
    stream = Stream(client, unique_name, LogType="Tail")
    assert stream.rest() == b"ab"
    assert stream.complete is not None
    report = base64.b64decode(stream.complete["LogResult"]).decode().splitlines()[-1]
    assert float(report.split("Duration: ")[1].split()[0]) >= 500


def test_what_a_part_may_be(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    source = (
        "PARTS = {\n"
        "  'kinds': ['ü', b'\\xff', bytearray(b'a'), memoryview(b'b'), '', b''],\n"
        "  'large': [bytes(3_000_000), b'end'],\n"
        "  'many': [b'0123456789'] * 20_000,\n"
        "  'none': [],\n"
        "}\n"
        "def handler(event, context):\n    return iter(PARTS[event]) if isinstance(event, str) else event\n"
    )
    create(client, unique_name, source, **STREAMS)

    def read(event: Any) -> bytes:
        stream = Stream(client, unique_name, event)
        payload = stream.rest()
        assert stream.complete == {}
        return payload

    assert read("kinds") == "ü".encode() + b"\xffab"
    assert read("large") == bytes(3_000_000) + b"end"
    assert read("many") == b"0123456789" * 20_000
    assert read("none") == b""
    assert read({"plain": 1}) == b'{"plain": 1}', "a response that is no iterator"
    assert invoke(client, unique_name, [1]) == [1]


def test_the_http_head(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    source = "def handler(e, c):\n    yield {'statusCode': 201, 'cookies': ['a=1']}\n    yield 'made'\n"
    create(client, unique_name, source, **STREAMS)
    head, _, body = Stream(client, unique_name).rest().partition(bytes(8))
    assert json.loads(head) == {"statusCode": 201, "cookies": ["a=1"]}
    assert body == b"made"


def test_without_the_variable_an_iterator_gets_what_aws_answers(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, "def handler(e, c):\n    yield 'one'\n")
    wanted = "Unable to marshal response: Object of type generator is not JSON serializable"
    error = invoke_failing(client, unique_name)
    assert (error["errorType"], error["errorMessage"]) == ("Runtime.MarshalError", wanted)
    stream = Stream(client, unique_name)
    assert stream.rest() == b""
    assert stream.complete is not None
    assert stream.complete["ErrorCode"] == "Unhandled"
    assert json.loads(stream.complete["ErrorDetails"])["errorMessage"] == wanted


def test_invoke_takes_a_streamed_response_whole(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    source = (
        "import os\n"
        "def parts(size):\n"
        "    yield b'[' + str(os.getpid()).encode() + b',\"'\n"
        "    while size > 0:\n        yield b'x' * min(size, 100_000)\n        size -= 100_000\n"
        "    yield '\"]'\n"
        "def handler(event, context):\n    return parts(event)\n"
    )
    create(client, unique_name, source, **STREAMS)
    pid, text = invoke(client, unique_name, 5_000_000)
    assert len(text) == 5_000_000
    error = invoke_failing(client, unique_name, 7_000_000)
    assert error["errorType"] == "Function.ResponseSizeTooLarge"
    assert error["errorMessage"] == "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
    assert invoke(client, unique_name, 1) == [pid, "x"], "the same process serves on"


FAULTS = """
import os, signal, time
def handler(event, context):
    if event == "before":
        raise LookupError("before")
    yield "some"
    if event == "raise":
        raise LookupError("in mid-stream")
    if event == "exit":
        os._exit(3)
    if event == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if event == "hang":
        time.sleep(60)
    if event == "late":
        while True:
            time.sleep(0.1)
            yield "."
    if event == "number":
        yield 5
    if event == "close":
        os.close(3)
        yield "lost"
    yield ", all"
"""


@pytest.mark.parametrize(
    ("event", "code", "error_type", "message"),
    [
        ("raise", "LookupError", "LookupError", "in mid-stream"),
        ("number", "Runtime.MarshalError", "Runtime.MarshalError", "a streamed part is bytes or str, not int"),
        ("exit", "Runtime.TruncatedResponse", "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ("kill", "Runtime.TruncatedResponse", "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        ("close", "Runtime.TruncatedResponse", "Runtime.ExitError", "Runtime exited with error: exit status 1"),
        ("hang", "Sandbox.Timedout", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
    ],
)
def test_a_fault_in_mid_stream(
    node: NodeProcess, unique_name: str, event: str, code: str, error_type: str, message: str
) -> None:
    client = node.client("lambda")
    create(client, unique_name, FAULTS, Timeout=1, **STREAMS)
    stream = Stream(client, unique_name, event, LogType="Tail")
    assert stream.rest() == b"some", "what was written before is delivered"
    assert stream.complete is not None
    assert stream.complete["ErrorCode"] == code
    details = json.loads(stream.complete["ErrorDetails"])
    assert details["errorType"] == error_type
    assert details["errorMessage"].endswith(message)
    report = base64.b64decode(stream.complete["LogResult"]).decode().splitlines()[-1]
    lived_on = event in ("raise", "number")
    status = "" if lived_on else "timeout" if event == "hang" else "error"
    assert ("Status: " + status in report) if status else ("Status:" not in report)
    again = Stream(client, unique_name)
    assert (again.rest(), again.complete) == (b"some, all", {})
    error = invoke_failing(client, unique_name, event)
    assert error["errorType"] == error_type, "by Invoke, its answer is the error"


def test_a_traceback_shows_the_function_alone(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, FAULTS, **STREAMS)
    error = invoke_failing(client, unique_name, "raise")
    assert [entry.split('"')[1] for entry in error["stackTrace"]] == ["/var/task/app.py"]


def test_streaming_beyond_the_deadline(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, FAULTS, Timeout=1, **STREAMS)
    stream = Stream(client, unique_name, "late")
    payload = stream.rest()
    assert payload.startswith(b"some...")
    assert stream.complete is not None
    assert stream.complete["ErrorCode"] == "Sandbox.Timedout"
    again = Stream(client, unique_name)
    assert again.rest() == b"some, all", "nothing of the former stream is in the next"


def test_an_error_before_the_first_byte_is_an_ordinary_one(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, FAULTS, **STREAMS)
    stream = Stream(client, unique_name, "before")
    assert stream.rest() == b""
    assert stream.complete is not None
    assert stream.complete["ErrorCode"] == "Unhandled"
    assert json.loads(stream.complete["ErrorDetails"])["errorType"] == "LookupError"


def test_too_large_and_too_fast() -> None:
    limits = {"max_streamed_response_bytes": 3_000_000, "stream_burst_bytes": 1_000_000}
    with node_process(state_delay_ms=0, stream_bytes_per_s=4_000_000, **limits) as node:
        client = node.client("lambda")
        source = (
            "import os\n"
            "def parts(size):\n"
            "    try:\n"
            "        while size > 0:\n            yield bytes(50_000)\n            size -= 50_000\n"
            "    finally:\n        print('closed', os.getpid())\n"
            "def handler(event, context):\n    return parts(event)\n"
        )
        create(client, "large", source, Timeout=30, **STREAMS)
        Stream(client, "large", 0).rest()
        started = time.monotonic()
        stream = Stream(client, "large", 1e12, LogType="Tail")
        assert len(stream.rest()) == 3_000_000
        took = time.monotonic() - started
        assert 0.4 <= took < 10, "a million at once, the other two at four a second, and the handler stops there"
        assert stream.complete is not None
        assert stream.complete["ErrorCode"] == "Function.ResponseSizeTooLarge"
        message = "Response payload size exceeded maximum allowed payload size (3000000 bytes)."
        assert json.loads(stream.complete["ErrorDetails"])["errorMessage"] == message
        closed = [line for line in _log(stream) if line.startswith("closed ")]
        assert len(closed) == 1
        last_part_too_many = Stream(client, "large", 3_050_000)
        assert len(last_part_too_many.rest()) == 3_000_000
        assert last_part_too_many.complete is not None
        assert last_part_too_many.complete["ErrorCode"] == "Function.ResponseSizeTooLarge"
        again = Stream(client, "large", 3_000_000, LogType="Tail")
        assert len(again.rest()) == 3_000_000, "so much may be"
        assert again.complete is not None
        assert "ErrorCode" not in again.complete
        assert closed[0] in _log(again), "the same process serves on"


def test_what_was_written_before_a_death_is_delivered_however_slowly() -> None:
    """The process is gone long before the bandwidth lets its last bytes be read."""
    with node_process(state_delay_ms=0, stream_burst_bytes=1000, stream_bytes_per_s=100_000) as node:
        client = node.client("lambda")
        source = "import os\ndef handler(e, c):\n    for _ in range(2):\n        yield bytes(60_000)\n    os._exit(3)\n"
        create(client, "dies", source, Timeout=30, **STREAMS)
        stream = Stream(client, "dies", LogType="Tail")
        assert len(stream.rest()) == 120_000
        assert stream.complete is not None
        assert stream.complete["ErrorCode"] == "Runtime.TruncatedResponse"
        assert "Runtime exited with error: exit status 3" in stream.complete["ErrorDetails"]
        assert _log(stream)[-1].endswith("Error Type: Runtime.ExitError")


def _log(stream: Stream) -> list[str]:
    assert stream.complete is not None
    return base64.b64decode(stream.complete["LogResult"]).decode().splitlines()


def test_a_node_that_stops_in_mid_stream() -> None:
    with node_process(state_delay_ms=0, drain_s=0.1) as node:
        client = node.client("lambda")
        create(client, "hangs", "import time\ndef handler(e, c):\n    yield 'a'\n    time.sleep(60)\n", **STREAMS)
        stream = Stream(client, "hangs")
        assert stream.chunk() == b"a"
        with ThreadPoolExecutor(1) as pool:
            ending = pool.submit(node.stop)
            with pytest.raises(ProtocolError):
                stream.rest()
            assert stream.complete is None, "what is cut does not look complete"
            assert ending.result() == 0


def test_streams_and_invocations_at_once(node: NodeProcess, unique_name: str) -> None:
    """Twenty of both on one function: every answer is whole and its own."""
    client = node.client("lambda")
    source = "def handler(event, context):\n    for _ in range(200):\n        yield f'{event},' * 100\n"
    create(client, unique_name, source, Timeout=30, **STREAMS)

    def call(number: int) -> bool:
        wanted = f"{number},".encode() * 20_000
        if number % 2:
            return client.invoke(FunctionName=unique_name, Payload=str(number))["Payload"].read() == wanted
        stream = Stream(client, unique_name, number)
        return (stream.rest(), stream.complete) == (wanted, {})

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(call, range(40)))
    eventually(lambda: health(node)["concurrentExecutions"] == 0)


def test_what_the_request_says_of_itself(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    source = (
        "import json, os\n"
        "def handler(event, context):\n"
        "    trace = os.environ['_X_AMZN_TRACE_ID']\n"
        "    yield json.dumps([context.client_context.custom, trace, context.aws_request_id])\n"
    )
    create(client, unique_name, source, **STREAMS)
    root = "Root=1-5759e988-bd862e3fe1be46a994272793"
    context = base64.b64encode(b'{"custom": {"a": "1"}}').decode()
    headers = f"X-Amzn-Trace-Id: {root};Sampled=0\r\nX-Amz-Client-Context: {context}\r\n"
    with connection(node) as raw:
        raw.sendall(stream_request(unique_name).replace(b"Host:", headers.encode() + b"Host:"))
        answers = Answers(raw)
        _, body = answers.next()
    custom, trace, request_id = json.loads(events(body)[0])
    assert custom == {"a": "1"}
    assert trace.startswith(root)
    assert f"x-amzn-requestid: {request_id}" in answers.head
    assert f"x-amzn-trace-id: {root.lower()}" in answers.head


def test_http_1_0_has_no_chunks(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, "def handler(e, c):\n    yield 'one'\n    yield 'two'\n", **STREAMS)
    with connection(node) as raw:
        raw.sendall(stream_request(unique_name).replace(b"HTTP/1.1", b"HTTP/1.0"))
        answer = b"".join(iter(lambda: raw.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert events(body) == (b"onetwo", {})


def test_a_throttle_is_an_ordinary_error(node: NodeProcess, unique_name: str) -> None:
    client = node.client("lambda")
    create(client, unique_name, FAULTS, **STREAMS)
    client.put_function_concurrency(FunctionName=unique_name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        Stream(client, unique_name)
