-- Metrics, beside the logs: what functions did and what they reported of themselves, as CloudWatch keeps it.

-- One series: what CloudWatch tells apart by namespace, name, dimensions and unit. Dimensions are a JSON list of
-- [name, value], sorted by name.
CREATE TABLE IF NOT EXISTS metric_series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    dimensions TEXT NOT NULL,
    unit TEXT NOT NULL,
    UNIQUE (account, region, namespace, name, dimensions, unit)
) STRICT;

-- What a series was in one period (1, 60, 300 or 3600 seconds from start_s on, a multiple of it since the epoch). The
-- histogram is MessagePack, {bucket: count}; empty when minimum and maximum are equal, which says as much.
CREATE TABLE IF NOT EXISTS metric_points (
    series_id INTEGER NOT NULL,
    period_s INTEGER NOT NULL,
    start_s INTEGER NOT NULL,
    count REAL NOT NULL,
    sum REAL NOT NULL,
    minimum REAL NOT NULL,
    maximum REAL NOT NULL,
    histogram BLOB NOT NULL,
    PRIMARY KEY (series_id, period_s, start_s)
) STRICT, WITHOUT ROWID;

-- Points by age, for rolling them up and dropping them.
CREATE INDEX IF NOT EXISTS metric_points_by_start ON metric_points (period_s, start_s);
