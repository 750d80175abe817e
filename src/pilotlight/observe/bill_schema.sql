-- What AWS would bill: sums by day (UTC), for the months that `pilotlight bill` shows.

-- Before there were bills, what functions did was kept by the minute here.
DROP TABLE IF EXISTS uses;

-- What each version of each function used in each day, on each architecture it had then.
CREATE TABLE IF NOT EXISTS used_days (
    account TEXT NOT NULL,
    day_ms INTEGER NOT NULL,
    region TEXT NOT NULL,
    function TEXT NOT NULL,
    version TEXT NOT NULL,
    architecture TEXT NOT NULL,
    requests INTEGER NOT NULL,
    mib_ms INTEGER NOT NULL,
    provisioned_requests INTEGER NOT NULL,
    provisioned_mib_ms INTEGER NOT NULL,
    kept_mib_ms INTEGER NOT NULL,
    tmp_mib_ms INTEGER NOT NULL,
    streamed_bytes INTEGER NOT NULL,
    PRIMARY KEY (account, day_ms, region, function, version, architecture)
) STRICT, WITHOUT ROWID;
