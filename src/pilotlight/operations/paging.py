"""Pages of a list: at most 50 items unless a list allows more, and an opaque marker that says where to go on.

The marker holds the key of the last item given, not a position, so pages neither repeat nor skip what others add or
remove meanwhile. Source: ListFunctions and ListVersionsByFunction, MaxItems.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from pilotlight.errors import InvalidParameterValueException

LARGEST_PAGE = 50

T = TypeVar("T")
Key = tuple[str, int]
"""What a list is ordered by: a name, and a number within it (a version; negative for newest first)."""


def page(
    items: Iterable[T], key: Callable[[T], Key], marker: str | None, max_items: int | None, largest: int = LARGEST_PAGE
) -> tuple[list[T], str | None]:
    """The items after `marker`, and the marker of the page after them; `items` are in the order of their keys.

    `largest` is the most a page of this list ever holds, and what it holds unless `max_items` asks for fewer.
    """
    after = _read(marker) if marker else None
    size = min(max_items or largest, largest)
    rest = [item for item in items if after is None or key(item) > after]
    return rest[:size], _write(key(rest[size - 1])) if len(rest) > size else None


def _write(key: Key) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(key)).decode()


def _read(marker: str) -> Key:
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(marker), type=Key)
    except (binascii.Error, ValueError) as error:  # msgspec's errors are ValueErrors
        raise InvalidParameterValueException("The Marker is not one this operation has given.") from error
