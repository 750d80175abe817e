"""Who may start another invocation: the concurrency of accounts and of functions, counted exactly, and how fast.

Per account and region there is one limit. A function with reserved concurrency has that much of it, no more and no
less; provisioned concurrency is set aside in the same way, and what it has no room for spills over to the rest; the
rest is shared by whoever has nothing reserved. Synchronous invocations are also paced: so many a second for each unit
of concurrency, over a function's reservation or over what of the account nobody has reserved, so that all of it
together is the account's rate. Source: developer guide, "Understanding Lambda function scaling", "Configuring reserved
concurrency", "Configuring provisioned concurrency" (spill-over) and "Lambda quotas" (10 requests a second for each).

Which Reason a throttle has is in no page of AWS's. The model's names come in pairs, with and without Reserved, and they
are given by what had no room.

`enter` and `leave` are the hot path. The highest counts are kept where they fall: a count is highest before it is
taken from, so that what was refused after it had entered never shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from pilotlight.catalog.provisioning import provisioned_by_version
from pilotlight.catalog.records import Function, FunctionVersion
from pilotlight.environments.pace import Pace
from pilotlight.errors import TooManyRequestsException

RATE_EXCEEDED = "Rate Exceeded."
RETRY_AFTER_S = 1
FunctionKey = tuple[str, str, str]
Reason = Literal[
    "ConcurrentInvocationLimitExceeded",
    "ReservedFunctionConcurrentInvocationLimitExceeded",
    "FunctionInvocationRateLimitExceeded",
    "ReservedFunctionInvocationRateLimitExceeded",
]
#: requests of one second may come at once
_BURST_S = 1.0


class Peak(msgspec.Struct, frozen=True):
    """What ran at once, of an account in a region, of one of its functions, or on one version's provisioned
    concurrency: now, and at most since the peaks were last taken."""

    account: str
    region: str
    function: str
    """"" for the account as a whole."""
    version: str
    """"" unless it is about provisioned concurrency."""
    running: int
    peak: int
    unreserved_peak: int = 0
    """Of an account: the same, on the concurrency that nobody has reserved or provisioned."""
    set_aside: int = 0
    """Of an account: what is reserved, or provisioned by functions that reserve nothing."""
    provisioned: int = 0
    """Of a version: how much is configured."""
    allocated: int = 0
    """Of that, for how much an environment is initialised and kept."""
    invocations: int = 0
    """Of a version: how many ran on provisioned concurrency since the peaks were last taken."""
    spillovers: int = 0
    """And how many did not, because there was no room."""


class Seat(Protocol):
    """What an invocation holds while it runs; to be left exactly once."""

    def leave(self) -> None: ...


class AccountLoad:
    """What runs in one account and region."""

    __slots__ = ("limit", "pace", "peak", "reserved", "running", "set_aside", "shared", "unreserved", "unreserved_peak")

    def __init__(self, limit: int, pace: Pace) -> None:
        self.limit = self.shared = limit
        self.pace = pace
        """Of functions that reserve nothing."""
        self.running = self.peak = 0
        self.unreserved = self.unreserved_peak = 0
        """Of that, what runs on the concurrency that nobody has set aside."""
        self.reserved = 0
        self.set_aside = 0
        """Reserved by functions, or provisioned by functions that reserve nothing; `shared` is the rest."""


class ProvisionedLoad:
    """What runs on the provisioned concurrency of one version; a seat."""

    __slots__ = ("allocated", "function", "invocations", "limit", "peak", "running", "spillovers")

    def __init__(self, function: FunctionLoad) -> None:
        self.function = function
        self.limit = 0
        self.allocated = 0
        self.running = self.peak = 0
        self.invocations = self.spillovers = 0

    def leave(self) -> None:
        if self.running > self.peak:
            self.peak = self.running
        self.running -= 1
        self.function.left_provisioned()


class FunctionLoad:
    """What runs of one function; a seat for what does not run on its provisioned concurrency."""

    __slots__ = (
        "account",
        "on_provisioned",
        "pace",
        "peak",
        "plain",
        "provisioned",
        "reserved",
        "running",
        "set_aside",
        "shared",
    )

    def __init__(self, account: AccountLoad) -> None:
        self.account = account
        self.plain = True
        """It neither reserves nor provisions anything, nor runs anything on what was provisioned once."""
        self.running = self.peak = 0
        self.on_provisioned = 0
        """Of that, what runs on provisioned concurrency."""
        self.reserved: int | None = None
        self.pace: Pace | None = None
        """When it has reserved concurrency."""
        self.shared = 0
        """Of the reserved concurrency, what is not provisioned."""
        self.provisioned: dict[str, ProvisionedLoad] = {}
        """By version; a version that has lost its provisioned concurrency stays while something runs on it."""
        self.set_aside = 0

    def leave(self) -> None:
        account = self.account
        if self.running > self.peak:
            self.peak = self.running
        self.running -= 1
        if account.running > account.peak:
            account.peak = account.running
        account.running -= 1
        if self.reserved is None:
            if account.unreserved > account.unreserved_peak:
                account.unreserved_peak = account.unreserved
            account.unreserved -= 1

    def left_provisioned(self) -> None:
        account = self.account
        self.peak = max(self.peak, self.running)
        self.running -= 1
        self.on_provisioned -= 1
        account.peak = max(account.peak, account.running)
        account.running -= 1

    def follow(self, function: Function | None, rate: float) -> None:
        """Take what the function's record says now; what is running stays counted."""
        account = self.account
        provisioned = provisioned_by_version(function) if function else {}
        for version in self.provisioned.keys() | provisioned.keys():
            load = self.provisioned.get(version) or ProvisionedLoad(self)
            load.limit = provisioned.get(version, 0)
            if load.limit or load.running:
                self.provisioned[version] = load
            else:
                self.provisioned.pop(version, None)
        total = sum(provisioned.values())
        reserved = function.reserved_concurrency if function else None
        if (self.reserved is None) != (reserved is None):
            # What runs now is counted against the other limit from here on.
            account.unreserved_peak = max(account.unreserved_peak, account.unreserved)
            moved = self.running - self.on_provisioned
            account.unreserved += moved if reserved is None else -moved
        account.reserved += (reserved or 0) - (self.reserved or 0)
        self.reserved = reserved
        if reserved is None:
            self.pace = None
        elif self.pace is None:
            self.pace = Pace(rate * reserved, _BURST_S)
        else:
            self.pace.change(rate * reserved)
        self.shared = max(0, (reserved or 0) - total)
        account.set_aside += (total if reserved is None else reserved) - self.set_aside
        account.shared = account.limit - account.set_aside
        self.set_aside = total if reserved is None else reserved
        self.plain = reserved is None and not self.provisioned


