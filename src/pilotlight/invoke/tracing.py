"""What trace header an invocation gets: from what came with the request, or a new one; and which go too far.

Sampled is what the caller says; where nobody has decided, functions with TracingConfig Active take one request a second
and 5 % of the rest, as X-Ray's default rule does and Lambda lets nobody change (developer guide, "Visualize Lambda
function invocations using AWS X-Ray"). Every invocation takes the chain's Lineage one further; one that comes back to
the same function for the 17th time is stopped (developer guide, "Use Lambda recursive loop detection").
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from pilotlight.catalog.records import FunctionVersion
from pilotlight.catalog.views import FunctionView
from pilotlight.clock import Clock
from pilotlight.environments.invocation import Outcome
from pilotlight.errors import RecursiveInvocationException
from pilotlight.invoke.messages import InvokeRequest
from pilotlight.observe import lineage as lineages
from pilotlight.observe import trace_header
from pilotlight.observe.spans import TracedInvocation
from pilotlight.observe.trace import Trace

#: "approximately 16 times in the same chain of requests"
MOST_LOOPS = 16
_FIXED_RATE = 0.05
_REMEMBERED = 20_000


class Tracing:
    """One per node. `decides_for`: the tracing modes in which it is decided here whether a request is sampled."""

    def __init__(
        self,
        clock: Clock,
        function: Callable[[str, str, str], FunctionView | None],
        sampling: Literal["aws", "all"] = "aws",
        export: Callable[[TracedInvocation], None] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`function` is the catalog's; with `sampling` all, whatever is undecided is sampled; `export` is told of every
        sampled invocation that has run."""
        self._clock = clock
        self._function = function
        self._export = export
        self._all = sampling == "all"
        self._sampler = Sampler(clock, chance)
        self.decides_for = ("Active", "PassThrough") if self._all else ("Active",)
        self._known: dict[int, tuple[FunctionVersion, str, str]] = {}
        """By the identity of the version's value, which is kept alive here: its resource, its lineage when first."""

    def not_sampled(self, version: FunctionVersion, root: str = "") -> str:
        """The header of a call that came without one, of a function whose mode is not in `decides_for`."""
        known = self._known.get(id(version)) or self._of(version)
        return trace_header.not_sampled(known[2], root)

    def begin(self, version: FunctionVersion, request: InvokeRequest) -> Trace | None:
        """Give `request` the header that the function is to get, and its trace if it is sampled.

        Raises RecursiveInvocationException when the chain has come back to this function too often.
        """
        root = request.trace_root
        begun = trace_header.TraceHeader(root) if root else trace_header.new()
        given = trace_header.parse(request.trace_header) or begun
        known = self._known.get(id(version)) or self._of(version)
        lineage = given.lineage
        if lineage is None:
            lineage = lineages.first(known[1])
        elif not self._may_loop(version):  # one that may loop is passed through as if it were not there
            lineage = lineage.through(known[1])
            if lineage.loops > MOST_LOOPS:
                raise RecursiveInvocationException(
                    "Lambda has detected your function being invoked in a recursive loop with other Amazon Web "
                    "Services resources and stopped your function's invocation."
                )
        sampled = self._is_sampled(version, given)
        own = trace_header.new_id() if sampled or not given.parent else given.parent
        header = msgspec.structs.replace(given, parent=own, sampled=sampled, lineage=lineage)
        request.trace_header = str(header)
        if not sampled:
            return None
        now_ns = time.time_ns()
        accepted_ns = 0
        if request.accepted_ms:  # by the steady clock: as long ago as it really was
            accepted_ns = now_ns - (self._clock.steady_ms() - request.accepted_ms) * 1_000_000
        return Trace(header, given.parent, request.request_id, request.source, now_ns, accepted_ns)

    def accept(self, version: FunctionVersion, request: InvokeRequest) -> str:
        """The header that is to lie on the queue with an event: whether it is sampled is decided now."""
        given = trace_header.parse(request.trace_header) or trace_header.new()
        return str(msgspec.structs.replace(given, sampled=self._is_sampled(version, given)))

    def ended(self, trace: Trace, version: FunctionVersion, qualifier: str | None, outcome: Outcome) -> None:
        if self._export is not None:
            error_type = (outcome.error_type or outcome.function_error) if outcome.function_error else ""
            self._export(
                TracedInvocation(trace, version, qualifier, time.time_ns(), outcome.init_ms, error_type),
            )

    def _is_sampled(self, version: FunctionVersion, given: trace_header.TraceHeader) -> bool:
        if given.sampled is not None:
            return given.sampled
        return self._all or (version.tracing == "Active" and self._sampler.takes(version))

    def _may_loop(self, version: FunctionVersion) -> bool:
        view = self._function(version.account, version.region, version.name)
        return view is not None and view.function.recursive_loop == "Allow"

    def _of(self, version: FunctionVersion) -> tuple[FunctionVersion, str, str]:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        resource = lineages.resource(version.account, version.region, version.name)
        known = self._known[id(version)] = (version, resource, str(lineages.first(resource)))
        return known


class Sampler:
    """The first request of each second of the clock, of each function, and 5 % of the others."""

    def __init__(self, clock: Clock, chance: Callable[[], float]) -> None:
        """`chance` gives numbers from 0 up to 1."""
        self._clock = clock
        self._chance = chance
        self._taken_s: dict[tuple[str, str, str], int] = {}

    def takes(self, version: FunctionVersion) -> bool:
        key = (version.account, version.region, version.name)
        second = self._clock.time_ms() // 1000
        if self._taken_s.get(key) != second:
            if len(self._taken_s) >= _REMEMBERED:
                self._taken_s.clear()
            self._taken_s[key] = second
            return True
        return self._chance() < _FIXED_RATE
