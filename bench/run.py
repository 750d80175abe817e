"""`make bench`: the budgets of docs/specification.md, measured in one run and printed as ratios.

Absolute figures move with the machine and with the hour; what Pilotlight adds to the limit probe (bench/probe.py)
does not, so probe and node take turns under the same load. A missed budget is marked, and the command still succeeds:
whether a machine is good enough is for its owner to say. All figures also go to a JSON file.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from bench import flood, load, measures, streaming
from pilotlight import __version__
from pilotlight.cli.node_process import NodeProcess

T = TypeVar("T")


class Row(NamedTuple):
    """One line of the table; `met` None where there is no budget or nothing could be measured."""

    what: str
    measured: str
    budget: str
    met: bool | None


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.rows: list[Row] = []
        self.figures: dict[str, object] = {}

    def run(self) -> None:
        self._warm_and_cold()
        self._events()
        self._streams()
        self._flood()
        self._start()
        if self.options.functions:
            self._many_functions(self.options.functions)

    def _warm_and_cold(self) -> None:
        seconds, rounds = self.options.seconds, self.options.rounds
        with measures.probe() as probe_url, measures.node() as node:
            hello = measures.deploy(node, "hello")
            rate = self._measure(
                "warm, 8 connections",
                lambda: measures.warm(probe_url, hello, connections=8, seconds=seconds, rounds=rounds, what="rate"),
            )
            if rate:
                self._row(
                    "warm_rate_8_connections",
                    "warm invocations, 8 connections",
                    f"{rate.node:,.0f}/s, probe {rate.probe:,.0f}/s: {rate.ratio:.0%}",
                    "at least 50 % of the probe's",
                    rate.ratio >= 0.5,
                    rate,
                )
            latency = self._measure(
                "warm, 1 connection",
                lambda: measures.warm(probe_url, hello, connections=1, seconds=seconds, rounds=rounds, what="p50_us"),
            )
            if latency:
                self._row(
                    "warm_p50_1_connection",
                    "warm p50, 1 connection",
                    f"{latency.node:,.0f} µs, probe {latency.probe:,.0f} µs: {latency.ratio:.2f}x",
                    "at most 3x the probe's",
                    latency.ratio <= 3,
                    latency,
                )
            self._function_urls(node)
            count = self.options.cold
            plain = self._measure("cold starts", lambda: measures.cold(node.port, "cold", measures.HELLO, count))
            if plain:
                self._row(
                    "cold_start",
                    f"cold start of {plain.count} new functions",
                    f"p50 {plain.p50_ms:.1f} ms, p99 {plain.p99_ms:.1f} ms",
                    "p50 under 10 ms, p99 under 25 ms",
                    plain.p50_ms < 10 and plain.p99_ms < 25,
                    plain,
                )
            with_boto3 = self._measure(
                "cold starts with boto3", lambda: measures.cold(node.port, "cold-boto3", measures.HELLO_BOTO3, count)
            )
            if with_boto3:
                self._row(
                    "cold_start_boto3",
                    "cold start, boto3 imported by the handler",
                    f"p50 {with_boto3.p50_ms:.1f} ms, p99 {with_boto3.p99_ms:.1f} ms",
                    "p50 under 15 ms",
                    with_boto3.p50_ms < 15,
                    with_boto3,
                )
            memory = self._measure("idle memory", lambda: measures.idle_environment_memory(node.pid))
            if memory:
                self._row(
                    "idle_environment",
                    f"idle environment, mean of {memory.environments}",
                    f"{memory.mean_mib:.2f} MiB PSS",
                    "under 3 MB PSS",
                    memory.mean_mib * 1.048576 < 3,
                    memory,
                )

    def _function_urls(self, node: NodeProcess) -> None:
        """A call of a function URL beside an Invoke with the same event, in turns."""
        seconds, rounds = self.options.seconds, self.options.rounds
        url = self._measure("a function URL", partial(measures.deploy_url, node, "url"))
        if url is None:
            return
        for connections in (1, 8):
            plural = "s" if connections > 1 else ""
            compare = partial(url.compare, connections=connections, seconds=seconds, rounds=rounds)
            latency = self._measure(f"function URL, {connections} connection{plural}", partial(compare, what="p50_us"))
            if latency:
                self._row(
                    f"url_p50_{connections}_connection{plural}",
                    f"function URL p50, {connections} connection{plural}",
                    f"{latency.node:,.0f} µs, Invoke {latency.probe:,.0f} µs: {latency.ratio:.2f}x",
                    "at most 1.3x Invoke's",
                    latency.ratio <= 1.3,
                    latency,
                )
            rate = self._measure(f"function URL, {connections} connection{plural}", partial(compare, what="rate"))
            if rate:
                self._row(
                    f"url_rate_{connections}_connection{plural}",
                    f"function URL rate, {connections} connection{plural}",
                    f"{rate.node:,.0f}/s, Invoke {rate.probe:,.0f}/s: 1 in {1 / rate.ratio:.2f}x the time",
                    "at least 1/1.3 of Invoke's",
                    rate.ratio >= 1 / 1.3,
                    rate,
                )

    def _events(self) -> None:
        with measures.node() as node:
            url = measures.deploy(node, "event")
            seen = self._measure(
                "Event invocations",
                lambda: load.run(url, connections=64, seconds=self.options.seconds, kind="Event"),
            )
            if seen:
                self._row(
                    "event_rate",
                    "Event invocations accepted durably, 64 connections",
                    f"{seen.rate:,.0f}/s",
                    "at least 5,000/s",
                    seen.rate >= 5000 and not seen.failed,
                    seen,
                )

        drained = self._measure("the queue's drain", lambda: measures.drain(20_000, self.options.seconds))
        if drained:
            self._row(
                "drain_rate",
                f"{drained.events:,} waiting events run",
                f"{drained.rate:,.0f}/s, synchronous {drained.sync_rate:,.0f}/s: {drained.ratio:.0%}",
                "at least 50 % of the synchronous rate",
                drained.ratio >= 0.5,
                drained,
            )

    def _streams(self) -> None:
        """With the bandwidth limit off: AWS's 2 MB a second are not what is measured."""
        with measures.node(stream_bytes_per_s=0) as node:
            measures.deploy(node, "stream", streaming.FUNCTION, Environment=streaming.ENVIRONMENT)
            compared = self._measure(
                "streamed responses", partial(streaming.compare, node.port, "stream", rounds=self.options.rounds)
            )
        if compared is None:
            return
        first, rate = compared
        self._row(
            "stream_first_byte",
            "streamed response, first byte, p50",
            f"{first.node:,.0f} µs, plain relay {first.relay:,.0f} µs: {first.ratio:.2f}x",
            "at most 6x the relay's",
            first.ratio <= 6,
            first,
        )
        self._row(
            "stream_rate",
            f"streamed response of {streaming.STREAM_CHUNKS * streaming.CHUNK_BYTES / 1e6:,.0f} MB",
            f"{rate.node:,.0f} MB/s, plain relay {rate.relay:,.0f} MB/s: {rate.ratio:.0%}",
            "at least 50 % of the relay's",
            rate.ratio >= 0.5,
            rate,
        )

    def _flood(self) -> None:
        seconds, rounds = self.options.seconds, self.options.rounds
        seen = self._measure("a flood of log lines", lambda: flood.measure(seconds, rounds))
        if seen:
            self._row(
                "warm_p50_beside_flood",
                f"warm p50 beside a function printing {flood.MEGABYTES_PER_S} MB/s",
                f"{seen.beside_us:,.0f} µs, without {seen.alone_us:,.0f} µs: {seen.ratio:.2f}x; "
                f"{seen.megabytes_per_s:.0f} MB/s taken, node grew {seen.grown_mib:.0f} MiB",
                "at most 2x, and 50 MiB",
                seen.ratio <= 2 and seen.grown_mib <= 50,
                seen,
            )

    def _start(self) -> None:
        started = self._measure("node start", lambda: measures.start_seconds(None, 5))
        if started:
            self._row(
                "start_empty",
                "node start to first answer, empty",
                f"p50 {started.p50_ms:,.0f} ms",
                "under 1 s",
                started.p50_ms < 1000,
                started,
            )

    def _many_functions(self, count: int) -> None:
        """A node with many functions: does it start in time, and is a warm call as fast as on one with a few?"""
        seconds, rounds, versions = self.options.seconds, self.options.rounds, self.options.versions
        with tempfile.TemporaryDirectory(prefix="pilotlight-bench-", ignore_cleanup_errors=True) as directory:
            node = NodeProcess(
                Path(directory) / "data", dies_with_us=True, concurrency=100_000, request_rate=0, state_delay_ms=0
            )
            node.start()
            try:
                took = self._measure(
                    f"registering {count} functions of {versions} versions",
                    lambda: measures.register(node.port, count, versions),
                )
                if took is None:
                    return
                self._listing(node.port, count, count * (versions + 1))
            finally:
                node.stop()
            started = self._measure(
                f"node start, {count} functions", lambda: measures.start_seconds(Path(directory) / "data", 3)
            )
            if started:
                self._row(
                    "start_many_functions",
                    f"node start to first answer, {count:,} functions",
                    f"p50 {started.p50_ms:,.0f} ms",
                    "under 2 s",
                    started.p50_ms < 2000,
                    started,
                )
            node.start()
            try:
                with measures.node() as few:
                    urls = (
                        measures.deploy(few, "registered-0"),
                        measures.invocations_url(node.endpoint, "registered-0"),
                    )
                    pair = self._measure(
                        "warm with many functions",
                        lambda: measures.warm(*urls, connections=1, seconds=seconds, rounds=rounds, what="p50_us"),
                    )
            finally:
                node.stop()
            if pair:
                self._row(
                    "warm_p50_many_functions",
                    f"warm p50 with {count:,} functions",
                    f"{pair.node:,.0f} µs, with one {pair.probe:,.0f} µs: {pair.ratio:.2f}x",
                    "no measurable change (within 10 %)",
                    pair.ratio <= 1.1,
                    pair,
                )

    def _listing(self, port: int, functions: int, all_versions: int) -> None:
        """ListFunctions page by page to its end, with and without the published versions."""
        for query, expected in (("", functions), ("&FunctionVersion=ALL", all_versions)):
            what = f"a page of ListFunctions{query and ', FunctionVersion ALL'}, of {expected:,}"
            listed = self._measure(what, partial(measures.page_times, port, query))
            if listed is None:
                continue
            pages, items = listed
            if items != expected:
                self.rows.append(Row(what, f"not measured: {items} were listed", "", None))
                continue
            self._row(
                f"list_functions{query and '_all'}",
                what,
                f"p50 {pages.p50_ms:.1f} ms, p99 {pages.p99_ms:.1f} ms",
                "under 30 ms",
                pages.p99_ms < 30,
                pages,
            )

    def _measure(self, what: str, take: Callable[[], T]) -> T | None:
        """Take one measurement; a failure becomes a row of the table, and the others go on."""
        print(f"  measuring {what} …", file=sys.stderr, flush=True)
        try:
            result = take()
        except Exception as error:
            self.rows.append(Row(what, f"not measured: {error}", "", None))
            return None
        if result is None:
            self.rows.append(Row(what, "not measured: this machine does not let us see it", "", None))
        return result

    def _row(self, key: str, what: str, measured: str, budget: str, met: bool, figure: NamedTuple) -> None:
        self.rows.append(Row(what, measured, budget, met))
        self.figures[key] = {**figure._asdict(), "budget": budget, "met": met}


