"""The live functions, in memory: what operations decide on and what the data plane resolves invocations with.

Memory follows the store's change feed and nothing else: a change made here is written to the store and then read back
through the feed before the caller gets its answer, so a client always reads what it wrote, and a change made by
another node arrives the same way. Values are immutable; a change is a new value. `resolve` is the hot path: one
dictionary look-up, no awaiting, no SQL.
"""

from __future__ import annotations

import asyncio
import bisect
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pilotlight.catalog import capacity, durable, event_sources, lifecycle, names, policy
from pilotlight.catalog.attached import Alias
from pilotlight.catalog.capacity import CAPACITY_PROVIDER, CapacityProvider
from pilotlight.catalog.code_signing import CODE_SIGNING_CONFIG, CodeSigningConfig
from pilotlight.catalog.durable import DURABLE_EXECUTION, DurableExecution
from pilotlight.catalog.event_sources import EVENT_SOURCE_MAPPING, EventSourceMapping
from pilotlight.catalog.layers import LAYER, Layer
from pilotlight.catalog.records import LATEST, Function, FunctionVersion
from pilotlight.catalog.resources import Key, Resources
from pilotlight.catalog.settling import Settling
from pilotlight.catalog.views import FUNCTION, VERSION, FunctionChange, FunctionKey, FunctionView, taken_in, writes
from pilotlight.clock import Clock
from pilotlight.errors import AccessDeniedException, ResourceNotFoundException, ServiceException
from pilotlight.settings import Settings
from pilotlight.store.interface import Change, Conflict, FeedTrimmed, Record, Store, StoreError

_PAGE = 1000

_log = logging.getLogger(__name__)

T = TypeVar("T")
Listener = Callable[[FunctionVersion], None]
FunctionListener = Callable[[FunctionKey, Function | None], None]
Scope = tuple[str, str]
"""Account and region: what keeps apart."""
Decision = Callable[[FunctionView | None], "tuple[FunctionChange | None, T]"]
"""A pure function of what is (None: no such function) to what is to be written (None: nothing) and the answer."""


