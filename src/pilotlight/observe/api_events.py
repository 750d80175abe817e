"""CloudWatch Logs' API over the log store: putting, getting and filtering events.

Page tokens are places (reader.py): a client that goes on with one sees each event once, and what is written later in
a stream comes later in it.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import Any

import msgspec

from pilotlight.clock import Clock
from pilotlight.errors import InvalidParameterException
from pilotlight.observe.database import Event, LogDatabase
from pilotlight.observe.filter_pattern import InvalidFilterPattern, Matcher, compile_filter
from pilotlight.observe.log_names import (
    GroupName,
    bad_token,
    decode_token,
    encode_token,
    group_name,
    no_group,
    no_stream,
)
from pilotlight.observe.logs import LogStore
from pilotlight.observe.reader import (
    FIRST_PLACE,
    Place,
    Range,
    StoredEvent,
    format_place,
    parse_place,
    read_backward,
    read_forward,
)
from pilotlight.wire.messages import Call

EVENT_BYTES = 26
"""What CloudWatch Logs counts for an event besides its message."""
MAX_EVENT_BYTES = MAX_BATCH_BYTES = 1_048_576
_PAGE_EVENTS = 10_000
_PAGE_BYTES = 1_048_576
_SCAN_EVENTS = 100_000
"""Events one FilterLogEvents call looks at before it answers with what it has and a token."""
_HOUR_MS = 3_600_000
_TOO_OLD_MS = 14 * 24 * _HOUR_MS
_TOO_NEW_MS = 2 * _HOUR_MS


class _Page(msgspec.Struct):
    """What a scan found. `more` says that it stopped before the end; `place` is the last place it looked at."""

    events: list[StoredEvent] = []
    more: bool = False
    place: Place | None = None


class EventHandlers:
    def __init__(self, log_store: LogStore, clock: Clock) -> None:
        self._store = log_store
        self._clock = clock

    async def put_log_events(self, call: Call) -> dict[str, Any]:
        params = call.params
        events: list[Event] = [(event["timestamp"], event["message"]) for event in params["logEvents"]]
        _check_batch(events)
        name, stream_name = group_name(call), params["logStreamName"]
        now_ms = self._clock.time_ms()

        def write(database: LogDatabase) -> dict[str, int]:
            group = database.group(name.account, name.region, name.name)
            if group is None:
                raise no_group()
            stream = database.stream(group.id, stream_name)
            if stream is None:
                raise no_stream()
            rejected, first, end = _rejected(events, now_ms, self._store.oldest_ms(group.retention_days))
            del events[end:], events[:first]
            if events:
                database.write(group.id, stream.id, events, now_ms)
            return rejected

        rejected = await self._store.change(write)
        self._store.tell(call.account, call.region, name.name, stream_name, events)
        result: dict[str, Any] = {"nextSequenceToken": f"{now_ms:056d}"}
        if rejected:
            result["rejectedLogEventsInfo"] = rejected
        return result

    async def get_log_events(self, call: Call) -> dict[str, Any]:
        params = call.params
        name, stream_name = group_name(call), params["logStreamName"]
        limit = params.get("limit", _PAGE_EVENTS)
        token = _read_place_token(params.get("nextToken"))
        forward = token[0] == "f" if token else params.get("startFromHead", False)
        place = token[1] if token else None

        def read(database: LogDatabase) -> _Page:
            wanted = self._range(database, name, [stream_name], None, params, place, forward)
            wanted = msgspec.structs.replace(wanted, before_ms=params.get("endTime", wanted.before_ms))
            return _scan(database, wanted, forward, limit, None, look_ahead=False)

        page = await self._store.read(read)
        found = page.events if forward else page.events[::-1]
        first = found[0].place if found else place or FIRST_PLACE
        last = found[-1].place if found else place or FIRST_PLACE
        return {
            "events": [
                {"timestamp": event.timestamp_ms, "message": event.message, "ingestionTime": event.ingested_ms}
                for event in found
            ],
            "nextForwardToken": f"f/{format_place(last)}/s",
            "nextBackwardToken": f"b/{format_place(first)}/s",
        }

    async def filter_log_events(self, call: Call) -> dict[str, Any]:
        params = call.params
        name = group_name(call)
        names, prefix = params.get("logStreamNames"), params.get("logStreamNamePrefix")
        if names is not None and prefix is not None:
            raise InvalidParameterException("logStreamNamePrefix and logStreamNames are mutually exclusive parameters.")
        if params.get("startTime", 0) > params.get("endTime", params.get("startTime", 0)):
            raise InvalidParameterException("startTime must be less than or equal to endTime.")
        matches = filter_of(params.get("filterPattern", ""))
        limit = params.get("limit", _PAGE_EVENTS)
        forward: bool = params.get("startFromHead", True)
        place: Place | None = None
        if token := decode_token(params.get("nextToken"), bool, str):
            forward = token[0]
            place = _parse_place(token[1])
        stream_names: dict[int, str] = {}

        def read(database: LogDatabase) -> _Page:
            wanted = self._range(database, name, names, prefix, params, place, forward)
            page = _scan(database, wanted, forward, limit, matches, look_ahead=True)
            for stream_id in {event.stream_id for event in page.events}:
                row = database.first("stream_name", stream_id=stream_id)
                stream_names[stream_id] = row[0] if row else ""
            return page

        page = await self._store.read(read)
        result: dict[str, Any] = {
            "events": [
                {
                    "logStreamName": stream_names[event.stream_id],
                    "timestamp": event.timestamp_ms,
                    "message": event.message,
                    "ingestionTime": event.ingested_ms,
                    "eventId": event.event_id,
                }
                for event in page.events
            ],
            # AWS has left it empty since 2019.
            "searchedLogStreams": [],
        }
        if page.more and page.place:
            result["nextToken"] = encode_token(forward, format_place(page.place))
        return result

    def _range(
        self,
        database: LogDatabase,
        name: GroupName,
        stream_names: list[str] | None,
        prefix: str | None,
        params: dict[str, Any],
        place: Place | None,
        forward: bool,
    ) -> Range:
        """Raises when the group, or a stream that is named, does not exist."""
        group = database.group(name.account, name.region, name.name)
        if group is None:
            raise no_group()
        ids: frozenset[int] | None = None
        if stream_names is not None:
            found = [database.stream(group.id, stream_name) for stream_name in stream_names]
            if None in found:
                raise no_stream()
            ids = frozenset(stream.id for stream in found if stream is not None)
        elif prefix is not None:
            rows = database.run("streams_by_name", group_id=group.id, after="", prefix=prefix, limit=-1)
            ids = frozenset(row[0] for row in rows)
        wanted = Range(
            group.id,
            stream_id=next(iter(ids)) if ids and len(ids) == 1 else 0,
            stream_ids=ids,
            from_ms=max(params.get("startTime", 0), self._store.oldest_ms(group.retention_days)),
            after=place if forward else None,
            before=None if forward else place,
        )
        if "endTime" in params:
            wanted = msgspec.structs.replace(wanted, before_ms=params["endTime"] + 1)
        return wanted


def _scan(
    database: LogDatabase, wanted: Range, forward: bool, limit: int, matches: Matcher | None, *, look_ahead: bool
) -> _Page:
    """One page. With `look_ahead`, `more` is true only when there is another event to find or too much to look at."""
    page = _Page(events=[])
    size = 0
    events = (read_forward if forward else read_backward)(database, wanted)
    for event in islice(events, _SCAN_EVENTS):
        if matches is None or matches(event.message):
            size += len(event.message.encode()) + EVENT_BYTES
            if len(page.events) == limit or (size > _PAGE_BYTES and page.events):
                page.more = True
                return page
            page.events.append(event)
            if len(page.events) == limit and not look_ahead:
                return page
        page.place = event.place
    page.more = next(chain(events, [None])) is not None
    return page


def _check_batch(events: list[Event]) -> None:
    sizes = [len(message.encode("utf-8", "replace")) + EVENT_BYTES for _, message in events]
    for size in sizes:
        if size > MAX_EVENT_BYTES:
            raise InvalidParameterException(f"Log event too large: {size} bytes exceeds limit of {MAX_EVENT_BYTES}")
    if sum(sizes) > MAX_BATCH_BYTES:
        raise InvalidParameterException(f"Upload too large: {sum(sizes)} bytes exceeds limit of {MAX_BATCH_BYTES}")
    times = [timestamp_ms for timestamp_ms, _ in events]
    if times != sorted(times):
        raise InvalidParameterException("Log events in a single PutLogEvents request must be in chronological order.")
    if times[-1] - times[0] > 24 * _HOUR_MS:
        raise InvalidParameterException(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        )


def _rejected(events: list[Event], now_ms: int, oldest_ms: int) -> tuple[dict[str, int], int, int]:
    """The rejectedLogEventsInfo of a batch in order of time, and where what is accepted begins and ends."""
    info: dict[str, int] = {}
    too_old = sum(timestamp_ms < now_ms - _TOO_OLD_MS for timestamp_ms, _ in events)
    expired = sum(timestamp_ms < oldest_ms for timestamp_ms, _ in events)
    end = sum(timestamp_ms <= now_ms + _TOO_NEW_MS for timestamp_ms, _ in events)
    if end < len(events):
        info["tooNewLogEventStartIndex"] = end
    if too_old:
        info["tooOldLogEventEndIndex"] = too_old
    if expired:
        info["expiredLogEventEndIndex"] = expired
    return info, max(too_old, expired), end


def filter_of(pattern: str) -> Matcher | None:
    """The compiled pattern, None when it lets everything through; raises InvalidParameterException."""
    if not pattern.strip():
        return None
    try:
        return compile_filter(pattern)
    except InvalidFilterPattern as error:
        raise InvalidParameterException(str(error)) from error


def _read_place_token(token: str | None) -> tuple[str, Place] | None:
    """`f/<place>/s` and `b/<place>/s`, as AWS's look."""
    if token is None:
        return None
    parts = token.split("/")
    if len(parts) != 3 or parts[0] not in ("f", "b") or parts[2] != "s":
        raise bad_token()
    return parts[0], _parse_place(parts[1])


def _parse_place(text: str) -> Place:
    try:
        return parse_place(text)
    except ValueError as error:
        raise bad_token() from error
