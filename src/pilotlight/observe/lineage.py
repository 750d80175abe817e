"""The Lineage of a chain of invocations: how often it has come back to where it was, in 18 characters at most.

AWS sends `Lineage=1:fe460cdd:0` in trace headers and documents none of it; OpenTelemetry's X-Ray propagators check the
form (a counter of loops up to 32767, eight hex digits for a resource, a counter of requests up to 255), so it is kept
here. What the numbers mean is ours, and is Brent's way of finding a cycle: one function of the chain is watched, and
each return to it is a loop. When the chain has gone on without coming back, another function is watched instead, after
1, 2, 4 ... 128 steps: so a loop that begins late in a chain is found about as soon as one that begins with it, whatever
it goes through, and a header never grows.
"""

from __future__ import annotations

import hashlib

import msgspec

_MAX_LOOPS = 32767
_MAX_STEPS = 256
_HEX = frozenset("0123456789abcdef")


class Lineage(msgspec.Struct, frozen=True, gc=False):
    loops: int
    """How often the watched function has been invoked in this chain, as far as it was watched."""
    resource: str
    """Which function is watched: what `resource` says of it."""
    requests: int
    """Invocations of the chain before this one; once the watched function has come back, before it was watched."""

    def __str__(self) -> str:
        return f"{self.loops}:{self.resource}:{self.requests}"

    def through(self, resource: str) -> Lineage:
        """The lineage one invocation later, when that is of `resource`."""
        step = self.requests + 1
        if resource == self.resource:
            watched_at = 1 << (step.bit_length() - 1)
            return Lineage(min(self.loops + 1, _MAX_LOOPS), resource, watched_at - 1)
        step += 1
        if step == _MAX_STEPS:
            step //= 2
        if step & (step - 1) == 0:
            return Lineage(1, resource, step - 1)
        return Lineage(self.loops, self.resource, step - 1)


def first(resource: str) -> Lineage:
    """Of a chain that begins with `resource`."""
    return Lineage(1, resource, 0)


def resource(account: str, region: str, function: str) -> str:
    """Eight hex digits that stand for a function; its versions and aliases are one."""
    return hashlib.sha256(f"{account}:{region}:{function}".encode()).hexdigest()[:8]


def parse(text: str) -> Lineage | None:
    """None for what has not this form: of a client's making, or AWS's before 2024 (`a87bd80c:1|68fd508a:5`)."""
    parts = text.split(":")
    if len(parts) != 3 or len(text) > 18:
        return None
    loops, name, requests = parts
    if not (loops.isascii() and loops.isdigit() and requests.isascii() and requests.isdigit()):
        return None
    if len(name) != 8 or not _HEX.issuperset(name) or int(loops) > _MAX_LOOPS or int(requests) >= _MAX_STEPS:
        return None
    return Lineage(int(loops), name, int(requests))
