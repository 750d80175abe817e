-- The first schema: records with their feed, the durable queue, counters and named leases.

CREATE TABLE records (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;

-- Appended to by every transaction that touches a record, trimmed from the old end.
CREATE TABLE changes (
    revision INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    removed INTEGER NOT NULL,
    PRIMARY KEY (revision, kind, key)
) WITHOUT ROWID;

-- available_at_ms is when an item may be claimed: its due time, or the end of the lease it is under. One column for
-- both, so that an item whose lease has expired is found exactly as a new one is.
CREATE TABLE queue_items (
    queue TEXT NOT NULL,
    item_id TEXT NOT NULL,
    body BLOB NOT NULL,
    due_at_ms INTEGER NOT NULL,
    available_at_ms INTEGER NOT NULL,
    enqueued_at_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    lease TEXT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (queue, item_id)
) WITHOUT ROWID;

-- owner comes with it, so that a node that starts finds what it held without reading the bodies of a long queue.
CREATE INDEX queue_items_available ON queue_items (queue, available_at_ms, item_id, owner);

CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    expires_at_ms INTEGER NOT NULL
) WITHOUT ROWID;
