"""Every edge of the environment's life is walked, and every step that is not an edge is refused."""

from __future__ import annotations

import itertools

import pytest

from pilotlight.environments.state import TRANSITIONS, IllegalTransition, State, check


@pytest.mark.parametrize(("current", "new"), list(itertools.product(State, State)))
def test_steps(current: State, new: State) -> None:
    if new in TRANSITIONS[current]:
        assert check(current, new) is new
    else:
        with pytest.raises(IllegalTransition, match=f"{current.value} -> {new.value}"):
            check(current, new)


def test_every_state_can_end() -> None:
    reachable = {State.GONE}
    while True:
        more = {state for state, after in TRANSITIONS.items() if after & reachable} | reachable
        if more == reachable:
            break
        reachable = more
    assert reachable == set(State)
