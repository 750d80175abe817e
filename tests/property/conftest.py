"""How many requests the property tests send, and the table of what became of them."""

from __future__ import annotations

import os
from typing import Any

import hypothesis
import pytest

from tests.property import judge

#: requests to each operation; a number asked for means other ones each time
ASKED = os.environ.get("PROPERTY_EXAMPLES", "")
USUAL = 30


def settings(share: float = 1.0) -> hypothesis.settings:
    """`share` of the examples of a usual test, for one whose examples take longer."""
    return hypothesis.settings(
        max_examples=max(1, round((int(ASKED) if ASKED else USUAL) * share)),
        derandomize=not ASKED,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        print_blob=True,
        phases=[phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.explain],
    )


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    if ASKED and judge.counts:
        terminalreporter.section("requests to each operation")
        terminalreporter.write_line(judge.table())
