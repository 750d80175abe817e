"""What a month would cost, against figures worked out by hand and AWS's own pricing examples."""

from __future__ import annotations

from typing import Any

import pytest

from pilotlight.observe.billing import PRICES, Used, bill, gb_seconds, prices_of
from pilotlight.settings import SettingsError


def used(function: str = "f", version: str = "$LATEST", **amounts: Any) -> Used:
    return Used(
        region=amounts.pop("region", "us-east-1"),
        function=function,
        version=version,
        architecture=amounts.pop("architecture", "x86_64"),
        **amounts,
    )


def mib_ms(gb_s: float) -> int:
    return round(gb_s * 1_024_000)


def test_the_measure() -> None:
    assert gb_seconds(1024, 1000) == 1.0
    assert gb_seconds(128, 100) == pytest.approx(0.0125)


def test_the_pricing_pages_mobile_back_end() -> None:
    """3 million requests of 120 ms at 1,536 MB: $2.33 for compute and $0.40 for requests after the free tier."""
    made = bill([used(requests=3_000_000, mib_ms=3_000_000 * 120 * 1536)])
    assert made.free_tier.gb_seconds == pytest.approx(540_000)
    assert made.lines[0].request_cost == pytest.approx(0.60)
    assert made.total == pytest.approx(2.33 + 0.40, abs=0.01)


def test_within_the_free_tier_nothing_is_left() -> None:
    made = bill([used(requests=1_000_000, mib_ms=mib_ms(400_000))])
    assert made.cost == pytest.approx(0.20 + 400_000 * 0.0000166667)
    assert made.total == pytest.approx(0)
    beyond = bill([used(requests=1_000_001, mib_ms=mib_ms(400_001))])
    assert beyond.total == pytest.approx(0.20e-6 + 0.0000166667, rel=1e-3)


def test_arm_is_cheaper() -> None:
    x86, arm = (bill([used(mib_ms=mib_ms(1e6), architecture=name)]).cost for name in ("x86_64", "arm64"))
    assert (x86, arm) == (pytest.approx(16.6667), pytest.approx(13.3334))


def test_tiers_are_of_a_region_and_architecture() -> None:
    """16 billion GB-seconds: 6 at the first price, 9 at the second, 1 at the third; over all functions."""
    whole = 6e9 * 0.0000166667 + 9e9 * 0.000015 + 1e9 * 0.0000133334
    made = bill([used("a", mib_ms=mib_ms(4e9)), used("b", mib_ms=mib_ms(12e9))])
    assert made.cost == pytest.approx(whole)
    assert [line.function for line in made.lines] == ["b", "a"]
    assert made.lines[1].cost == pytest.approx(whole / 4), "each has its share"
    elsewhere = bill([used("a", mib_ms=mib_ms(4e9)), used("b", mib_ms=mib_ms(4e9), region="eu-west-1")])
    assert elsewhere.cost == pytest.approx(8e9 * 0.0000166667), "regions do not add up"


def test_provisioned_concurrency_has_its_prices_and_no_free_tier() -> None:
    made = bill(
        [used(provisioned_requests=1_000_000, provisioned_mib_ms=mib_ms(100), kept_mib_ms=mib_ms(1000))],
    )
    assert made.lines[0].provisioned_cost == pytest.approx(100 * 0.0000097222 + 1000 * 0.0000041667)
    assert made.total == made.cost == pytest.approx(0.20 + made.lines[0].provisioned_cost)
    arm = bill([used(provisioned_mib_ms=mib_ms(100), kept_mib_ms=mib_ms(1000), architecture="arm64")])
    assert arm.cost == pytest.approx(100 * 0.0000077778 + 1000 * 0.0000033334)


def test_storage_and_streamed_bytes() -> None:
    made = bill([used(tmp_mib_ms=mib_ms(1e6), streamed_bytes=150 << 30)])
    assert made.lines[0].storage_cost == pytest.approx(0.0309)
    assert made.lines[0].streaming_cost == pytest.approx(150 * 0.008)
    assert made.total == pytest.approx(0.0309 + 50 * 0.008), "100 GB are free"


def test_lines_stand_by_function_and_version() -> None:
    made = bill(
        [
            used("cheap", "10", requests=1),
            used("dear", "10", requests=5),
            used("dear", "9", requests=500),
            used("dear", requests=3),
            used("cheap", "2", requests=2),
        ]
    )
    assert [(line.function, line.version) for line in made.lines] == [
        ("dear", "$LATEST"),
        ("dear", "9"),
        ("dear", "10"),
        ("cheap", "2"),
        ("cheap", "10"),
    ]


def test_a_month_without_use() -> None:
    made = bill([])
    assert (made.lines, made.cost, made.total) == ([], 0, 0)


def test_prices_of_ones_own() -> None:
    prices = prices_of({"of": "eu-central-1, 2026", "million_requests": 0.25, "x86_64": [[0, 0.00002]]})
    made = bill([used(requests=4_000_000, mib_ms=mib_ms(1e6))], prices)
    assert made.prices_of == "eu-central-1, 2026"
    assert made.cost == pytest.approx(1.0 + 20.0)
    assert prices.arm64 == PRICES.arm64


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"x86": [[0, 1]]}, "unknown field `x86`"),
        ({"million_requests": "0.2"}, "Expected `float`"),
        ({"x86_64": []}, "prices.x86_64: tiers are"),
        ({"arm64": [[5, 1]]}, "prices.arm64: tiers are"),
        ({"arm64": [[0, 1], [9, 1], [5, 1]]}, "prices.arm64: tiers are"),
    ],
)
def test_prices_that_cannot_be(given: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        prices_of(given)
