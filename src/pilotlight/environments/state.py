"""The life of an environment, as one table. An illegal step raises: a bug is found where it is made.

An environment is a slot: it owns a sandbox and, inside it, a runtime process that can be replaced. `RESETTING` is the
slot without a process (it crashed, timed out or failed to initialise); the next invocation initialises a new one in
the same sandbox with the same /tmp, which AWS calls a suppressed init. Source: developer guide, "Understanding the
Lambda execution environment lifecycle".
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    STARTING = "starting"
    """Its sandbox and first process are being made."""
    INITIALIZING = "initializing"
    """The runtime runs the function's module code."""
    RESTORING = "restoring"
    """The runtime is being restored from a snapshot."""
    IDLE = "idle"
    BUSY = "busy"
    RESETTING = "resetting"
    RETIRING = "retiring"
    GONE = "gone"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.STARTING: frozenset({State.INITIALIZING, State.RESTORING, State.RETIRING}),
    State.INITIALIZING: frozenset({State.IDLE, State.RESETTING, State.RETIRING}),
    State.RESTORING: frozenset({State.IDLE, State.RESETTING, State.RETIRING}),
    State.IDLE: frozenset({State.BUSY, State.RESETTING, State.RETIRING}),
    State.BUSY: frozenset({State.IDLE, State.RESETTING, State.RETIRING}),
    State.RESETTING: frozenset({State.INITIALIZING, State.RESTORING, State.RETIRING}),
    State.RETIRING: frozenset({State.GONE}),
    State.GONE: frozenset(),
}


class IllegalTransition(RuntimeError):
    """A step that the table does not have."""


def check(current: State, new: State) -> State:
    """`new`, if the step from `current` is legal."""
    if new not in TRANSITIONS[current]:
        raise IllegalTransition(f"{current.value} -> {new.value}")
    return new
