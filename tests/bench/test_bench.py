"""The instruments of `make bench` work: the probe answers what a handler returns, the load generator counts right."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request

from bench import load, measures, streaming
from bench.run import Row, table


def test_probe_runs_the_handler() -> None:
    with measures.probe(2) as url:
        for name in ("Ada", "Grace"):
            request = urllib.request.Request(url, data=json.dumps({"name": name}).encode())
            with urllib.request.urlopen(request) as answer:
                assert json.load(answer) == {"hello": name}


def test_own_load_generator_reports_what_it_did() -> None:
    with measures.probe(4) as url:
        command = [sys.executable, "-m", "bench.load", url, "4", "0.3"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    seen = json.loads(done.stdout.removeprefix("JSON "))
    assert seen["requests"] > 10
    assert seen["failed"] == 0
    assert 0 < seen["p50_us"] <= seen["p99_us"]
    assert seen["duration_us"] >= 300_000


def test_load_on_a_node_counts_no_failures() -> None:
    with measures.node() as node:
        url = measures.deploy(node, "hello")
        with measures.Api(node.port) as api:
            assert api.timed_invoke_ms("hello") > 0
        seen = load.run(url, connections=2, seconds=1)
    assert seen.failed == 0
    assert seen.rate > 10


def test_a_function_url_is_loaded_beside_invoke() -> None:
    with measures.node() as node:
        url = measures.deploy_url(node, "url")
        assert json.loads(url.event)["requestContext"]["apiId"] == url.host.partition(".")[0]
        seen = load.run(node.endpoint + "/", connections=2, seconds=1, host=url.host)
        assert seen.failed == 0 and seen.rate > 10
        compared = url.compare(connections=1, seconds=1, rounds=1, what="p50_us")
    assert compared.probe > 0 and compared.node > 0


def test_streams_are_measured_beside_the_relay() -> None:
    with measures.node(stream_bytes_per_s=0) as node:
        measures.deploy(node, "stream", streaming.FUNCTION, Environment=streaming.ENVIRONMENT)
        first, rate = streaming.compare(node.port, "stream", rounds=1)
    assert 0 < first.relay < 1e6 and 0 < first.node < 1e6
    assert rate.relay > 1 and rate.node > 1


def test_table_marks_what_is_missed() -> None:
    text = table([Row("a", "1 ms", "under 2 ms", True), Row("b", "3 ms", "under 2 ms", False), Row("c", "?", "", None)])
    assert [line.split()[-1] for line in text.splitlines()[2:]] == ["met", "MISSED", "-"]
