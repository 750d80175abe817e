"""The limit probe: the least that must happen for an HTTP request to reach a Python handler and come back.

An asyncio.Protocol on httptools and uvloop takes a request, hands its body as one frame over a socketpair to a forked
process that runs AWS's awslambdaric loop, and sends back what that answers. No names, no versions, no admission, no
log, no isolation. What Pilotlight adds to it is what the budgets in docs/specification.md bound. It shares no code
with Pilotlight on purpose: a probe that got slower with the product would measure nothing.

Run alone: python -m bench.probe [environments]; it prints its port.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import struct
import sys
import time
from collections import deque
from typing import Any

import httptools
import uvloop

HEADER = struct.Struct("<IB")
HEAD_LENGTH = struct.Struct("<H")
INVOKE, RESPONSE = 1, 19
ARN = "arn:aws:lambda:us-east-1:000000000000:function:probe"


class FrameClient:
    """What awslambdaric calls: the runtime client, speaking frames on a blocking socket."""

    def __init__(self, channel: socket.socket) -> None:
        from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

        self._channel = channel
        self.marshaller = LambdaMarshaller()

    def wait_next_invocation(self) -> Any:
        from awslambdaric.lambda_runtime_client import InvocationRequest

        length, _ = HEADER.unpack(self._read(HEADER.size))
        payload = self._read(length)
        (head_length,) = HEAD_LENGTH.unpack_from(payload)
        head = payload[2 : 2 + head_length].decode().split("\0")
        return InvocationRequest(
            invoke_id=head[0],
            deadline_time_in_ms=int(head[1]),
            invoked_function_arn=head[2],
            x_amzn_trace_id=head[3],
            client_context=head[4],
            cognito_identity=head[5],
            tenant_id=head[6] or None,
            content_type="application/json",
            event_body=payload[2 + head_length :],
            invocation_id=None,
        )

    def post_invocation_result(
        self,
        invoke_id: str,
        result_data: str | bytes,
        content_type: str = "application/json",
        invocation_id: Any = None,
    ) -> None:
        body = result_data if isinstance(result_data, bytes) else result_data.encode()
        self._channel.sendall(frame(RESPONSE, f"{invoke_id}\0" + f"0\0{content_type}", body))

    def post_invocation_error(self, invoke_id: str, *error: Any) -> None:
        print("the probe's function failed:", *error, file=sys.stderr)
        os._exit(1)

    def _read(self, size: int) -> bytes:
        data = self._channel.recv(size, socket.MSG_WAITALL)
        if len(data) < size:
            os._exit(0)
        return data


def frame(kind: int, head: str, body: bytes) -> bytes:
    encoded = head.encode()
    return HEADER.pack(2 + len(encoded) + len(body), kind) + HEAD_LENGTH.pack(len(encoded)) + encoded + body


def hello(event: Any, context: Any) -> Any:
    return {"hello": event.get("name", "world")}


def run_function(channel: socket.socket) -> None:
    """In the forked child: awslambdaric's own loop."""
    os.environ.update(
        AWS_LAMBDA_FUNCTION_NAME="probe",
        AWS_LAMBDA_FUNCTION_VERSION="$LATEST",
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE="128",
        AWS_LAMBDA_LOG_GROUP_NAME="/aws/lambda/probe",
        AWS_LAMBDA_LOG_STREAM_NAME="probe",
    )
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import awslambdaric.bootstrap

    awslambdaric.bootstrap.run("bench.probe.hello", FrameClient(channel))


class Environment(asyncio.Protocol):
    """The node's end of one forked process."""

    def __init__(self, idle: deque[Environment]) -> None:
        self.waiting: HttpConnection | None = None
        self._idle = idle
        self._buffer = b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._idle.append(self)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if len(self._buffer) < HEADER.size:
            return
        length, _ = HEADER.unpack_from(self._buffer)
        if len(self._buffer) < HEADER.size + length:
            return
        (head_length,) = HEAD_LENGTH.unpack_from(self._buffer, HEADER.size)
        body = self._buffer[HEADER.size + 2 + head_length : HEADER.size + length]
        self._buffer = b""
        connection, self.waiting = self.waiting, None
        self._idle.append(self)
        if connection is not None and not connection.transport.is_closing():
            connection.answer(body)


class HttpConnection(asyncio.Protocol):
    """One client. One request at a time: no pipelining, as the load generators send none."""

    numbers = itertools.count()

    def __init__(self, idle: deque[Environment]) -> None:
        self._idle = idle
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._request_id = ""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._request_id = f"{next(self.numbers):032x}"
        environment = self._idle.pop()
        environment.waiting = self
        head = f"{self._request_id}\0" + f"{time.time_ns() // 1_000_000 + 3000}\0{ARN}\0\0\0\0"
        environment.transport.write(frame(INVOKE, head, self._body))
        self._body = b""

    def answer(self, body: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-amzn-requestid: "
            + self._request_id.encode()
            + b"\r\ncontent-length: "
            + str(len(body)).encode()
            + b"\r\n\r\n"
            + body
        )


async def serve(channels: list[socket.socket]) -> None:
    loop = asyncio.get_running_loop()
    idle: deque[Environment] = deque()
    for channel in channels:
        channel.setblocking(False)
        await loop.connect_accepted_socket(lambda: Environment(idle), channel)
    server = await loop.create_server(lambda: HttpConnection(idle), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main(environments: int) -> None:
    channels: list[socket.socket] = []
    for _ in range(environments):
        ours, theirs = socket.socketpair()
        if os.fork() == 0:
            for channel in (*channels, ours):
                channel.close()
            run_function(theirs)
            os._exit(0)
        theirs.close()
        channels.append(ours)
    uvloop.run(serve(channels))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 16)
