"""The log database as seen by one thread: groups, streams and blocks of events, and metrics, in SQLite.

A connection belongs to one thread at a time. Two change anything, and by turns (writer.py): the log process writes
events, a thread of the node does the rest; readers have their own. WAL with synchronous=NORMAL: a killed node loses
nothing that was committed, and a commit costs no fsync. Logs are worth that much and no more; the catalog's store is
stricter.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import apsw
import msgspec

from pilotlight.observe.metrics import merged_histogram
from pilotlight.store.queries import parse_queries

BLOCK_SPAN_MS = 60_000
"""No block spans more time than this, so that a reader knows how early a block with a given event can begin."""

_COLLECT_AT_ONCE = 128
"""Blocks removed in one transaction, so that writing never waits long for collection."""

Event = tuple[int, str]
"""Milliseconds since the epoch, message."""

Row = tuple[Any, ...]


class GroupProperties(msgspec.Struct, frozen=True):
    tags: dict[str, str] = {}
    log_group_class: str = "STANDARD"
    kms_key_id: str = ""
    deletion_protection: bool = False


class GroupRow(msgspec.Struct, frozen=True):
    id: int
    name: str
    created_ms: int
    retention_days: int
    stored_bytes: int
    properties: GroupProperties


class StreamRow(msgspec.Struct, frozen=True):
    id: int
    name: str
    created_ms: int
    first_ms: int
    last_ms: int
    last_ingested_ms: int


@cache
def _queries() -> dict[str, str]:
    return {
        query.name: query.sql
        for file in ("log_queries.sql", "metric_queries.sql", "bill_queries.sql")
        for query in parse_queries(_sql(file))
    }


def _sql(file: str) -> str:
    return resources.files("pilotlight.observe").joinpath(file).read_text("utf-8")


class LogDatabase:
    def __init__(self, file: Path, *, read_only: bool = False) -> None:
        self._queries = _queries()
        flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        self._connection = apsw.Connection(str(file), flags=flags)
        self._connection.set_busy_timeout(10_000)
        self._execute: Callable[..., Any] = self._connection.execute  # pyright: ignore[reportUnknownMemberType]
        if not read_only:
            self._prepare()
            define: Any = self._connection.create_scalar_function  # pyright: ignore
            define("merged_histogram", merged_histogram, 8, deterministic=True)

    def _prepare(self) -> None:
        execute = self._execute
        execute("PRAGMA auto_vacuum = INCREMENTAL")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        execute("PRAGMA journal_size_limit = 16777216")
        execute(_sql("log_schema.sql"))
        execute(_sql("metric_schema.sql"))
        execute(_sql("bill_schema.sql"))

    def close(self) -> None:
        self._connection.close()

    def run(self, query: str, **values: Any) -> list[Row]:
        """Run a statement of the .sql files beside this one by its name, to its end."""
        return self._execute(self._queries[query], values).fetchall()

    def first(self, query: str, **values: Any) -> Row | None:
        """The first row of a statement, when there is one."""
        rows = self.run(query, **values)
        return rows[0] if rows else None

    def rows(self, query: str, **values: Any) -> Iterator[Row]:
        """The rows of a query, read as they are asked for; within a transaction."""
        return iter(self._execute(self._queries[query], values))

    @contextmanager
    def transaction(self, mode: str = "IMMEDIATE") -> Generator[None]:
        """All or nothing; `DEFERRED` for reading one consistent state."""
        self._execute(f"BEGIN {mode}")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")

    # groups and streams

    def group(self, account: str, region: str, name: str) -> GroupRow | None:
        row = self.first("find_group", account=account, region=region, name=name)
        return None if row is None else group_row(row)

    def stream(self, group_id: int, name: str) -> StreamRow | None:
        row = self.first("find_stream", group_id=group_id, name=name)
        return None if row is None else StreamRow(*row)

    def create_group(self, account: str, region: str, name: str, now_ms: int, properties: GroupProperties) -> bool:
        """False when it exists already."""
        body = msgspec.msgpack.encode(properties)
        values = {"account": account, "region": region, "name": name, "now_ms": now_ms, "properties": body}
        return bool(self.run("insert_group", **values))

    def create_stream(self, group_id: int, name: str, now_ms: int) -> bool:
        """False when it exists already."""
        return bool(self.run("insert_stream", group_id=group_id, name=name, now_ms=now_ms))

    def delete_group(self, group_id: int) -> None:
        """The group and its streams are gone at once; their blocks are collected later, a few at a time."""
        self.run("discard_streams", group_id=group_id)
        self.run("delete_streams", group_id=group_id)
        self.run("delete_group", group_id=group_id)

    def delete_stream(self, group_id: int, stream_id: int) -> None:
        ((size,),) = self.run("stream_block_sizes", stream_id=stream_id)
        self.run("grow_group", group_id=group_id, size=-size)
        self.run("discard_stream", stream_id=stream_id)
        self.run("delete_stream", stream_id=stream_id)

    def written_stream(self, account: str, region: str, group: str, stream: str, now_ms: int) -> tuple[int, StreamRow]:
        """Group id and stream of a stream being written to, both made when they are not there, as Lambda does."""
        self.create_group(account, region, group, now_ms, GroupProperties())
        row = self.group(account, region, group)
        assert row is not None
        self.create_stream(row.id, stream, now_ms)
        stream_row = self.stream(row.id, stream)
        assert stream_row is not None
        return row.id, stream_row

    # events

    def write(
        self,
        group_id: int,
        stream_id: int,
        events: Sequence[tuple[int, str | msgspec.Raw]],
        now_ms: int,
        encoded: bytes | None = None,
    ) -> None:
        """Append events that are in order of time to a stream. `encoded`: all of them as a block has them."""
        total = begin = 0
        while begin < len(events):
            first_ms = events[begin][0]
            end = len(events)
            if events[-1][0] - first_ms >= BLOCK_SPAN_MS:
                end = next(i for i in range(begin, end) if events[i][0] - first_ms >= BLOCK_SPAN_MS)
            whole = end - begin == len(events)
            body = encoded if whole and encoded is not None else encode_events(events[begin:end])
            values = {"group_id": group_id, "stream_id": stream_id, "min_ms": first_ms, "max_ms": events[end - 1][0]}
            self.run("insert_block", **values, now_ms=now_ms, size=len(body), events=body)
            total += len(body)
            begin = end
        values = {"stream_id": stream_id, "min_ms": events[0][0], "max_ms": events[-1][0], "now_ms": now_ms}
        self.run("touch_stream", **values)
        self.run("grow_group", group_id=group_id, size=total)

    # what is too old, and what was deleted

    def remove_old(self, group_id: int, before_ms: int) -> bool:
        """Remove some of what is older than `before_ms`; True when there may be more."""
        sizes = self.run("delete_old_blocks", group_id=group_id, before_ms=before_ms, limit=_COLLECT_AT_ONCE)
        if sizes:
            self.run("grow_group", group_id=group_id, size=-sum(size for (size,) in sizes))
        if len(sizes) == _COLLECT_AT_ONCE:
            return True
        self.run("delete_old_streams", group_id=group_id, before_ms=before_ms)
        return False

    def collect_garbage(self) -> bool:
        """Remove some blocks of deleted streams; True when there may be more."""
        row = self.first("next_garbage")
        if row is None:
            return False
        removed = self.run("delete_garbage_blocks", stream_id=row[0], limit=_COLLECT_AT_ONCE)
        if len(removed) < _COLLECT_AT_ONCE:
            self.run("forget_garbage", stream_id=row[0])
        return True

    def give_back_space(self) -> bool:
        """Hand some free pages back to the file system, outside a transaction; True when there are more."""
        self._execute("PRAGMA incremental_vacuum(4096)").fetchall()
        ((free_pages,),) = self._execute("PRAGMA freelist_count").fetchall()
        return free_pages > 0


def group_row(row: Row) -> GroupRow:
    group_id, name, created_ms, retention_days, stored_bytes, properties = row
    decoded = msgspec.msgpack.decode(properties, type=GroupProperties)
    return GroupRow(group_id, name, created_ms, retention_days, stored_bytes, decoded)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Event])


def encode_events(events: Sequence[tuple[int, str | msgspec.Raw]]) -> bytes:
    """A block's body."""
    try:
        return _encoder.encode(events)
    except UnicodeEncodeError:
        return _encoder.encode([(at, storable(text)) for at, text in events])


def storable(text: str | msgspec.Raw) -> str | msgspec.Raw:
    """A lone surrogate, which JSON can carry and UTF-8 cannot, becomes a question mark."""
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


def decode_events(body: bytes) -> list[Event]:
    return _decoder.decode(body)
