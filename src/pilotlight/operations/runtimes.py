"""Which runtimes this machine can be asked for: of Python, those it has an interpreter of; all others are only kept.

Other languages have no engine here yet: such a function is held, and refused with a sentence when it is invoked.
"""

from __future__ import annotations

from pilotlight.operations.context import OperationsContext

CUSTOM = "custom"


def is_python(runtime: str) -> bool:
    return runtime.startswith("python")


def check_machine(context: OperationsContext, runtime: str, architecture: str) -> None:
    """Raise InvalidParameterValueException when `runtime` is a Python this machine has no interpreter for."""
    if is_python(runtime):
        context.runtimes.check(runtime, architecture)
