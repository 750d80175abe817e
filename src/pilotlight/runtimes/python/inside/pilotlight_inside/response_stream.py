"""Responses that leave while the handler makes them: for functions that ask for it, whose handler returns an iterator.

AWS's managed Python does not stream, so this is by leave of the function: PILOTLIGHT_RESPONSE_STREAM=1 in its
environment. Without it an iterator is what it is on AWS, a response that cannot be marshalled. The iterator is run
where awslambdaric marshals responses, so what it raises is formatted, logged and reported by awslambdaric as ever.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

STREAM_ENOUGH = 2
STREAM_BEGIN, STREAM_CHUNK, STREAM_END = 21, 22, 23
HTTP_INTEGRATION = "application/vnd.awslambda.http-integration-response"
VARIABLE = "PILOTLIGHT_RESPONSE_STREAM"

_CHUNK_BYTES = 65_536
_PRELUDE_END = bytes(8)


class Response:
    """One response on its way out. It begins with its first bytes, so that what fails before is an ordinary error."""

    def __init__(self, channel: Any, frame: Callable[..., bytes], request_id: str) -> None:
        self.began = False
        self.enough = False
        """The node has said that the response is too large."""
        self._channel = channel
        self._frame = frame
        self._request_id = request_id
        self._unsent = b""
        select: Any = import_module("select")
        self._news = select.poll()
        self._news.register(channel.fd, select.POLLIN)

    def begin(self, content_type: str = "application/octet-stream") -> None:
        self.began = True
        self._unsent = self._frame(STREAM_BEGIN, (self._request_id, content_type))

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), _CHUNK_BYTES):
            if self._news.poll(0):
                self._channel.skip_enough()
                self.enough = True
                return
            begin, self._unsent = self._unsent, b""
            self._channel.send_frames(begin + self._frame(STREAM_CHUNK, (), data[start : start + _CHUNK_BYTES]))

    def end(self, max_rss_kib: int, error_type: str = "", body: bytes = b"") -> None:
        if not self.began:
            self.begin()
        self._channel.send_frames(
            self._unsent + self._frame(STREAM_END, (self._request_id, str(max_rss_kib), error_type), body)
        )


def send(parts: Iterator[Any], response: Response, fault: Callable[[str], Exception]) -> None:
    """Write what the iterator gives. A first part that is a dict is the HTTP head: statusCode, headers, cookies."""
    part: Any
    try:
        for part in parts:
            if isinstance(part, str):
                data = part.encode()
            elif isinstance(part, (bytes, bytearray, memoryview)):
                data = bytes(part)  # pyright: ignore[reportUnknownArgumentType]
            elif isinstance(part, dict) and not response.began:
                response.begin(HTTP_INTEGRATION)
                data = json.dumps(part).encode() + _PRELUDE_END
            else:
                raise fault(f"Unable to marshal response: a streamed part is bytes or str, not {_kind(part)}")
            if not response.began:
                response.begin()
            response.write(data)
            if response.enough:
                return
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()


def _kind(part: Any) -> str:
    return type(part).__name__


def _as_the_bootstrap(function: Any) -> Any:
    """awslambdaric leaves frames of its `bootstrap.py` out of the tracebacks it reports; these are such frames."""
    function.__code__ = function.__code__.replace(co_filename="/var/runtime/bootstrap.py")
    return function


def streaming_client(base: Any, channel: Any, frame: Callable[..., bytes], max_rss_kib: Callable[[], int]) -> Any:
    """`base`, a LambdaRuntimeClient class over frames, that streams the iterators it is given as results."""
    fault_exception: Any = import_module("awslambdaric.lambda_runtime_exception").FaultException
    runtime_client: Any = import_module("awslambdaric.lambda_runtime_client").BaseLambdaRuntimeClient

    def fault(message: str) -> Exception:
        return fault_exception(fault_exception.MARSHAL_ERROR, message, None)

    class Marshaller:
        """A function may have replaced awslambdaric's marshaller: all but iterators is that one's."""

        def __init__(self, client: Any) -> None:
            self._client = client

        def unmarshal_request(self, *given: Any, **named: Any) -> Any:
            return runtime_client.marshaller.unmarshal_request(*given, **named)

        @_as_the_bootstrap
        def marshal_response(self, response: Any) -> Any:
            if not (hasattr(response, "__next__") and hasattr(response, "__iter__")):
                return runtime_client.marshaller.marshal_response(response)
            self._client.response = answer = Response(channel, frame, self._client.request_id)
            send(response, answer, fault)
            return b"", "application/octet-stream"

    class StreamingClient(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)
            self.marshaller = Marshaller(self)
            self.request_id = ""
            self.response: Response | None = None

        def wait_next_invocation(self) -> Any:
            invocation: Any = base.wait_next_invocation(self)
            self.request_id = invocation.invoke_id
            return invocation

        def post_invocation_result(self, invoke_id: str, *given: Any, **named: Any) -> None:
            response, self.response = self.response, None
            if response is None:
                base.post_invocation_result(self, invoke_id, *given, **named)
            else:
                response.end(max_rss_kib())

        def post_invocation_error(self, invoke_id: str, error_response_data: str, *given: Any, **named: Any) -> None:
            response, self.response = self.response, None
            if response is None or not response.began:
                base.post_invocation_error(self, invoke_id, error_response_data, *given, **named)
            else:
                error_type = json.loads(error_response_data).get("errorType") or "Runtime.Unknown"
                response.end(max_rss_kib(), error_type, error_response_data.encode("utf-8", "replace"))

    return StreamingClient()


_as_the_bootstrap(send)
