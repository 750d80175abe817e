"""What every connection of one front shares: its parts, the time of day, and whether it is draining."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from email.utils import formatdate
from typing import Protocol

import uvicorn
from uvicorn.server import ServerState

from pilotlight.clock import Clock
from pilotlight.front.callers import Callers
from pilotlight.front.function_urls import FunctionUrls
from pilotlight.front.guard import Guard
from pilotlight.front.request_ids import RequestIds
from pilotlight.front.sigv4 import Verifier
from pilotlight.invoke.messages import InvokeReply, InvokeRequest
from pilotlight.settings import Settings


class SupportsSubmit(Protocol):
    """The invoker, as the front knows it: `submit` never raises and calls `reply` exactly once."""

    def submit(self, request: InvokeRequest, reply: Callable[[InvokeReply], None]) -> None: ...


class Desk:
    """One per front. `verifier` is None when nothing is verified (auth = "none"); `url_verifier` is for function URLs
    that ask for a signature, which they do all the same."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        invoker: SupportsSubmit,
        callers: Callers,
        verifier: Verifier | None,
        url_verifier: Verifier,
        function_urls: FunctionUrls,
        config: uvicorn.Config,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.submit = invoker.submit
        self.callers = callers
        self.verifier = verifier
        self.url_verifier = url_verifier
        self.function_urls = function_urls
        self.guard = Guard(settings)
        self.config = config
        self.server_state = ServerState()
        self.new_request_id = RequestIds()
        self.draining = False
        #: set whenever a connection has ended, or has nothing more to say
        self.connection_ended = asyncio.Event()
        self.date = b""
        #: executed version -> everything of a plain 200 answer up to the request id, for this second
        self.result_heads: dict[str, bytes] = {}
        self.tell_time()

    def tell_time(self) -> None:
        """Take the Date header's value from the clock; called once a second."""
        date = formatdate(self.clock.time_ms() / 1000, usegmt=True).encode()
        if date != self.date:
            self.date = date
            self.result_heads.clear()
