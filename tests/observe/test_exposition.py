"""Prometheus's page: its format, its counters, its buckets."""

from __future__ import annotations

import re

import pytest

from pilotlight.observe import exposition
from pilotlight.observe.totals import BOUNDS_S, EVENT_COUNTERS, EVENT_SUMMARIES, Totals
from tests.observe.metric_world import MetricWorld, ended, version

_LINE = re.compile(r'([a-z0-9_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')
Samples = dict[tuple[str, str], float]


def parsed(page: bytes) -> tuple[Samples, dict[str, str]]:
    """(name, labels) -> value, and family -> type; everything else fails. Families stand together, each once."""
    samples: Samples = {}
    types: dict[str, str] = {}
    family = ""
    assert page.endswith(b"\n")
    for line in page.decode().splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in types
        elif line.startswith("# TYPE "):
            assert line.split()[2] == family
            types[family] = line.split()[3]
        else:
            found = _LINE.fullmatch(line)
            assert found, line
            assert re.sub("_(bucket|sum|count)$", "", found[1]) == family or found[1] == family
            key = (found[1], found[2] or "")
            assert key not in samples
            samples[key] = float(found[3])
    return samples, types


async def scraped(world: MetricWorld) -> Samples:
    await world.counters.flush()
    return parsed(exposition.page(world.counters.totals.lines(), []))[0]


HELLO = 'account="111122223333",region="eu-west-1",function="hello"'


async def test_counters_only_grow(world: MetricWorld) -> None:
    world.counters.invoked(version(), None, ended(3.0, cold=True))
    world.counters.invoked(version(), "live", ended(failed=True))
    world.counters.throttled(version(), None)
    first = await scraped(world)
    world.counters.invoked(version(), None, ended())
    for metric in EVENT_COUNTERS:
        world.counters.count(metric, version(), None, 2)
    for metric in EVENT_SUMMARIES:
        world.counters.observe(metric, version(), None, 1500.0)
    second = await scraped(world)
    third = await scraped(world)
    counts = {name: value for (name, labels), value in second.items() if labels == HELLO and "duration" not in name}
    assert counts == {
        "pilotlight_invocations_total": 3,
        "pilotlight_errors_total": 1,
        "pilotlight_throttles_total": 1,
        "pilotlight_cold_starts_total": 1,
        **dict.fromkeys(EVENT_COUNTERS.values(), 2),
        **{f"{family}_sum": 1.5 for family in EVENT_SUMMARIES.values()},
        **{f"{family}_count": 1 for family in EVENT_SUMMARIES.values()},
    }
    assert first["pilotlight_invocations_total", HELLO] == 2
    counters = {key: value for key, value in second.items() if not key[0].startswith("process_")}
    assert {key: third[key] for key in counters} == counters


async def test_buckets_hold_the_durations_that_fit(world: MetricWorld) -> None:
    durations_s = [0.0, 0.0007, 0.003, 0.004, 0.07, 0.2, 3.0, 700.0]
    for duration in durations_s:
        world.counters.invoked(version(), None, ended(duration * 1000))
    samples = await scraped(world)
    for bound in BOUNDS_S:
        shown = samples["pilotlight_duration_seconds_bucket", f'{HELLO},le="{bound}"']
        assert shown == sum(duration <= bound for duration in durations_s)
    assert samples["pilotlight_duration_seconds_bucket", f'{HELLO},le="+Inf"'] == len(durations_s)
    assert samples["pilotlight_duration_seconds_count", HELLO] == len(durations_s)
    assert samples["pilotlight_duration_seconds_sum", HELLO] == pytest.approx(sum(durations_s))


async def test_what_is_asked_of_the_disk_and_not_done_is_counted_all_the_same(world: MetricWorld) -> None:
    world.counters.invoked(version(), None, ended())
    await world.store.stop()
    with pytest.raises(RuntimeError):
        await world.counters.flush()
    assert exposition.page(world.counters.totals.lines(), []).count(b"pilotlight_invocations_total{") == 1
    await world.store.start()


def test_labels_hold_anything() -> None:
    page = exposition.page({}, [("pilotlight_deliveries_waiting", {"target": 'a"b\\c\nd'}, 2)])
    assert b'pilotlight_deliveries_waiting{target="a\\"b\\\\c\\nd"} 2\n' in page
    parsed(page)


def test_lines_of_functions_that_did_nothing_since_are_kept() -> None:
    totals = Totals()

    def invoked(name: str) -> None:
        counts = {"invocations": 1, "errors": 0, "throttles": 0, "cold_starts": 0}
        totals.ended(("111122223333", "eu-west-1", name), duration_ms=1.0, durations={0: 1}, **counts)

    def by_function() -> dict[str, str]:
        return dict(zip(("a", "b"), totals.lines()["pilotlight_invocations_total"], strict=True))

    invoked("a")
    invoked("b")
    first = by_function()
    invoked("b")
    second = by_function()
    assert second["a"] is first["a"]
    assert second["b"] != first["b"]


def test_undeclared_families_are_a_mistake() -> None:
    with pytest.raises(AssertionError, match="made_up"):
        exposition.page({}, [("made_up", {}, 1)])
