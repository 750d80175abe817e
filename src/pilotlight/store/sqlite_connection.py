"""The few calls of an apsw connection that the engine makes, with types of our own (apsw's stubs leave Any holes),
and what is done once when one is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import apsw

from pilotlight.store.interface import SchemaTooNew
from pilotlight.store.queries import Migration


class Cursor(Protocol):
    def __iter__(self) -> Iterator[tuple[Any, ...]]: ...
    def fetchall(self) -> list[tuple[Any, ...]]: ...


class Connection(Protocol):
    """One connection: used by one thread at a time."""

    @property
    def in_transaction(self) -> bool: ...
    def execute(self, statements: str, bindings: Sequence[object] | None = None) -> Cursor: ...
    def changes(self) -> int: ...
    def close(self, force: bool = False) -> None: ...


def connect(path: Path) -> Connection:
    return cast(Connection, apsw.Connection(str(path)))


def migrate(connection: Connection, queries: dict[str, str], migrations: Sequence[Migration], path: Path) -> None:
    """Bring the schema to the newest version, all steps with their numbers in one transaction; refuse a newer one."""
    connection.execute(queries["begin"])
    try:
        connection.execute(queries["schema_version_create"])
        version = connection.execute(queries["schema_version_get"]).fetchall()[0][0] or 0
        newest = migrations[-1].version
        if version > newest:
            raise SchemaTooNew(
                f"{path} has schema version {version}, and this Pilotlight knows up to {newest}. "
                "It was last opened by a later version: use that one, or another data directory."
            )
        for migration in migrations:
            if migration.version > version:
                connection.execute(migration.script)
                connection.execute(queries["schema_version_add"], (migration.version,))
        connection.execute(queries["commit"])
    except BaseException:
        if connection.in_transaction:
            connection.execute(queries["rollback"])
        raise
