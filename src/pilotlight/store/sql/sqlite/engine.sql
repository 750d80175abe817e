-- What only SQLite is told: how a connection is set up, and the frame of a group commit.

-- name: configure
-- WAL, every commit on disk before it is answered; the WAL goes back into the database every 4,000 pages of 4 KiB.
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA fullfsync = ON;
PRAGMA wal_autocheckpoint = 4000;
PRAGMA cache_size = -16384;
PRAGMA busy_timeout = 5000;

-- name: page_size
-- Bytes in a page of this database.
PRAGMA page_size;

-- name: limit_pages
-- Bound the database; the caller puts in the number, for a pragma takes no parameter.
PRAGMA max_page_count = {pages};

-- name: begin
-- Open the transaction of a batch, as the writer.
BEGIN IMMEDIATE;

-- name: commit
-- Make a batch durable, with one fsync.
COMMIT;

-- name: rollback
-- Undo a batch.
ROLLBACK;

-- name: caller_begin
-- Open one caller's part of a batch.
SAVEPOINT caller;

-- name: caller_undo
-- Undo one caller's part of a batch.
ROLLBACK TO caller;

-- name: caller_end
-- Close one caller's part of a batch.
RELEASE caller;
