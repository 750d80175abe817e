"""Statistics of histograms, held to the exact ones of the values that went in."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.observe.histogram import RELATIVE_ERROR, ZERO, index_of, value_of
from pilotlight.observe.metric_statistics import extended, statistic
from pilotlight.observe.metrics import Distribution, distribution, encoded_histogram, merged_histogram


def of(values: list[float]) -> Distribution:
    found = Distribution()
    for value in values:
        found.record(value)
    return found


def nearest_rank(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def near(value: float) -> object:
    return pytest.approx(value, rel=RELATIVE_ERROR * 1.0001, abs=1e-12)


@given(st.floats(1e-9, 1e9))
def test_a_bucket_speaks_for_its_values_within_the_error(value: float) -> None:
    assert value_of(index_of(value)) == near(value)


def test_zero_is_a_value_of_its_own() -> None:
    assert index_of(0) == ZERO
    assert value_of(ZERO) == 0
    assert statistic("p50")(of([0.0, 0.0, 5.0])) == 0  # type: ignore[misc]


DURATIONS = {
    "uniform": [random.Random(1).uniform(0.5, 900) for _ in range(5000)],
    "lognormal": [random.Random(2).lognormvariate(2, 1.5) for _ in range(5000)],
    "two humps": [random.Random(3).gauss(*random.Random(n).choice([(5, 0.5), (3000, 200)])) for n in range(5000)],
    "few": [1.0, 2.0, 40.0],
}


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("percent", [0.1, 10, 25, 50, 90, 95, 99, 99.9, 100])
def test_percentiles_are_those_of_the_values_within_the_error(name: str, percent: float) -> None:
    values = DURATIONS[name]
    # In parts, merged as minutes are, through what is kept of them.
    thirds = [of(values[start::3]) for start in range(3)]
    merged = thirds[0]
    for part in thirds[1:]:
        row = lambda d: (d.count, d.minimum, d.maximum, encoded_histogram(d))  # noqa: E731
        histogram = merged_histogram(*row(merged), *row(part))
        merged.merge(part)
        merged = distribution(merged.count, merged.sum, merged.minimum, merged.maximum, histogram)
    compute = statistic(f"p{percent}")
    assert compute is not None
    assert compute(merged) == near(nearest_rank(values, percent))


def test_extremes_and_sums_are_exact() -> None:
    values = DURATIONS["lognormal"]
    together = of(values)
    assert statistic("Minimum")(together) == min(values) == statistic("p0")(together)  # type: ignore[misc]
    assert statistic("Maximum")(together) == max(values) == statistic("p100")(together)  # type: ignore[misc]
    assert statistic("Sum")(together) == pytest.approx(sum(values))  # type: ignore[misc]
    assert statistic("Average")(together) == pytest.approx(statistics.fmean(values))  # type: ignore[misc]
    assert statistic("SampleCount")(together) == len(values)  # type: ignore[misc]


HUNDRED = [float(value) for value in range(1, 101)]


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("tm90", statistics.fmean(HUNDRED[:90])),
        ("TM(10%:90%)", statistics.fmean(HUNDRED[10:90])),
        ("TM(:90%)", statistics.fmean(HUNDRED[:90])),
        ("TM(10:20)", statistics.fmean(HUNDRED[10:20])),
        ("tc90", 90),
        ("TC(80%:)", 20),
        ("TC(:30)", 30),
        ("ts50", sum(HUNDRED[:50])),
        ("TS(95:)", sum(HUNDRED[95:])),
        ("wm80", statistics.fmean([*HUNDRED[:80], *[80.0] * 20])),
        ("WM(10%:90%)", statistics.fmean([*[11.0] * 10, *HUNDRED[10:90], *[90.0] * 10])),
        ("IQM", statistics.fmean(HUNDRED[25:75])),
        ("PR(:50)", 50),
        ("PR(10:90)", 80),
    ],
)
def test_trimmed_statistics(name: str, exact: float) -> None:
    compute = extended(name)
    assert compute is not None
    # A bound that is a value may fall a bucket off.
    slack = 1.5 if "%" not in name and "(" in name else 0
    assert compute(of(HUNDRED)) == pytest.approx(exact, rel=2 * RELATIVE_ERROR, abs=slack)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "p",
        "p101",
        "sum",
        "Median",
        "tm(1:2",
        "TM(20%:10%)",
        "TM(:)",
        "TM(1:50%)",
        "PR(1%:5%)",
        "p99.99999999999",
        "px",
    ],
)
def test_what_is_no_statistic(name: str) -> None:
    assert statistic(name) is None


def test_percentiles_need_every_value() -> None:
    negative = of([-1.0, 2.0])
    assert statistic("p50")(negative) is None  # type: ignore[misc]
    assert statistic("Sum")(negative) == 1  # type: ignore[misc]
    assert statistic("p50")(Distribution(10, 55.0, 1.0, 10.0)) is None  # type: ignore[misc]
