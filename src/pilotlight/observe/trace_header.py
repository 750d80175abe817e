"""X-Ray's trace header, `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=...`.

The one place that takes such text apart or puts it together. What comes in is a stranger's and goes on into answers,
environments and queues, so what comes out of `parse` is only what has the right form: keys it does not know are kept,
as X-Ray's user guide asks for ("Tracing header"), a header without a usable Root is none. Without one, nothing is
parsed: see `not_sampled`.
"""

from __future__ import annotations

import re
from random import getrandbits
from time import time
from urllib.parse import unquote

import msgspec

from pilotlight.observe import lineage as lineages
from pilotlight.observe.lineage import Lineage

HEADER = "X-Amzn-Trace-Id"
#: longer ones are not ours to carry on
_MAX_LENGTH = 1024
_ROOT = re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}\Z")
_PARENT = re.compile(r"[0-9a-f]{16}\Z")
_OTHER_KEY = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_OTHER_VALUE = re.compile(r"[!-:<-~]{1,128}\Z")
_SAMPLED = {"1": True, "0": False}


class TraceHeader(msgspec.Struct, frozen=True, gc=False):
    root: str
    """`1-<8 hex digits of epoch seconds>-<24 hex digits>`."""
    parent: str = ""
    """Id of the segment or span that the request was made in, 16 hex digits; "" when it does not say."""
    sampled: bool | None = None
    """None: nobody has decided yet."""
    lineage: Lineage | None = None
    others: tuple[str, ...] = ()
    """`key=value` of the keys that mean nothing here, for example a load balancer's `Self`."""

    def __str__(self) -> str:
        text = f"Root={self.root}"
        if self.parent:
            text += f";Parent={self.parent}"
        if self.sampled is not None:
            text += f";Sampled={int(self.sampled)}"
        if self.lineage is not None:
            text += f";Lineage={self.lineage}"
        return ";".join((text, *self.others)) if self.others else text

    @property
    def trace_id(self) -> str:
        """The Root as OpenTelemetry writes it: 32 hex digits."""
        return self.root[2:10] + self.root[11:]


def parse(text: str | None) -> TraceHeader | None:
    """None when there is no Root in it that X-Ray would take; parts that have not their form are left out.

    Keys may be written in any case, as services do. Botocore percent-encodes what it finds in `_X_AMZN_TRACE_ID`.
    """
    if not text or len(text) > _MAX_LENGTH:
        return None
    root = parent = ""
    sampled: bool | None = None
    lineage: Lineage | None = None
    others: list[str] = []
    for part in (unquote(text) if "%" in text else text).split(";"):
        key, _, value = part.strip().partition("=")
        match key.lower():
            case "root":
                root = value.lower()
            case "parent":
                parent = value.lower()
            case "sampled":
                sampled = _SAMPLED.get(value)
            case "lineage":
                lineage = lineages.parse(value)
            case _:
                if _OTHER_KEY.match(key) and _OTHER_VALUE.match(value):
                    others.append(f"{key}={value}")
    if not _ROOT.match(root):
        return None
    return TraceHeader(root, parent if _PARENT.match(parent) else "", sampled, lineage, tuple(others))


def carried(text: str | None) -> str:
    """What is to go along with something that is delivered later, from what its sender sent: "" when that is none."""
    header = parse(text)
    return str(header) if header is not None else ""


def new() -> TraceHeader:
    """A trace that begins here: nobody has decided yet whether it is sampled."""
    return TraceHeader(new_root())


def new_root() -> str:
    """`1-<8 hex digits of epoch seconds>-<24 hex digits>`."""
    return f"1-{int(time()):08x}-{getrandbits(96):024x}"


def new_id() -> str:
    """Of a segment or span."""
    return f"{getrandbits(64):016x}"


def not_sampled(lineage: str, root: str = "") -> str:
    """The header of a call that came without one and is not sampled: the hot path's, so it is one formatting."""
    if root:
        return f"Root={root};Parent={getrandbits(64):016x};Sampled=0;Lineage={lineage}"
    return "Root=1-%08x-%024x;Parent=%016x;Sampled=0;Lineage=%s" % (  # noqa: UP031 - the fastest there is
        int(time()),
        getrandbits(96),
        getrandbits(64),
        lineage,
    )
