"""The lineage of a chain of invocations: every loop is found, soon and in few characters."""

from __future__ import annotations

from itertools import chain, cycle, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.observe import lineage as lineages
from pilotlight.observe.lineage import Lineage

LIMIT = 16


def resource(name: str) -> str:
    return lineages.resource("000000000000", "us-east-1", name)


def until_stopped(names: list[str]) -> dict[str, int]:
    """How often each function of the chain has run when one is to be invoked that has come back too often."""
    runs: dict[str, int] = {}
    lineage: Lineage | None = None
    for name in names:
        lineage = lineages.first(resource(name)) if lineage is None else lineage.through(resource(name))
        assert lineages.parse(str(lineage)) == lineage and len(str(lineage)) <= 18
        if lineage.loops > LIMIT:
            return runs
        runs[name] = runs.get(name, 0) + 1
    return {}


def test_the_first_of_a_chain_is_written_as_aws_writes_it() -> None:
    assert str(lineages.first("fe460cdd")) == "1:fe460cdd:0"


def test_a_function_that_invokes_itself_runs_sixteen_times() -> None:
    assert until_stopped(["a"] * 100) == {"a": 16}


@pytest.mark.parametrize("before", range(12))
@pytest.mark.parametrize("length", range(1, 12))
def test_a_loop_is_found_whatever_its_length_and_whatever_led_to_it(before: int, length: int) -> None:
    lead = [f"lead-{number}" for number in range(before)]
    loop = [f"loop-{number}" for number in range(length)]
    runs = until_stopped(list(chain(lead, islice(cycle(loop), 5000))))
    most = max(runs[name] for name in loop)
    # Watching begins at a power of two: after up to that many steps in the loop, and once around it.
    assert LIMIT <= most <= LIMIT + 1 + max(1, 2 * before // length + 1)


def test_a_loop_of_a_hundred_functions_is_found() -> None:
    assert max(until_stopped(list(islice(cycle(map(str, range(100))), 5000))).values()) <= LIMIT + 2


@given(st.lists(st.integers(0, 10_000), unique=True, max_size=600))
def test_a_chain_that_never_comes_back_is_never_stopped(functions: list[int]) -> None:
    assert until_stopped([str(number) for number in functions]) == {}


def test_functions_of_one_name_elsewhere_are_others() -> None:
    assert (
        len(
            {
                lineages.resource(account, region, "f")
                for account in ("000000000000", "111111111111")
                for region in ("us-east-1", "eu-west-1")
            }
        )
        == 4
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a87bd80c:1|68fd508a:5|c512fbe3:2",
        "037bed70:0",
        "1:fe460cdd",
        "1:fe460cdd:0:0",
        "-1:fe460cdd:0",
        "1:fe460cdx:0",
        "1:FE460CDD:0",
        "1:fe460cd:0",
        "1:fe460cdd:256",
        "32768:fe460cdd:0",
        "9" * 5000 + ":fe460cdd:0",
        "١:fe460cdd:0",
        " 1:fe460cdd:0",
    ],
)
def test_what_has_not_the_form_is_no_lineage(text: str) -> None:
    assert lineages.parse(text) is None


@given(st.text(max_size=30), st.text(alphabet="0123456789abcdef:|", max_size=18))
def test_no_text_breaks_it(anything: str, nearly: str) -> None:
    for text in (anything, nearly):
        lineage = lineages.parse(text)
        if lineage is not None:
            for name in ("a", "b", "a"):
                lineage = lineage.through(resource(name))
                assert lineages.parse(str(lineage)) == lineage
