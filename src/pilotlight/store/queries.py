"""Reads SQL from its files, so that no statement is written in Python and each is found by its name.

A query opens with `-- name: x`, then at least one comment line: the sentence on what it is for. Parameters are $1, $2
... first used in that order, because SQLite binds by order of appearance and PostgreSQL by number.
"""

from __future__ import annotations

import re
from importlib import resources

import msgspec


class Query(msgspec.Struct, frozen=True):
    """One statement (or, for an engine's set-up, several) and the sentence on it."""

    name: str
    purpose: str
    sql: str


class Migration(msgspec.Struct, frozen=True):
    """`version` is the schema after it; `script` may hold several statements."""

    version: int
    name: str
    script: str


def load_queries(engine: str) -> dict[str, str]:
    """Name -> SQL: the shared queries, and those of one engine (a folder of sql/)."""
    folder = resources.files("pilotlight.store").joinpath("sql")
    texts = [folder.joinpath(name).read_text("utf-8") for name in ("queries.sql", f"{engine}/engine.sql")]
    return {query.name: query.sql for query in parse_queries("\n".join(texts))}


def parse_queries(text: str) -> list[Query]:
    """The queries of a file; ValueError when one has no sentence, a name used before, or parameters out of order."""
    found: dict[str, Query] = {}
    for block in re.split(r"(?m)^-- name: *", text)[1:]:
        name, _, rest = block.partition("\n")
        name = name.strip()
        lines = rest.strip().splitlines()
        comments = [line[2:].strip() for line in lines if line.startswith("--")]
        sql = "\n".join(line for line in lines if not line.startswith("--")).strip().rstrip(";")
        if not comments or not sql:
            raise ValueError(f"query {name}: it needs a sentence and a statement")
        if name in found:
            raise ValueError(f"query {name}: the name is used twice")
        numbers = list(dict.fromkeys(int(number) for number in re.findall(r"\$(\d+)", sql)))
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"query {name}: parameters first appear in the order {numbers}")
        found[name] = Query(name, " ".join(comments), sql)
    return list(found.values())


def load_migrations(engine: str) -> list[Migration]:
    """The numbered migrations of an engine (a folder of sql/), oldest first."""
    folder = resources.files("pilotlight.store").joinpath("sql", engine)
    found = [
        Migration(int(entry.name.split("_", 1)[0]), entry.name, entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if entry.name[0].isdigit()
    ]
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"the migrations of {engine} are not numbered 1, 2, 3 ...: {[m.name for m in found]}")
    return found
