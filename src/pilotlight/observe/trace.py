"""One sampled invocation as a trace sees it: its ids, and when it came to what.

Made by `invoke.tracing`, which decides what is sampled; the environment notes when the function began; the log's
REPORT, and the spans if there are any, are made of it. An invocation that is not sampled has none.
"""

from __future__ import annotations

import msgspec

from pilotlight.observe.trace_header import TraceHeader


class Trace(msgspec.Struct, gc=False):
    header: TraceHeader
    """As the function is given it: its Parent is the id of this invocation's own span."""
    parent: str
    """Id of the span it was invoked in; "" at the beginning of a trace."""
    request_id: str
    source: str
    """What invoked: a trigger's service principal, `function-url`, or "" for a client."""
    received_ns: int
    """Epoch nanoseconds: when the invocation came to be admitted."""
    accepted_ns: int = 0
    """Epoch nanoseconds: when it was accepted for later; 0 for a synchronous one."""
    began_ns: int = 0
    """Epoch nanoseconds: when an environment took it; 0 before."""
    init_began_ns: int = 0
    """Epoch nanoseconds: when the initialisation before it began; 0 when it met an initialised environment."""

    @property
    def span_id(self) -> str:
        return self.header.parent
