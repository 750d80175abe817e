"""Concurrency counted by hand: every way in, every way out, and limits that change under what runs."""

from __future__ import annotations

import contextlib
import random

import pytest

from pilotlight.catalog.attached import Alias, ProvisionedConcurrency
from pilotlight.catalog.records import Function, FunctionVersion
from pilotlight.errors import TooManyRequestsException
from pilotlight.invoke.admission import Admission, Seat

ACCOUNT, REGION = "000000000000", "us-east-1"


def version(name: str, number: str = "$LATEST") -> FunctionVersion:
    return FunctionVersion(
        account=ACCOUNT,
        region=REGION,
        name=name,
        version=number,
        runtime="python3.12",
        handler="app.handler",
        role="",
        code_blob="",
        code_sha256="",
        code_size=0,
    )


def function(name: str, reserved: int | None = None, **provisioned: int) -> Function:
    """`provisioned` by version, as `v1`."""
    configs = {key.removeprefix("v"): ProvisionedConcurrency(requested=count) for key, count in provisioned.items()}
    return Function(account=ACCOUNT, region=REGION, name=name, reserved_concurrency=reserved, provisioned=configs)


def follow(admission: Admission, record: Function | None, name: str = "") -> None:
    admission.follow((ACCOUNT, REGION, record.name if record else name), record)


def refusal(admission: Admission, of: FunctionVersion) -> str:
    with pytest.raises(TooManyRequestsException) as caught:
        admission.enter(of)
    return str(caught.value.members["Reason"])


SHARED = "ConcurrentInvocationLimitExceeded"
OWN = "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_provisioned_first_then_what_is_left() -> None:
    admission = Admission(4)
    follow(admission, function("a", v1=2))
    one, latest = version("a", "1"), version("a")
    seats = [admission.enter(one) for _ in range(4)]
    assert refusal(admission, one) == refusal(admission, latest) == refusal(admission, version("b")) == SHARED
    seats[0].leave()
    assert refusal(admission, latest) == SHARED, "what is provisioned is that version's alone"
    seats[0] = admission.enter(one)
    seats[3].leave()
    admission.enter(latest)
    assert admission.in_flight == 4


def test_provisioned_within_reserved() -> None:
    admission = Admission(10)
    follow(admission, function("a", 3, v1=2))
    latest = version("a")
    admission.enter(latest)
    assert refusal(admission, latest) == OWN
    for _ in range(2):
        admission.enter(version("a", "1"))
    assert refusal(admission, version("a", "1")) == OWN
    for _ in range(7):
        admission.enter(version("b"))
    assert refusal(admission, version("b")) == SHARED


def test_provisioned_concurrency_goes_under_what_runs_on_it() -> None:
    admission = Admission(3)
    follow(admission, function("a", v1=2))
    seats = [admission.enter(version("a", "1")) for _ in range(2)]
    follow(admission, function("a"))
    others = [admission.enter(version("b")) for _ in range(3)]
    assert admission.in_flight == 5, "what was admitted finishes"
    for seat in (*seats, *others):
        seat.leave()
    assert admission.in_flight == 0
    follow(admission, function("a", v1=2))
    admission.enter(version("b"))
    assert refusal(admission, version("b")) == SHARED


def test_an_alias_with_a_weight_divides() -> None:
    admission = Admission(10)
    record = Function(
        account=ACCOUNT,
        region=REGION,
        name="a",
        aliases={"live": Alias(name="live", version="1", weights={"2": 0.25})},
        provisioned={"live": ProvisionedConcurrency(requested=4), "gone": ProvisionedConcurrency(requested=3)},
    )
    follow(admission, record)
    others = [admission.enter(version("b")) for _ in range(6)]
    assert refusal(admission, version("b")) == SHARED
    for number, count in (("1", 3), ("2", 1)):
        for _ in range(count):
            admission.enter(version("a", number))
        assert refusal(admission, version("a", number)) == SHARED
    assert len(others) == 6


def test_whatever_happens_the_counts_are_right() -> None:
    """Random entries, exits and changes of settings, against counts kept in the plainest way."""
    chance = random.Random(7)
    admission = Admission(8)
    records: dict[str, Function | None] = {name: function(name) for name in "abc"}
    seats: list[tuple[str, Seat]] = []
    for _ in range(20_000):
        what = chance.random()
        name = chance.choice("abc")
        if what < 0.45:
            with contextlib.suppress(TooManyRequestsException):
                seats.append((name, admission.enter(version(name, chance.choice(["$LATEST", "1"])))))
        elif what < 0.9 and seats:
            seats.pop(chance.randrange(len(seats)))[1].leave()
        else:
            reserved = chance.choice([None, None, 0, 1, 2])
            provisioned = chance.choice([0, 0, 1]) if reserved is None else min(reserved, chance.choice([0, 1]))
            records[name] = function(name, reserved, **({"v1": provisioned} if provisioned else {}))
            if chance.random() < 0.2:
                follow(admission, None, name)
                records[name] = None
            else:
                follow(admission, records[name])
        assert admission.in_flight == len(seats)
    for _, seat in seats:
        seat.leave()
    for name in "abc":
        follow(admission, None, name)
    for _ in range(8):
        admission.enter(version("d"))
    assert refusal(admission, version("d")) == SHARED, "nothing is still set aside, nothing still counted"
