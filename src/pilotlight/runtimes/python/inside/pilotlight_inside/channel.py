"""The frame channel's side in the sandbox: a client object for awslambdaric that speaks frames instead of HTTP.

The format is in the node's `runtimes/frames.py`. The channel is fd 3. A handler may close it, or fork: both are
noticed here and end the process, so that the node never waits for an answer that cannot come, nor gets two.
"""

from __future__ import annotations

import json
import os
import resource
import struct
from collections.abc import Callable
from importlib import import_module
from typing import Any

from pilotlight_inside import response_stream

CHANNEL_FD = 3
INVOKE, READY, INIT_ERROR, RESPONSE, ERROR = 1, 17, 18, 19, 20
MAX_RESPONSE_BYTES = 6 * 1024 * 1024 + 100

_HEADER = struct.Struct("<IB")
_HEADS = struct.Struct("<H")
_ENOUGH = bytes((response_stream.STREAM_ENOUGH,))
_ENOUGH_BYTES = 7


def max_rss_kib() -> int:
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


class Channel:
    def __init__(self, fd: int = CHANNEL_FD) -> None:
        self.fd = fd
        os.set_inheritable(fd, False)
        self._identity = self._who()
        self._owner = os.getpid()

    def _who(self) -> tuple[int, int]:
        status = os.fstat(self.fd)
        return status.st_dev, status.st_ino

    def _check(self) -> None:
        """The fd may have been closed, and its number may be another file's by now: then no answer can ever go out."""
        if os.getpid() != self._owner:
            _die("a process forked by the handler returned from it; only the invoked process may answer")
        try:
            intact = self._who() == self._identity
        except OSError:
            intact = False
        if not intact:
            _die("the function closed a file descriptor of the runtime")

    def send(self, kind: int, fields: tuple[str, ...], body: bytes = b"") -> None:
        self.send_frames(frame(kind, fields, body))

    def send_frames(self, data: bytes) -> None:
        """One or several, whole."""
        self._check()
        sent = os.write(self.fd, data)
        if sent < len(data):
            rest = memoryview(data)
            while sent < len(data):
                sent += os.write(self.fd, rest[sent : sent + (1 << 20)])

    def receive(self) -> tuple[int, list[str], bytes]:
        self._check()
        data = os.read(self.fd, 65536)
        if data[4:5] == _ENOUGH:  # of a response that ended before it was read
            data = data[_ENOUGH_BYTES:] or os.read(self.fd, 65536)
        while data and (len(data) < 5 or len(data) < 5 + _HEADER.unpack_from(data)[0]):
            wanted = 65536 if len(data) < 5 else 5 + _HEADER.unpack_from(data)[0] - len(data)
            pieces = [data]
            while wanted > 0:
                piece = os.read(self.fd, min(wanted, 1 << 20))
                if not piece:
                    os._exit(0)
                pieces.append(piece)
                wanted -= len(piece)
                if len(data) < 5:
                    break
            data = b"".join(pieces)
        if not data:
            os._exit(0)  # the node has gone, or is done with this environment
        _, kind = _HEADER.unpack_from(data)
        (head_length,) = _HEADS.unpack_from(data, 5)
        head = data[7 : 7 + head_length].decode().split("\0")
        return kind, head, data[7 + head_length :]

    def skip_enough(self) -> None:
        """Read what the node says in mid-response, which can be one thing only."""
        self._check()
        if not os.read(self.fd, _ENOUGH_BYTES):
            os._exit(0)


def frame(kind: int, fields: tuple[str, ...], body: bytes = b"") -> bytes:
    head = "\0".join(fields).encode("utf-8", "replace")
    return _HEADER.pack(2 + len(head) + len(body), kind) + _HEADS.pack(len(head)) + head + body


def _die(reason: str) -> None:
    try:
        os.write(2, f"Runtime error: {reason}\n".encode())
    finally:
        os._exit(1)


def make_client(channel: Channel) -> Any:
    """A LambdaRuntimeClient of the awslambdaric at hand whose calls are frames."""
    from awslambdaric.lambda_runtime_client import InvocationRequest, LambdaRuntimeClient

    to_json: Callable[[Any], str] = import_module("awslambdaric.lambda_runtime_marshaller").to_json

    class FrameClient(LambdaRuntimeClient):
        def __init__(self) -> None:
            super().__init__(os.environ.get("AWS_LAMBDA_RUNTIME_API", ""))
            self._ready = False

        def wait_next_invocation(self) -> Any:
            if not self._ready:
                self._ready = True
                channel.send(READY, (str(max_rss_kib()),))
            _, head, body = channel.receive()
            request_id, deadline_ms, arn, trace_id, client_context, cognito_identity, tenant_id = head
            return InvocationRequest(
                invoke_id=request_id,
                x_amzn_trace_id=trace_id or None,
                invoked_function_arn=arn,
                deadline_time_in_ms=int(deadline_ms),
                client_context=client_context or None,
                cognito_identity=cognito_identity or None,
                tenant_id=tenant_id or None,
                content_type="application/json",
                event_body=body,
                invocation_id=None,
            )

        def post_invocation_result(
            self, invoke_id: str, result_data: Any, content_type: str = "application/json", invocation_id: Any = None
        ) -> None:
            body = result_data if isinstance(result_data, bytes) else result_data.encode("utf-8")
            if len(body) > MAX_RESPONSE_BYTES:
                message = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
                error_type = "Function.ResponseSizeTooLarge"
                body = json.dumps({"errorMessage": message, "errorType": error_type}).encode()
                channel.send(ERROR, (invoke_id, str(max_rss_kib()), error_type), body)
            else:
                channel.send(RESPONSE, (invoke_id, str(max_rss_kib()), content_type), body)

        def post_invocation_error(
            self, invoke_id: str, error_response_data: str, xray_fault: str, invocation_id: Any = None
        ) -> None:
            body = error_response_data.encode("utf-8", "replace")
            error_type = json.loads(error_response_data).get("errorType") or "Runtime.Unknown"
            channel.send(ERROR, (invoke_id, str(max_rss_kib()), error_type), body[:MAX_RESPONSE_BYTES])

        def post_init_error(self, error_response_data: Any, error_type_override: str | None = None) -> None:
            error_type = error_type_override or error_response_data["errorType"]
            channel.send(
                INIT_ERROR, (error_type, str(max_rss_kib())), to_json(error_response_data).encode("utf-8", "replace")
            )

        def restore_next(self) -> None:
            """On-demand environments have nothing to wait for between init and the first invocation."""

        def report_restore_error(self, restore_error_data: Any) -> None:
            body = to_json(restore_error_data).encode("utf-8", "replace")
            channel.send(INIT_ERROR, ("Runtime.AfterRestoreError", str(max_rss_kib())), body)

    if os.environ.get(response_stream.VARIABLE) == "1":
        return response_stream.streaming_client(FrameClient, channel, frame, max_rss_kib)
    return FrameClient()


Start = tuple[Callable[[str, Any], None], str, Any]
"""awslambdaric's own loop, the handler's name and the client: `run(handler, client)` never returns."""


def ready_to_run(handler: str, channel: Channel) -> Start:
    """Logs go to stdout's pipe as awslambdaric's framed records, so that their order with what is printed is kept."""
    os.environ["_LAMBDA_TELEMETRY_LOG_FD"] = str(os.dup(1))
    return import_module("awslambdaric.bootstrap").run, handler, make_client(channel)
