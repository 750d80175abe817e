"""One function with all its versions, as it stood at a moment; and a change of it, as records to write.

In the store a function is one record, and each of its versions another, so that publishing the hundredth version does
not write the other ninety-nine. Everything here is pure; who reads and writes the store is `catalog.Catalog`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from pilotlight.catalog import lifecycle
from pilotlight.catalog.records import LATEST, Function, FunctionVersion
from pilotlight.store.interface import Change, Put, Record, Remove

FUNCTION = "lambda.function"
VERSION = "lambda.version"

FunctionKey = tuple[str, str, str]
"""Account, region and name."""


class FunctionView(msgspec.Struct, frozen=True):
    """`revision` and `revisions` are what a change of the records must expect in the store."""

    function: Function
    revision: int
    versions: Mapping[str, FunctionVersion]
    revisions: Mapping[str, int]

    @property
    def latest(self) -> FunctionVersion:
        return self.versions[LATEST]

    @property
    def in_order(self) -> list[FunctionVersion]:
        """All versions: $LATEST, $LATEST.PUBLISHED, then by number."""
        return sorted(self.versions.values(), key=lambda version: version.number)

    @property
    def published(self) -> list[FunctionVersion]:
        """All but $LATEST, in order."""
        return [version for version in self.in_order if version.version != LATEST]

    @property
    def code_bytes(self) -> int:
        return sum(version.stored_bytes for version in self.versions.values())

    def version_of(self, qualifier: str | None) -> FunctionVersion | None:
        """The version a qualifier stands for: of an alias the one it points to, of None $LATEST."""
        alias = self.function.aliases.get(qualifier or "")
        return self.versions.get(alias.version if alias else qualifier or LATEST)


class FunctionChange(msgspec.Struct, frozen=True):
    """New values for one function, written all or nothing. `gone` removes it with all its versions."""

    function: Function | None = None
    versions: tuple[FunctionVersion, ...] = ()
    removed: tuple[str, ...] = ()
    gone: bool = False


def writes(key: FunctionKey, view: FunctionView | None, change: FunctionChange, *, settle: bool) -> list[Change]:
    """What `change` writes over `view`; with `settle`, what would be Pending or InProgress is written settled."""
    path = "/".join(key)
    revisions: Mapping[str, int] = view.revisions if view else {}
    if change.gone:
        assert view is not None
        return [
            Remove(FUNCTION, path, view.revision),
            *(Remove(VERSION, f"{path}/{number}", revision) for number, revision in revisions.items()),
        ]
    written: list[Change] = []
    if change.function is not None:
        expect = view.revision if view else 0
        written.append(Put(FUNCTION, path, msgspec.msgpack.encode(change.function), expect))
    for version in change.versions:
        stored = lifecycle.settled(version) if settle and version.settles_at_ms else version
        expect = revisions.get(version.version, 0)
        written.append(Put(VERSION, f"{path}/{version.version}", msgspec.msgpack.encode(stored), expect))
    written.extend(Remove(VERSION, f"{path}/{number}", revisions.get(number)) for number in change.removed)
    return written


def taken_in(before: FunctionView | None, changed: Iterable[tuple[str, str, Record | None]]) -> FunctionView | None:
    """What `before` is after these records of one function, by kind and key; a record that is None has gone."""
    function = before.function if before else None
    revision = before.revision if before else 0
    versions = dict(before.versions) if before else {}
    revisions = dict(before.revisions) if before else {}
    for kind, key, record in changed:
        if kind == FUNCTION:
            function = msgspec.msgpack.decode(record.body, type=Function) if record else None
            revision = record.revision if record else 0
        elif record is None:
            versions.pop(key.rpartition("/")[2], None)
            revisions.pop(key.rpartition("/")[2], None)
        else:
            version = msgspec.msgpack.decode(record.body, type=FunctionVersion)
            versions[version.version], revisions[version.version] = version, record.revision
    if function is None:
        return None
    return FunctionView(function, revision, versions, revisions)
