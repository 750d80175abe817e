"""Where metrics are kept: in the log database, by minute, with a histogram each, rolled up as they age.

As CloudWatch keeps them: periods under a minute for 3 hours, minutes for 15 days, five minutes for 63 days, hours for
455 days. A period that is asked for is made of the kept ones that fit into it, so a minute of last month is not
there, and an hour of it is. Everything here runs on a LogDatabase, in whatever thread and transaction that has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from pilotlight.observe.database import LogDatabase
from pilotlight.observe.metrics import Dimensions, Distribution, Period, Series, distribution, encoded_histogram

Batch = dict[tuple[Series, Period], Distribution]

_DAY_S = 86_400
#: (length of a period, how long periods of it are kept, length of what they are rolled up into; 0: dropped)
RETENTION = ((1, 3 * 3600, 60), (60, 15 * _DAY_S, 300), (300, 63 * _DAY_S, 3600), (3600, 455 * _DAY_S, 0))

_LISTED_FOR_S = 14 * _DAY_S
_RECENT_S = 3 * 3600
_MOST_KNOWN_IDS = 100_000


class ListedMetric(msgspec.Struct, frozen=True, gc=False):
    namespace: str
    name: str
    dimensions: Dimensions


class SeriesIds:
    """The ids of series written lately. Known only once their transaction is committed."""

    def __init__(self) -> None:
        self._known: dict[Series, int] = {}

    def find(self, database: LogDatabase, series: Series, new: dict[Series, int]) -> int:
        found = self._known.get(series) or new.get(series)
        if found is None:
            values = _values(series)
            row = database.first("find_series", **values) or database.first("insert_series", **values)
            assert row is not None
            found = new[series] = row[0]
        return found

    def learn(self, new: Mapping[Series, int]) -> None:
        if len(self._known) > _MOST_KNOWN_IDS:
            self._known.clear()
        self._known.update(new)

    def forget(self) -> None:
        self._known.clear()


def write(database: LogDatabase, batch: Batch, ids: SeriesIds, new: dict[Series, int]) -> None:
    """Add a batch to what is kept. Ids met go into `new`, to be learnt when the transaction is committed."""
    for (series, period), values in batch.items():
        _add(database, ids.find(database, series, new), period, values)


def _add(database: LogDatabase, series_id: int, period: Period, values: Distribution) -> None:
    database.run(
        "add_point",
        series_id=series_id,
        period_s=period.length_s,
        start_s=period.start_s,
        count=values.count,
        sum=values.sum,
        minimum=values.minimum,
        maximum=values.maximum,
        histogram=encoded_histogram(values),
    )


def read(
    database: LogDatabase, series: Series, from_s: int, before_s: int, period_s: int
) -> dict[str, dict[int, Distribution]]:
    """By unit, then by timestamp (epoch seconds: `from_s` and every `period_s` after it): what the metric was. Empty
    periods are left out; `series.unit` "" is every unit."""
    found: dict[str, dict[int, Distribution]] = {}
    for series_id, unit in database.run("series_of_metric", **_values(series)):
        points: dict[int, Distribution] = {}
        for kept_s, start_s, *row in database.rows(
            "points", series_id=series_id, period_s=period_s, from_s=from_s, before_s=before_s
        ):
            if period_s % kept_s:
                continue
            at = start_s - (start_s - from_s) % period_s
            values = distribution(*row)
            if at in points:
                points[at].merge(values)
            else:
                points[at] = values
        if points:
            found[unit] = points
    return found


def rounded_start(start_s: float, period_s: int, now_s: int) -> int:
    """Where a time asked for begins: rounded down to what is kept of that age, as CloudWatch does."""
    age_s = now_s - start_s
    if period_s < 60 and age_s <= RETENTION[0][1]:
        whole_s = period_s
    else:
        whole_s = 60 if age_s <= RETENTION[1][1] else 300 if age_s <= RETENTION[2][1] else 3600
    return int(start_s // whole_s * whole_s)


def listed(
    database: LogDatabase,
    account: str,
    region: str,
    *,
    namespace: str = "",
    name: str = "",
    after: ListedMetric | None = None,
    recent: bool = False,
    now_s: int,
) -> Iterator[ListedMetric]:
    """Metrics that have data of the last two weeks (or three hours), in order, from behind `after` on."""
    rows = database.rows(
        "list_metrics",
        account=account,
        region=region,
        namespace=namespace,
        name=name,
        after_namespace=after.namespace if after else "",
        after_name=after.name if after else "",
        after_dimensions=_dimensions_text(after.dimensions) if after else "",
        since_s=now_s - (_RECENT_S if recent else _LISTED_FOR_S),
    )
    for row_namespace, row_name, dimensions in rows:
        yield ListedMetric(row_namespace, row_name, msgspec.json.decode(dimensions, type=Dimensions))


def roll_up(database: LogDatabase, now_s: int) -> bool:
    """Do a part of what retention asks for; True when there is more. A part is one period of the longer kind."""
    for length_s, kept_s, into_s in RETENTION:
        row = database.first("oldest_point", period_s=length_s)
        oldest_s = row[0] if row else None
        before_s = now_s - kept_s
        if not into_s:
            database.run("delete_points", period_s=length_s, before_s=before_s)
            continue
        before_s -= before_s % into_s
        if oldest_s is None or oldest_s >= before_s:
            continue
        begin_s = oldest_s - oldest_s % into_s
        together: dict[int, Distribution] = {}
        for series_id, *row in database.run(
            "points_of_period", period_s=length_s, from_s=begin_s, before_s=begin_s + into_s
        ):
            together.setdefault(series_id, Distribution()).merge(distribution(*row))
        for series_id, values in together.items():
            _add(database, series_id, Period(begin_s, into_s), values)
        database.run("delete_points", period_s=length_s, before_s=begin_s + into_s)
        return True
    return False


def _values(series: Series) -> dict[str, str]:
    return {
        "account": series.account,
        "region": series.region,
        "namespace": series.namespace,
        "name": series.name,
        "dimensions": _dimensions_text(series.dimensions),
        "unit": series.unit,
    }


def _dimensions_text(dimensions: Dimensions) -> str:
    return msgspec.json.encode(dimensions).decode()
