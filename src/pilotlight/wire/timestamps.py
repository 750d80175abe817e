"""Timestamps in the three forms AWS's protocols use, both ways: epoch seconds, ISO 8601, and HTTP dates (RFC 822).

All are aware datetimes in UTC on our side, to the microsecond.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_epoch(seconds: float) -> datetime:
    """ValueError when it is beyond what a date can hold (years 1 to 9999)."""
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(str(error)) from error


def from_text(text: str) -> datetime:
    """ISO 8601, an HTTP date, or a number of epoch seconds; ValueError for anything else."""
    try:
        return from_epoch(float(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        # Raises ValueError itself for what is no date either.
        moment = parsedate_to_datetime(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def to_epoch(moment: datetime) -> int | float:
    """Whole numbers without a fraction: AWS writes 1700000000, and 1.7000000005E9 only where it has to."""
    seconds = (_aware(moment) - _EPOCH).total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def to_iso8601(moment: datetime) -> str:
    return _aware(moment).astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def to_http_date(moment: datetime) -> str:
    return format_datetime(_aware(moment).astimezone(UTC).replace(microsecond=0), usegmt=True)


def to_text(moment: datetime, timestamp_format: str) -> str:
    """`timestamp_format` as the model names it: unixTimestamp, iso8601 or rfc822."""
    if timestamp_format == "unixTimestamp":
        return str(to_epoch(moment))
    return to_http_date(moment) if timestamp_format == "rfc822" else to_iso8601(moment)


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
