"""Concurrency counted by hand: every way in, every way out, and limits that change under what runs."""

from __future__ import annotations

import contextlib
import random

import pytest

from pilotlight.catalog.attached import Alias, ProvisionedConcurrency
from pilotlight.catalog.records import Function, FunctionVersion
from pilotlight.errors import TooManyRequestsException
from pilotlight.invoke.admission import Admission, Peak, Seat

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


def refusal(admission: Admission, of: FunctionVersion, *, paced: bool = False) -> str:
    with pytest.raises(TooManyRequestsException) as caught:
        admission.enter(of, paced)
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


def test_so_many_synchronous_ones_a_second_for_each_unit() -> None:
    now = [100.0]
    admission = Admission(5, 10, lambda: now[0])
    follow(admission, function("own", 2))

    def taken(of: FunctionVersion, paced: bool = True) -> int:
        """How many come in one after another, before one does not."""
        count = 0
        with contextlib.suppress(TooManyRequestsException):
            while count < 1000:
                admission.enter(of, paced).leave()
                count += 1
        return count

    assert taken(version("a")) == 30, "50 of the account, less the 20 that are the other function's alone"
    assert refusal(admission, version("b"), paced=True) == "FunctionInvocationRateLimitExceeded"
    assert taken(version("b"), paced=False) == 1000, "for asynchronous ones there is no such limit"
    assert taken(version("own")) == 20
    assert refusal(admission, version("own"), paced=True) == "ReservedFunctionInvocationRateLimitExceeded"
    now[0] += 0.1
    assert (taken(version("b")), taken(version("own"))) == (3, 2), "they come back continuously"
    now[0] += 3600
    assert (taken(version("a")), taken(version("own"))) == (30, 20), "and do not accrue"
    follow(admission, function("own", 4))
    now[0] += 1
    assert (taken(version("a")), taken(version("own"))) == (10, 40)
    follow(admission, function("own"))
    now[0] += 1
    assert taken(version("own")) == 50


def test_what_does_not_get_in_takes_nothing_of_the_rate() -> None:
    admission = Admission(1, 2, lambda: 0.0)
    seat = admission.enter(version("a"), True)
    for _ in range(5):
        assert refusal(admission, version("a"), paced=True) == SHARED
    seat.leave()
    admission.enter(version("a"), True).leave()
    assert refusal(admission, version("a"), paced=True) == "FunctionInvocationRateLimitExceeded"


def test_what_was_withdrawn_has_never_been() -> None:
    admission = Admission(10)
    follow(admission, function("a", v1=1))
    before = admission.take_peaks()
    for _ in range(3):
        for of in (version("a"), version("a", "1"), version("b")):
            admission.withdraw(admission.enter(of), of)
    assert admission.in_flight == 0
    assert admission.take_peaks() == before


def test_invocations_and_spill_over() -> None:
    admission = Admission(10)
    follow(admission, function("a", v1=2))
    one = version("a", "1")
    seats = [admission.enter(one)]
    admission.allocated(one, 2)
    seats += [admission.enter(one) for _ in range(3)]
    (peak,) = [peak for peak in admission.take_peaks() if peak.version]
    assert peak == Peak(
        ACCOUNT, REGION, "a", "1", running=2, peak=2, provisioned=2, allocated=2, invocations=1, spillovers=3
    ), "one came before its environment was there, two when both were busy"
    for seat in seats:
        seat.leave()
    (peak,) = [peak for peak in admission.take_peaks() if peak.version]
    assert (peak.running, peak.peak, peak.invocations, peak.spillovers) == (0, 2, 0, 0)


class Plain:
    """The same rules in the plainest words: a list of what runs, counted anew for each question."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.reserved: dict[str, int | None] = {}
        self.provisioned: dict[str, int] = {}
        """Of version 1 of each function."""
        self.running: list[tuple[str, bool]] = []
        """Function, and whether on its provisioned concurrency."""
        self.peaks: dict[str, int] = {}

    def count(self, name: str, provisioned: bool | None = None) -> int:
        return sum(n == name and (provisioned is None or provisioned == p) for n, p in self.running)

    def unreserved(self) -> int:
        return sum(not p and self.reserved.get(n) is None for n, p in self.running)

    def set_aside(self) -> int:
        reserved = sum(amount for amount in self.reserved.values() if amount is not None)
        return reserved + sum(n for name, n in self.provisioned.items() if self.reserved.get(name) is None)

    def verdict(self, name: str, number: str) -> str:
        """ "provisioned", "own", or the reason of the refusal."""
        provisioned = self.provisioned.get(name, 0)
        if number == "1" and self.count(name, True) < provisioned:
            return "provisioned"
        reserved = self.reserved.get(name)
        if reserved is None:
            return "own" if self.unreserved() < self.limit - self.set_aside() else SHARED
        return "own" if self.count(name, False) < reserved - provisioned else OWN

    def see(self) -> None:
        """Keep the highest counts."""
        counts = {name: self.count(name) for name in "abc"}
        for name, count in (counts | {"": len(self.running), "unreserved": self.unreserved()}).items():
            self.peaks[name] = max(self.peaks.get(name, 0), count)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_the_counts_are_right(seed: int) -> None:
    """Random entries, exits and changes of settings: each verdict and each peak is the plain model's."""
    chance = random.Random(seed)
    admission, plain = Admission(8), Plain(8)
    seats: list[Seat] = []
    admission.enter(version("a")).leave()
    admission.take_peaks()
    for _ in range(4_000):
        what = chance.random()
        name, number = chance.choice("abc"), chance.choice(["$LATEST", "1"])
        if what < 0.45:
            expected = plain.verdict(name, number)
            try:
                seats.append(admission.enter(version(name, number)))
            except TooManyRequestsException as error:
                assert error.members["Reason"] == expected
            else:
                assert expected in ("provisioned", "own")
                plain.running.append((name, expected == "provisioned"))
        elif what < 0.85 and seats:
            position = chance.randrange(len(seats))
            seats.pop(position).leave()
            plain.running.pop(position)
        elif what < 0.9:
            taken = {(peak.function, peak.version): peak for peak in admission.take_peaks()}
            plain.see()
            account = taken["", ""]
            assert (account.peak, account.unreserved_peak, account.set_aside) == (
                plain.peaks[""],
                plain.peaks["unreserved"],
                plain.set_aside(),
            )
            for function_name in "abc":
                peak = taken.get((function_name, ""))
                # A deleted function's peak goes with it.
                if peak is not None:
                    assert (peak.peak, peak.running) == (plain.peaks[function_name], plain.count(function_name))
            plain.peaks = {}
        else:
            reserved = chance.choice([None, None, 0, 1, 2])
            provisioned = chance.choice([0, 0, 1]) if reserved is None else min(reserved, chance.choice([0, 1]))
            plain.see()
            plain.reserved[name], plain.provisioned[name] = reserved, provisioned
            follow(admission, function(name, reserved, **({"v1": provisioned} if provisioned else {})))
        plain.see()
        assert admission.in_flight == len(seats)
    for seat in seats:
        seat.leave()
    for name in "abc":
        follow(admission, None, name)
    for _ in range(8):
        admission.enter(version("d"))
    assert refusal(admission, version("d")) == SHARED, "nothing is still set aside, nothing still counted"
