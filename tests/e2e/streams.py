"""What tests of streamed responses share: functions that wait at gates, and clients that are no SDK.

A gate is a function that exists: a handler waits for as long as it does. Raw clients read as slowly as they like, go
away, or send several requests at once.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

from botocore.eventstream import EventStreamBuffer

from tests.e2e.functions import create
from tests.support import NodeProcess, eventually

STREAMS = {"Environment": {"Variables": {"PILOTLIGHT_RESPONSE_STREAM": "1"}}}

#: the top of an app.py whose handler may `wait(name)`
WAIT = """
import os, time, urllib.error, urllib.request
def wait(gate):
    while True:
        try:
            urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/2015-03-31/functions/" + gate).close()
        except urllib.error.HTTPError:
            return
        time.sleep(0.02)
"""


@contextlib.contextmanager
def gate(client: Any, name: str) -> Iterator[str]:
    """Shut until the block ends, if nobody called `open_gate` before."""
    create(client, name, "def handler(e, c): pass\n")
    try:
        yield name
    finally:
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            client.delete_function(FunctionName=name)


def open_gate(client: Any, name: str) -> None:
    client.delete_function(FunctionName=name)


class Stream:
    """One InvokeWithResponseStream, read event by event."""

    def __init__(self, client: Any, name: str, event: Any = None, **members: Any) -> None:
        self.answer = client.invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event), **members)
        self._events = iter(self.answer["EventStream"])
        self.complete: dict[str, Any] | None = None

    def chunk(self) -> bytes:
        event = next(self._events)
        return event["PayloadChunk"]["Payload"]

    def rest(self) -> bytes:
        """Everything up to InvokeComplete, which is kept in `complete`."""
        read: list[bytes] = []
        for event in self._events:
            assert self.complete is None, "nothing comes after InvokeComplete"
            if "PayloadChunk" in event:
                read.append(event["PayloadChunk"]["Payload"])
            else:
                self.complete = event["InvokeComplete"]
        return b"".join(read)


def request(path: str, payload: bytes = b"null") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(payload)}\r\n\r\n"
    return head.encode() + payload


def invoke_request(name: str, payload: bytes = b"null") -> bytes:
    return request(f"/2015-03-31/functions/{name}/invocations", payload)


def stream_request(name: str, payload: bytes = b"null") -> bytes:
    return request(f"/2021-11-15/functions/{name}/response-streaming-invocations", payload)


@contextlib.contextmanager
def connection(node: NodeProcess, receive_buffer: int = 0) -> Iterator[socket.socket]:
    with socket.socket() as client:
        client.settimeout(30)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(("127.0.0.1", node.port))
        yield client


class Answers:
    """Reads HTTP answers off a connection, one after the other."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._read = b""
        self.head = ""
        """Of the last answer, in lower case."""

    def next(self) -> tuple[int, bytes]:
        """Status and body, chunks joined."""
        head = self.head = self._until(b"\r\n\r\n").decode().lower()
        status = int(head.split()[1])
        if "transfer-encoding: chunked" not in head:
            length = head.split("content-length: ")[1].split("\r\n")[0]
            return status, self._exactly(int(length))
        body: list[bytes] = []
        while size := int(self._until(b"\r\n"), 16):
            body.append(self._exactly(size))
            self._exactly(2)
        self._exactly(2)
        return status, b"".join(body)

    def _until(self, end: bytes) -> bytes:
        while end not in self._read:
            self._more()
        found, _, self._read = self._read.partition(end)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            self._more()
        found, self._read = self._read[:size], self._read[size:]
        return found

    def _more(self) -> None:
        data = self._client.recv(1 << 20)
        assert data, "the connection ended"
        self._read += data


def events(body: bytes) -> tuple[bytes, dict[str, Any]]:
    """The payload and the InvokeComplete of an event stream."""
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    payload, complete = b"", {}
    for message in buffer:
        if message.headers[":event-type"] == "PayloadChunk":
            payload += message.payload
        else:
            complete = json.loads(message.payload)
    return payload, complete


def log_lines(node: NodeProcess, name: str) -> list[str]:
    logs = node.client("logs")
    try:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
        return [event["message"] for page in pages for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []


def reported(node: NodeProcess, name: str, count: int = 1) -> list[str]:
    """The function's log once it has `count` REPORT lines: after that many invocations ended."""

    def lines() -> list[str]:
        found = log_lines(node, name)
        return found if sum(line.startswith("REPORT ") for line in found) >= count else []

    return eventually(lines, what=f"{count} REPORT lines of {name}")
