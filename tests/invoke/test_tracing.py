"""Which requests are sampled, and what header an invocation gets: by a clock and a chance that the test holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import msgspec
import pytest

from pilotlight.catalog.records import Function, FunctionVersion
from pilotlight.catalog.views import FunctionView
from pilotlight.clock import ManualClock
from pilotlight.errors import RecursiveInvocationException
from pilotlight.invoke.messages import InvokeRequest
from pilotlight.invoke.tracing import MOST_LOOPS, Tracing
from pilotlight.observe import lineage as lineages
from pilotlight.observe import trace_header
from pilotlight.observe.trace_header import TraceHeader

ACCOUNT, REGION = "000000000000", "us-east-1"
ROOT, PARENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"


def version(name: str = "f", tracing: str = "Active", account: str = ACCOUNT) -> FunctionVersion:
    return FunctionVersion(
        account=account,
        region=REGION,
        name=name,
        role="r",
        code_blob="",
        code_sha256="",
        code_size=1,
        tracing=tracing,
    )


def nobody(account: str, region: str, name: str) -> FunctionView | None:
    return None


def make(chances: Iterator[float] | None = None, clock: ManualClock | None = None, **options: Any) -> Tracing:
    given = chances or cycle([0.99])
    return Tracing(clock or ManualClock(), options.pop("function", nobody), chance=lambda: next(given), **options)


def request(header: str | None = None) -> InvokeRequest:
    return InvokeRequest(ACCOUNT, REGION, "f", None, "r", b"", trace_header=header)


def given_to(tracing: Tracing, of: FunctionVersion, header: str | None) -> TraceHeader:
    """What the function is given for a request with `header`."""
    asked = request(header)
    trace = tracing.begin(of, asked)
    got = trace_header.parse(asked.trace_header)
    assert got is not None and str(got) == asked.trace_header
    assert (trace is not None) == got.sampled
    if trace is not None:
        assert trace.header == got
    return got


def test_active_samples_the_first_of_each_second_and_five_percent() -> None:
    clock = ManualClock()
    tracing = make(cycle([0.9, 0.049, 0.05]), clock)
    of = version()
    assert [given_to(tracing, of, None).sampled for _ in range(7)] == [True, False, True, False, False, True, False]
    clock.advance(999)
    assert not given_to(tracing, of, None).sampled
    clock.advance(1)
    assert given_to(tracing, of, None).sampled


def test_each_function_has_a_second_of_its_own() -> None:
    tracing = make()
    assert given_to(tracing, version("f"), None).sampled
    assert given_to(tracing, version("g"), None).sampled
    assert given_to(tracing, version("f", account="111111111111"), None).sampled
    assert not given_to(tracing, version("f"), None).sampled


@pytest.mark.parametrize("mode", ["Active", "PassThrough"])
@pytest.mark.parametrize("sampled", [True, False])
def test_what_was_decided_upstream_stays(mode: str, sampled: bool) -> None:
    tracing = make()
    for _ in range(3):
        got = given_to(tracing, version(tracing=mode), f"Root={ROOT};Parent={PARENT};Sampled={int(sampled)}")
        assert (got.root, got.sampled) == (ROOT, sampled)
        # Sampled, the function is in a span of its own; not sampled, in its caller's.
        assert (got.parent != PARENT) == sampled


def test_what_was_not_is_for_active_alone_to_decide() -> None:
    undecided = f"Root={ROOT};Parent={PARENT}"
    assert given_to(make(), version(tracing="Active"), undecided).sampled
    assert not given_to(make(), version(tracing="PassThrough"), undecided).sampled
    assert make().decides_for == ("Active",)


def test_all_samples_whatever_is_undecided() -> None:
    tracing = make(sampling="all")
    assert tracing.decides_for == ("Active", "PassThrough")
    for mode in tracing.decides_for:
        assert all(given_to(tracing, version(tracing=mode), None).sampled for _ in range(3))
        assert not given_to(tracing, version(tracing=mode), f"Root={ROOT};Sampled=0").sampled


def test_keys_that_mean_nothing_here_are_kept() -> None:
    got = given_to(make(), version(), f"Self=1-67891234-12456789abcdef012345678;Root={ROOT};Sampled=0")
    assert got.others == ("Self=1-67891234-12456789abcdef012345678",)


@pytest.mark.parametrize("header", ["", "nonsense", "Root=1-5759e988;Sampled=1", "Sampled=1", "Root=" + "1" * 9000])
def test_a_malformed_header_begins_a_new_trace(header: str) -> None:
    got = given_to(make(), version(tracing="PassThrough"), header)
    assert got.root != ROOT and not got.sampled
    assert got.lineage == lineages.first(lineages.resource(ACCOUNT, REGION, "f"))


def test_a_call_without_one_that_nobody_samples_gets_one_all_the_same() -> None:
    of = version(tracing="PassThrough")
    tracing = make()
    got = trace_header.parse(tracing.not_sampled(of))
    assert got is not None and got.sampled is False and got.parent
    assert got.lineage == lineages.first(lineages.resource(ACCOUNT, REGION, "f"))
    assert tracing.not_sampled(of) != tracing.not_sampled(of)


def test_an_event_is_decided_about_when_it_is_accepted() -> None:
    tracing = make()
    first = trace_header.parse(tracing.accept(version(), request()))
    second = trace_header.parse(tracing.accept(version(), request()))
    assert first is not None and second is not None
    assert (first.sampled, second.sampled) == (True, False)
    assert first.lineage is None  # it has not been invoked yet
    assert given_to(tracing, version(), str(first)).root == first.root
    # As often as it is tried, it has been invoked once.
    for _ in range(20):
        lineage = given_to(tracing, version(), str(second)).lineage
        assert lineage is not None and lineage.loops == 1


def view(loop: str) -> Callable[[str, str, str], FunctionView | None]:
    function = Function(account=ACCOUNT, region=REGION, name="f", recursive_loop=loop)
    return lambda account, region, name: FunctionView(function, 0, {}, {})


def chain(tracing: Tracing, of: FunctionVersion) -> int:
    """How often a function runs that invokes itself, up to fifty times."""
    header: str | None = tracing.not_sampled(of)
    for runs in range(1, 50):
        asked = request(header)
        try:
            tracing.begin(of, asked)
        except RecursiveInvocationException:
            return runs
        header = asked.trace_header
    return 50


def test_the_seventeenth_turn_is_refused_unless_it_may_loop() -> None:
    assert chain(make(function=view("Terminate")), version()) == MOST_LOOPS
    assert chain(make(function=nobody), version()) == MOST_LOOPS
    assert chain(make(function=view("Allow")), version()) == 50


def test_versions_of_one_function_are_one() -> None:
    tracing = make()
    header: str | None = tracing.not_sampled(version())
    with pytest.raises(RecursiveInvocationException):
        for number in range(1, 30):
            asked = request(header)
            tracing.begin(msgspec.structs.replace(version(), version=str(number)), asked)
            header = asked.trace_header
