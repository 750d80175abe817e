"""Windows of queues, counted by hand: who may take how much, what refusals do, and how a window opens again."""

from __future__ import annotations

from pilotlight.invoke.lanes import Bounds, Lane

BOUNDS = Bounds(total=1000, base=4, most=64)
PLENTY = 1000


def filled(lane: Lane, now: float, free: int = PLENTY) -> list[str]:
    """Take all there is room for."""
    taken = [f"{now}-{number}" for number in range(lane.room(free, 0))]
    for item_id in taken:
        lane.begin(item_id, now)
    return taken


def test_quick_items_leave_a_window_as_it_is() -> None:
    lane = Lane(BOUNDS)
    for tick in range(100):
        now = tick * 0.01
        taken = filled(lane, now)
        assert len(taken) == 4
        assert lane.grow(now) == max(now + 0.05, 0.2), "it is looked at again when they would be slow"
        for item_id in taken:
            lane.end(item_id)
    assert lane.idle(1.0, 0)


def test_slow_items_open_a_window_to_its_bound() -> None:
    lane = Lane(BOUNDS)
    now, held = 0.0, 0
    seen: list[int] = []
    while lane.held < BOUNDS.most:
        held += len(filled(lane, now))
        seen.append(held)
        at = lane.grow(now)
        assert at is not None or lane.held == BOUNDS.most
        now = at or now
        lane.grow(now)
    assert seen == list(range(4, 65, 4))
    assert now <= 16 * 0.25, "not all at once, and not slowly"
    assert lane.grow(now + 9) is None and lane.room(PLENTY, 0) == 0


def test_no_lane_takes_all_of_the_room() -> None:
    """Queues of slow items, one after the other, each take what they may at once, and leave some to the next."""
    bounds = Bounds(total=90, base=90, most=90)
    free, held = 90, []
    for _ in range(3):
        lane = Lane(bounds)
        for number in range(lane.room(free, 0)):
            lane.begin(str(number), 0.0)
        free -= lane.held
        assert lane.room(free, 0) == 0
        held.append(lane.held)
    assert held == [80, 8, 1] and free == 1
    assert Lane(bounds).room(free, 0) == 1
    assert Lane(Bounds(total=1, base=1, most=1)).room(1, 0) == 1, "where there is room for one, one is taken"


def test_a_refusal_shuts_a_lane_until_then_or_until_an_item_ends() -> None:
    lane = Lane(BOUNDS)
    first, second, third, _ = filled(lane, 0.0)
    lane.refuse(third, until_ms=1000, now=0.0)
    assert (lane.room(PLENTY, 999), lane.shut_until_ms(999)) == (0, 1000)
    assert (lane.room(PLENTY, 1000), lane.shut_until_ms(1000)) == (0, None), "and then it has no more than what runs"
    lane.end(first)
    assert lane.room(PLENTY, 0) == 1, "one for one"
    lane.begin("next", 0.1)
    lane.refuse("next", until_ms=1000, now=0.1)
    assert (lane.window, lane.room(PLENTY, 999)) == (2, 0)
    lane.end(second)
    assert lane.room(PLENTY, 0) == 1


def test_a_lane_that_was_refused_all_tries_one_and_then_grows_carefully() -> None:
    lane = Lane(BOUNDS)
    for item_id in filled(lane, 0.0):
        lane.refuse(item_id, until_ms=1000, now=0.0)
    assert (lane.held, lane.room(PLENTY, 999), lane.room(PLENTY, 1000)) == (0, 0, 1)
    sizes: list[int] = []
    for turn in range(6):
        second = turn * 1.1
        taken = [f"{turn}-{number}" for number in range(lane.room(PLENTY, 1000))]
        for item_id in taken:
            lane.begin(item_id, second)
        lane.grow(second + 0.06)
        sizes.append(lane.window)
        for item_id in taken:
            lane.end(item_id)
    assert sizes == [1, 2, 4, 8, 16, 32]


def test_what_was_refused_is_remembered_for_a_while() -> None:
    lane = Lane(BOUNDS)
    for item_id in filled(lane, 0.0):
        lane.refuse(item_id, until_ms=1000, now=0.0)
    assert not lane.idle(2.0, 2000)
    assert lane.idle(61.0, 61_000)
