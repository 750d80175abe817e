"""The three timestamp forms, both ways, and what is none of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pilotlight.wire import timestamps

MOMENT = datetime(2026, 11, 21, 3, 32, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T03:32:00Z",
        "2026-11-21T03:32:00+00:00",
        "2026-11-21T04:32:00.000+01:00",
        "2026-11-21T03:32:00",
        "Sat, 21 Nov 2026 03:32:00 GMT",
        "1795231920",
        "1795231920.0",
        "1.79523192E9",
    ],
)
def test_every_form_is_read(text: str) -> None:
    assert timestamps.from_text(text) == MOMENT


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "nan", "inf", "1e30", "Sat, 99 Nov 2026"])
def test_what_is_no_timestamp_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        timestamps.from_text(text)


def test_every_form_is_written() -> None:
    assert timestamps.to_text(MOMENT, "unixTimestamp") == "1795231920"
    assert timestamps.to_text(MOMENT, "iso8601") == "2026-11-21T03:32:00Z"
    assert timestamps.to_text(MOMENT, "rfc822") == "Sat, 21 Nov 2026 03:32:00 GMT"
    half = MOMENT.replace(microsecond=500_000)
    assert timestamps.to_epoch(half) == 1795231920.5
    assert timestamps.from_text(timestamps.to_iso8601(half)) == half


def test_other_zones_and_none_are_utc_on_the_wire() -> None:
    there = MOMENT.astimezone(timezone(timedelta(hours=-7)))
    assert timestamps.to_iso8601(there) == "2026-11-21T03:32:00Z"
    assert timestamps.to_http_date(there) == "Sat, 21 Nov 2026 03:32:00 GMT"
    assert timestamps.to_epoch(MOMENT.replace(tzinfo=None)) == timestamps.to_epoch(MOMENT)
