"""A request that configures a function, as every rule of a member sees it."""

from __future__ import annotations

from typing import Any, NamedTuple

from pilotlight.catalog.records import FunctionVersion
from pilotlight.operations.context import OperationsContext
from pilotlight.wire.messages import Call

Fields = dict[str, Any]
"""Of a `FunctionVersion`."""


class Asked(NamedTuple):
    context: OperationsContext
    call: Call
    before: FunctionVersion | None
    """The version being updated; None for a new function."""

    def shown_before(self, member: str) -> Any:
        """What the function has shown of a held member so far; None when it has not."""
        return self.before.held.get(member) if self.before else None

    def has(self, member: str) -> bool:
        """Whether the function has a held member, by this request or from before."""
        return bool(self.call.params.get(member) or self.shown_before(member))

    @property
    def creating(self) -> bool:
        return self.before is None
