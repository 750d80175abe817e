"""The catalog on a real store: what resolves when, what survives a restart, who sees whose changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilotlight.catalog import lifecycle
from pilotlight.catalog.catalog import Catalog, FunctionChange, FunctionView
from pilotlight.catalog.records import LATEST, Function, FunctionVersion
from pilotlight.clock import ManualClock
from pilotlight.errors import AccessDeniedException, ResourceNotFoundException, ValidationException
from pilotlight.settings import Settings
from pilotlight.store.interface import FeedTrimmed, Put, Store
from pilotlight.store.sqlite import open_sqlite
from tests.support import eventually_async

ACCOUNT, REGION = "123456789012", "eu-west-1"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:thumb"
DELAYED = Settings(state_delay_ms=100)


def new_version(clock: ManualClock, name: str = "thumb", **fields: Any) -> FunctionVersion:
    values: dict[str, Any] = {
        "account": ACCOUNT,
        "region": REGION,
        "name": name,
        "runtime": "python3.12",
        "handler": "app.handler",
        "role": "arn:aws:iam::123456789012:role/r",
        "code_blob": "00" * 32,
        "code_sha256": "AA==",
        "code_size": 10,
        "unzipped_size": 20,
        "generation": 1,
        **fields,
    }
    return lifecycle.created(FunctionVersion(**values), clock.time_ms(), 100)


async def create(catalog: Catalog, version: FunctionVersion, **function: Any) -> None:
    record = Function(account=version.account, region=version.region, name=version.name, **function)
    key = (version.account, version.region, version.name)
    await catalog.change(*key, lambda view: (FunctionChange(record, (version,)), None))


async def update(catalog: Catalog, clock: ManualClock, **fields: Any) -> None:
    def decide(view: FunctionView | None) -> tuple[FunctionChange, None]:
        assert view is not None
        changed = msgspec.structs.replace(view.latest, **fields)
        return FunctionChange(versions=(lifecycle.updated(changed, clock.time_ms(), 100),)), None

    await catalog.change(ACCOUNT, REGION, "thumb", decide)


async def delete(catalog: Catalog) -> None:
    await catalog.change(ACCOUNT, REGION, "thumb", lambda view: (FunctionChange(gone=True), None))


async def settle(clock: ManualClock, catalog: Catalog, name: str = "thumb") -> None:
    clock.advance(100)
    await eventually_async(lambda: not _latest(catalog, name).settles_at_ms)


def _latest(catalog: Catalog, name: str = "thumb") -> FunctionVersion:
    view = catalog.function(ACCOUNT, REGION, name)
    assert view is not None
    return view.latest


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_sqlite(tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
async def catalog(store: Store, clock: ManualClock) -> AsyncIterator[Catalog]:
    opened = await Catalog.open(store, DELAYED, clock)
    yield opened
    await opened.close()


async def test_a_new_function_is_pending_until_the_clock_says_otherwise(catalog: Catalog, clock: ManualClock) -> None:
    await create(catalog, new_version(clock))
    assert catalog.resolve(ACCOUNT, REGION, "thumb", None).state == "Pending"
    clock.advance(99)
    await asyncio.sleep(0)
    assert catalog.resolve(ACCOUNT, REGION, "thumb", None).state == "Pending"
    clock.advance(1)
    await eventually_async(lambda: catalog.resolve(ACCOUNT, REGION, "thumb", None).state == "Active")


async def test_every_spelling_resolves_to_one_value(catalog: Catalog, clock: ManualClock) -> None:
    await create(catalog, new_version(clock))
    first = catalog.resolve(ACCOUNT, REGION, "thumb", None)
    for reference, qualifier in [
        ("thumb", None),
        ("thumb", LATEST),
        ("thumb:$LATEST", None),
        (ARN, None),
        (f"{ARN}:$LATEST", LATEST),
        (f"{ACCOUNT}:function:thumb", None),
    ]:
        assert catalog.resolve(ACCOUNT, REGION, reference, qualifier) is first


@pytest.mark.parametrize(
    ("reference", "qualifier", "message"),
    [
        ("none", None, f"Function not found: arn:aws:lambda:{REGION}:{ACCOUNT}:function:none"),
        ("none", LATEST, f"Function not found: arn:aws:lambda:{REGION}:{ACCOUNT}:function:none:$LATEST"),
        ("thumb:7", None, f"Function not found: {ARN}:7"),
        ("thumb", "prod", f"Function not found: {ARN}:prod"),
    ],
)
async def test_what_is_not_there(
    catalog: Catalog, clock: ManualClock, reference: str, qualifier: str | None, message: str
) -> None:
    await create(catalog, new_version(clock))
    with pytest.raises(ResourceNotFoundException) as caught:
        catalog.resolve(ACCOUNT, REGION, reference, qualifier)
    assert caught.value.message == message


async def test_what_is_no_name(catalog: Catalog) -> None:
    with pytest.raises(ValidationException):
        catalog.resolve(ACCOUNT, REGION, "no/name", None)


async def test_accounts_and_regions_keep_apart(catalog: Catalog, clock: ManualClock) -> None:
    await create(catalog, new_version(clock))
    for account, region in [("999999999999", REGION), (ACCOUNT, "us-east-1")]:
        with pytest.raises(ResourceNotFoundException):
            catalog.resolve(account, region, "thumb", None)
        assert catalog.functions(account, region) == []
        assert catalog.code_bytes(account, region) == 0


async def test_another_account_needs_a_policy(catalog: Catalog, clock: ManualClock) -> None:
    await create(catalog, new_version(clock))
    with pytest.raises(AccessDeniedException) as caught:
        catalog.resolve("999999999999", REGION, ARN, None)
    assert caught.value.message == (
        "User: arn:aws:iam::999999999999:root is not authorized to perform: lambda:InvokeFunction on resource: "
        f"{ARN} because no resource-based policy allows the lambda:InvokeFunction action"
    )
    opened = {
        "Effect": "Allow",
        "Action": "lambda:InvokeFunction",
        "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
        "Resource": ARN,
    }

    def open_it(view: FunctionView | None) -> tuple[FunctionChange, None]:
        assert view is not None
        return FunctionChange(msgspec.structs.replace(view.function, policies={"": (opened,)})), None

    await catalog.change(ACCOUNT, REGION, "thumb", open_it)
    assert catalog.resolve("999999999999", REGION, ARN, None).name == "thumb"
    with pytest.raises(AccessDeniedException):
        catalog.resolve("888888888888", REGION, ARN, None)


async def test_an_update_in_progress_is_not_invoked_yet(catalog: Catalog, clock: ManualClock) -> None:
    await create(catalog, new_version(clock))
    await settle(clock, catalog)
    told: list[FunctionVersion] = []
    catalog.subscribe(told.append)
    await update(catalog, clock, memory_mib=512)
    assert _latest(catalog).memory_mib == 512
    assert catalog.resolve(ACCOUNT, REGION, "thumb", None).memory_mib == 128
    assert told == []
    await settle(clock, catalog)
    assert catalog.resolve(ACCOUNT, REGION, "thumb", None).memory_mib == 512
    assert [(version.memory_mib, version.last_update_status) for version in told] == [(512, "Successful")]
    assert told[0] is catalog.resolve(ACCOUNT, REGION, "thumb", None)


async def test_a_new_revision_of_an_update_in_progress_is_not_invoked_either(
    catalog: Catalog, clock: ManualClock
) -> None:
    await create(catalog, new_version(clock))
    await settle(clock, catalog)
    await update(catalog, clock, memory_mib=512)

    def revise(view: FunctionView | None) -> tuple[FunctionChange, None]:
        assert view is not None
        return FunctionChange(versions=(lifecycle.revised(view.latest),)), None

    await catalog.change(ACCOUNT, REGION, "thumb", revise)
    assert catalog.resolve(ACCOUNT, REGION, "thumb", None).memory_mib == 128
    await settle(clock, catalog)
    assert catalog.resolve(ACCOUNT, REGION, "thumb", None).memory_mib == 512


async def test_listeners_hear_of_the_end(catalog: Catalog, clock: ManualClock) -> None:
    await create(catalog, new_version(clock))
    await settle(clock, catalog)
    told: list[str] = []
    stop = catalog.subscribe(lambda version: told.append(version.state))
    await delete(catalog)
    assert told == ["Deleting"]
    with pytest.raises(ResourceNotFoundException):
        catalog.resolve(ACCOUNT, REGION, "thumb", None)
    stop()
    await create(catalog, new_version(clock))
    assert told == ["Deleting"]


async def test_a_listener_that_fails_stops_nobody(
    catalog: Catalog, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(version: FunctionVersion) -> None:
        raise RuntimeError("listener")

    told: list[FunctionVersion] = []
    catalog.subscribe(fail)
    catalog.subscribe(told.append)
    await create(catalog, new_version(clock))
    assert [version.name for version in told] == ["thumb"]
    assert "a listener failed" in caplog.text


async def test_deleting_while_pending_leaves_nothing_behind(catalog: Catalog, clock: ManualClock) -> None:
    await create(catalog, new_version(clock))
    await delete(catalog)
    clock.advance(1000)
    await create(catalog, new_version(clock, description="again"))
    assert catalog.resolve(ACCOUNT, REGION, "thumb", None).state == "Pending"
    await settle(clock, catalog)
    assert catalog.resolve(ACCOUNT, REGION, "thumb", None).description == "again"


async def test_two_who_create_the_same_and_only_one_does(catalog: Catalog, clock: ManualClock) -> None:
    seen: list[bool] = []

    def decide(view: FunctionView | None) -> tuple[FunctionChange | None, bool]:
        seen.append(view is None)
        if view is not None:
            return None, False
        version = new_version(clock)
        return FunctionChange(Function(account=ACCOUNT, region=REGION, name="thumb"), (version,)), True

    made = await asyncio.gather(*(catalog.change(ACCOUNT, REGION, "thumb", decide) for _ in range(8)))
    assert made.count(True) == 1
    assert seen.count(True) == 8, "all of them decided before any had written"


async def test_changes_that_race_are_all_made(catalog: Catalog, clock: ManualClock) -> None:
    await create(catalog, new_version(clock))

    def tag(key: str) -> Any:
        def decide(view: FunctionView | None) -> tuple[FunctionChange, None]:
            assert view is not None
            return FunctionChange(msgspec.structs.replace(view.function, tags={**view.function.tags, key: "x"})), None

        return decide

    await asyncio.gather(*(catalog.change(ACCOUNT, REGION, "thumb", tag(f"k{n}")) for n in range(20)))
    view = catalog.function(ACCOUNT, REGION, "thumb")
    assert view is not None and view.function.tags == {f"k{n}": "x" for n in range(20)}


async def test_a_restart_reads_back_what_was_written(tmp_path: Path, clock: ManualClock) -> None:
    store = open_sqlite(tmp_path)
    catalog = await Catalog.open(store, DELAYED, clock)
    for number in range(30):
        name = f"f{number:02}"
        await create(catalog, new_version(clock, name, environment={"N1": str(number)}), tags={"n": name})
        await settle(clock, catalog, name)
    before = catalog.functions(ACCOUNT, REGION)
    code_bytes, blobs = catalog.code_bytes(ACCOUNT, REGION), catalog.blobs_in_use()
    await catalog.close()
    await store.close()

    store = open_sqlite(tmp_path)
    catalog = await Catalog.open(store, DELAYED, clock)
    assert catalog.functions(ACCOUNT, REGION) == before
    assert (catalog.code_bytes(ACCOUNT, REGION), catalog.blobs_in_use()) == (code_bytes, blobs) == (600, {"00" * 32})
    assert catalog.resolve(ACCOUNT, REGION, "f07", None).environment == {"N1": "7"}
    await catalog.close()
    await store.close()


async def test_what_a_stopped_node_left_unsettled_is_settled_at_start(tmp_path: Path, clock: ManualClock) -> None:
    store = open_sqlite(tmp_path)
    catalog = await Catalog.open(store, DELAYED, clock)
    await create(catalog, new_version(clock))
    await settle(clock, catalog)
    await update(catalog, clock, memory_mib=512)
    await create(catalog, new_version(clock, "pending"))
    await catalog.close()
    await store.close()

    store = open_sqlite(tmp_path)
    catalog = await Catalog.open(store, DELAYED, clock)
    updated, created = _latest(catalog), _latest(catalog, "pending")
    assert (updated.state, updated.last_update_status, updated.memory_mib) == ("Active", "Successful", 512)
    assert (created.state, created.settles_at_ms) == ("Active", 0)
    assert catalog.resolve(ACCOUNT, REGION, "thumb", None) is updated
    await catalog.close()
    await store.close()


async def test_another_node_on_the_same_store_sees_the_change(
    store: Store, catalog: Catalog, clock: ManualClock
) -> None:
    other = await Catalog.open(store, DELAYED, clock)
    await create(catalog, new_version(clock))
    await eventually_async(lambda: other.function(ACCOUNT, REGION, "thumb") is not None)
    assert other.function(ACCOUNT, REGION, "thumb") == catalog.function(ACCOUNT, REGION, "thumb")
    await delete(other)
    await eventually_async(lambda: catalog.function(ACCOUNT, REGION, "thumb") is None)
    await other.close()


async def test_a_feed_that_was_trimmed_is_made_up_for(tmp_path: Path, clock: ManualClock) -> None:
    store = open_sqlite(tmp_path, feed_revisions=1)
    ahead = await Catalog.open(store, DELAYED, clock)
    await create(ahead, new_version(clock, "gone"))
    await create(ahead, new_version(clock, "kept"))
    # A follower that hears of nothing until it has something to write itself: by then the feed is too short for it.
    behind = await Catalog.open(DeafStore(store), DELAYED, clock)  # type: ignore[arg-type]
    since = await store.revision()
    await ahead.change(ACCOUNT, REGION, "gone", lambda view: (FunctionChange(gone=True), None))
    await create(ahead, new_version(clock, "new"))
    await asyncio.gather(*(store.transact([Put("noise", str(number), b"")]) for number in range(1100)))
    with pytest.raises(FeedTrimmed):
        await store.changes_since(since)
    assert [view.function.name for view in behind.functions(ACCOUNT, REGION)] == ["gone", "kept"]
    await create(behind, new_version(clock, "own"))
    assert [view.function.name for view in behind.functions(ACCOUNT, REGION)] == ["kept", "new", "own"]
    await eventually_async(lambda: ahead.functions(ACCOUNT, REGION) == behind.functions(ACCOUNT, REGION))
    assert behind.code_bytes(ACCOUNT, REGION) == ahead.code_bytes(ACCOUNT, REGION) == 3 * 20
    await behind.close()
    await ahead.close()
    await store.close()


class DeafStore:
    """The store, but it wakes nobody."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def subscribe(self, wake: Any, on: Any = "any") -> Any:
        return lambda: None


