"""Records that belong to an account and not to a function, mirrored in memory: layers, event source mappings ...

One `Resources` per kind. Like the functions, they follow the store's change feed (the catalog feeds them), so a client
reads what it wrote and other nodes' changes arrive the same way. A value is a frozen Struct; a change is a new value.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Generic, TypeVar

import msgspec

from pilotlight.catalog.settling import Settling
from pilotlight.errors import ServiceException
from pilotlight.store.interface import Change, Put, Record, Remove

_log = logging.getLogger(__name__)

T = TypeVar("T", bound=msgspec.Struct)
A = TypeVar("A")
Key = tuple[str, str, str]
"""Account, region, and the name or id within them (which holds no slash)."""


class Keep:
    """What a decision gives for "leave it as it is"."""


KEEP = Keep()

Commit = Callable[[Sequence[Change]], Awaitable[bool]]
"""Write all or nothing, and take it in through the feed; False when an expectation did not hold."""


class Resources(Generic[T]):
    """The values of one kind. `settled`, for kinds with states: what a value is once its `settles_at_ms` has come
    (None: gone); with a state delay of 0 it is applied before a value is stored."""

    def __init__(
        self,
        kind: str,
        type: type[T],
        commit: Commit,
        settling: Settling,
        *,
        delay_ms: int = 0,
        now_ms: Callable[[], int],
        settled: Callable[[T], T | None] | None = None,
    ) -> None:
        self.kind = kind
        self._type = type
        self._commit = commit
        self._settling = settling
        self._delay_ms = delay_ms
        self._now_ms = now_ms
        self._settled = settled
        self._values: dict[Key, tuple[T, int]] = {}
        self._scopes: dict[tuple[str, str], dict[str, T]] = {}
        self._listeners: list[Callable[[Key, T | None], None]] = []
        self._among = asyncio.Lock()

    def get(self, account: str, region: str, name: str) -> T | None:
        found = self._values.get((account, region, name))
        return found[0] if found else None

    def all(self, account: str, region: str) -> list[T]:
        """Of one account and region, by name."""
        scope = self._scopes.get((account, region), {})
        return [scope[name] for name in sorted(scope)]

    def everywhere(self) -> Iterator[tuple[Key, T]]:
        """Of all accounts and regions."""
        return ((key, value) for key, (value, _) in self._values.items())

    def subscribe(self, listener: Callable[[Key, T | None], None]) -> None:
        """Have `listener` called with every new value, and with None when one has gone."""
        self._listeners.append(listener)

    async def change(
        self, account: str, region: str, name: str, decide: Callable[[T | None], tuple[T | Keep | None, A]]
    ) -> A:
        """Run `decide` on the value as it is (None: there is none) and write what it says: a new value, None to remove
        it, or KEEP. Somebody else's change in between runs it again, so it must be pure. Errors it raises pass."""
        key = (account, region, name)
        while True:
            value, revision = self._values.get(key, (None, 0))
            decided, answer = decide(value)
            if isinstance(decided, Keep):
                return answer
            path = "/".join(key)
            stored = decided
            if decided is not None and self._settled is not None and self._delay_ms <= 0 and _settles_at_ms(decided):
                stored = self._settled(decided)
            if stored is not None:
                change: Change = Put(self.kind, path, msgspec.msgpack.encode(stored), revision)
            elif value is None:
                return answer
            else:
                change = Remove(self.kind, path, revision)
            if await self._commit([change]):
                return answer

    async def change_among(
        self, account: str, region: str, name: str, decide: Callable[[T | None], tuple[T | Keep | None, A]]
    ) -> A:
        """As `change`, for a decision that looks at other values too (that this one is unique): one at a time."""
        async with self._among:
            return await self.change(account, region, name, decide)

    # -- for the catalog ----------------------------------------------------------------------------------------------

    def apply(self, path: str, record: Record | None) -> None:
        """A record as it now is."""
        account, region, name = path.split("/", 2)
        key = (account, region, name)
        if record is None:
            self._values.pop(key, None)
            self._scopes.get((account, region), {}).pop(name, None)
            value = None
        else:
            value = msgspec.msgpack.decode(record.body, type=self._type)
            self._values[key] = value, record.revision
            self._scopes.setdefault((account, region), {})[name] = value
        if self._settled is not None:
            at_ms = _settles_at_ms(value) if value is not None else 0
            self._settling.later((self.kind, *key), at_ms, lambda: self._settle(key))
        for listener in list(self._listeners):
            try:
                listener(key, value)
            except Exception:
                _log.exception("a listener failed on %s", path)

    def paths(self) -> list[str]:
        return ["/".join(key) for key in self._values]

    async def settle_left_over(self) -> None:
        """What a node that stopped left unsettled is settled now: nobody is working on it any more."""
        for key, value in list(self.everywhere()):
            if _settles_at_ms(value):
                await self._settle(key, early=True)

    async def _settle(self, key: Key, *, early: bool = False) -> None:
        settled = self._settled
        assert settled is not None

        def settle(value: T | None) -> tuple[T | Keep | None, None]:
            at_ms = _settles_at_ms(value) if value is not None else 0
            if value is None or not at_ms or (at_ms > self._now_ms() and not early):
                return KEEP, None
            return settled(value), None

        try:
            await self.change(*key, settle)
        except ServiceException as error:
            _log.error("%s %s stays as it is: %s", self.kind, "/".join(key), error)


def _settles_at_ms(value: msgspec.Struct) -> int:
    return getattr(value, "settles_at_ms", 0)
