"""The answer to InvokeWithResponseStream, written as the function writes it: a PayloadChunk for what there is, and
InvokeComplete at the end, straight from the environment to the connection.

What is wrong before the first byte is an ordinary error. The first piece after a pause leaves at once; more that come
with it leave together. A client that is behind makes the function wait; one that is gone has the rest thrown away.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec

from pilotlight.environments.invocation import ResponseHead, Source
from pilotlight.front.http_connection import Headers
from pilotlight.invoke.messages import InvokeReply, InvokeRequest
from pilotlight.runtimes import faults
from pilotlight.wire import eventstream

#: a response that was not streamed comes in pieces of this size
_PIECE_BYTES = 1024 * 1024
_CHUNK_HEAD = eventstream.encode_headers(
    {":message-type": "event", ":event-type": "PayloadChunk", ":content-type": "application/octet-stream"}
)
_COMPLETE_HEAD = eventstream.encode_headers(
    {":message-type": "event", ":event-type": "InvokeComplete", ":content-type": "application/json"}
)


class Line(Protocol):
    """The connection, as an answer that is streamed sees it."""

    def stream_head(self, headers: Headers) -> bool:
        """Write the head of a 200; whether the body is to be chunked."""
        ...

    def stream_write(self, data: bytes) -> None:
        """Write a part of the body; nothing, when the client has gone."""
        ...

    def stream_ended(self) -> None: ...

    def reply(self, reply: InvokeReply) -> None:
        """Answer without a stream."""
        ...


class EventStreamAnswer:
    """The `stream` of one InvokeRequest, its `finish` the invoker's callback. `pause`, `resume` and `let_go` are the
    connection's to say."""

    def __init__(self, line: Line, request: InvokeRequest, cors: Headers) -> None:
        self._line = line
        self._request = request
        self._cors = cors
        self._source: Source | None = None
        self._began = False
        self._is_chunked = True
        self._paused = False
        self._gone = False
        self._gathered: list[bytes] | None = None
        """What came since a piece was written in this turn of the event loop; None when none was."""

    # -- what the environment and the invoker say -------------------------------------------------------------------

    def begin(self, head: ResponseHead, source: Source) -> None:
        if self._gone:
            return
        self._source = source
        self._write_head(head.executed_version)
        if self._paused:
            source.pause()

    def write(self, chunk: bytes) -> None:
        if self._gone:
            return
        if self._gathered is not None:
            self._gathered.append(chunk)
            return
        self._gathered = []
        asyncio.get_running_loop().call_soon(self._write_gathered)
        self._write_event(_CHUNK_HEAD, chunk)

    def finish(self, reply: InvokeReply) -> None:
        self._source = None
        if self._gone:
            return
        if not self._began:
            if reply.error is not None or reply.status != 200:
                self._line.reply(reply)
                return
            self._write_head(reply.executed_version)
            if reply.function_error is None:
                for start in range(0, len(reply.payload), _PIECE_BYTES):
                    self._write_event(_CHUNK_HEAD, reply.payload[start : start + _PIECE_BYTES])
            self._write_complete(reply, reply.function_error)
        else:
            self._write_gathered()
            self._write_complete(reply, _code(reply))
        if self._is_chunked:
            self._line.stream_write(b"0\r\n\r\n")
        self._line.stream_ended()

    # -- what the connection says -----------------------------------------------------------------------------------

    def pause(self) -> None:
        self._paused = True
        if self._source is not None:
            self._source.pause()

    def resume(self) -> None:
        self._paused = False
        if self._source is not None:
            self._source.resume()

    def let_go(self) -> None:
        """The client has gone: the function runs to its end, and what it still writes is thrown away."""
        self._gone = True
        self._gathered = None
        self.resume()

    # -- small parts ------------------------------------------------------------------------------------------------

    def _write_head(self, version: str) -> None:
        self._began = True
        request = self._request
        headers = [
            (b"x-amzn-RequestId", request.request_id.encode()),
            (b"Content-Type", eventstream.CONTENT_TYPE.encode()),
            (b"X-Amz-Executed-Version", version.encode()),
        ]
        if request.trace_header:
            headers.append((b"X-Amzn-Trace-Id", request.trace_header.encode("latin-1")))
        self._is_chunked = self._line.stream_head(headers + self._cors)

    def _write_gathered(self) -> None:
        gathered, self._gathered = self._gathered, None
        if gathered:
            self._write_event(_CHUNK_HEAD, gathered[0] if len(gathered) == 1 else b"".join(gathered))

    def _write_complete(self, reply: InvokeReply, code: str | None) -> None:
        if reply.error is not None:
            self._write(eventstream.error(reply.error.code, reply.error.message))
            return
        complete: dict[str, str] = {}
        if code is not None:
            complete = {"ErrorCode": code, "ErrorDetails": reply.payload.decode(errors="replace")}
        if reply.log_result is not None:
            complete["LogResult"] = reply.log_result
        self._write_event(_COMPLETE_HEAD, msgspec.json.encode(complete))

    def _write_event(self, head: bytes, payload: bytes) -> None:
        self._write(eventstream.encode_message(head, payload))

    def _write(self, message: bytes) -> None:
        self._line.stream_write(b"%x\r\n%b\r\n" % (len(message), message) if self._is_chunked else message)


def _code(reply: InvokeReply) -> str | None:
    """The ErrorCode of a function that failed in mid-stream: the error's type, where one that failed before it wrote
    anything is `Unhandled`; its death shows as the response's being cut short. So does AWS's platform: the Runtime
    Interface Emulator's `directinvoke`, and what users of AWS report."""
    if reply.function_error is None:
        return None
    return faults.TRUNCATED if reply.error_type == faults.EXIT_ERROR else reply.error_type
