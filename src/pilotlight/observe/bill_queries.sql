-- Queries of the bill, each with what it is for.

-- name: add_used
-- Add to what a function's version used in a day.
INSERT INTO used_days VALUES (:account, :day_ms, :region, :function, :version, :architecture, :requests, :mib_ms,
    :provisioned_requests, :provisioned_mib_ms, :kept_mib_ms, :tmp_mib_ms, :streamed_bytes)
ON CONFLICT DO UPDATE SET
    requests = requests + excluded.requests,
    mib_ms = mib_ms + excluded.mib_ms,
    provisioned_requests = provisioned_requests + excluded.provisioned_requests,
    provisioned_mib_ms = provisioned_mib_ms + excluded.provisioned_mib_ms,
    kept_mib_ms = kept_mib_ms + excluded.kept_mib_ms,
    tmp_mib_ms = tmp_mib_ms + excluded.tmp_mib_ms,
    streamed_bytes = streamed_bytes + excluded.streamed_bytes;

-- name: sum_used
-- What an account's functions used from one day on and before another, by version and architecture.
SELECT region, function, version, architecture, sum(requests), sum(mib_ms), sum(provisioned_requests),
    sum(provisioned_mib_ms), sum(kept_mib_ms), sum(tmp_mib_ms), sum(streamed_bytes)
FROM used_days WHERE account = :account AND day_ms >= :from_ms AND day_ms < :before_ms
GROUP BY region, function, version, architecture;

-- name: delete_old_used
-- Drop days that are too old.
DELETE FROM used_days WHERE day_ms < :before_ms;
