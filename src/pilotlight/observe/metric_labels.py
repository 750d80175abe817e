"""Labels with something to fill in: `${MAX}`, `${LAST_TIME}`, `${PROP('Dim.FunctionName')}`.

Source: Amazon CloudWatch user guide, "Using dynamic labels". Times are in UTC or the time zone that LabelOptions names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from pilotlight.observe.metric_functions import Line

_DYNAMIC = re.compile(r"\$\{([^}]*)\}")
_PROPERTY = re.compile(r"PROP\(\s*'([^']*)'\s*\)")
_TIMEZONE = re.compile(r"[+-](\d\d)(\d\d)")


class BadLabel(ValueError):
    """Something is asked for that a label cannot show; the message names it."""


def time_zone(text: str) -> tzinfo:
    """LabelOptions.Timezone: `+0130`. ValueError for anything else."""
    found = _TIMEZONE.fullmatch(text)
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise ValueError(text)
    offset = timedelta(hours=int(found[1]), minutes=int(found[2]))
    return timezone(-offset if text[0] == "-" else offset)


def filled_in(label: str, line: Line, properties: Mapping[str, str], zone: tzinfo = UTC) -> str:
    """`label` with what it asks for; without a value where the series has none. Raises BadLabel."""
    return _DYNAMIC.sub(lambda found: _shown(found[1].strip(), line, properties, zone), label)


def _shown(asked: str, line: Line, properties: Mapping[str, str], zone: tzinfo) -> str:
    if found := _PROPERTY.fullmatch(asked):
        return properties.get(found[1], "")
    if asked == "LABEL":
        return line.label
    if asked == "DATAPOINT_COUNT":
        return str(len(line.values))
    values = line.values
    if asked not in _VALUES and asked not in _TIMES and asked not in _RANGES:
        raise BadLabel(asked)
    if not values:
        return "-"
    points = {
        "FIRST": min(values),
        "LAST": max(values),
        "MIN": min(values, key=values.__getitem__),
        "MAX": max(values, key=values.__getitem__),
    }
    if asked in _RANGES:
        first, last = sorted(points[name] for name in _RANGES[asked])
        return f"{_moment(first, zone)} - {_moment(last, zone)}"
    if asked in _TIMES:
        return _moment(points[asked.removesuffix("_TIME")], zone)
    if asked in points:
        return f"{values[points[asked]]:g}"
    total = sum(values.values())
    return f"{total if asked == 'SUM' else total / len(values):g}"


_VALUES = frozenset({"AVG", "FIRST", "LAST", "MAX", "MIN", "SUM"})
_TIMES = frozenset({"FIRST_TIME", "LAST_TIME", "MAX_TIME", "MIN_TIME"})
_RANGES = {"FIRST_LAST_TIME_RANGE": ("FIRST", "LAST"), "MIN_MAX_TIME_RANGE": ("MIN", "MAX")}


def _moment(at_s: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at_s, zone).strftime("%Y-%m-%d %H:%M:%S %z")
