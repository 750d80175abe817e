-- Every query of the store, by name, each with the sentence that says what it is for.
--
-- The SQL is what SQLite and PostgreSQL both understand; parameters are $1, $2 ... in the order of their first
-- appearance, which is what both drivers bind by. What only one engine can say lives in its own folder.

-- name: record_get
-- The live record under one key.
SELECT kind, key, revision, body FROM records WHERE kind = $1 AND key = $2;

-- name: record_scan
-- A page of records of one kind, by key: from $2 on, after $3, before $4.
SELECT kind, key, revision, body FROM records
WHERE kind = $1 AND key >= $2 AND key > $3 AND key < $4
ORDER BY key LIMIT $5;

-- name: record_put
-- Write a record whatever was there.
INSERT INTO records (kind, key, revision, body) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, key) DO UPDATE SET revision = excluded.revision, body = excluded.body;

-- name: record_create
-- Write a record where none is; no row is changed when there is one.
INSERT INTO records (kind, key, revision, body) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, key) DO NOTHING;

-- name: record_replace
-- Write a record that is at the revision expected; no row is changed when it is not.
UPDATE records SET revision = $1, body = $2 WHERE kind = $3 AND key = $4 AND revision = $5;

-- name: record_remove
-- Remove a record at any revision.
DELETE FROM records WHERE kind = $1 AND key = $2;

-- name: record_remove_expected
-- Remove a record that is at the revision expected; no row is changed when it is not.
DELETE FROM records WHERE kind = $1 AND key = $2 AND revision = $3;

-- name: change_add
-- Note in the feed what a transaction did to a record; its last word on a key counts.
INSERT INTO changes (revision, kind, key, removed) VALUES ($1, $2, $3, $4)
ON CONFLICT (revision, kind, key) DO UPDATE SET removed = excluded.removed;

-- name: change_page
-- The feed after a revision, with the revision of the last event in the page given whole.
SELECT revision, kind, key, removed FROM changes
WHERE revision > $1 AND revision <= COALESCE(
    (SELECT revision FROM changes WHERE revision > $1 ORDER BY revision LIMIT 1 OFFSET $2),
    (SELECT MAX(revision) FROM changes))
ORDER BY revision, kind, key;

-- name: change_bounds
-- The oldest and the newest revision in the feed; nulls when it is empty.
SELECT (SELECT MIN(revision) FROM changes), (SELECT MAX(revision) FROM changes);

-- name: change_trim
-- Forget the feed up to a revision that nobody follows from any more.
DELETE FROM changes WHERE revision <= $1;

-- name: item_add
-- Put an item on a queue; one of that id already there stays as it is.
INSERT INTO queue_items (queue, item_id, body, due_at_ms, available_at_ms, enqueued_at_ms, attempts, lease, owner)
VALUES ($1, $2, $3, $4, $4, $5, 0, '', '')
ON CONFLICT (queue, item_id) DO NOTHING;

-- name: item_done
-- Take a claimed item off its queue; no row is changed when the lease is another's.
DELETE FROM queue_items WHERE queue = $1 AND item_id = $2 AND lease = $3;

-- name: item_retry
-- Put a claimed item back for later, with its old body when none is given; no row is changed when the lease is another's.
UPDATE queue_items SET due_at_ms = $1, available_at_ms = $1, body = COALESCE($2, body), lease = '', owner = ''
WHERE queue = $3 AND item_id = $4 AND lease = $5;

-- name: item_extend
-- Let a lease last longer; no row is changed when the lease is another's.
UPDATE queue_items SET available_at_ms = $1 WHERE queue = $2 AND item_id = $3 AND lease = $4;

-- name: queues_due
-- The queues between two names that have an item due, by name: walks from queue to queue, not over their items.
WITH RECURSIVE walk(queue) AS (
    SELECT MIN(queue) FROM queue_items WHERE queue >= $1 AND queue < $2
    UNION ALL
    SELECT (SELECT MIN(queue) FROM queue_items WHERE queue > walk.queue AND queue < $2)
    FROM walk WHERE walk.queue IS NOT NULL)
