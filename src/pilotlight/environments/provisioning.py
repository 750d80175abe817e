"""Follows what the catalog says of provisioned concurrency, and tells how far it has come: the state that the API shows
is asked of the pool each time, so it is true at that moment."""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.catalog.catalog import Catalog
from pilotlight.catalog.held import not_runnable
from pilotlight.catalog.provisioning import provisioned_by_version, provisioned_of
from pilotlight.catalog.records import Function, FunctionVersion
from pilotlight.catalog.views import FunctionKey
from pilotlight.environments.pool import Pool
from pilotlight.environments.provisioned import Allocation


class Provisioning:
    """`start` it once environments can be served; it ends with the pool."""

    def __init__(self, catalog: Catalog, pool: Pool) -> None:
        self._catalog = catalog
        self._pool = pool
        self._last: dict[FunctionKey, Function] = {}
        """As it was when its environments were last asked for; functions with provisioned concurrency only."""

    def start(self) -> None:
        self._catalog.subscribe_functions(self._follow)

    def _follow(self, key: FunctionKey, function: Function | None) -> None:
        before = self._last.pop(key, None)
        view = self._catalog.function(*key)
        if function is None or view is None:
            return  # the pool hears of each version that it is going
        wanted = provisioned_by_version(function)
        if wanted:
            self._last[key] = function
        for number in (provisioned_by_version(before) if before else {}).keys() - wanted.keys():
            if number in view.versions:
                self._pool.provision(view.versions[number], 0)
        anew = before is None or before.provisioned != function.provisioned
        for number, count in wanted.items():
            version = view.versions.get(number)
            if version is not None and not not_runnable(version):
                self._pool.provision(version, count, anew=anew)

    def asked_for(self) -> Iterator[tuple[FunctionVersion, int]]:
        """The versions that have provisioned concurrency, and how much."""
        for key, function in self._last.items():
            view = self._catalog.function(*key)
            for number, count in provisioned_by_version(function).items():
                version = view.versions.get(number) if view else None
                if version is not None:
                    yield version, count

    def allocation(self, account: str, region: str, name: str, qualifier: str) -> Allocation:
        """Of one qualifier: over both versions of an alias with a weight."""
        view = self._catalog.function(account, region, name)
        assert view is not None
        parts = [
            self._of_version(view.versions.get(number), count)
            for number, count in provisioned_of(view.function, qualifier).items()
        ]
        allocated = sum(part.allocated for part in parts)
        for status in ("FAILED", "IN_PROGRESS"):
            for part in parts:
                if part.status == status:
                    return Allocation(allocated, part.status, part.reason)
        return Allocation(allocated, "READY" if parts else "IN_PROGRESS")

    def _of_version(self, version: FunctionVersion | None, count: int) -> Allocation:
        if version is None:
            return Allocation(0, "FAILED", "The version does not exist any more.")
        if sentence := not_runnable(version):
            return Allocation(0, "FAILED", sentence)
        allocation = self._pool.allocation(version)
        return Allocation(min(allocation.allocated, count), allocation.status, allocation.reason)
