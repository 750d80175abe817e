"""Real nodes for end-to-end tests.

`node_process` starts `pilotlight up` in a process of its own: the way users run it, and the only kind that can be
killed. `running_node` runs one on the test's own event loop, for tests that hold the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pilotlight.cli import node_process as cli
from tests.support.clients import aws_client

T = TypeVar("T")


class NodeProcess(cli.NodeProcess):
    """A `pilotlight up` with boto3 clients for it; see the base class for start, stop, kill and log."""

    def client(self, service: str, **options: Any) -> Any:
        return aws_client(service, self.endpoint, **options)


@contextlib.contextmanager
def _data_directory(given: Path | None) -> Iterator[Path]:
    """The directory given, or a new one that is removed at the end (outside of it nothing is left either)."""
    if given is not None:
        yield given
        return
    own = Path(tempfile.mkdtemp(prefix="pilotlight-test-"))
    try:
        yield own / "data"
    finally:
        shutil.rmtree(own, ignore_errors=True)


@contextlib.contextmanager
def node_process(data_dir: Path | None = None, **settings: Any) -> Iterator[NodeProcess]:
    """A started NodeProcess, stopped at the end; `settings` are Settings fields by name."""
    with _data_directory(data_dir) as directory:
        process = NodeProcess(directory, **settings)
        try:
            process.start()
            yield process
        finally:
            process.stop()


class RunningNode:
    """A node on this event loop. boto3 blocks, so its calls go through `call`, in a thread."""

    def __init__(self, node: Any, data_dir: Path) -> None:
        self.node = node
        self.data_dir = data_dir

    @property
    def port(self) -> int:
        return self.node.port

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, **options: Any) -> Any:
        return aws_client(service, self.endpoint, **options)

    async def call(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """`function(*args, **kwargs)` off the event loop: `await node.call(client.invoke, FunctionName=name)`."""
        return await asyncio.to_thread(function, *args, **kwargs)


@contextlib.asynccontextmanager
async def running_node(
    *, clock: Any = None, data_dir: Path | None = None, **settings: Any
) -> AsyncIterator[RunningNode]:
    """A node on this event loop, on a free port; `settings` are Settings fields by name."""
    from pilotlight.clock import SystemClock
    from pilotlight.node import Node
    from pilotlight.settings import load

    with _data_directory(data_dir) as directory:
        directory.mkdir(parents=True, exist_ok=True)
        values = {"port": 0, "data_dir": str(directory), **settings}
        async with Node(load(environ={}, **values), clock=clock or SystemClock()) as node:
            yield RunningNode(node, directory)