SELECT walk.queue FROM walk
WHERE walk.queue IS NOT NULL
  AND EXISTS (SELECT 1 FROM queue_items WHERE queue_items.queue = walk.queue AND queue_items.available_at_ms <= $3)
LIMIT $4;

-- name: items_claim
-- Lease the longest due items of one queue and give them; an item under an expired lease is due like any other.
UPDATE queue_items SET lease = $1, owner = $2, available_at_ms = $3, attempts = attempts + 1
WHERE queue = $4 AND item_id IN (
    SELECT item_id FROM queue_items WHERE queue = $4 AND available_at_ms <= $5
    ORDER BY available_at_ms, item_id LIMIT $6)
RETURNING item_id, body, attempts, due_at_ms, enqueued_at_ms;

-- name: next_due
-- The queues between two names whose first item becomes claimable soonest, and when: walks from queue to queue.
WITH RECURSIVE walk(queue) AS (
    SELECT MIN(queue) FROM queue_items WHERE queue >= $1 AND queue < $2
    UNION ALL
    SELECT (SELECT MIN(queue) FROM queue_items WHERE queue > walk.queue AND queue < $2)
    FROM walk WHERE walk.queue IS NOT NULL)
SELECT walk.queue, (SELECT MIN(available_at_ms) FROM queue_items WHERE queue_items.queue = walk.queue) AS first_ms
FROM walk WHERE walk.queue IS NOT NULL
ORDER BY first_ms LIMIT $3;

-- name: queue_depth
-- How many items are on one queue, claimed ones included.
SELECT COUNT(*) FROM queue_items WHERE queue = $1;

-- name: queue_depths
-- The same of all queues between two names that have any; reads the index, not the items.
SELECT queue, COUNT(*) FROM queue_items WHERE queue >= $1 AND queue < $2 GROUP BY queue;

-- name: items_release
-- Make every item a dead owner had claimed claimable at once; found through the index, so bodies are not read.
UPDATE queue_items SET lease = '', owner = '', available_at_ms = due_at_ms
WHERE (queue, item_id) IN (SELECT queue, item_id FROM queue_items WHERE owner = $1);

-- name: items_claimed
-- What an owner has claimed from the queues between two names, and under which leases.
SELECT queue, item_id, lease FROM queue_items WHERE (queue, item_id) IN (
    SELECT queue, item_id FROM queue_items WHERE queue >= $1 AND queue < $2 AND owner = $3);

-- name: item_release
-- Make one claimed item claimable at once.
UPDATE queue_items SET lease = '', owner = '', available_at_ms = due_at_ms WHERE queue = $1 AND item_id = $2;

-- name: items_bring_forward
-- Make what lies too far ahead on the queues between two names due; found through the index, so bodies are not read.
UPDATE queue_items SET due_at_ms = $1, available_at_ms = $1
WHERE lease = '' AND (queue, item_id) IN (
    SELECT queue, item_id FROM queue_items WHERE queue >= $2 AND queue < $3 AND available_at_ms > $4);

-- name: counter_add
-- Add to a counter, which starts at nought.
INSERT INTO counters (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value;

-- name: counter_get
-- A counter's value.
SELECT value FROM counters WHERE name = $1;

-- name: lease_acquire
-- Take a free or expired lease, or renew one's own; no row is changed while another's holds.
INSERT INTO leases (name, owner, expires_at_ms) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at_ms = excluded.expires_at_ms
WHERE leases.owner = excluded.owner OR leases.expires_at_ms <= $4;

-- name: lease_release
-- Give up a lease one holds.
DELETE FROM leases WHERE name = $1 AND owner = $2;

-- name: leases_release
-- Free every lease of a dead owner.
DELETE FROM leases WHERE owner = $1;

-- name: schema_version_create
-- Have the table that says which migrations were made.
CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL PRIMARY KEY);

-- name: schema_version_get
-- The version of the schema in this database.
SELECT MAX(version) FROM schema_version;

-- name: schema_version_add
-- Note that a migration has been made.
INSERT INTO schema_version (version) VALUES ($1);
