-- Statements of the log database. `-- name:` opens each, a sentence says what it is for.

-- name: find_group
-- A group by its name.
SELECT id, name, created_ms, retention_days, stored_bytes, properties FROM log_groups
WHERE account = :account AND region = :region AND name = :name;

-- name: insert_group
-- Make a group; no row comes back when it exists.
INSERT INTO log_groups (account, region, name, created_ms, properties)
VALUES (:account, :region, :name, :now_ms, :properties)
ON CONFLICT DO NOTHING RETURNING id;

-- name: list_groups
-- A page of an account's groups after a name, by prefix (as a range) and by a part of the name.
SELECT id, name, created_ms, retention_days, stored_bytes, properties FROM log_groups
WHERE account = :account AND region = :region AND name > :after AND name >= :prefix
    AND substr(name, 1, length(:prefix)) = :prefix AND instr(name, :part) > 0
ORDER BY name LIMIT :limit;

-- name: all_groups
-- Every group with its retention, for the round that removes what is too old.
SELECT id, retention_days FROM log_groups;

-- name: set_retention
-- Set a group's retention; 0 days is for ever.
UPDATE log_groups SET retention_days = :days WHERE id = :group_id;

-- name: set_properties
-- Set what a group holds besides: tags, class, key, protection.
UPDATE log_groups SET properties = :properties WHERE id = :group_id;

-- name: grow_group
-- Count bytes stored in, or removed from, a group.
UPDATE log_groups SET stored_bytes = max(0, stored_bytes + :size) WHERE id = :group_id;

-- name: delete_group
-- Remove a group.
DELETE FROM log_groups WHERE id = :group_id;

-- name: discard_streams
-- Leave the blocks of all of a group's streams to be collected.
INSERT OR IGNORE INTO log_garbage SELECT id FROM log_streams WHERE group_id = :group_id;

-- name: delete_streams
-- Remove all of a group's streams.
DELETE FROM log_streams WHERE group_id = :group_id;

-- name: find_stream
-- A stream by its name.
SELECT id, name, created_ms, first_ms, last_ms, last_ingested_ms FROM log_streams
WHERE group_id = :group_id AND name = :name;

-- name: insert_stream
-- Make a stream; no row comes back when it exists.
INSERT INTO log_streams (group_id, name, created_ms) VALUES (:group_id, :name, :now_ms)
ON CONFLICT DO NOTHING RETURNING id;

-- name: touch_stream
-- A stream has new events.
UPDATE log_streams SET
    first_ms = CASE WHEN first_ms = 0 THEN :min_ms ELSE min(first_ms, :min_ms) END,
    last_ms = max(last_ms, :max_ms),
    last_ingested_ms = :now_ms
WHERE id = :stream_id;

-- name: discard_stream
-- Leave a stream's blocks to be collected.
INSERT OR IGNORE INTO log_garbage VALUES (:stream_id);

-- name: delete_stream
-- Remove a stream.
DELETE FROM log_streams WHERE id = :stream_id;

-- name: delete_old_streams
-- Remove the streams of a group whose every event, and whose making, is too old.
DELETE FROM log_streams WHERE group_id = :group_id AND last_ms < :before_ms
    AND created_ms < :before_ms AND last_ingested_ms < :before_ms;

-- name: streams_by_name
-- A page of a group's streams after a name.
SELECT id, name, created_ms, first_ms, last_ms, last_ingested_ms FROM log_streams
WHERE group_id = :group_id AND name > :after AND name >= :prefix AND substr(name, 1, length(:prefix)) = :prefix
ORDER BY name LIMIT :limit;

-- name: streams_by_name_descending
-- A page of a group's streams before a name ("" is no bound), last name first.
SELECT id, name, created_ms, first_ms, last_ms, last_ingested_ms FROM log_streams
WHERE group_id = :group_id AND (:after = '' OR name < :after) AND name >= :prefix
    AND substr(name, 1, length(:prefix)) = :prefix
ORDER BY name DESC LIMIT :limit;

