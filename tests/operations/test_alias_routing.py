"""Which version an invocation by an alias takes, in every form of naming one, and whose policy lets it in."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilotlight.catalog.attached import Alias
from pilotlight.catalog.catalog import Catalog
from pilotlight.catalog.records import Function, FunctionVersion
from pilotlight.catalog.views import FunctionChange, FunctionView
from pilotlight.clock import ManualClock
from pilotlight.errors import AccessDeniedException, ResourceNotFoundException
from pilotlight.settings import Settings
from pilotlight.store.sqlite import open_sqlite

ACCOUNT, REGION = "123456789012", "eu-west-1"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:thumb"
BUCKET = "arn:aws:s3:::photos"
SPELLINGS: list[tuple[str, str | None]] = [
    ("thumb", "prod"),
    ("thumb:prod", None),
    ("thumb:prod", "prod"),
    ("function:thumb:prod", None),
    (f"{ACCOUNT}:function:thumb", "prod"),
    (f"{ACCOUNT}:function:thumb:prod", None),
    (f"{ACCOUNT}:thumb:prod", None),
    (ARN, "prod"),
    (f"{ARN}:prod", None),
    (f"{ARN}:prod", "prod"),
]


class Draws:
    """The catalog's random source: gives what it holds, and counts how often it was asked."""

    def __init__(self) -> None:
        self.value = 0.0
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        return self.value


@pytest.fixture
def draws() -> Draws:
    return Draws()


@pytest.fixture
async def catalog(tmp_path: Path, draws: Draws) -> AsyncIterator[Catalog]:
    store = open_sqlite(tmp_path)
    opened = await Catalog.open(store, Settings(state_delay_ms=0), ManualClock(), draws)
    await point(opened, "1")
    yield opened
    await opened.close()
    await store.close()


async def point(catalog: Catalog, version: str, policies: Any = None, **weights: float) -> None:
    """The function `thumb` with versions 1, 2 and 3 and an alias `prod` to `version`."""
    alias = Alias(name="prod", version=version, weights={key.lstrip("v"): value for key, value in weights.items()})
    function = Function(
        account=ACCOUNT, region=REGION, name="thumb", aliases={"prod": alias}, policies=policies or {}, next_version=4
    )

    def versions(view: FunctionView | None) -> tuple[FunctionVersion, ...]:
        if view is not None:
            return ()
        return tuple(
            FunctionVersion(
                account=ACCOUNT,
                region=REGION,
                name="thumb",
                version=number,
                runtime="python3.12",
                handler="app.handler",
                role="arn:aws:iam::123456789012:role/r",
                code_blob="00" * 32,
                code_sha256="AA==",
                code_size=10,
            )
            for number in ("$LATEST", "1", "2", "3")
        )

    await catalog.change(ACCOUNT, REGION, "thumb", lambda view: (FunctionChange(function, versions(view)), None))


def taken(catalog: Catalog, reference: str = "thumb:prod", qualifier: str | None = None) -> str:
    return catalog.resolve(ACCOUNT, REGION, reference, qualifier).version


@pytest.mark.parametrize(("reference", "qualifier"), SPELLINGS)
async def test_every_spelling(catalog: Catalog, draws: Draws, reference: str, qualifier: str | None) -> None:
    assert taken(catalog, reference, qualifier) == "1"
    await point(catalog, "2")
    assert taken(catalog, reference, qualifier) == "2", "an alias that moves is followed at once"
    await point(catalog, "2", v3=0.5)
    draws.value = 0.4
    assert taken(catalog, reference, qualifier) == "3"
    draws.value = 0.6
    assert taken(catalog, reference, qualifier) == "2"


async def test_latest_may_have_an_alias(catalog: Catalog) -> None:
    await point(catalog, "$LATEST")
    assert taken(catalog) == "$LATEST"


@pytest.mark.parametrize(
    ("weight", "draw", "version"),
    [(0.25, 0.0, "2"), (0.25, 0.249, "2"), (0.25, 0.25, "1"), (0.25, 0.999, "1"), (0, 0.0, "1"), (1, 0.9999999, "2")],
)
async def test_the_draw_decides(catalog: Catalog, draws: Draws, weight: float, draw: float, version: str) -> None:
    await point(catalog, "1", v2=weight)
    draws.value = draw
    assert taken(catalog) == version


