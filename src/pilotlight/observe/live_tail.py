"""StartLiveTail: log events streamed to a client as they are appended.

AWS sends an update each second; here one is sent as soon as there are events (gathered for a moment), and an empty one
each second otherwise, so that a line is on the screen when it is written. The limits are AWS's: 500 events an update,
5,000 held for a slow client (then the oldest go and `sampled` says so), three hours a session.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from pilotlight.clock import Clock
from pilotlight.errors import InvalidParameterException
from pilotlight.observe.api_events import filter_of
from pilotlight.observe.database import LogDatabase
from pilotlight.observe.filter_pattern import Matcher
from pilotlight.observe.log_names import GroupName, group_name, no_group
from pilotlight.observe.logs import Listener, LogStore
from pilotlight.wire.messages import Call, Handler

UPDATE_EVENTS = 500
HELD_EVENTS = 5_000
_SESSION_MS = 3 * 3_600_000
_GATHER_S = 0.02
_IDLE_S = 1.0


def live_tail_handler(log_store: LogStore, clock: Clock) -> Handler:
    async def start_live_tail(call: Call) -> dict[str, Any]:
        params = call.params
        names = [_by_arn(call, identifier) for identifier in params["logGroupIdentifiers"]]
        streams, prefixes = params.get("logStreamNames"), params.get("logStreamNamePrefixes")
        if streams is not None and prefixes is not None:
            raise InvalidParameterException("logStreamNames and logStreamNamePrefixes cannot be specified together.")
        if (streams or prefixes) and len(names) > 1:
            raise InvalidParameterException("Log streams can only be specified for a single log group.")
        matches = filter_of(params.get("logEventFilterPattern", ""))

        def check(database: LogDatabase) -> None:
            if any(database.group(name.account, name.region, name.name) is None for name in names):
                raise no_group()

        await log_store.read(check)
        start: dict[str, Any] = {
            "requestId": call.request_id,
            "sessionId": str(uuid.uuid4()),
            "logGroupIdentifiers": params["logGroupIdentifiers"],
            "logStreamNames": streams or [],
            "logStreamNamePrefixes": prefixes or [],
            "logEventFilterPattern": params.get("logEventFilterPattern", ""),
        }
        tail = LiveTail(log_store, clock, matches, frozenset(streams or ()), tuple(prefixes or ()))
        return {"responseStream": tail.updates(names, start)}

    return start_live_tail


class LiveTail:
    """One session: what it has gathered and not yet sent."""

    def __init__(
        self,
        log_store: LogStore,
        clock: Clock,
        matches: Matcher | None,
        stream_names: frozenset[str],
        prefixes: tuple[str, ...],
    ) -> None:
        self._store = log_store
        self._clock = clock
        self._matches = matches
        self._stream_names = stream_names
        self._prefixes = prefixes
        self._held: deque[dict[str, Any]] = deque(maxlen=HELD_EVENTS)
        self._arrived = asyncio.Event()
        self._lost = False

    async def updates(self, names: list[GroupName], start: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """sessionStart, then sessionUpdates until the session's time is over or the client goes.

        A client that has seen sessionStart sees every event appended from then on.
        """
        ends_ms = self._clock.time_ms() + _SESSION_MS
        with contextlib.ExitStack() as listening:
            for name in names:
                end = self._store.subscribe(name.account, name.region, name.name, self._listener(name))
                listening.callback(end)
            yield {"sessionStart": start}
            while self._clock.time_ms() < ends_ms:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_IDLE_S):
                        await self._arrived.wait()
                    await asyncio.sleep(_GATHER_S)
                yield {"sessionUpdate": self._update()}
            yield {"SessionTimeoutException": {"message": "The session has timed out."}}

    def _listener(self, group: GroupName) -> Listener:
        identifier = f"{group.account}:{group.name}"

        def listener(stream_name: str, timestamp_ms: int, message: str) -> None:
            if self._stream_names and stream_name not in self._stream_names:
                return
            if self._prefixes and not stream_name.startswith(self._prefixes):
                return
            if self._matches is not None and not self._matches(message):
                return
            self._lost = self._lost or len(self._held) == HELD_EVENTS
            self._held.append(
                {
                    "logStreamName": stream_name,
                    "logGroupIdentifier": identifier,
                    "message": message,
                    "timestamp": timestamp_ms,
                    "ingestionTime": self._clock.time_ms(),
                }
            )
            self._arrived.set()

        return listener

    def _update(self) -> dict[str, Any]:
        results = [self._held.popleft() for _ in range(min(UPDATE_EVENTS, len(self._held)))]
        if not self._held:
            self._arrived.clear()
        sampled, self._lost = self._lost, False
        return {"sessionMetadata": {"sampled": sampled}, "sessionResults": results}


def _by_arn(call: Call, identifier: str) -> GroupName:
    """Live Tail wants ARNs, without the `:*`."""
    if not identifier.startswith("arn:") or identifier.endswith("*"):
        raise InvalidParameterException(f"Invalid log group identifier: {identifier}. It must be a log group ARN.")
    return group_name(call, identifier)
