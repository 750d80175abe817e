"""X-Ray's trace header: what is taken from a stranger's, and what is written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.observe import trace_header
from pilotlight.observe.lineage import Lineage

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
PARENT = "53995c3f42cd8ad8"


def test_a_whole_header_reads_and_writes_the_same() -> None:
    text = f"Root={ROOT};Parent={PARENT};Sampled=1;Lineage=3:fe460cdd:2;Self=1-67891234-12456789abcdef012345678"
    header = trace_header.parse(text)
    assert header is not None
    assert (header.root, header.parent, header.sampled) == (ROOT, PARENT, True)
    assert header.lineage == Lineage(3, "fe460cdd", 2)
    assert str(header) == text
    assert header.trace_id == "5759e988bd862e3fe1be46a994272793"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (f"Root={ROOT}", f"Root={ROOT}"),
        (f"root={ROOT};sampled=0", f"Root={ROOT};Sampled=0"),
        (f" Sampled=1 ; Root={ROOT} ; Parent={PARENT} ;", f"Root={ROOT};Parent={PARENT};Sampled=1"),
        (f"Root={ROOT.upper()}", f"Root={ROOT}"),
        (f"Root={ROOT};Sampled=?", f"Root={ROOT}"),
        (f"Root={ROOT};Parent=nonsense;Sampled=yes", f"Root={ROOT}"),
        (f"Root={ROOT};Lineage=a87bd80c:1|68fd508a:5", f"Root={ROOT}"),
        (f"Root={ROOT};Lineage=a87bd80c:1%7C68fd508a:5", f"Root={ROOT}"),
        (f"Root%3D{ROOT}%3BSampled=1", f"Root={ROOT};Sampled=1"),
        (f"Root={ROOT}%0A;Sampled=1%0D", f"Root={ROOT};Sampled=1"),
        (f"Root={ROOT};CalledFrom=app;TotalTimeSoFar=12", f"Root={ROOT};CalledFrom=app;TotalTimeSoFar=12"),
        (f"Root={ROOT};novalue;=nokey;Self=", f"Root={ROOT}"),
    ],
)
def test_what_is_not_quite_right_is_taken_as_far_as_it_goes(text: str, written: str) -> None:
    assert str(trace_header.parse(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense",
        f"Parent={PARENT};Sampled=1",
        "Root=1-5759e988-bd862e3fe1be46a99427279",
        "Root=2-5759e988-bd862e3fe1be46a994272793",
        "Root=1-5759e98x-bd862e3fe1be46a994272793",
        f"Root={ROOT};Pad={'x' * 2000}",
    ],
)
def test_without_a_usable_root_there_is_no_header(text: str | None) -> None:
    assert trace_header.parse(text) is None


@pytest.mark.parametrize("evil", ["%0d%0aSet-Cookie: a=b", "%00", "%FF", "a b", "é", "x" * 200])
def test_nothing_that_would_break_an_answer_or_a_frame_is_carried_on(evil: str) -> None:
    assert str(trace_header.parse(f"Root={ROOT};Self={evil}")) == f"Root={ROOT}"


@given(st.text(max_size=200), st.lists(st.sampled_from(["Root=", ROOT, ";", "Parent=", PARENT, "%3B", "Self=", "\0"])))
def test_no_text_breaks_it(anything: str, pieces: list[str]) -> None:
    for text in (anything, "".join(pieces)):
        header = trace_header.parse(text)
        if header is not None:
            assert re.fullmatch(r"[!-~]+", str(header))
            assert trace_header.parse(str(header)) == header


def test_what_is_made_here_is_a_header() -> None:
    begun = trace_header.new()
    assert trace_header.parse(str(begun)) == begun
    assert begun.sampled is None and not begun.parent
    text = trace_header.not_sampled("1:fe460cdd:0")
    made = trace_header.parse(text)
    assert made is not None and str(made) == text
    assert made.sampled is False and made.lineage == Lineage(1, "fe460cdd", 0)
    assert made.root != begun.root and re.fullmatch(r"[0-9a-f]{16}", trace_header.new_id())
