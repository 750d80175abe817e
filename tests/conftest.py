"""Fixtures for every test: the event loop the node really runs on, and one shared node per worker for end-to-end tests.

The shared node is a real `pilotlight up` in a process of its own. Tests keep apart by names of their own
(`unique_name`); a test that must break or restart its node starts one itself with `node_process`.
"""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop

from tests.support import NodeProcess, node_process
from tests.support.clients import close_clients

# A suite that a shell started in the background ignores SIGINT, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def node() -> Iterator[NodeProcess]:
    """A node shared by the tests of one worker, with its embedded neighbours; states settle at once."""
    with node_process(state_delay_ms=0) as shared:
        yield shared


@pytest.fixture(autouse=True)
def _clients_are_closed() -> Iterator[None]:
    yield
    close_clients()


@pytest.fixture
def unique_name() -> str:
    """A name no other test uses: for a function, a bucket, a queue."""
    return f"t-{uuid.uuid4().hex[:16]}"