def machine() -> dict[str, object]:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "cpus": os.cpu_count(),
        "cpu": model,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "root": os.geteuid() == 0,
    }


def table(rows: list[Row]) -> str:
    marks = {True: "met", False: "MISSED", None: "-"}
    widths = [max(len(getattr(row, field)) for row in rows) for field in ("what", "measured", "budget")]
    heads = ("what", "measured", "budget")
    lines = ["  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True)) + "  "]
    lines.append("  ".join("-" * width for width in widths) + "  ------")
    for row in rows:
        cells = (row.what, row.measured, row.budget)
        lines.append(
            "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + f"  {marks[row.met]}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench BENCH_ARGS=…", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4, help="length of each round of load (4)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of probe and node in turn (3)")
    parser.add_argument("--cold", type=int, default=100, help="new functions invoked for each cold start figure (100)")
    parser.add_argument("--functions", type=int, default=0, help="also measure with that many functions registered")
    parser.add_argument("--versions", type=int, default=3, help="published versions of each of those (3)")
    parser.add_argument("--out", type=Path, help="JSON file (bench-results-<date>.json)")
    options = parser.parse_args()
    now = datetime.datetime.now(datetime.UTC)
    facts = machine()
    print(
        f"Pilotlight {__version__} on {facts['cpus']} x {facts['cpu']}, "
        f"Linux {facts['kernel']}, Python {facts['python']}"
    )
    print(
        f"Load by {load.generator()}" + ("" if load.generator() == "wrk" else " (slower than wrk: install wrk)") + "\n"
    )
    bench = Bench(options)
    bench.run()
    print("\n" + table(bench.rows))
    out = options.out or Path(f"bench-results-{now:%Y%m%dT%H%M%SZ}.json")
    results = {"when": now.isoformat(), "version": __version__, "load": load.generator(), "machine": facts}
    out.write_text(json.dumps({**results, "figures": bench.figures}, indent=2) + "\n")
    print(f"\nAll figures: {out}")


if __name__ == "__main__":
    main()