-- name: streams_by_last
-- A page of a group's streams, least recently written first.
SELECT id, name, created_ms, first_ms, last_ms, last_ingested_ms FROM log_streams
WHERE group_id = :group_id AND (last_ms, name) > (:after_ms, :after)
ORDER BY last_ms, name LIMIT :limit;

-- name: streams_by_last_descending
-- A page of a group's streams, most recently written first.
SELECT id, name, created_ms, first_ms, last_ms, last_ingested_ms FROM log_streams
WHERE group_id = :group_id AND (:after = '' OR (last_ms, name) < (:after_ms, :after))
ORDER BY last_ms DESC, name DESC LIMIT :limit;

-- name: stream_name
-- The name of one stream.
SELECT name FROM log_streams WHERE id = :stream_id;

-- name: insert_block
-- Write a run of events.
INSERT INTO log_blocks (group_id, stream_id, min_ms, max_ms, ingested_ms, size, events)
VALUES (:group_id, :stream_id, :min_ms, :max_ms, :now_ms, :size, :events);

-- name: last_block
-- The newest block of all.
SELECT coalesce(max(id), 0) FROM log_blocks;

-- name: group_blocks_after
-- The next blocks of a group in the order they were written (by id: the `+` keeps the indexes by time out of it).
SELECT id, stream_id, events FROM log_blocks WHERE +group_id = :group_id AND id > :after ORDER BY id LIMIT :limit;

-- name: blocks_of_group
-- The headers of a group's blocks that begin in a range of time, in time order.
SELECT id, stream_id, min_ms, max_ms, ingested_ms FROM log_blocks
WHERE group_id = :scope AND min_ms >= :from_ms AND min_ms < :before_ms ORDER BY min_ms, id;

-- name: blocks_of_group_descending
-- The same, latest first.
SELECT id, stream_id, min_ms, max_ms, ingested_ms FROM log_blocks
WHERE group_id = :scope AND min_ms >= :from_ms AND min_ms < :before_ms ORDER BY min_ms DESC, id DESC;

-- name: blocks_of_stream
-- The headers of a stream's blocks that begin in a range of time, in time order.
SELECT id, stream_id, min_ms, max_ms, ingested_ms FROM log_blocks
WHERE stream_id = :scope AND min_ms >= :from_ms AND min_ms < :before_ms ORDER BY min_ms, id;

-- name: blocks_of_stream_descending
-- The same, latest first.
SELECT id, stream_id, min_ms, max_ms, ingested_ms FROM log_blocks
WHERE stream_id = :scope AND min_ms >= :from_ms AND min_ms < :before_ms ORDER BY min_ms DESC, id DESC;

-- name: block_events
-- The events of one block.
SELECT events FROM log_blocks WHERE id = :block_id;

-- name: delete_old_blocks
-- Remove some of a group's blocks that ended before a time; their sizes come back.
DELETE FROM log_blocks WHERE id IN (
    SELECT id FROM log_blocks WHERE group_id = :group_id AND min_ms < :before_ms AND max_ms < :before_ms LIMIT :limit
) RETURNING size;

-- name: next_garbage
-- A stream whose blocks are to be collected.
SELECT stream_id FROM log_garbage LIMIT 1;

-- name: delete_garbage_blocks
-- Remove some blocks of a stream that is gone; their sizes come back.
DELETE FROM log_blocks WHERE id IN (SELECT id FROM log_blocks WHERE stream_id = :stream_id LIMIT :limit)
RETURNING size;

-- name: forget_garbage
-- A stream that is gone has no blocks left.
DELETE FROM log_garbage WHERE stream_id = :stream_id;

-- name: stream_block_sizes
-- How many bytes a stream holds, to take them off its group when it is deleted.
SELECT coalesce(sum(size), 0) FROM log_blocks WHERE stream_id = :stream_id;

-- name: last_batch
-- The last batch written of a node's run.
SELECT batch FROM log_runs WHERE run = :run;

-- name: set_last_batch
-- A batch is written, with what else its transaction holds.
INSERT INTO log_runs VALUES (:run, :batch) ON CONFLICT DO UPDATE SET batch = excluded.batch;

-- name: forget_other_runs
-- Nodes of earlier runs hand nothing over again.
DELETE FROM log_runs WHERE run <> :run;
