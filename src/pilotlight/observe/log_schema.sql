-- The log database. Events are kept in blocks: a run of one stream's events, in order, MessagePack in one blob, so that
-- writing costs a few rows a batch whatever a function prints. Ids are never used again (AUTOINCREMENT), so that blocks
-- of a deleted stream can be collected later without a mistake.

-- One log group of an account and region.
CREATE TABLE IF NOT EXISTS log_groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    retention_days INTEGER NOT NULL DEFAULT 0,
    stored_bytes INTEGER NOT NULL DEFAULT 0,
    properties BLOB NOT NULL DEFAULT x'80',
    UNIQUE (account, region, name)
) STRICT;

-- One log stream of a group; first_ms and last_ms are 0 until it has events.
CREATE TABLE IF NOT EXISTS log_streams (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    first_ms INTEGER NOT NULL DEFAULT 0,
    last_ms INTEGER NOT NULL DEFAULT 0,
    last_ingested_ms INTEGER NOT NULL DEFAULT 0,
    UNIQUE (group_id, name)
) STRICT;

-- Streams of a group by the time of their last event.
CREATE INDEX IF NOT EXISTS log_streams_by_last ON log_streams (group_id, last_ms, name);

-- A run of events: [[timestamp_ms, message], ...] sorted by time, from min_ms to max_ms, at most BLOCK_SPAN_MS apart.
CREATE TABLE IF NOT EXISTS log_blocks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id INTEGER NOT NULL,
    stream_id INTEGER NOT NULL,
    min_ms INTEGER NOT NULL,
    max_ms INTEGER NOT NULL,
    ingested_ms INTEGER NOT NULL,
    size INTEGER NOT NULL,
    events BLOB NOT NULL
) STRICT;

-- Blocks of a group in time order: FilterLogEvents over all streams, and retention.
CREATE INDEX IF NOT EXISTS log_blocks_by_group ON log_blocks (group_id, min_ms, id, max_ms, stream_id, ingested_ms);

-- Blocks of a stream in time order: GetLogEvents.
CREATE INDEX IF NOT EXISTS log_blocks_by_stream ON log_blocks (stream_id, min_ms, id, max_ms, ingested_ms);

-- Streams that are gone and whose blocks are still to be collected, a few at a time.
CREATE TABLE IF NOT EXISTS log_garbage (
    stream_id INTEGER PRIMARY KEY
) STRICT;

-- The last batch of events that is written, of each run of a node: a batch that is handed over again is known by it.
CREATE TABLE IF NOT EXISTS log_runs (
    run TEXT PRIMARY KEY,
    batch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
