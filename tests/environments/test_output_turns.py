"""Reading output in turns: how much of the event loop's time it may take, and what nobody may lose by it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from pilotlight.environments.output_turns import OutputReader, OutputTurns
from tests.support import eventually_async


class Costly:
    """Takes output at a price, as parsing and storing does; writes into the pipe whenever there is room."""

    def __init__(self, seconds_per_byte: float) -> None:
        self._price = seconds_per_byte
        self.chunks: list[bytes] = []
        self.spent_s = 0.0

    def __call__(self, data: bytes) -> None:
        self.chunks.append(data)
        started = time.perf_counter()
        ends = started + len(data) * self._price
        while (now := time.perf_counter()) < ends:
            pass
        self.spent_s += now - started


@asynccontextmanager
async def flooded(
    output: Callable[[bytes], None], turns: OutputTurns, data: bytes = b"x" * 4096
) -> AsyncIterator[OutputReader]:
    """A pipe that is written into as long as this is entered."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    loop = asyncio.get_running_loop()

    def write() -> None:
        with suppress(BlockingIOError):
            os.write(write_end, data)

    loop.add_writer(write_end, write)
    reader = OutputReader(read_end, turns, output)
    reader.start()
    try:
        yield reader
    finally:
        reader.stop()
        loop.remove_writer(write_end)
        os.close(write_end)
        os.close(read_end)


async def test_a_flood_leaves_most_of_the_time_to_others() -> None:
    output = Costly(1e-6)
    async with flooded(output, OutputTurns(lambda: False)):
        await asyncio.sleep(0.1)  # its credit is used up
        output.spent_s, started = 0.0, time.perf_counter()
        await asyncio.sleep(0.5)
        assert output.spent_s < (time.perf_counter() - started) * 0.4
        assert output.spent_s > 0, "it goes on nevertheless"


async def test_several_floods_share_the_turns_of_one() -> None:
    turns = OutputTurns(lambda: False)
    outputs = [Costly(1e-6) for _ in range(4)]
    async with AsyncExitStack() as stack:
        for output in outputs:
            await stack.enter_async_context(flooded(output, turns))
        await asyncio.sleep(0.2)
        for output in outputs:
            output.spent_s = 0.0
        started = time.perf_counter()
        await asyncio.sleep(0.8)
        spent = [output.spent_s for output in outputs]
        assert sum(spent) < (time.perf_counter() - started) * 0.4
        assert min(spent) > max(spent) / 3


async def test_what_costs_much_is_read_in_small_pieces() -> None:
    output = Costly(2e-5)
    async with flooded(output, OutputTurns(lambda: False)):
        await eventually_async(lambda: len(output.chunks) > 10)
    assert len(output.chunks[0]) > 2_000
    assert max(map(len, output.chunks[5:])) == 1_024


async def test_nobody_reads_more_than_its_credit_while_the_writer_is_behind() -> None:
    behind = True
    output = Costly(1e-5)
    async with flooded(output, OutputTurns(lambda: behind)):
        await eventually_async(lambda: output.spent_s > 0.02)
        count = len(output.chunks)
        await asyncio.sleep(0.05)
        assert len(output.chunks) <= count + 1
        behind = False
        await eventually_async(lambda: len(output.chunks) > count + 3, what="it goes on")


async def test_a_writer_that_never_catches_up_does_not_stop_functions_for_ever() -> None:
    output = Costly(1e-5)
    async with flooded(output, OutputTurns(lambda: True)):
        await eventually_async(lambda: output.spent_s > 0.02)
        count = len(output.chunks)
        await eventually_async(lambda: len(output.chunks) > count + 3)


async def test_draining_reads_what_is_there_and_no_more() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    found: list[bytes] = []

    def output(data: bytes) -> None:
        found.append(data)
        os.write(write_end, b"more")  # a thread of the function that never stops printing

    reader = OutputReader(read_end, OutputTurns(lambda: False), output)
    os.write(write_end, b"x" * 60_000)
    reader.drain(whole=True)
    assert b"".join(found) == b"x" * 60_000
    reader.stop()
    os.close(read_end)
    os.close(write_end)


async def test_a_pipe_that_was_made_larger_does_not_hold_the_loop() -> None:
    """Its function lives on, and can print a megabyte of newlines again with each invocation."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 1 << 20)
    output = Costly(0)
    reader = OutputReader(read_end, OutputTurns(lambda: False), output)
    os.write(write_end, b"\n" * 1_000_000)
    reader.drain(whole=False)
    assert sum(map(len, output.chunks)) == 65_536
    reader.start()
    await eventually_async(lambda: sum(map(len, output.chunks)) == 1_000_000, what="the rest comes in turns")
    os.write(write_end, b"\n" * 1_000_000)
    reader.drain(whole=True)
    assert not reader.unread(), "of one that dies nothing is left"
    reader.stop()
    os.close(read_end)
    os.close(write_end)


async def test_a_quiet_process_is_read_at_once_after_a_flood() -> None:
    output = Costly(1e-6)
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    reader = OutputReader(read_end, OutputTurns(lambda: False), output)
    reader.start()
    for _ in range(3):
        os.write(write_end, b"x" * 50_000)
        await eventually_async(lambda: not reader.unread())
    os.write(write_end, b"a line\n")
    await eventually_async(lambda: output.chunks[-1].endswith(b"a line\n"))
    reader.stop()
    os.close(read_end)
    os.close(write_end)
