"""Who may start another invocation: the account's concurrency, counted exactly.

AWS counts per account and region; the limit is a setting (1,000 as AWS's default). Source: developer guide,
"Understanding Lambda function scaling".
"""

from __future__ import annotations

from pilotlight.errors import TooManyRequestsException

Scope = tuple[str, str]


class Admission:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._in_flight: dict[Scope, int] = {}

    def enter(self, scope: Scope) -> None:
        """Count one more invocation of (account, region), or refuse it."""
        running = self._in_flight.get(scope, 0)
        if running >= self.limit:
            raise TooManyRequestsException("Rate Exceeded.", Reason="ConcurrentInvocationLimitExceeded", Type="User")
        self._in_flight[scope] = running + 1

    def leave(self, scope: Scope) -> None:
        self._in_flight[scope] -= 1

    @property
    def in_flight(self) -> int:
        return sum(self._in_flight.values())

    def concurrent(self, account: str, region: str) -> int:
        return self._in_flight.get((account, region), 0)
