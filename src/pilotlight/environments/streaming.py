"""A response that comes in pieces, on its way from the runtime's transport to whoever asked for the invocation.

A caller that asked for a stream gets each piece as it comes, and may make the function wait: the transport is not read
while the caller is behind or the bandwidth is used up, so the node never holds more than what one read brought. For a
caller that did not, the pieces are kept, up to the size that a response may have. Limits as in the developer guide,
"Bandwidth limits for response streaming"; the bucket that holds the bandwidth is the Runtime Interface Emulator's.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from pilotlight.environments.invocation import Invocation, Outcome, ResponseHead
from pilotlight.runtimes import faults

#: what a response may have that its caller takes whole
_BUFFERED_BYTES = 6 * 1024 * 1024 + 100


class StreamLimits(msgspec.Struct, frozen=True):
    """The limits of every streamed response of a node."""

    max_bytes: int = 209_715_200
    burst_bytes: int = 6_291_456
    """Bytes that may come at any speed; what was not used of it fills up again."""
    bytes_per_s: int = 2_097_152
    """After those; 0 for no limit."""


class StreamedResponse:
    """One of them. The `Source` that its caller pauses. `end` releases the transport, however the invocation ended."""

    __slots__ = (
        "_bandwidth_timer",
        "_behind",
        "_bytes",
        "_first_byte_ns",
        "_limits",
        "_loop",
        "_max_bytes",
        "_pieces",
        "_read_paused",
        "_refilled_at",
        "_started_ns",
        "_stream",
        "_tokens",
        "_transport",
    )

    def __init__(
        self,
        invocation: Invocation,
        head: ResponseHead,
        transport: asyncio.ReadTransport,
        limits: StreamLimits,
        started_ns: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._stream = invocation.stream
        self._limits = limits
        self._max_bytes = limits.max_bytes if self._stream is not None else _BUFFERED_BYTES
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._started_ns = started_ns
        self._first_byte_ns = 0
        self._behind = False
        self._read_paused = False
        self._tokens = float(limits.burst_bytes)
        self._refilled_at = self._loop.time()
        self._bandwidth_timer: asyncio.TimerHandle | None = None
        if self._stream is not None:
            self._stream.begin(head, self)

    # -- what the function writes -----------------------------------------------------------------------------------

    def write(self, chunk: bytes) -> bool:
        """False once it is too large: nothing more of it is wanted."""
        if not chunk:
            return True
        if not self._bytes:
            self._first_byte_ns = time.perf_counter_ns()
        room = self._max_bytes - self._bytes
        self._bytes += len(chunk)
        if room < len(chunk):
            if self._stream is not None and room > 0:
                self._stream.write(chunk[:room])
            self._pieces.clear()
            return False
        if self._stream is None:
            self._pieces.append(chunk)
            return True
        if self._limits.bytes_per_s:
            self._spend(len(chunk))
        self._stream.write(chunk)
        return True

    def end(self) -> None:
        """The invocation is over: whatever else comes from this runtime is no part of it."""
        if self._bandwidth_timer is not None:
            self._bandwidth_timer.cancel()
            self._bandwidth_timer = None
        self._behind = False
        self._settle()

    def tell(self, outcome: Outcome) -> Outcome:
        """`outcome` with what this response was like, and with its error when it was too large."""
        outcome.streamed_bytes = min(self._bytes, self._max_bytes)
        if self._first_byte_ns:
            outcome.first_byte_ms = (self._first_byte_ns - self._started_ns) / 1e6
        if not outcome.function_error:
            if self._bytes > self._max_bytes:
                outcome.payload = faults.too_large(self._max_bytes)
                outcome.function_error = "Unhandled"
                outcome.error_type = faults.TOO_LARGE
            else:
                outcome.payload = b"".join(self._pieces)
        return outcome

    # -- what its caller asks ---------------------------------------------------------------------------------------

    def pause(self) -> None:
        self._behind = True
        self._settle()

    def resume(self) -> None:
        self._behind = False
        self._settle()

    # -- small parts ------------------------------------------------------------------------------------------------

    def _spend(self, size: int) -> None:
        limits = self._limits
        now = self._loop.time()
        filled = self._tokens + (now - self._refilled_at) * limits.bytes_per_s
        self._tokens = min(filled, float(limits.burst_bytes)) - size
        self._refilled_at = now
        if self._tokens < 0 and self._bandwidth_timer is None:
            self._bandwidth_timer = self._loop.call_later(-self._tokens / limits.bytes_per_s, self._refilled)
            self._settle()

    def _refilled(self) -> None:
        self._bandwidth_timer = None
        self._settle()

    def _settle(self) -> None:
        """Read the transport, or do not, as things stand."""
        wait = self._behind or self._bandwidth_timer is not None
        if wait == self._read_paused or self._transport.is_closing():
            return
        self._read_paused = wait
        if wait:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