class Admission:
    """`limit` is of each account and region; `rate` is how many synchronous invocations a second each unit of
    concurrency allows, 0 for any number."""

    def __init__(self, limit: int, rate: float = 0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._rate = rate
        self._monotonic = monotonic
        self._accounts: dict[tuple[str, str], AccountLoad] = {}
        self._functions: dict[FunctionKey, FunctionLoad] = {}
        self._gone: set[FunctionKey] = set()
        """Functions that went while something of theirs ran."""

    @property
    def in_flight(self) -> int:
        """What runs now, over all accounts."""
        return sum(account.running for account in self._accounts.values())

    def enter(self, version: FunctionVersion, paced: bool = False) -> Seat:
        """Count one more invocation of `version`, or refuse it with TooManyRequestsException. `paced`: it is a
        synchronous one."""
        load = self._functions.get((version.account, version.region, version.name))
        if load is None:
            load = self._load((version.account, version.region, version.name))
        account = load.account
        if load.plain:  # as most are
            if account.unreserved >= account.shared:
                raise throttled("ConcurrentInvocationLimitExceeded")
            if paced and self._rate and not account.pace.take(self._monotonic()):
                raise throttled("FunctionInvocationRateLimitExceeded")
            load.running += 1
            account.running += 1
            account.unreserved += 1
            return load
        return self._enter_its_own(load, version, paced)

    def _enter_its_own(self, load: FunctionLoad, version: FunctionVersion, paced: bool) -> Seat:
        """`enter`, for a function with reserved or provisioned concurrency."""
        account = load.account
        provisioned = load.provisioned.get(version.version)
        on_provisioned = provisioned is not None and provisioned.running < provisioned.limit
        if not on_provisioned:
            if load.reserved is None:
                if account.unreserved >= account.shared:
                    raise throttled("ConcurrentInvocationLimitExceeded")
            elif load.running - load.on_provisioned >= load.shared:
                raise throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
        if paced and self._rate:
            pace = load.pace
            if pace is None:
                if not account.pace.take(self._monotonic()):
                    raise throttled("FunctionInvocationRateLimitExceeded")
            elif not pace.take(self._monotonic()):
                raise throttled("ReservedFunctionInvocationRateLimitExceeded")
        load.running += 1
        account.running += 1
        if provisioned is not None:
            if provisioned.limit:
                if provisioned.running < provisioned.allocated:
                    provisioned.invocations += 1
                else:
                    provisioned.spillovers += 1
            if on_provisioned:
                provisioned.running += 1
                load.on_provisioned += 1
                return provisioned
        if load.reserved is None:
            account.unreserved += 1
        return load

    def withdraw(self, seat: Seat, version: FunctionVersion) -> None:
        """It entered and could not be run after all: as if it had never been."""
        load = self._functions[version.account, version.region, version.name]
        account = load.account
        provisioned = load.provisioned.get(version.version)
        load.running -= 1
        account.running -= 1
        if provisioned is not None and seat is provisioned:
            provisioned.running -= 1
            load.on_provisioned -= 1
        elif load.reserved is None:
            account.unreserved -= 1
        if provisioned is not None and provisioned.limit:
            if provisioned.running < provisioned.allocated:
                provisioned.invocations -= 1
            else:
                provisioned.spillovers -= 1

    def reason(self, version: FunctionVersion) -> Reason:
        """Why no more of `version` may run at once, when it is not for a count kept here."""
        load = self._functions.get((version.account, version.region, version.name))
        if load is None or load.reserved is None:
            return "ConcurrentInvocationLimitExceeded"
        return "ReservedFunctionConcurrentInvocationLimitExceeded"

    def follow(self, key: FunctionKey, function: Function | None) -> None:
        """The catalog's news of a function; None when it has gone."""
        load = self._functions.get(key)
        if load is None:
            if function is None or (function.reserved_concurrency is None and not function.provisioned):
                return
            load = self._load(key)
        load.follow(function, self._rate)
        load.account.pace.change(self._rate * max(1, self.limit - load.account.reserved))
        (self._gone.add if function is None else self._gone.discard)(key)
        for gone in [gone for gone in self._gone if not self._functions[gone].running]:
            self._gone.remove(gone)
            del self._functions[gone]

    def allocated(self, version: FunctionVersion, environments: int) -> None:
        """So many environments of `version` are initialised and kept for its provisioned concurrency."""
        load = self._functions.get((version.account, version.region, version.name))
        provisioned = load.provisioned.get(version.version) if load else None
        if provisioned is not None:
            provisioned.allocated = environments

    def reserves_nothing(self, version: FunctionVersion) -> bool:
        """Whether its function was switched off: reserved concurrency 0."""
        load = self._functions.get((version.account, version.region, version.name))
        return load is not None and load.reserved == 0

    def take_peaks(self) -> list[Peak]:
        """Of every account; of every function and all provisioned concurrency of which something ran since the last
        time. The next peaks begin with what runs now."""
        peaks: list[Peak] = []
        for (account, region), load in self._accounts.items():
            peak, unreserved_peak = max(load.peak, load.running), max(load.unreserved_peak, load.unreserved)
            load.peak, load.unreserved_peak = load.running, load.unreserved
            peaks.append(
                Peak(account, region, "", "", load.running, peak, unreserved_peak, load.set_aside),
            )
        for (account, region, name), load in self._functions.items():
            if peak := max(load.peak, load.running):
                peaks.append(Peak(account, region, name, "", load.running, peak))
                load.peak = load.running
            for version, kept in load.provisioned.items():
                peaks.append(
                    Peak(
                        account,
                        region,
                        name,
                        version,
                        kept.running,
                        max(kept.peak, kept.running),
                        provisioned=kept.limit,
                        allocated=kept.allocated,
                        invocations=kept.invocations,
                        spillovers=kept.spillovers,
                    )
                )
                kept.peak = kept.running
                kept.invocations = kept.spillovers = 0
        return peaks

    def _load(self, key: FunctionKey) -> FunctionLoad:
        account = self._accounts.get(key[:2])
        if account is None:
            account = self._accounts[key[:2]] = AccountLoad(self.limit, Pace(self._rate * self.limit, _BURST_S))
        load = self._functions[key] = FunctionLoad(account)
        return load


def throttled(reason: Reason, message: str = RATE_EXCEEDED) -> TooManyRequestsException:
    return TooManyRequestsException(message, Reason=reason, Type="User", retryAfterSeconds=RETRY_AFTER_S)
