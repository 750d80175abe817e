"""`pilotlight bill`: what ran on a real node, as a user reads it, and the layout of months that no test can run."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from typing import Any

import click
import msgspec
import pytest

from pilotlight.cli.bill import page
from pilotlight.observe.billing import Used, bill
from tests.e2e.functions import create, invoke
from tests.support import NodeProcess, node_process


def pilotlight(endpoint: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PILOTLIGHT_ENDPOINT": endpoint, **variables}
    command = [sys.executable, "-m", "pilotlight", "bill", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ)


def made(node: NodeProcess, *arguments: str) -> dict[str, Any]:
    result = pilotlight(node.endpoint, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_what_ran_is_on_the_bill(tmp_path: Any) -> None:
    prices = '{"of": "here, today", "million_requests": 1000000, "x86_64": [[0, 1000]]}'
    with node_process(tmp_path / "data", state_delay_ms=0, neighbours=False, prices=prices) as node:
        client = node.client("lambda")
        source = "import time\ndef handler(e, c):\n    time.sleep(0.01)\n"
        create(client, "busy", source, MemorySize=1024, EphemeralStorage={"Size": 1024}, Publish=True)
        create(client, "other", source)
        for _ in range(3):
            invoke(client, "busy")
        invoke(client, "busy", Qualifier="1")
        invoke(client, "other")
        seen = made(node)
        assert [(line["function"], line["version"], line["requests"]) for line in seen["lines"]] == [
            ("busy", "$LATEST", 3),
            ("busy", "1", 1),
            ("other", "$LATEST", 1),
        ]
        first = seen["lines"][0]
        assert first["requestCost"] == pytest.approx(3)
        assert 0.03 <= first["gbSeconds"] < 3
        assert first["computeCost"] == pytest.approx(1000 * first["gbSeconds"])
        assert first["storageGbSeconds"] == pytest.approx(first["gbSeconds"] / 2)
        assert (seen["over"], seen["pricesOf"]) == (False, "here, today")
        assert seen["total"] == pytest.approx(seen["cost"] - seen["freeTier"]["discount"], abs=1e-6)
        node.stop()
        node.start()
        assert made(node)["lines"] == seen["lines"], "it outlives the node"
        shown = pilotlight(node.endpoint).stdout
        assert "here, today" in shown and "5 of 1,000,000 requests" in shown
        assert [row.split()[:1] for row in shown.splitlines() if "$LATEST" in row] == [["busy"], ["other"]]
        alone = pilotlight(node.endpoint, "--function", "other").stdout
        assert "busy" not in alone and "before the account's free tier" in alone
        assert "Nothing ran in that month." in pilotlight(node.endpoint, "--month", "2020-02").stdout
        assert "did not run" in pilotlight(node.endpoint, "--function", "nobody").stdout
        assert made(node, "--account", "111111111111")["lines"] == []
        for month in ("november", "2026-13", "0000-01"):
            result = pilotlight(node.endpoint, "--month", month)
            assert (result.returncode, result.stdout) == (1, "")
            assert f"'{month}' is no month" in result.stderr


def read(node: NodeProcess, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_where_callers_must_sign_reports_are_read_with_a_signature_or_the_token() -> None:
    keys = {"AKIAPILOTLIGHT": "secret"}
    with node_process(auth="sigv4", access_keys=keys, report_token="for Prometheus", neighbours=False) as node:
        signed = {"AWS_ACCESS_KEY_ID": "AKIAPILOTLIGHT", "AWS_SECRET_ACCESS_KEY": "secret"}
        result = pilotlight(node.endpoint, "--json", **signed)
        assert (result.returncode, json.loads(result.stdout)["lines"]) == (0, [])
        for refused in ({}, {**signed, "AWS_SECRET_ACCESS_KEY": "wrong"}):
            result = pilotlight(node.endpoint, "--json", **dict.fromkeys(signed, "") | refused)
            assert (result.returncode, result.stdout) == (1, "")
            assert "report_token" in result.stderr or "signature" in result.stderr
        for path in ("/_pilotlight/metrics", "/_pilotlight/bill"):
            assert read(node, path)[0] == 403
            assert "report_token" in read(node, path)[1]
            assert read(node, path, authorization="Bearer another")[0] == 403
            assert read(node, path, authorization="Bearer for Prometheus")[0] == 200
        assert read(node, "/_pilotlight/health")[0] == 200
    with node_process(auth="sigv4", access_keys=keys, neighbours=False) as node:
        assert read(node, "/_pilotlight/metrics", authorization="Bearer ")[0] == 403, "no token is no empty token"


def test_no_node_answers() -> None:
    result = pilotlight("http://127.0.0.1:1")
    assert result.returncode == 1
    assert result.stderr == (
        "Error: No node answers at http://127.0.0.1:1. "
        "Start one with `pilotlight up`, or name another with --endpoint.\n"
    )


def lines_of(*used: Used, function: str = "") -> list[str]:
    built = msgspec.to_builtins(bill(used, account="000000000000", month="2026-11"))
    return [click.unstyle(line) for line in page(built, function)]


def used(function: str, version: str, **amounts: Any) -> Used:
    return Used(
        region=amounts.pop("region", "us-east-1"),
        function=function,
        version=version,
        architecture=amounts.pop("architecture", "x86_64"),
        **amounts,
    )


def test_a_months_table() -> None:
    shown = lines_of(
        used("thumbnail", "$LATEST", requests=3_000_000, mib_ms=3_000_000 * 120 * 1536),
        used("thumbnail", "7", requests=12, mib_ms=12 * 120 * 1536),
        used("hello", "$LATEST", requests=1_000, mib_ms=1_000 * 128),
    )
    assert shown == [
        "",
        "  What November 2026 would cost on AWS",
        "  account 000000000000, US dollars at the prices of us-east-1, 2025-10-01",
        "",
        "  function   version   requests     GB-s  for requests  compute    cost",
        "  thumbnail  $LATEST  3,000,000  540,000        0.6000   9.0000  9.6000",
        "             7               12     2.16        0.0000   0.0000  0.0000",
        "  hello      $LATEST      1,000   0.1250        0.0002   0.0000  0.0002",
        "  ─────────────────────────────────────────────────────────────────────",
        "  Sum                                                            9.6003",
        "  Free tier                                                     -6.8667",
        "    1,000,000 of 1,000,000 requests, 400,000 of 400,000 GB-s",
        "  Total                                                         $2.7336",
        "",
    ]


def test_columns_come_with_what_is_in_them() -> None:
    shown = lines_of(
        used("a", "1", requests=5, kept_mib_ms=10**12, provisioned_requests=5, provisioned_mib_ms=10**9),
        used("a", "2", requests=5, architecture="arm64", tmp_mib_ms=10**9, region="eu-west-1", streamed_bytes=1 << 40),
    )
    assert shown[4].split() == [
        *("function", "region", "version", "arch", "requests", "GB-s"),
        *("for", "requests", "compute", "provisioned", "/tmp", "streaming", "cost"),
    ]
    assert shown[5].split()[:5] == ["a", "eu-west-1", "2", "arm64", "5"]
    assert shown[6].split()[:5] == ["a", "us-east-1", "1", "x86_64", "10"], "another region's is another function"
    assert len({len(line) for line in shown[4:8]}) == 1, "columns stand below each other"
