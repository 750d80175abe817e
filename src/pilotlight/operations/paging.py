"""Pages of a list: at most 50 items unless a list allows more, and an opaque marker that says where to go on.

The marker holds the key of the last item given, not a position, so pages neither repeat nor skip what others add or
remove meanwhile. Source: API reference, MaxItems of each list: most say that they give 50 at most "even if you set the
number higher", event source mappings 100; those of aliases and code signing say nothing beside the model's 10,000.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

import msgspec

from pilotlight.errors import InvalidParameterValueException

LARGEST_PAGE = 50
#: of the lists whose documentation names no smaller one: what their model takes
LARGEST_LIST = 10_000

T = TypeVar("T")
Key = tuple[str, int]
"""What a list is ordered by: a name, and a number within it (a version; negative for newest first)."""


def page(
    items: Iterable[T],
    key: Callable[[T], Key],
    marker: str | None,
    max_items: int | None,
    largest: int = LARGEST_PAGE,
    usual: int | None = None,
) -> tuple[list[T], str | None]:
    """The items after `marker`, and the marker of the page after them; `items` are in the order of their keys.

    `largest` is the most a page of this list ever holds, whatever `max_items` asks for; `usual` is what it holds when
    that asks for nothing (by default the same).
    """
    after = _read(marker) if marker else None
    size = min(max_items or usual or largest, largest)
    rest = list(islice((item for item in items if after is None or key(item) > after), size + 1))
    return rest[:size], _write(key(rest[size - 1])) if len(rest) > size else None


def start_name(marker: str | None) -> str:
    """The name a page after `marker` starts at or after: what to skip to in a long list before paging it."""
    return _read(marker)[0] if marker else ""


def _write(key: Key) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(key)).decode()


def _read(marker: str) -> Key:
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(marker), type=Key)
    except (binascii.Error, ValueError) as error:  # msgspec's errors are ValueErrors
        raise InvalidParameterValueException("The Marker is not one this operation has given.") from error
