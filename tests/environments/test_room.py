"""Room for one more environment: the rate of a function's growth, the budget, the reserve, and who makes way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from pilotlight.environments.machine_memory import MachineMemory, footprint
from pilotlight.environments.room import BUDGET_SHARE, RESERVE_MIB, UNKNOWN_MIB, NoRoom, Room
from pilotlight.environments.state import State
from tests.invoke.test_admission import version
from tests.support import eventually


class Slot:
    """An environment as far as room goes: a state, what it was measured to take, and since when it is idle."""

    def __init__(
        self, state: State, memory_mib: float | None = None, idle_since: float = 0, *, kept: bool = False
    ) -> None:
        self.state = state
        self.memory_mib = memory_mib
        self.idle_since = idle_since
        self.provisioned = kept

    def retire(self) -> None:
        self.state = State.RETIRING


class Slots:
    """The environments of one version."""

    def __init__(self, name: str, *slots: Slot, expected_mib: float = UNKNOWN_MIB) -> None:
        self.version = version(name)
        self.everyone = set(slots)
        self.idle = [slot for slot in slots if slot.state is State.IDLE]
        self.expected_mib = expected_mib


class Machine:
    def __init__(self, *versions: Slots, budget_mib: float = 100, scaling_rate: float = 0) -> None:
        self.now_s = 0.0
        self.available_mib = 10_000.0
        self.versions = versions
        self.room = Room(
            lambda: cast(Any, self.versions),
            scaling_rate=scaling_rate,
            budget_mib=budget_mib,
            available_mib=lambda: self.available_mib,
            monotonic=lambda: self.now_s,
        )

    def start(self, versions: Slots) -> Slot:
        """One more on demand, if there is room."""
        self.room.scale(cast(Any, versions))
        versions.everyone.add(slot := Slot(State.STARTING))
        return slot


def test_a_function_grows_by_so_many_in_ten_seconds() -> None:
    one, other = Slots("one"), Slots("other")
    machine = Machine(one, other, budget_mib=1e9, scaling_rate=1000)
    machine.available_mib = 1e9
    for _ in range(1000):
        machine.start(one)
    with pytest.raises(NoRoom, match="one may start 1000 environments in 10 s"):
        machine.start(one)
    machine.start(other)
    machine.now_s += 0.1
    for _ in range(10):
        machine.start(one)
    with pytest.raises(NoRoom):
        machine.start(one)
    machine.now_s += 3600
    machine.room.forget()
    for _ in range(1000):
        machine.start(one)
    with pytest.raises(NoRoom):
        machine.start(one)


def test_what_an_environment_counts_for() -> None:
    seen = Slots(
        "seen",
        Slot(State.IDLE, 3),
        Slot(State.IDLE),
        Slot(State.BUSY, 5),
        Slot(State.BUSY, 25),
        Slot(State.STARTING),
        Slot(State.RETIRING, 50),
        expected_mib=10,
    )
    unseen = Slots("unseen", Slot(State.STARTING))
    assert Machine(seen, unseen).room.used_mib() == 3 + 10 + 10 + 25 + 10 + UNKNOWN_MIB


def test_the_least_recently_used_idle_ones_make_way_and_no_others() -> None:
    old, older, young = Slot(State.IDLE, 10, 2), Slot(State.IDLE, 10, 1), Slot(State.IDLE, 5, 3)
    kept, busy = Slot(State.IDLE, 20, 0, kept=True), Slot(State.BUSY, 30, 0)
    full = Slots("full", old, older, young, kept, busy, expected_mib=16)
    machine = Machine(full, budget_mib=80)
    machine.start(full)
    assert [slot.state for slot in (older, old, young, kept, busy)] == [State.RETIRING] * 2 + [State.IDLE] * 2 + [
        State.BUSY
    ]
    assert set(full.idle) == {young, kept}
    machine.now_s += 1
    with pytest.raises(NoRoom, match="memory_mib is 80"):
        machine.start(full)
    assert young.state is State.IDLE, "nothing goes for what does not fit all the same"


def test_what_is_let_in_at_once_is_counted_at_once() -> None:
    many = Slots("many")
    machine = Machine(many, budget_mib=UNKNOWN_MIB * 4)
    for _ in range(4):
        machine.start(many)
    with pytest.raises(NoRoom):
        machine.start(many)


def test_the_first_of_all_may_start_whatever_the_budget() -> None:
    lone = Slots("lone")
    machine = Machine(lone, budget_mib=1)
    machine.start(lone)
    machine.now_s += 1
    with pytest.raises(NoRoom):
        machine.start(lone)


def test_something_stays_available_whoever_takes_the_rest() -> None:
    idle = Slot(State.IDLE, 100)
    some = Slots("some", idle)
    machine = Machine(some, budget_mib=1e6)
    machine.available_mib = RESERVE_MIB + 10
    machine.start(some)
    assert idle.state is State.RETIRING
    machine.now_s += 1
    with pytest.raises(NoRoom):
        machine.start(some)
    machine.available_mib = RESERVE_MIB + UNKNOWN_MIB
    machine.now_s += 1
    machine.start(some)


def test_an_automatic_budget_is_most_of_what_is_available() -> None:
    assert Machine(budget_mib=0).room.budget_mib == 10_000 * BUDGET_SHARE


def test_the_machine_has_what_the_kernel_and_control_groups_leave(tmp_path: Path) -> None:
    whole = MachineMemory(tmp_path / "nothing").available_mib()
    assert 0 < whole < 1e8
    membership = tmp_path / "membership"
    membership.write_text("5:cpu:/a\n4:memory:/a/b\n0::/c/d\n")
    for place, files in {
        "memory/a": {"memory.limit_in_bytes": 20 << 20, "memory.usage_in_bytes": 12 << 20},
        "memory/a/b": {"memory.limit_in_bytes": 9223372036854771712, "memory.usage_in_bytes": 1},
        "c": {"memory.max": "max", "memory.current": 1},
        "c/d": {"memory.max": 16 << 20, "memory.current": 10 << 20},
    }.items():
        (tmp_path / place).mkdir(parents=True)
        for name, text in files.items():
            (tmp_path / place / name).write_text(f"{text}\n")
    memory = MachineMemory(tmp_path, membership)
    assert memory.available_mib() == 6
    (tmp_path / "c/d/memory.stat").write_text(f"anon 1\ninactive_file {4 << 20}\n")
    assert memory.available_mib() == 8, "the outer group of the other hierarchy"


def test_a_process_takes_its_share_and_its_childrens() -> None:
    program = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'x = bytearray(50 << 20); print(1, flush=True); input()'],"
        " stdin=subprocess.PIPE)\n"
        "x = bytearray(30 << 20)\n"
        "input()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None

        def both() -> bool:
            taken = footprint(process.pid)
            return taken is not None and 80 < taken.mib < 120

        eventually(both)
        process.stdin.close()
    assert footprint(process.pid) is None
