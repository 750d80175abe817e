"""The last 4 KB of what an invocation logged, kept while it runs: what `LogType=Tail` asks for, whatever is printed."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Iterator, Sequence

LOG_TAIL_BYTES = 4096


class LogTail:
    """Holds at most one message more than it has to; of a long one only the end."""

    __slots__ = ("_messages", "_size")

    def __init__(self) -> None:
        self._messages: deque[str] = deque()
        self._size = 0
        """In characters, of which none is less than a byte."""

    def append(self, message: str) -> None:
        message = message[-LOG_TAIL_BYTES:]
        messages = self._messages
        messages.append(message)
        self._size += len(message)
        while self._size - len(messages[0]) >= LOG_TAIL_BYTES:
            self._size -= len(messages.popleft())

    def extend(self, messages: Sequence[str]) -> None:
        begin = len(messages)
        size = 0
        while begin and size < LOG_TAIL_BYTES:
            begin -= 1
            size += len(messages[begin])
        for message in messages[begin:]:
            self.append(message)

    def __iter__(self) -> Iterator[str]:
        return iter(self._messages)

    def encoded(self) -> str:
        """As X-Amz-Log-Result has it, in base64."""
        text = "".join(message if message.endswith("\n") else message + "\n" for message in self._messages)
        return base64.b64encode(text.encode("utf-8", "replace")[-LOG_TAIL_BYTES:]).decode()