class Catalog:
    """`open` it, and `close` it before the store."""

    def __init__(
        self, store: Store, settings: Settings, clock: Clock, draw: Callable[[], float] = random.random
    ) -> None:
        """`draw` gives what decides between the versions of an alias: evenly spread, from 0 to less than 1."""
        self._draw = draw
        self._store = store
        self._clock = clock
        self._delay_ms = settings.state_delay_ms
        self._functions: dict[FunctionKey, FunctionView] = {}
        self._scopes: dict[Scope, dict[str, FunctionView]] = {}
        self._names: dict[Scope, list[str]] = {}
        """Those of each scope in order: a page of a list must not sort ten thousand names."""
        self._code_bytes: dict[Scope, int] = {}
        self._layer_bytes: dict[Key, int] = {}
        """The part of each layer in that."""
        self._live: dict[tuple[str, str, str, str], FunctionVersion] = {}
        self._resolved: dict[tuple[str, str, str, str | None], FunctionVersion] = {}
        self._resolved_keys: dict[FunctionKey, list[tuple[str, str, str, str | None]]] = {}
        self._listeners: list[Listener] = []
        self._function_listeners: list[FunctionListener] = []
        self._seen = 0
        self._refreshing = asyncio.Lock()
        self._woken = asyncio.Event()
        self._settling = Settling(clock)
        of = partial(
            Resources, commit=self._commit, settling=self._settling, delay_ms=self._delay_ms, now_ms=clock.time_ms
        )
        self.layers: Resources[Layer] = of(LAYER, Layer)
        self.layers.subscribe(self._measure_layer)
        self.event_source_mappings: Resources[EventSourceMapping] = of(
            EVENT_SOURCE_MAPPING, EventSourceMapping, settled=event_sources.settled
        )
        self.code_signing_configs: Resources[CodeSigningConfig] = of(CODE_SIGNING_CONFIG, CodeSigningConfig)
        self.capacity_providers: Resources[CapacityProvider] = of(
            CAPACITY_PROVIDER, CapacityProvider, settled=capacity.settled
        )
        self.durable_executions: Resources[DurableExecution] = of(
            DURABLE_EXECUTION, DurableExecution, settled=durable.settled
        )
        self._resources: dict[str, Resources[Any]] = {
            resources.kind: resources
            for resources in (
                self.layers,
                self.event_source_mappings,
                self.code_signing_configs,
                self.capacity_providers,
                self.durable_executions,
            )
        }
        self._following: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    # -- opening and closing ------------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls, store: Store, settings: Settings, clock: Clock, draw: Callable[[], float] = random.random
    ) -> Catalog:
        """Read everything, settle what a stopped node left Pending or InProgress, and follow the feed."""
        catalog = cls(store, settings, clock, draw)
        await catalog._load()
        await catalog._settle_left_over()
        catalog._unsubscribe = store.subscribe(catalog._woken.set, on="records")
        catalog._following = asyncio.create_task(catalog._follow(), name="catalog-follow")
        return catalog

    async def close(self) -> None:
        self._unsubscribe()
        await self._settling.close()
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    # -- the data plane -----------------------------------------------------------------------------------------

    def resolve(
        self, account: str, region: str, function_ref: str, qualifier: str | None, caller: str = ""
    ) -> FunctionVersion:
        """The version an invocation runs. While an update is in progress, the one before it, as on AWS.

        `caller` is the ARN of who invokes, "" for the account as a whole: policies of other accounts may name it.

        Raises ResourceNotFoundException, AccessDeniedException (another account's), and what `names.parse` raises.
        A version that is still Pending is returned as such: whether it may be invoked is the invoker's question.
        """
        key = (account, region, function_ref, qualifier)
        version = self._resolved.get(key)
        if version is not None:
            return version
        name = names.parse(function_ref, qualifier, account, region)
        alias = self._alias(name)
        number = self._routed(alias) if alias is not None else name.qualifier or LATEST
        version = self._live.get((name.account, region, name.name, number))
        if name.account != account:
            self._admit(account, caller, name)
        elif version is not None and (alias is None or not alias.weights):
            self._resolved[key] = version
            self._resolved_keys.setdefault((account, region, name.name), []).append(key)
        if version is None:
            raise ResourceNotFoundException(f"Function not found: {name.arn}")
        return version

    def _alias(self, name: names.FunctionName) -> Alias | None:
        view = self._functions.get((name.account, name.region, name.name))
        return view.function.aliases.get(name.qualifier or "") if view else None

    def _routed(self, alias: Alias) -> str:
        """The version of one invocation through `alias`: its further version with that version's weight."""
        for number, weight in alias.weights.items():
            if self._draw() < weight:
                return number
        return alias.version

    def _admit(self, account: str, caller: str, name: names.FunctionName) -> None:
        """Raise AccessDeniedException unless the policy of another account's function lets the caller invoke it."""
        if not policy.account_may(self.statements(name), policy.INVOKE, account, name.arn, caller):
            user = caller or f"arn:{names.partition(name.region)}:iam::{account}:root"
            raise AccessDeniedException(
                f"User: {user} is not authorized to perform: {policy.INVOKE} on resource: {name.arn} "
                f"because no resource-based policy allows the {policy.INVOKE} action"
            )

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have `listener` called with every new value `resolve` will return, and with state "Deleting" at the end.

        Returns what takes it back.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def subscribe_functions(self, listener: FunctionListener) -> None:
        """Have `listener` called with every new `Function` record, and with None when it has gone; it is called at
        once with those there are."""
        self._function_listeners.append(listener)
        for key, view in self._functions.items():
            listener(key, view.function)

    def statements(self, name: names.FunctionName) -> tuple[policy.Statement, ...]:
        """What may be about a function (or its version or alias, when qualified): its own resource policy and, for
        statements whose Resource has wildcards, the unqualified function's."""
        view = self._functions.get((name.account, name.region, name.name))
        policies = view.function.policies if view else {}
        own = policies.get(name.qualifier, ()) if name.qualifier else ()
        return (*policies.get("", ()), *own)

    def may_invoke(
        self,
        version: FunctionVersion,
        qualifier: str | None,
        principal_service: str,
        source_arn: str,
        source_account: str,
    ) -> bool:
        """Whether a service may invoke it, by the qualifier it named, on behalf of a resource: versions and aliases
        have policies of their own."""
        attached_to = None if qualifier == LATEST else qualifier
        name = names.FunctionName(version.account, version.region, version.name, attached_to)
        return policy.may_invoke(self.statements(name), principal_service, source_arn, source_account, name.arn)

    # -- the control plane --------------------------------------------------------------------------------------

    def function(self, account: str, region: str, name: str) -> FunctionView | None:
        return self._functions.get((account, region, name))

    def functions(self, account: str, region: str, start: str = "") -> list[FunctionView]:
        """All of them, by name, from the name `start` on."""
        scope = self._scopes.get((account, region), {})
        ordered = self._names.get((account, region), [])
        return [scope[name] for name in ordered[bisect.bisect_left(ordered, start) :]]

    def code_bytes(self, account: str, region: str) -> int:
        """Sum of the unpacked packages of all versions of functions and layers."""
        return self._code_bytes.get((account, region), 0)

    def blobs_in_use(self) -> set[str]:
        """Hex SHA-256 of every package that some version of a function or of a layer refers to."""
        versions = [version for view in self._functions.values() for version in view.versions.values()]
        used = {version.code_blob for version in versions}
        used.update(layer.code_blob for version in versions for layer in version.layers)
        used.update(version.code_blob for _, layer in self.layers.everywhere() for version in layer.versions.values())
        return used

    async def change(self, account: str, region: str, name: str, decide: Decision[T]) -> T:
        """Run `decide` on the function as it is and write what it says, in one transaction.

        When somebody else changed the function meanwhile, nothing was written and `decide` runs again on what is
        then: it must be pure. Errors it raises pass through. With a state delay of 0, what would be Pending or
        InProgress is stored settled; the caller still answers what it was told.
        """
        while True:
            view = self._functions.get((account, region, name))
            change, answer = decide(view)
            if change is None:
                return answer
            if await self._commit(writes((account, region, name), view, change, settle=self._delay_ms <= 0)):
                return answer

    async def _commit(self, changes: Sequence[Change]) -> bool:
        """Write them all or nothing, and take them in; False when something else had changed what they expect."""
        try:
            revision = await self._store.transact(changes)
        except Conflict:
            await self._refresh()
            return False
        except StoreError as error:
            raise ServiceException(f"The change could not be stored: {error}") from error
        await self._refresh(revision)
        return True

    # -- states settle by the clock -----------------------------------------------------------------------------

    async def _settle(self, version: FunctionVersion) -> None:
        def settle(view: FunctionView | None) -> tuple[FunctionChange | None, None]:
            now = view.versions.get(version.version) if view else None
            if now is None or not now.settles_at_ms or now.settles_at_ms > self._clock.time_ms():
                return None, None
            return FunctionChange(versions=(lifecycle.settled(now),)), None

        try:
            await self.change(version.account, version.region, version.name, settle)
        except ServiceException as error:
            _log.error("%s stays %s: %s", version.qualified_arn, version.state, error)

    async def _settle_left_over(self) -> None:
        """What a node that stopped left unsettled is settled now: nobody is preparing it any more."""

        def settle(view: FunctionView | None) -> tuple[FunctionChange | None, None]:
            unsettled = [version for version in view.versions.values() if version.settles_at_ms] if view else []
            return FunctionChange(versions=tuple(map(lifecycle.settled, unsettled))) if unsettled else None, None

        keys = {key[:3] for key, version in self._live.items() if version.settles_at_ms}
        await asyncio.gather(*(self.change(*key, settle) for key in keys))
        for resources in self._resources.values():
            await resources.settle_left_over()

    # -- memory follows the feed --------------------------------------------------------------------------------

    async def _load(self) -> None:
        """Read every record; what is in memory and in no record is gone."""
        seen = await self._store.revision()
        found: dict[tuple[str, str], Record | None] = {}
        for view in self._functions.values():
            path = f"{view.function.account}/{view.function.region}/{view.function.name}"
            found[FUNCTION, path] = None
            found.update({(VERSION, f"{path}/{number}"): None for number in view.versions})
        for kind, resources in self._resources.items():
            found.update({(kind, path): None for path in resources.paths()})
        for kind in (FUNCTION, VERSION, *self._resources):
            after = ""
            while page := await self._store.scan(kind, after=after, limit=_PAGE):
                found.update({(kind, record.key): record for record in page})
                after = page[-1].key
        self._apply([(kind, key, record) for (kind, key), record in found.items()])
        self._seen = seen

    async def _follow(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                await self._refresh()
            except StoreError as error:
                _log.error("the catalog could not follow the store: %s", error)

    async def _refresh(self, until: int | None = None) -> None:
        """Take in everything the feed has; when `until` is given, return at once if that revision is in already."""
        async with self._refreshing:
            while until is None or self._seen < until:
                try:
                    events = await self._store.changes_since(self._seen, limit=_PAGE)
                except FeedTrimmed:
                    await self._load()
                    continue
                if not events:
                    return
                touched = dict.fromkeys(
                    (event.kind, event.key)
                    for event in events
                    if event.kind in (FUNCTION, VERSION) or event.kind in self._resources
                )
                read = [(kind, key, await self._store.get(kind, key)) for kind, key in touched]
                self._apply(read)
                self._seen = events[-1].revision

    def _apply(self, records: Iterable[tuple[str, str, Record | None]]) -> None:
        """Records as they now are (None: gone), all at once: nobody sees half of a transaction."""
        by_function: dict[FunctionKey, list[tuple[str, str, Record | None]]] = {}
        for kind, key, record in records:
            if kind in self._resources:
                self._resources[kind].apply(key, record)
                continue
            account, region, name = key.split("/")[:3]
            by_function.setdefault((account, region, name), []).append((kind, key, record))
        for function_key, changed in by_function.items():
            before = self._functions.get(function_key)
            self._replace(function_key, before, taken_in(before, changed))

    def _replace(self, key: FunctionKey, before: FunctionView | None, after: FunctionView | None) -> None:
        account, region, name = key
        scope = (account, region)
        if after is None:
            if self._functions.pop(key, None) is not None:
                self._names[scope].remove(name)
            self._scopes.get(scope, {}).pop(name, None)
        else:
            if key not in self._functions:
                bisect.insort(self._names.setdefault(scope, []), name)
            self._functions[key] = after
            self._scopes.setdefault(scope, {})[name] = after
        self._grow(scope, (after.code_bytes if after else 0) - (before.code_bytes if before else 0))
        for resolved in self._resolved_keys.pop(key, ()):
            self._resolved.pop(resolved, None)
        old: Mapping[str, FunctionVersion] = before.versions if before else {}
        new: Mapping[str, FunctionVersion] = after.versions if after else {}
        for number in old.keys() - new.keys():
            self._forget((*key, number), old[number])
        for number, version in new.items():
            if version != old.get(number):
                self._learn((*key, number), version)
        if before is None or after is None or before.function != after.function:
            for listener in list(self._function_listeners):
                try:
                    listener(key, after.function if after else None)
                except Exception:
                    _log.exception("a listener failed on %s", "/".join(key))

    def _measure_layer(self, key: Key, layer: Layer | None) -> None:
        now = layer.stored_bytes if layer else 0
        self._grow(key[:2], now - self._layer_bytes.pop(key, 0))
        if layer is not None:
            self._layer_bytes[key] = now

    def _grow(self, scope: Scope, code_bytes: int) -> None:
        self._code_bytes[scope] = self._code_bytes.get(scope, 0) + code_bytes

    def _learn(self, key: tuple[str, str, str, str], version: FunctionVersion) -> None:
        self._settling.later(key, version.settles_at_ms, lambda: self._settle(version))
        before = self._live.get(key)
        if before is not None and version.last_update_status == "InProgress":
            return
        self._live[key] = version
        self._tell(version)

    def _forget(self, key: tuple[str, str, str, str], version: FunctionVersion) -> None:
        self._settling.later(key, 0, lambda: self._settle(version))
        self._live.pop(key, None)
        self._tell(lifecycle.deleting(version))

    def _tell(self, version: FunctionVersion) -> None:
        for listener in list(self._listeners):
            try:
                listener(version)
            except Exception:
                _log.exception("a listener failed on %s", version.qualified_arn)
