"""docs/metrics.md names every metric, and none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

from pilotlight.observe.exposition import FAMILIES
from pilotlight.observe.metrics import METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()


def rows(columns: int) -> list[list[str]]:
    """Of the tables whose first column is a name in code."""
    lines = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if re.match(r"\| `\w+` \|", line)]
    return [[cell.strip("` ") for cell in cells] for cells in lines if len(cells) == columns]


def test_lambda_metrics_are_documented_with_their_unit_and_statistic() -> None:
    documented = {name: (unit, statistic) for name, unit, statistic, _ in rows(4)}
    assert documented == {name: (metric.unit, metric.statistic) for name, metric in METRICS.items()}


def test_what_is_not_recorded_says_what_it_waits_for() -> None:
    recorded, waiting = PAGE.split("These AWS has and this version does not record")
    for name, metric in METRICS.items():
        assert (f"| `{name}` |" in recorded) == metric.recorded
        assert (f"| `{name}` |" in waiting) == (not metric.recorded)


def test_families_are_documented_with_their_type() -> None:
    assert {name: kind for name, kind, _ in rows(3)} == {name: family.kind for name, family in FAMILIES.items()}
