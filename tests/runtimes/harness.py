"""Real environments without a pool around them: a launcher, its processes, and the node's own frame channel to them.

What is written here is what `environments/` does around a process, kept small: a session owner that queues what it is
told, and a reader of the output pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import textwrap
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from pilotlight.observe.output import LogStreamParser
from pilotlight.runtimes.frames import FrameChannel
from pilotlight.runtimes.http_api import RuntimeApi
from pilotlight.runtimes.python.launcher import PythonLauncher
from pilotlight.runtimes.session import RuntimeSession, Work
from pilotlight.sandbox.spec import LaunchSpec, RuntimeProcess, Sandbox

FUNCTION_ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
WAIT_SECONDS = 30.0


class Told:
    """A session owner that queues what the runtime says, in words."""

    def __init__(self) -> None:
        self.words: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        self.pause_at_begin = False
        self.transport: asyncio.ReadTransport | None = None
        """Of the last streamed response."""
        self.streamed_bytes = 0

    def runtime_ready(self, max_rss_kib: int) -> None:
        self.words.put_nowait(("ready", max_rss_kib))

    def runtime_init_failed(self, error_type: str, body: bytes, max_rss_kib: int) -> None:
        self.words.put_nowait(("init_failed", error_type, body))

    def runtime_responded(self, body: bytes, max_rss_kib: int, content_type: str) -> None:
        self.words.put_nowait(("responded", body, content_type))

    def runtime_failed(self, error_type: str, body: bytes, max_rss_kib: int) -> None:
        self.words.put_nowait(("failed", error_type, body))

    def runtime_violated(self, reason: str) -> None:
        self.words.put_nowait(("violated", reason))

    def runtime_began_stream(self, content_type: str, transport: asyncio.ReadTransport) -> None:
        self.transport = transport
        if self.pause_at_begin:
            transport.pause_reading()
        self.words.put_nowait(("began_stream", content_type))

    def runtime_streamed(self, chunk: bytes) -> bool:
        self.streamed_bytes += len(chunk)
        self.words.put_nowait(("streamed", chunk))
        return True

    def runtime_ended_stream(self, error_type: str, body: bytes, max_rss_kib: int) -> None:
        self.words.put_nowait(("ended_stream", error_type, body))

    def runtime_cut_stream(self) -> None:
        self.words.put_nowait(("cut_stream",))


class Running:
    """One runtime process, spoken to as the node does."""

    def __init__(self, process: RuntimeProcess) -> None:
        self.process = process
        self.told = Told()
        self.session = RuntimeSession(self.told)
        self.printed = bytearray()
        self._output_ended = asyncio.Event()
        self._channel_closed = asyncio.Event()
        self._closed = False

    async def open(self, *, frames: bool = True) -> None:
        """Without `frames`, its session is left to the Runtime API."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self.process.output, self._read)
        if frames:
            channel = FrameChannel(self.session, self._channel_closed.set)
            await loop.create_unix_connection(lambda: channel, sock=self.process.channel)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.process.output, 1 << 20)
            self.printed += data
            if not data:
                asyncio.get_running_loop().remove_reader(self.process.output)
                self._output_ended.set()

    async def word(self) -> tuple[Any, ...]:
        """What the runtime says next, or ("exited", status) when it dies without a word."""
        waiting = asyncio.ensure_future(self.told.words.get())
        dying = asyncio.ensure_future(self.process.wait())
        done, _ = await asyncio.wait({waiting, dying}, timeout=WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        assert done, "the runtime neither answered nor died"
        if not waiting.done():  # what it said just before it died still counts
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._channel_closed.wait(), 1.0)
            await asyncio.sleep(0)
        dying.cancel()
        if waiting.done():
            return waiting.result()
        waiting.cancel()
        return ("exited", dying.result()) if dying.done() and not dying.cancelled() else ("exited", await self.status())

    async def ready(self) -> Running:
        word = await self.word()
        assert word[0] == "ready", (word, bytes(self.printed))
        return self

    async def invoke(self, event: Any = None, *, raw: bytes | None = None, **fields: Any) -> tuple[Any, ...]:
        payload = json.dumps(event).encode() if raw is None else raw
        fields.setdefault("request_id", str(uuid.uuid4()))
        fields.setdefault("deadline_ms", int(time.time() * 1000) + 30_000)
        fields.setdefault("trace_id", "Root=1-00000000-000000000000000000000000;Sampled=0")
        self.session.deliver(Work(payload=payload, invoked_arn=FUNCTION_ARN, **fields))
        return await self.word()

    async def result(self, event: Any = None, **fields: Any) -> Any:
        """The function's answer, which must be one."""
        word = await self.invoke(event, **fields)
        assert word[0] == "responded", (word, bytes(self.printed))
        return json.loads(word[1])

    async def status(self) -> int:
        return await asyncio.wait_for(self.process.wait(), WAIT_SECONDS)

    async def logs(self) -> list[str]:
        """Every log line of a process that is dead (or is ended now), telemetry records and prints alike."""
        await self.end()
        parser = LogStreamParser()
        lines = [message for _, message in parser.feed(bytes(self.printed))]
        return lines + [message for _, message in parser.flush()]

    async def end(self) -> None:
        """Kill it, read its last output, give everything back but the sandbox."""
        if self._closed:
            return
        self._closed = True
        self.process.kill()
        await self.status()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._output_ended.wait(), 5.0)
        asyncio.get_running_loop().remove_reader(self.process.output)
        self.process.close()


def write_package(directory: Path, files: Mapping[str, str | bytes] | str) -> str:
    """A package on disk as the store unpacks it: world-readable. A plain string is the text of `app.py`."""
    members = {"app.py": files} if isinstance(files, str) else files
    for name, content in members.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(textwrap.dedent(content).encode() if isinstance(content, str) else content)
        path.chmod(0o755 if name.endswith(".sh") else 0o644)
    for path in [directory, *directory.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    return str(directory)


def function_spec(code_dir: str, **fields: Any) -> LaunchSpec:
    environ = {
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{fields.get('runtime', 'python3.11')}",
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/21/[$LATEST]00000000000000000000000000000000",
        "AWS_LAMBDA_LOG_FORMAT": "Text",
        **fields.pop("environ", {}),
    }
    values: dict[str, Any] = {
        "environment_id": uuid.uuid4().hex,
        "runtime": "python3.11",
        "handler": "app.handler",
        "code_dir": code_dir,
        "environ": environ,
        **fields,
    }
    return LaunchSpec(**values)


async def start(
    launcher: PythonLauncher, spec: LaunchSpec, sandbox: Sandbox | None = None, *, frames: bool = True
) -> Running:
    """Launch and connect; what it says first is not waited for."""
    running = Running(await launcher.launch(spec, sandbox))
    await running.open(frames=frames)
    return running


@contextlib.asynccontextmanager
async def environment(
    launcher: PythonLauncher, code_dir: str, *, frames: bool = True, **fields: Any
) -> AsyncIterator[Running]:
    """A launched process that is gone, sandbox and all, at the end."""
    running = await start(launcher, function_spec(code_dir, **fields), frames=frames)
    try:
        yield running
    finally:
        await running.end()
        await running.process.sandbox.destroy()


@contextlib.asynccontextmanager
async def runtime_api(running: Running) -> AsyncIterator[None]:
    """Serve the HTTP Runtime API inside the environment, driving the process's session."""
    server = await asyncio.get_running_loop().create_server(
        lambda: RuntimeApi(lambda: running.session), sock=running.process.sandbox.runtime_api
    )
    try:
        yield
    finally:
        server.close()
