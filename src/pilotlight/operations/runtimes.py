"""Which runtimes this machine can be asked for: of those with an engine, the ones it has an interpreter of.

Other runtimes have no engine here yet: such a function is held, and refused with a sentence when it is invoked.
"""

from __future__ import annotations

from pilotlight.catalog.held import RUNS
from pilotlight.operations.context import OperationsContext

CUSTOM = "custom"


def check_machine(context: OperationsContext, runtime: str, architecture: str) -> None:
    """Raise InvalidParameterValueException when `runtime` is one this machine has no interpreter for."""
    if runtime in RUNS:
        context.runtimes.check(runtime, architecture)
