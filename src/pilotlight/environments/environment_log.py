"""What one environment logs: the platform's lines and what the function prints, on one log stream.

All of it goes to the log store; the last of it also to the log tail of the invocation that runs, when its caller asked
for one. What is logged ahead of the first invocation is shown in that one's tail, as on AWS.
"""

from __future__ import annotations

import time

from pilotlight.catalog.records import FunctionVersion
from pilotlight.environments.log_tail import LogTail
from pilotlight.environments.tools import EnvironmentTools
from pilotlight.observe.output import Line, LogStreamParser
from pilotlight.observe.platform_events import LEVELS


class EnvironmentLog:
    """`stream_name` is the function's AWS_LAMBDA_LOG_STREAM_NAME."""

    __slots__ = ("_ahead", "_parser", "_stream", "stream_name", "tail")

    def __init__(
        self, version: FunctionVersion, tools: EnvironmentTools, environment_id: str, *, shows_init: bool
    ) -> None:
        self.stream_name = version.log_stream_name(tools.clock.time_ms(), environment_id)
        self._stream = tools.log_store.stream(version.account, version.region, version.log_group_name, self.stream_name)
        self._stream.json = version.log_format == "JSON"
        self._parser = LogStreamParser(LEVELS.get(version.application_log_level, 0))
        self._ahead = shows_init
        """There has been no invocation, and `tail` is for the first."""
        self.tail: LogTail | None = LogTail() if shows_init else None
        """Where the last of what is logged goes now. An invocation that begins turns to its own."""

    def turn_to(self, tail: LogTail | None) -> None:
        before, self.tail = self.tail, tail
        if self._ahead:
            self._ahead = False
            if before is not None and tail is not None:
                tail.extend([*before])

    def write(self, message: str, at_ms: int | None = None) -> None:
        """A line of the platform's; "" is none."""
        if not message:
            return
        self._stream.append(at_ms or now_ms(), message)
        if self.tail is not None:
            self.tail.append(message)

    def printed(self, data: bytes) -> None:
        """What the function printed: many lines, perhaps, and half of one."""
        self._take(self._parser.feed(data))

    def flush(self) -> None:
        """It prints no more: what it has not ended is a line as well."""
        self._take(self._parser.flush())

    def _take(self, found: list[Line]) -> None:
        if not found:
            return
        at_ms = now_ms()
        self._stream.extend([(at or at_ms, message) for at, message in found])
        if self.tail is not None:
            self.tail.extend([message for _, message in found])


def now_ms() -> int:
    """Log events carry the machine's time, whatever clock the node's timetables follow."""
    return time.time_ns() // 1_000_000
