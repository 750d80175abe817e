"""The exporter of spans by itself: its bound, what it sends at once, and what it makes of a collector's answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pilotlight.catalog.records import FunctionVersion
from pilotlight.clock import ManualClock
from pilotlight.observe import trace_header
from pilotlight.observe.lineage import Lineage
from pilotlight.observe.otlp import AT_ONCE, STOP_LIMIT_S, SpanExporter
from pilotlight.observe.spans import TracedInvocation
from pilotlight.observe.trace import Trace
from pilotlight.observe.trace_header import TraceHeader
from pilotlight.settings import Settings, SettingsError
from tests.e2e.collector import Collector, collector
from tests.support import eventually_async

VERSION = FunctionVersion(
    account="000000000000", region="us-east-1", name="f", role="r", code_blob="", code_sha256="", code_size=1
)


def traced() -> TracedInvocation:
    header = TraceHeader(trace_header.new().root, trace_header.new_id(), True, Lineage(1, "fe460cdd", 0))
    return TracedInvocation(Trace(header, "", "r", "", 1_000, began_ns=2_000), VERSION, None, 3_000, None, "")


@asynccontextmanager
async def exporting(taking: Collector, clock: ManualClock, **options: int) -> AsyncIterator[SpanExporter]:
    exporter = SpanExporter(Settings(otlp_endpoint=taking.endpoint + "/"), clock, **options)
    exporter.start()
    try:
        yield exporter
    finally:
        await exporter.stop()


async def passed(clock: ManualClock, exporter: SpanExporter, **expected: int) -> None:
    def as_expected() -> bool:
        clock.advance(1_000)
        return exporter.statistics() == expected

    await eventually_async(as_expected, what=f"{expected}")


async def test_what_is_over_the_bound_is_dropped_and_counted() -> None:
    clock = ManualClock()
    with collector() as taking:
        async with exporting(taking, clock, kept=5) as exporter:
            for _ in range(8):
                exporter.add(traced())
            assert exporter.statistics() == {"exported": 0, "waiting": 5, "dropped": 3}
            await passed(clock, exporter, exported=5, waiting=0, dropped=3)
    assert len(taking.spans()) == 10  # an invocation and its overhead, each


async def test_many_go_in_several_requests() -> None:
    clock = ManualClock()
    with collector() as taking:
        async with exporting(taking, clock) as exporter:
            for _ in range(AT_ONCE * 2 + 1):
                exporter.add(traced())
            await passed(clock, exporter, exported=AT_ONCE * 2 + 1, waiting=0, dropped=0)
    assert len(taking.requests) == 3
    assert len({span["traceId"] for span in taking.spans()}) == AT_ONCE * 2 + 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_what_may_pass_is_tried_again(status: int) -> None:
    clock = ManualClock()
    with collector() as taking:
        taking.answer = (status, b"later")
        async with exporting(taking, clock) as exporter:
            exporter.add(traced())

            def refused() -> bool:
                clock.advance(1_000)
                return taking.refused > 1

            await eventually_async(refused)
            taking.answer = (200, b"")
            await passed(clock, exporter, exported=1, waiting=0, dropped=0)


@pytest.mark.parametrize("status", [301, 400, 401, 404, 500])
async def test_what_will_not_pass_is_dropped_and_the_next_is_sent(status: int) -> None:
    clock = ManualClock()
    with collector() as taking:
        taking.answer = (status, b"no")
        async with exporting(taking, clock) as exporter:
            exporter.add(traced())
            await passed(clock, exporter, exported=0, waiting=0, dropped=1)
            taking.answer = (200, b"{}")
            exporter.add(traced())
            await passed(clock, exporter, exported=1, waiting=0, dropped=1)


@pytest.mark.parametrize(
    "answer", [b"", b"not json", b"[]", b'{"partialSuccess": 3}', b'{"partialSuccess": {"rejectedSpans": "2"}}']
)
async def test_no_answer_breaks_it(answer: bytes) -> None:
    clock = ManualClock()
    with collector() as taking:
        taking.answer = (200, answer)
        async with exporting(taking, clock) as exporter:
            exporter.add(traced())
            await passed(clock, exporter, exported=1, waiting=0, dropped=0)


async def test_what_cannot_be_sent_at_the_end_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    with collector() as gone:
        pass
    async with exporting(gone, ManualClock()) as exporter:
        exporter.add(traced())
    assert exporter.dropped == 1
    assert "1 invocations were not sent" in caplog.text


async def test_a_collector_that_never_answers_does_not_keep_a_node_from_stopping() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        exporter = SpanExporter(Settings(otlp_endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}"), ManualClock())
        exporter.start()
        exporter.add(traced())
        async with asyncio.timeout(STOP_LIMIT_S + 5):
            await exporter.stop()
        assert exporter.dropped == 1


async def test_credentials_of_a_collector_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    with collector() as taking:
        taking.answer = (403, b"no")
        settings = Settings(otlp_endpoint=f"http://user:secret@127.0.0.1:{taking.port}")
        exporter = SpanExporter(settings, clock)
        exporter.start()
        exporter.add(traced())
        await passed(clock, exporter, exported=0, waiting=0, dropped=1)
        await exporter.stop()
    assert "refused spans with 403" in caplog.text and "secret" not in caplog.text


@pytest.mark.parametrize("endpoint", ["localhost:4318", "ftp://localhost", "http://", "nonsense"])
async def test_an_endpoint_has_to_be_a_url(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="otlp_endpoint"):
        SpanExporter(Settings(otlp_endpoint=endpoint), ManualClock())
