"""Reading events in order of time out of blocks that overlap, from the oldest on or from the newest back.

Every event has a place: (timestamp_ms, block id, index in the block). Places are unique and never change, so a page
token is a place, and what comes later in a stream has a later place. Only the headers of blocks are read ahead; a
block is opened when its time comes.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import itemgetter

import msgspec

from pilotlight.observe.database import BLOCK_SPAN_MS, Event, LogDatabase, decode_events

Place = tuple[int, int, int]
"""timestamp_ms, block id, index."""

FIRST_PLACE: Place = (0, 0, 0)
LAST_PLACE: Place = (2**62, 2**62, 2**31)


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    place: Place
    message: str
    stream_id: int
    ingested_ms: int

    @property
    def timestamp_ms(self) -> int:
        return self.place[0]

    @property
    def event_id(self) -> str:
        return format_place(self.place)


class Range(msgspec.Struct, frozen=True):
    """Which events: of a stream, or of a group (all streams, or those in `stream_ids`)."""

    group_id: int
    stream_id: int = 0
    stream_ids: frozenset[int] | None = None
    from_ms: int = 0
    """Inclusive."""
    before_ms: int = LAST_PLACE[0]
    """Exclusive."""
    after: Place | None = None
    """Only events behind this place."""
    before: Place | None = None
    """Only events ahead of this place."""


class _Header(msgspec.Struct, frozen=True, gc=False):
    id: int
    stream_id: int
    min_ms: int
    max_ms: int
    ingested_ms: int


class _Cursor:
    """One opened block: its events still to come, from `index` on, in steps of +1 or -1."""

    __slots__ = ("end", "events", "header", "index", "step")

    def __init__(self, header: _Header, events: list[Event], wanted: Range, step: int) -> None:
        time = itemgetter(0)
        low = bisect_left(events, wanted.from_ms, key=time)
        high = bisect_left(events, wanted.before_ms, key=time)
        if wanted.after:
            low = max(low, _split(events, header.id, wanted.after, inclusive=True))
        if wanted.before:
            high = min(high, _split(events, header.id, wanted.before, inclusive=False))
        self.header = header
        self.events = events
        self.step = step
        self.index, self.end = (low, high) if step > 0 else (high - 1, low - 1)

    @property
    def empty(self) -> bool:
        return self.index >= self.end if self.step > 0 else self.index <= self.end

    def place(self) -> Place:
        return (self.events[self.index][0], self.header.id, self.index)

    def take(self) -> StoredEvent:
        place = self.place()
        event = StoredEvent(place, self.events[self.index][1], self.header.stream_id, self.header.ingested_ms)
        self.index += self.step
        return event


def _split(events: list[Event], block_id: int, place: Place, *, inclusive: bool) -> int:
    """How many of a block's events lie before `place`, or at it."""
    timestamp_ms, block, index = place
    if block == block_id:
        return index + 1 if inclusive else index
    return (bisect_left if block_id > block else bisect_right)(events, timestamp_ms, key=itemgetter(0))


def read_forward(database: LogDatabase, wanted: Range) -> Iterator[StoredEvent]:
    """Oldest first. To be used within one transaction."""
    from_ms = max(wanted.from_ms, wanted.after[0] if wanted.after else 0)
    headers = _headers(database, wanted, from_ms, wanted.before_ms, "")
    opened: list[tuple[Place, _Cursor]] = []
    upcoming = next(headers, None)
    while upcoming or opened:
        while upcoming and (not opened or upcoming.min_ms <= opened[0][0][0]):
            if upcoming.max_ms >= from_ms:
                cursor = _open(database, upcoming, wanted, 1)
                if not cursor.empty:
                    heapq.heappush(opened, (cursor.place(), cursor))
            upcoming = next(headers, None)
        if opened:
            _, cursor = opened[0]
            yield cursor.take()
            if cursor.empty:
                heapq.heappop(opened)
            else:
                heapq.heapreplace(opened, (cursor.place(), cursor))


def read_backward(database: LogDatabase, wanted: Range) -> Iterator[StoredEvent]:
    """Newest first. To be used within one transaction."""
    before_ms = min(wanted.before_ms, wanted.before[0] + 1 if wanted.before else wanted.before_ms)
    headers = _headers(database, wanted, wanted.from_ms, before_ms, "_descending")
    # Blocks not yet opened wait in the heap at the latest place they can have.
    waiting: list[tuple[Place, _Header | _Cursor]] = []
    upcoming = next(headers, None)
    while upcoming or waiting:
        while upcoming and (not waiting or upcoming.min_ms + BLOCK_SPAN_MS >= -waiting[0][0][0]):
            if upcoming.max_ms >= wanted.from_ms:
                heapq.heappush(waiting, (_reversed((upcoming.max_ms, upcoming.id, 2**31)), upcoming))
            upcoming = next(headers, None)
        if not waiting:
            continue
        _, item = waiting[0]
        if isinstance(item, _Header):
            item = _open(database, item, wanted, -1)
        else:
            yield item.take()
        if item.empty:
            heapq.heappop(waiting)
        else:
            heapq.heapreplace(waiting, (_reversed(item.place()), item))


def _reversed(place: Place) -> Place:
    return (-place[0], -place[1], -place[2])


def _headers(database: LogDatabase, wanted: Range, from_ms: int, before_ms: int, order: str) -> Iterator[_Header]:
    name = f"blocks_of_{'stream' if wanted.stream_id else 'group'}{order}"
    scope = wanted.stream_id or wanted.group_id
    for row in database.rows(name, scope=scope, from_ms=from_ms - BLOCK_SPAN_MS, before_ms=before_ms):
        if wanted.stream_ids is None or row[1] in wanted.stream_ids:
            yield _Header(*row)


def _open(database: LogDatabase, header: _Header, wanted: Range, step: int) -> _Cursor:
    row = database.first("block_events", block_id=header.id)
    return _Cursor(header, decode_events(row[0]) if row else [], wanted, step)


def format_place(place: Place) -> str:
    """56 digits, as AWS's event ids have, that sort as the places do."""
    return f"{place[0]:020d}{place[1]:020d}{place[2]:016d}"


def parse_place(text: str) -> Place:
    """ValueError when it is not 56 digits."""
    if len(text) != 56 or not (text.isascii() and text.isdigit()):
        raise ValueError(f"not a place: {text!r}")
    return (int(text[:20]), int(text[20:40]), int(text[40:]))
