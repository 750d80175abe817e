-- Statements on metrics. `-- name:` opens each, a sentence says what it is for.

-- name: find_series
-- A series by what tells it apart.
SELECT id FROM metric_series
WHERE account = :account AND region = :region AND namespace = :namespace AND name = :name
    AND dimensions = :dimensions AND unit = :unit;

-- name: insert_series
-- Make a series; its id.
INSERT INTO metric_series (account, region, namespace, name, dimensions, unit)
VALUES (:account, :region, :namespace, :name, :dimensions, :unit) RETURNING id;

-- name: series_of_metric
-- The series of one metric with exactly these dimensions: one for each unit it was reported in.
SELECT id, unit FROM metric_series
WHERE account = :account AND region = :region AND namespace = :namespace AND name = :name
    AND dimensions = :dimensions AND (:unit = '' OR unit = :unit)
ORDER BY unit;

-- name: list_metrics
-- Metrics of an account after a place, by namespace and name, that have data since a time; '' is any.
SELECT DISTINCT namespace, name, dimensions FROM metric_series AS series
WHERE account = :account AND region = :region
    AND (:namespace = '' OR namespace = :namespace) AND (:name = '' OR name = :name)
    AND (namespace, name, dimensions) > (:after_namespace, :after_name, :after_dimensions)
    AND EXISTS (
        SELECT 1 FROM metric_points
        WHERE series_id = series.id AND period_s IN (1, 60, 300, 3600) AND start_s >= :since_s
    )
ORDER BY namespace, name, dimensions;

-- name: add_point
-- Add to what a series was in a period.
INSERT INTO metric_points VALUES (:series_id, :period_s, :start_s, :count, :sum, :minimum, :maximum, :histogram)
ON CONFLICT DO UPDATE SET
    histogram = merged_histogram(count, minimum, maximum, histogram,
        excluded.count, excluded.minimum, excluded.maximum, excluded.histogram),
    count = count + excluded.count,
    sum = sum + excluded.sum,
    minimum = min(minimum, excluded.minimum),
    maximum = max(maximum, excluded.maximum);

-- name: points
-- A series from a time on and before another, in periods no longer than asked for.
SELECT period_s, start_s, count, sum, minimum, maximum, histogram FROM metric_points
WHERE series_id = :series_id AND period_s IN (1, 60, 300, 3600) AND period_s <= :period_s
    AND start_s >= :from_s AND start_s < :before_s;

-- name: oldest_point
-- When the oldest period of a length begins.
SELECT min(start_s) FROM metric_points WHERE period_s = :period_s;

-- name: points_of_period
-- Every series in the periods of a length that begin in a span.
SELECT series_id, count, sum, minimum, maximum, histogram FROM metric_points
WHERE period_s = :period_s AND start_s >= :from_s AND start_s < :before_s;

-- name: delete_points
-- Drop the periods of a length that begin before a time.
DELETE FROM metric_points WHERE period_s = :period_s AND start_s < :before_s;

-- name: delete_empty_series
-- Forget series of which nothing is kept any more.
DELETE FROM metric_series
WHERE NOT EXISTS (SELECT 1 FROM metric_points WHERE series_id = metric_series.id);
