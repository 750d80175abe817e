"""A streamed answer on its own: what waits, when the function is made to wait, and a caller that goes away."""

from __future__ import annotations

import asyncio

from pilotlight.environments.invocation import ResponseHead
from pilotlight.invoke.messages import InvokeReply
from pilotlight.invoke.response_stream import StreamedAnswer

HEAD = ResponseHead("application/octet-stream", "$LATEST")
CHUNK = bytes(64 * 1024)


class Function:
    """The source of a response: writes on, as a function would, until it is made to wait."""

    def __init__(self, answer: StreamedAnswer) -> None:
        self.answer = answer
        self.paused = False
        self.written = 0

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def write_on(self, most: int = 1000) -> None:
        for _ in range(most):
            if self.paused:
                return
            self.answer.write(CHUNK)
            self.written += len(CHUNK)


def _begun() -> tuple[StreamedAnswer, Function]:
    answer = StreamedAnswer()
    function = Function(answer)
    answer.begin(HEAD, function)
    return answer, function


async def test_bytes_come_as_they_are_written() -> None:
    answer, _ = _begun()
    await answer.begun()
    assert (answer.head, answer.reply) == (HEAD, None)
    taking = asyncio.ensure_future(anext(answer))
    await asyncio.sleep(0)
    assert not taking.done()
    answer.write(b"one")
    assert await taking == b"one"
    answer.write(b"two ")
    answer.write(b"together")
    assert await anext(answer) == b"two together"
    answer.write(b"last")
    answer.finish(InvokeReply())
    assert [piece async for piece in answer] == [b"last"]


async def test_a_caller_that_takes_nothing_makes_the_function_wait() -> None:
    answer, function = _begun()
    function.write_on()
    assert function.paused
    assert function.written < 512 * 1024
    taken = 0
    while function.written < 100 * len(CHUNK):
        taken += len(await anext(answer))
        function.write_on()
        assert function.written - taken < 512 * 1024
    answer.finish(InvokeReply())
    assert taken + sum([len(piece) async for piece in answer]) == function.written


async def test_a_caller_that_goes_away_lets_the_function_finish() -> None:
    answer, function = _begun()
    function.write_on()
    await answer.aclose()
    assert not function.paused
    function.write_on()
    assert function.written >= 1000 * len(CHUNK)
    assert [piece async for piece in answer] == []


async def test_a_response_that_was_not_streamed_comes_in_pieces() -> None:
    answer = StreamedAnswer()
    waiting = asyncio.ensure_future(answer.begun())
    await asyncio.sleep(0)
    assert not waiting.done()
    answer.finish(InvokeReply(payload=bytes(2_500_000)))
    await waiting
    assert answer.head is None
    assert [len(piece) async for piece in answer] == [1048576, 1048576, 402848]


async def test_a_failed_one_has_no_bytes() -> None:
    answer = StreamedAnswer()
    answer.finish(InvokeReply(payload=b'{"errorType":"X"}', function_error="Unhandled", error_type="X"))
    await answer.begun()
    assert [piece async for piece in answer] == []
