"""Pages of a list: how many items they hold, and that following markers gives every item once."""

from __future__ import annotations

import base64

import msgspec
import pytest

from pilotlight.errors import InvalidParameterValueException
from pilotlight.operations.paging import Key, page

ITEMS = [f"item{number:03}" for number in range(120)]


def key(item: str) -> Key:
    return item, 0


@pytest.mark.parametrize(
    ("max_items", "limits", "size"),
    [
        (None, {}, 50),
        (7, {}, 7),
        (50, {}, 50),
        (51, {}, 50),
        (10_000, {}, 50),
        (None, {"largest": 100}, 100),
        (101, {"largest": 100}, 100),
        (None, {"largest": 10_000, "usual": 50}, 50),
        (70, {"largest": 10_000, "usual": 50}, 70),
        (10_000, {"largest": 10_000, "usual": 50}, 120),
    ],
)
def test_sizes(max_items: int | None, limits: dict[str, int], size: int) -> None:
    shown, marker = page(ITEMS, key, None, max_items, **limits)
    assert shown == ITEMS[:size]
    assert (marker is None) is (size == len(ITEMS))


@pytest.mark.parametrize("size", [1, 40, 60, 119])
def test_markers_lead_through_all_items_once(size: int) -> None:
    seen: list[str] = []
    marker: str | None = None
    while True:
        shown, marker = page(ITEMS, key, marker, size, largest=1000)
        seen += shown
        if marker is None:
            break
    assert seen == ITEMS


def test_a_last_page_that_is_full_has_no_marker() -> None:
    assert page(ITEMS[:50], key, None, None) == (ITEMS[:50], None)


def test_what_comes_and_goes_neither_repeats_nor_skips() -> None:
    _, marker = page(ITEMS, key, None, 10)
    changed = ["item", *ITEMS[:5], *ITEMS[12:]]
    assert page(changed, key, marker, 3)[0] == ITEMS[12:15]


@pytest.mark.parametrize(
    "marker", ["nonsense", "é", "AAAA", base64.b64encode(msgspec.msgpack.encode({"a": 1})).decode()]
)
def test_markers_that_no_page_has_given(marker: str) -> None:
    with pytest.raises(InvalidParameterValueException) as caught:
        page(ITEMS, key, marker, None)
    assert caught.value.message == "The Marker is not one this operation has given."
