"""What becomes of deliveries that are not taken: down, missing, closed to us, refused for ever; by the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
import pytest

from pilotlight.clock import ManualClock
from pilotlight.errors import ServiceUnavailableException
from pilotlight.invoke.deliveries import Delivery, enqueue
from pilotlight.store.sqlite import SqliteStore, open_sqlite
from pilotlight.triggers.deliverer import DOWN_MS, Deliverer
from pilotlight.triggers.targets import Targets
from pilotlight.wire.messages import WireResponse
from tests.support import eventually_async

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
MISSING = WireResponse(400, {}, b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist"}')
DENIED = WireResponse(403, {}, b'{"__type": "AccessDenied"}')
TOO_LARGE = WireResponse(400, {}, b'{"__type": "InvalidParameterValue", "message": "Message must be shorter"}')
DOWN = WireResponse(503, {}, b"down")
BUSY = WireResponse(400, {}, b'{"__type": "com.amazonaws.sqs#RequestThrottled"}')


def arn(name: str, service: str = "sqs") -> str:
    return f"arn:aws:{service}:us-east-1:000000000000:{name}"


class Services:
    """What stands next door: says what it is told to say of each target, and keeps what it takes."""

    def __init__(self) -> None:
        self.says: dict[str, WireResponse | None] = {}
        """None: it cannot be reached."""
        self.attempts: dict[str, int] = {}
        self.taken: dict[str, list[str]] = {}

    async def request(
        self,
        service: str,
        account: str,
        region: str,
        method: str,
        raw_path: str,
        *,
        query_string: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> WireResponse:
        if service == "sqs":
            told = msgspec.json.decode(body)
            name, message = told.get("QueueName") or told["QueueUrl"], told.get("MessageBody")
        elif service == "sns":
            form = parse_qs(body.decode())
            name, message = form["TopicArn"][0].rpartition(":")[2], form["Message"][0]
        else:
            [entry] = msgspec.json.decode(body)["Entries"]
            name, message = entry["EventBusName"].rpartition("/")[2], entry["Detail"]
        says = self.says.get(name, WireResponse(200, {}, b""))
        if message is None and says is not None and says.status < 300:
            return WireResponse(200, {}, msgspec.json.encode({"QueueUrl": name}))
        self.attempts[name] = self.attempts.get(name, 0) + 1
        if says is None:
            raise ServiceUnavailableException("no connection")
        if says.status < 300 and not says.body:
            self.taken.setdefault(name, []).append(message or "")
        return says


class Room:
    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.store: SqliteStore = open_sqlite(directory, clock=self.clock)
        self.services = Services()
        self.lost: list[str] = []
        self.deliverer = Deliverer(
            self.store,
            self.clock,
            Targets(self.services.request),
            lambda delivery: self.lost.append(delivery.message),
        )

    async def send(self, target: str, *messages: str) -> None:
        now_ms = self.clock.steady_ms()
        deliveries = [Delivery("000000000000", "us-east-1", now_ms, arn=target, message=text) for text in messages]
        await self.store.transact([enqueue(delivery) for delivery in deliveries])

    async def depth(self, target: str) -> int:
        return await self.store.queue_depth(f"deliveries/{target}")

    async def empty(self, target: str) -> None:
        async def is_empty() -> bool:
            return await self.depth(target) == 0

        await eventually_async(is_empty)

    async def attempted(self, name: str, times: int) -> None:
        """So often, and what came of it is on record."""
        await eventually_async(
            lambda: self.services.attempts.get(name) == times and self.deliverer.in_hand == 0, what=f"{times} attempts"
        )


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(tmp_path)
    await made.deliverer.start()
    yield made
    await made.deliverer.stop()
    await made.store.close()


@pytest.mark.parametrize("fault", [DOWN, BUSY, None], ids=["5xx", "throttled", "no connection"])
async def test_a_target_that_is_down_for_an_hour(room: Room, fault: WireResponse | None) -> None:
    """Bounded work meanwhile, others untouched, and everything is there when it is back."""
    room.services.says["down"] = fault
    messages = [str(number) for number in range(200)]
    await room.send(arn("down"), *messages)
    await room.attempted("down", 4)  # as many as go out at once
    attempts = 4
    for wait_s in [1, 2, 4, 8, 16, 32, *[60] * 59]:
        room.clock.advance(wait_s * 1000 - 1)
        await room.send(arn("other"), "x")
        await room.empty(arn("other"))
        assert room.services.attempts["down"] == attempts, "not before its time"
        room.clock.advance(1)
        attempts += 1
        await room.attempted("down", attempts)
    assert (await room.depth(arn("down")), room.lost) == (200, [])
    room.services.says.clear()
    for _ in range(8):
        room.clock.advance(MINUTE_MS)
    await room.empty(arn("down"))
    assert sorted(room.services.taken["down"], key=int) == messages, "each once"
    assert len(room.services.taken["other"]) == 65


async def test_a_target_that_stays_down_for_more_than_a_day(room: Room) -> None:
    room.services.says["down"] = DOWN
    await room.send(arn("down"), "old")
    await room.attempted("down", 1)
    room.clock.advance(DOWN_MS - 1)
    await room.attempted("down", 2)
    assert room.lost == []
    room.clock.advance(MINUTE_MS)
    await room.empty(arn("down"))
    assert room.lost == ["old"]


@pytest.mark.parametrize("fault", [MISSING, DENIED], ids=["missing", "denied"])
async def test_a_target_that_is_missing_has_a_minute(room: Room, fault: WireResponse) -> None:
    room.services.says["gone"] = fault
    await room.send(arn("gone"), *(str(number) for number in range(50)))
    await room.attempted("gone", 4)
    attempts = 4
    for wait_s in (1, 2, 4, 8, 16):
        room.clock.advance(wait_s * 1000)
        attempts += 1
        await room.attempted("gone", attempts)
    assert room.lost == []
    room.clock.advance(29_000)
    await room.empty(arn("gone"))
    assert len(room.lost) == 50
    assert room.services.attempts["gone"] == attempts + 50, "each has had its attempt"


@pytest.mark.parametrize("fault", [MISSING, DENIED], ids=["missing", "denied"])
async def test_a_target_that_was_down_and_comes_back_empty_has_its_minute(room: Room, fault: WireResponse) -> None:
    """Its queues are made again, or its policies, a moment after it is up: nothing is lost meanwhile."""
    messages = [str(number) for number in range(50)]
    room.services.says["back"] = DOWN
    await room.send(arn("back"), *messages)
    await room.attempted("back", 4)
    attempts = 4
    for wait_s in (1, 2, 4, 8, 16, 32, 60):
        room.clock.advance(wait_s * 1000)
        attempts += 1
        await room.attempted("back", attempts)
    room.services.says["back"] = fault
    room.clock.advance(MINUTE_MS)
    await room.attempted("back", attempts + 1)
    room.clock.advance(MINUTE_MS - 1)
    assert (await room.depth(arn("back")), room.lost) == (50, [])
    room.services.says.clear()
    for _ in range(8):
        room.clock.advance(MINUTE_MS)
    await room.empty(arn("back"))
    assert (sorted(room.services.taken["back"], key=int), room.lost) == (messages, [])


async def test_a_target_that_is_made_within_the_minute(room: Room) -> None:
    room.services.says["gone"] = MISSING
    await room.send(arn("gone"), "1", "2")
    await room.attempted("gone", 2)
    room.services.says.clear()
    room.clock.advance(1_000)
    await room.empty(arn("gone"))
    assert (sorted(room.services.taken["gone"]), room.lost) == (["1", "2"], [])
    room.services.says["gone"] = MISSING
    await room.send(arn("gone"), "3")
    await room.attempted("gone", 5)
    assert room.lost == [], "what was long ago does not count"


@pytest.mark.parametrize("service", ["sqs", "sns"])
async def test_what_a_target_would_never_take_is_given_up_at_once(room: Room, service: str) -> None:
    room.services.says["strict"] = TOO_LARGE
    await room.send(arn("strict", service), "huge")
    await room.empty(arn("strict", service))
    assert (room.lost, room.services.attempts["strict"]) == (["huge"], 1)


async def test_what_an_event_bus_says_of_an_entry(room: Room) -> None:
    for code, lost in (("InternalFailure", []), ("MalformedDetail", ["entry"])):
        answer = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": code}]}
        room.services.says[code] = WireResponse(200, {}, msgspec.json.encode(answer))
        bus = f"arn:aws:events:us-east-1:000000000000:event-bus/{code}"
        delivery = Delivery(
            "000000000000",
            "us-east-1",
            room.clock.steady_ms(),
            arn=bus,
            message="entry",
            entry={"EventBusName": bus, "Detail": "{}"},
        )
        await room.store.transact([enqueue(delivery)])
        await room.attempted(code, 1)
        assert room.lost == lost
