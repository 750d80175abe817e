"""What each request is in SQL. Runs in the store process, writes inside its transaction.

A change checks its expectation in the statement that writes, so that a conflict is "no row changed" and nothing to
undo; only a transaction of several changes needs a savepoint.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import apsw

from pilotlight.store.interface import (
    Add,
    ChangeEvent,
    Conflict,
    Done,
    Enqueue,
    Extend,
    FeedTrimmed,
    Put,
    QueueItem,
    Record,
    Remove,
    Retry,
)
from pilotlight.store.lock import DirectoryLock
from pilotlight.store.sqlite_connection import Connection
from pilotlight.store.sqlite_messages import (
    AcquireLease,
    BringForward,
    ChangesSince,
    Claim,
    Counter,
    Get,
    NextDue,
    QueueDepth,
    QueueDepths,
    ReleaseItems,
    ReleaseLease,
    ReleaseOwner,
    Request,
    Revision,
    Scan,
    Transact,
)

logger = logging.getLogger(__name__)

#: sorts after every name that starts with the text before it
_LAST = "\U0010ffff"
#: sorts before every name that goes on after the text before it
_NEXT = "\x01"
#: the feed is trimmed in small steps
_TRIM_EVERY = 1_000


class Engine:
    """One open database. `revision` and the `wrote_` flags are of the transaction under way; the server minds them."""

    def __init__(
        self, connection: Connection, queries: dict[str, str], lock: DirectoryLock, owner: str, feed_revisions: int
    ) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._queries = queries
        self._lock = lock
        self._owner = owner
        self._feed_revisions = feed_revisions
        self._run_id = os.urandom(4).hex()
        self._next_item = 0
        self._turns: dict[str, str] = {}
        self.revision = int(self._rows("change_bounds")[0][1] or 0)
        self.wrote_records = False
        self.wrote_queue = False

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def run(self, query: str) -> None:
        self._execute(self._queries[query])

    def close(self) -> None:
        """Write the WAL back and let go. A full disk leaves that to the next opening."""
        try:
            self._connection.close(True)
        except apsw.Error as error:
            logger.warning("the store was closed without a checkpoint: %s", error)
        self._lock.release()

    def _rows(self, query: str, *bindings: object) -> list[tuple[Any, ...]]:
        return self._execute(self._queries[query], bindings).fetchall()

    def _rows_changed(self, query: str, *bindings: object) -> int:
        self._execute(self._queries[query], bindings)
        return self._connection.changes()

    def read(self, request: Request) -> object:
        """Answer one Read, from the last commit."""
        match request:
            case Get(kind, key):
                rows = self._rows("record_get", kind, key)
                return Record(*rows[0]) if rows else None
            case Scan(kind, prefix, after, limit):
                rows = self._rows("record_scan", kind, max(prefix, after), after, prefix + _LAST, limit)
                return [Record(*row) for row in rows]
            case Revision():
                return self.revision
            case ChangesSince(revision, limit):
                return self._changes_since(revision, limit)
            case NextDue(prefix, without):
                rows = self._rows("next_due", prefix, prefix + _LAST, len(without) + 1)
                return next((due_ms for queue, due_ms in rows if queue not in without), None)
            case QueueDepth(queue):
                return self._rows("queue_depth", queue)[0][0]
            case QueueDepths(prefix):
                return dict(self._rows("queue_depths", prefix, prefix + _LAST))
            case Counter(name):
                rows = self._rows("counter_get", name)
                return rows[0][0] if rows else 0
            case _:
                raise TypeError(f"not a read: {request}")

    def _changes_since(self, revision: int, limit: int) -> list[ChangeEvent]:
        oldest = self._rows("change_bounds")[0][0]
        if oldest is not None and oldest > revision + 1:
            raise FeedTrimmed(f"The feed begins at revision {oldest}; {revision + 1} was asked for.")
        page = self._rows("change_page", revision, max(limit, 1) - 1)
        return [ChangeEvent(number, kind, key, bool(removed)) for number, kind, key, removed in page]

    def write(self, request: Request) -> object:
        """Do one Write other than Transact."""
        match request:
            case Claim():
                return self._claim(request)
            case BringForward(prefix, beyond_ms, due_at_ms):
                brought = self._rows_changed("items_bring_forward", due_at_ms, prefix, prefix + _LAST, beyond_ms)
                self.wrote_queue = brought > 0
                return brought
            case ReleaseOwner(owner):
                released = self._rows_changed("items_release", owner)
                self._execute(self._queries["leases_release"], (owner,))
                self.wrote_queue = released > 0
                return released
            case ReleaseItems(prefix, but):
                claimed = self._rows("items_claimed", prefix, prefix + _LAST, self._owner)
                lost = [(queue, item_id) for queue, item_id, lease in claimed if lease not in but]
                for queue, item_id in lost:
                    self._execute(self._queries["item_release"], (queue, item_id))
                self.wrote_queue = bool(lost)
                return len(lost)
            case AcquireLease(name, owner, ttl_ms, now_ms):
                return self._rows_changed("lease_acquire", name, owner, now_ms + ttl_ms, now_ms) > 0
            case ReleaseLease(name, owner):
                return self._rows_changed("lease_release", name, owner) > 0
            case _:
                raise TypeError(f"not a write: {request}")

    def transact(self, request: Transact) -> int:
        """Do every change, or raise Conflict with some of them done: the server undoes those."""
        revision = self.revision + 1
        for change in request.changes:
            match change:
                case Enqueue():
                    self._enqueue(change, request.now_ms)
                case Put() | Remove():
                    if self._write_record(change, revision):
                        event = (revision, change.kind, change.key, isinstance(change, Remove))
                        self._execute(self._queries["change_add"], event)
                        self.wrote_records = True
                case Add(counter, amount):
                    self._execute(self._queries["counter_add"], (counter, amount))
                case Done() | Retry() | Extend():
                    self._settle(change)
        if self.wrote_records:
            self.revision = revision
            if revision % _TRIM_EVERY == 0 and revision > self._feed_revisions:
                self._execute(self._queries["change_trim"], (revision - self._feed_revisions,))
        return self.revision

    def _write_record(self, change: Put | Remove, revision: int) -> bool:
        """Whether anything changed: not when a Remove finds nothing and expected nothing."""
        kind, key = change.kind, change.key
        match change:
            case Put(expect=None):
                return self._rows_changed("record_put", kind, key, revision, change.body) > 0
            case Put(expect=0):
                held = self._rows_changed("record_create", kind, key, revision, change.body) > 0
            case Put(expect=expected):
                held = self._rows_changed("record_replace", revision, change.body, kind, key, expected) > 0
            case Remove(expect=None):
                return self._rows_changed("record_remove", kind, key) > 0
            case Remove(expect=0):
                if self._rows("record_get", kind, key):
                    raise Conflict(change)
                return False
            case Remove(expect=expected):
                held = self._rows_changed("record_remove_expected", kind, key, expected) > 0
        if not held:
            raise Conflict(change)
        return True

    def _enqueue(self, change: Enqueue, now_ms: int) -> None:
        item_id = change.item_id
        if item_id is None:
            # By time, then by order of acceptance: items due together are claimed in the order they came, and new
            # rows go in beside each other.
            self._next_item += 1
            item_id = f"{now_ms:012x}-{self._next_item:010x}-{self._run_id}"
        self._execute(self._queries["item_add"], (change.queue, item_id, change.body, change.due_at_ms, now_ms))
        self.wrote_queue = True

    def _settle(self, change: Done | Retry | Extend) -> None:
        if not change.lease:
            raise Conflict(change)  # what an unclaimed item has; nobody was ever given it
        match change:
            case Done(queue, item_id, lease):
                held = self._rows_changed("item_done", queue, item_id, lease)
            case Retry(queue, item_id, lease, due_at_ms, body):
                held = self._rows_changed("item_retry", due_at_ms, body, queue, item_id, lease)
                self.wrote_queue = True
            case Extend(queue, item_id, lease, until_ms):
                held = self._rows_changed("item_extend", until_ms, queue, item_id, lease)
        if not held:
            raise Conflict(change)

    def _claim(self, claim: Claim) -> list[QueueItem]:
        """Even shares, beginning after the queue that was served last, until the limit or nothing due is left."""
        lease = os.urandom(12).hex()
        claimed: list[QueueItem] = []
        queues = self._queues_due(claim)
        if queues:
            self._turns[claim.queue_prefix] = queues[-1]
        rooms = {queue: claim.rooms.get(queue, claim.of_each) for queue in queues}
        while queues and len(claimed) < claim.limit:
            share = max(1, (claim.limit - len(claimed)) // len(queues))
            hungry: list[str] = []
            for queue in queues:
                room = min(share, rooms[queue], claim.limit - len(claimed))
                if room <= 0:
                    continue
                items = self._claim_from(queue, lease, claim, room)
                claimed += items
                rooms[queue] -= len(items)
                if len(items) == share and rooms[queue]:
                    hungry.append(queue)
            queues = hungry
        return claimed

    def _queues_due(self, claim: Claim) -> list[str]:
        """At most `limit` of them that have room, in turn: those after the last one served, then round from the
        start."""
        prefix, turn = claim.queue_prefix, self._turns.get(claim.queue_prefix)
        start = prefix if turn is None else turn + _NEXT
        full = {queue for queue, room in claim.rooms.items() if room <= 0}
        limit = claim.limit + len(full)
        rows = self._rows("queues_due", start, prefix + _LAST, claim.now_ms, limit)
        if turn is not None and len(rows) < limit:
            rows += self._rows("queues_due", prefix, start, claim.now_ms, limit - len(rows))
        return [row[0] for row in rows if row[0] not in full][: claim.limit]

    def _claim_from(self, queue: str, lease: str, claim: Claim, room: int) -> list[QueueItem]:
        until_ms = claim.now_ms + claim.lease_ms
        rows = self._rows("items_claim", lease, self._owner, until_ms, queue, claim.now_ms, room)
        items = [
            QueueItem(queue, item_id, body, attempts, due_at_ms, enqueued_at_ms, lease)
            for item_id, body, attempts, due_at_ms, enqueued_at_ms in rows
        ]
        items.sort(key=lambda item: (item.due_at_ms, item.item_id))
        return items