async def test_each_invocation_draws_for_itself_and_only_where_there_is_a_choice(
    catalog: Catalog, draws: Draws
) -> None:
    for _ in range(3):
        taken(catalog)
    assert draws.asked == 0
    await point(catalog, "1", v2=0.5)
    for _ in range(3):
        taken(catalog)
    assert draws.asked == 3


@pytest.mark.parametrize("weight", [0.0, 0.05, 0.5, 1.0])
async def test_shares_come_out(tmp_path: Path, weight: float) -> None:
    """Within five standard deviations for a share in between, exactly for none and all."""
    store = open_sqlite(tmp_path)
    catalog = await Catalog.open(store, Settings(state_delay_ms=0), ManualClock(), random.Random(7).random)
    await point(catalog, "1", v2=weight)
    count = Counter(taken(catalog) for _ in range(20_000))
    allowed = 5 * (weight * (1 - weight) * 20_000) ** 0.5
    assert abs(count["2"] - weight * 20_000) <= allowed
    assert count["1"] + count["2"] == 20_000
    await catalog.close()
    await store.close()


async def test_an_alias_that_is_not_there(catalog: Catalog) -> None:
    with pytest.raises(ResourceNotFoundException) as caught:
        taken(catalog, "thumb:none")
    assert caught.value.message == f"Function not found: {ARN}:none"
    assert taken(catalog) == "1"

    def without(view: FunctionView | None) -> tuple[FunctionChange, None]:
        assert view is not None
        return FunctionChange(msgspec.structs.replace(view.function, aliases={})), None

    await catalog.change(ACCOUNT, REGION, "thumb", without)
    with pytest.raises(ResourceNotFoundException):
        taken(catalog)


# -- permissions ------------------------------------------------------------------------------------------------------


def allow(holder: str, **principal: str) -> dict[str, tuple[dict[str, Any], ...]]:
    """The policies of a function of which only that of `holder` (a qualifier, or "") lets anybody in."""
    resource = f"{ARN}:{holder}" if holder else ARN
    statement = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Principal": principal, "Resource": resource}
    return {holder: (statement,)}


@pytest.mark.parametrize("holder", ["", "1", "prod"])
async def test_a_service_is_let_in_by_the_policy_of_what_it_named(catalog: Catalog, holder: str) -> None:
    await point(catalog, "1", allow(holder, Service="s3.amazonaws.com"))

    def may(qualifier: str | None) -> bool:
        version = catalog.resolve(ACCOUNT, REGION, "thumb", qualifier)
        return catalog.may_invoke(version, qualifier, "s3.amazonaws.com", BUCKET, ACCOUNT)

    assert {qualifier: may(qualifier) for qualifier in (None, "1", "prod")} == {
        None: holder == "",
        "1": holder == "1",
        "prod": holder == "prod",
    }


@pytest.mark.parametrize("holder", ["", "1", "prod"])
async def test_another_account_is_let_in_by_the_policy_of_what_it_named(catalog: Catalog, holder: str) -> None:
    caller = "999999999999"
    await point(catalog, "1", allow(holder, AWS=f"arn:aws:iam::{caller}:root"))
    for qualifier in ("", "1", "prod"):
        name = f"{ARN}:{qualifier}" if qualifier else ARN
        if qualifier == holder:
            assert catalog.resolve(caller, REGION, name, None).version == ("1" if qualifier else "$LATEST")
        else:
            with pytest.raises(AccessDeniedException) as caught:
                catalog.resolve(caller, REGION, name, None)
            assert f"on resource: {name} because" in caught.value.message


async def test_the_caller_counts_where_a_policy_names_one(catalog: Catalog) -> None:
    role, session = "arn:aws:iam::999999999999:role/guest", "arn:aws:sts::999999999999:assumed-role/guest/s"
    [allowed] = allow("", AWS="arn:aws:iam::999999999999:root")[""]
    await point(catalog, "1", {"": (allowed, {**allowed, "Effect": "Deny", "Principal": {"AWS": role}})})
    assert catalog.resolve("999999999999", REGION, ARN, None, "arn:aws:iam::999999999999:user/ann")
    with pytest.raises(AccessDeniedException, match=f"User: {session} is not authorized"):
        catalog.resolve("999999999999", REGION, ARN, None, session)
    await point(catalog, "1", allow("", AWS=role))
    assert catalog.resolve("999999999999", REGION, ARN, None, session)
    with pytest.raises(AccessDeniedException, match="User: arn:aws:iam::999999999999:root is not authorized"):
        catalog.resolve("999999999999", REGION, ARN, None)
