"""Who may start another invocation: the concurrency of accounts and of functions, counted exactly.

Per account and region there is one limit. A function with reserved concurrency has that much of it, no more and no
less; provisioned concurrency is set aside in the same way, and what it has no room for spills over to the rest; the
rest is shared by whoever has nothing reserved. Source: developer guide, "Understanding Lambda function scaling",
"Configuring reserved concurrency" and "Configuring provisioned concurrency" (spill-over).

`enter` is the hot path: one look-up, and a function without either pays two tests for them.
"""

from __future__ import annotations

from typing import Protocol

from pilotlight.catalog.provisioning import provisioned_by_version
from pilotlight.catalog.records import Function, FunctionVersion
from pilotlight.errors import TooManyRequestsException

RATE_EXCEEDED = "Rate Exceeded."
FunctionKey = tuple[str, str, str]


class Seat(Protocol):
    """What an invocation holds while it runs; to be left exactly once."""

    def leave(self) -> None: ...


class AccountLoad:
    """What runs, in one account and region, on the concurrency that nobody has reserved."""

    __slots__ = ("running", "set_aside")

    def __init__(self) -> None:
        self.running = 0
        self.set_aside = 0
        """Reserved by functions, or provisioned by functions that reserve nothing."""


class ProvisionedLoad:
    """What runs on the provisioned concurrency of one version; a seat."""

    __slots__ = ("admission", "limit", "running")

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.limit = 0
        self.running = 0

    def leave(self) -> None:
        self.running -= 1
        self.admission.in_flight -= 1


class FunctionLoad:
    """What runs of one function beside its provisioned concurrency; a seat."""

    __slots__ = ("account", "admission", "provisioned", "reserved", "running", "set_aside", "shared")

    def __init__(self, admission: Admission, account: AccountLoad) -> None:
        self.admission = admission
        self.account = account
        self.running = 0
        self.reserved: int | None = None
        self.shared = 0
        """Of the reserved concurrency, what is not provisioned."""
        self.provisioned: dict[str, ProvisionedLoad] = {}
        """By version; a version that has lost its provisioned concurrency stays while something runs on it."""
        self.set_aside = 0

    def leave(self) -> None:
        self.running -= 1
        if self.reserved is None:
            self.account.running -= 1
        self.admission.in_flight -= 1

    @property
    def concurrent(self) -> int:
        return self.running + sum(load.running for load in self.provisioned.values())

    def follow(self, function: Function | None) -> None:
        """Take what the function's record says now; what is running stays counted."""
        provisioned = provisioned_by_version(function) if function else {}
        for version in self.provisioned.keys() | provisioned.keys():
            load = self.provisioned.get(version) or ProvisionedLoad(self.admission)
            load.limit = provisioned.get(version, 0)
            if load.limit or load.running:
                self.provisioned[version] = load
            else:
                self.provisioned.pop(version, None)
        total = sum(provisioned.values())
        reserved = function.reserved_concurrency if function else None
        if (self.reserved is None) != (reserved is None):
            # What runs now is counted against the other limit from here on.
            self.account.running += self.running if reserved is None else -self.running
        self.reserved = reserved
        self.shared = max(0, (reserved or 0) - total)
        self.account.set_aside += (total if reserved is None else reserved) - self.set_aside
        self.set_aside = total if reserved is None else reserved


class Admission:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_flight = 0
        self._accounts: dict[tuple[str, str], AccountLoad] = {}
        self._functions: dict[FunctionKey, FunctionLoad] = {}
        self._gone: set[FunctionKey] = set()
        """Functions that went while something of theirs ran."""

    def enter(self, version: FunctionVersion) -> Seat:
        """Count one more invocation of `version`, or refuse it with TooManyRequestsException."""
        load = self._functions.get((version.account, version.region, version.name))
        if load is None:
            load = self._load((version.account, version.region, version.name))
        if load.provisioned:
            provisioned = load.provisioned.get(version.version)
            if provisioned is not None and provisioned.running < provisioned.limit:
                provisioned.running += 1
                self.in_flight += 1
                return provisioned
        if load.reserved is None:
            account = load.account
            if account.running >= self.limit - account.set_aside:
                raise _throttled("ConcurrentInvocationLimitExceeded")
            account.running += 1
        elif load.running >= load.shared:
            raise _throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
        load.running += 1
        self.in_flight += 1
        return load

    def follow(self, key: FunctionKey, function: Function | None) -> None:
        """The catalog's news of a function; None when it has gone."""
        load = self._functions.get(key)
        if load is None:
            if function is None or (function.reserved_concurrency is None and not function.provisioned):
                return
            load = self._load(key)
        load.follow(function)
        (self._gone.add if function is None else self._gone.discard)(key)
        for gone in [gone for gone in self._gone if not self._functions[gone].concurrent]:
            self._gone.remove(gone)
            del self._functions[gone]

    def reserves_nothing(self, version: FunctionVersion) -> bool:
        """Whether its function was switched off: reserved concurrency 0."""
        load = self._functions.get((version.account, version.region, version.name))
        return load is not None and load.reserved == 0

    def _load(self, key: FunctionKey) -> FunctionLoad:
        account = self._accounts.setdefault(key[:2], AccountLoad())
        load = self._functions[key] = FunctionLoad(self, account)
        return load


def _throttled(reason: str) -> TooManyRequestsException:
    return TooManyRequestsException(RATE_EXCEEDED, Reason=reason, Type="User")
