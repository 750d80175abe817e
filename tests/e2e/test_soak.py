"""`make soak`, short: under load, while environments are killed, every answer is right and nothing is left behind."""

from __future__ import annotations

from bench import soak
from bench.soak_load import Served, most_at_once


def test_every_answer_is_right_while_environments_die() -> None:
    report = soak.run(seconds=8, connections=100)
    assert not report.faults, str(report)
    assert report.counts["echoed"] > 200, str(report)
    assert report.kills > 10, str(report)


def test_what_overlaps_is_counted() -> None:
    spans = [(0, 10), (5, 15), (9, 20), (10, 12), (30, 40)]
    assert most_at_once([Served("f", "s", began, ended) for began, ended in spans]) == 3
