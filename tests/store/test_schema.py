"""The SQL files: migrations from every version there has been, refusal of later ones, and rules for queries."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path

import apsw
import pytest

import pilotlight.store
from pilotlight.store.interface import Put, SchemaTooNew
from pilotlight.store.queries import Migration, load_migrations, load_queries, parse_queries
from pilotlight.store.sqlite import open_sqlite
from pilotlight.store.sqlite_connection import connect, migrate

FIXTURES = Path(__file__).parent / "fixtures"
ROOM = Path(pilotlight.store.__file__).parent


# -- schema


async def test_a_store_of_schema_version_1_opens_with_all_it_holds(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as database:
        database.executescript((FIXTURES / "schema_1.sql").read_text())
    store = open_sqlite(tmp_path)
    record = await store.get("function", "000000000000/us-east-1/thumbnail")
    assert record is not None and (record.revision, record.body) == (41, b"a function")
    assert await store.revision() == 42
    assert [(event.revision, event.key, event.removed) for event in await store.changes_since(40)] == [
        (41, "000000000000/us-east-1/thumbnail", False),
        (42, "000000000000/us-east-1/gone", True),
    ]
    assert await store.counter("code bytes") == 1234
    assert not await store.acquire_lease("collector", "other", 1, now_ms=1_700_000_000_000)
    assert await store.release_leases("node") == 1
    items = await store.claim("async/", 1_700_000_000_000, 1000, 10)
    assert [(item.body, item.attempts) for item in items] == [(b"leased", 2), (b"waiting", 1)]
    assert await store.transact([Put("k", "new", b"")]) == 43
    await store.close()


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    await open_sqlite(tmp_path).close()
    newest = len(load_migrations("sqlite"))
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as database:
        database.execute("INSERT INTO schema_version VALUES (?)", (newest + 1,))
        database.commit()
    with pytest.raises(SchemaTooNew, match=f"version {newest + 1}.*up to {newest}"):
        open_sqlite(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as database:
        assert database.execute("SELECT MAX(version) FROM schema_version").fetchone() == (newest + 1,)


def test_migrations_are_made_in_order_once_and_together_or_not_at_all(tmp_path: Path) -> None:
    path, queries = tmp_path / "x.db", load_queries("sqlite")
    one = Migration(1, "one", "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('kept')")
    two = Migration(2, "two", "ALTER TABLE t ADD COLUMN b TEXT DEFAULT 'new'; CREATE TABLE u (c)")
    bad = Migration(3, "bad", "CREATE TABLE v (d); INSERT INTO nowhere VALUES (1)")
    database = connect(path)
    migrate(database, queries, [one], path)
    migrate(database, queries, [one], path)
    with pytest.raises(apsw.SQLError):
        migrate(database, queries, [one, two, bad], path)
    assert database.execute("SELECT * FROM t").fetchall() == [("kept",)]
    assert database.execute("SELECT name FROM sqlite_master WHERE name IN ('u', 'v')").fetchall() == []
    migrate(database, queries, [one, two], path)
    assert database.execute("SELECT * FROM t").fetchall() == [("kept", "new")]
    assert database.execute("SELECT version FROM schema_version").fetchall() == [(1,), (2,)]
    database.close()


# -- queries


def test_every_query_has_its_sentence_and_is_used() -> None:
    code = "".join(path.read_text() for path in ROOM.glob("*.py"))
    for name in load_queries("sqlite"):
        assert f'"{name}"' in code, f"query {name} is used nowhere"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-- name: a\nSELECT 1;", "needs a sentence"),
        ("-- name: a\n-- Says.\n", "needs a sentence and a statement"),
        ("-- name: a\n-- Says.\nSELECT 1;\n-- name: a\n-- Says.\nSELECT 2;", "used twice"),
        ("-- name: a\n-- Says.\nSELECT $2, $1;", "order"),
        ("-- name: a\n-- Says.\nSELECT $1, $3;", "order"),
    ],
)
def test_a_query_file_with_a_fault_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_queries(text)


def test_queries_walk_indexes_only(tmp_path: Path) -> None:
    """No query reads a whole table, but for those that are asked about all of it."""
    queries = load_queries("sqlite")
    database = connect(tmp_path / "x.db")
    migrate(database, queries, load_migrations("sqlite"), tmp_path)
    whole = {"leases_release", "schema_version_get"}
    for query in parse_queries((ROOM / "sql" / "queries.sql").read_text()):
        if query.name in whole or query.sql.startswith("CREATE"):
            continue
        parameters = len(set(re.findall(r"\$\d", query.sql)))
        plan = [row[3] for row in database.execute("EXPLAIN QUERY PLAN " + query.sql, [0] * parameters)]
        scans = [step for step in plan if step.startswith("SCAN") and "INDEX" not in step and "walk" not in step]
        assert scans in ([], ["SCAN CONSTANT ROW"]), (query.name, plan)
    database.close()