async def test_a_version_has_a_policy_of_its_own(catalog: Catalog, clock: ManualClock) -> None:
    allowed = {
        "Effect": "Allow",
        "Action": "lambda:InvokeFunction",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Resource": f"{ARN}:1",
    }
    latest = new_version(clock)
    first = msgspec.structs.replace(latest, version="1", settles_at_ms=0)
    record = Function(account=ACCOUNT, region=REGION, name="thumb", policies={"1": (allowed,)})
    await catalog.change(ACCOUNT, REGION, "thumb", lambda view: (FunctionChange(record, (latest, first)), None))
    bucket = "arn:aws:s3:::photos"
    assert catalog.may_invoke(first, "1", "s3.amazonaws.com", bucket, ACCOUNT)
    assert not catalog.may_invoke(first, "1", "sns.amazonaws.com", bucket, ACCOUNT)
    assert not catalog.may_invoke(latest, None, "s3.amazonaws.com", bucket, ACCOUNT)


async def test_no_delay_means_settled_when_stored(store: Store, clock: ManualClock) -> None:
    catalog = await Catalog.open(store, Settings(state_delay_ms=0), clock)
    await create(catalog, new_version(clock))
    assert catalog.resolve(ACCOUNT, REGION, "thumb", None).state == "Active"
    await update(catalog, clock, memory_mib=512)
    assert catalog.resolve(ACCOUNT, REGION, "thumb", None).memory_mib == 512
    await catalog.close()


async def test_published_versions_are_in_order_of_number(catalog: Catalog, clock: ManualClock) -> None:
    latest = new_version(clock)
    record = Function(account=ACCOUNT, region=REGION, name="thumb")
    numbered = tuple(msgspec.structs.replace(latest, version=str(number), settles_at_ms=0) for number in range(1, 12))
    await catalog.change(
        ACCOUNT, REGION, "thumb", lambda view: (FunctionChange(record, (latest, *reversed(numbered))), None)
    )
    view = catalog.function(ACCOUNT, REGION, "thumb")
    assert view is not None
    assert [version.version for version in view.published] == [str(number) for number in range(1, 12)]
    assert view.code_bytes == catalog.code_bytes(ACCOUNT, REGION) == 12 * 20
