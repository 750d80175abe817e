"""The front door: binds the node's one port, makes a protocol per connection, keeps the time, drains and stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import uvicorn

from pilotlight.catalog.credentials import CredentialIssuer, Identity
from pilotlight.clock import Clock
from pilotlight.front.callers import Callers
from pilotlight.front.connection import Connection
from pilotlight.front.desk import Desk, SupportsSubmit
from pilotlight.front.dispatch import AsgiApp, CodeDownload, Dispatch, IsOurs, Report, ServiceCallable
from pilotlight.front.function_urls import FunctionUrls
from pilotlight.front.guard import check_exposure
from pilotlight.front.http_connection import TICKS
from pilotlight.front.invocations import InvocationRoutes
from pilotlight.front.sigv4 import Verifier
from pilotlight.settings import Settings

logger = logging.getLogger(__name__)

_BACKLOG = 2048
_STOP_S = 1.0


class Front:
    """One per node. `services` maps signing names to handlers of whole requests; `forward` is the ASGI application for
    everything else, given `scope["pilotlight"]` (router.Destination)."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        invoker: SupportsSubmit,
        services: Mapping[str, ServiceCallable],
        forward: AsgiApp,
        code_download: CodeDownload,
        credentials: CredentialIssuer,
        health: Callable[[], dict[str, Any]],
        function_urls: FunctionUrls,
        pages: Mapping[str, ServiceCallable] | None = None,
        shared: Mapping[str, IsOurs] | None = None,
        reports: Mapping[str, Report] | None = None,
    ) -> None:
        """`pages`: paths below `/_pilotlight/` that take a POST, signed as for S3 where signatures are asked for.
        `shared`: those of `services` of which only some operations are ours; what is not goes to `forward`.
        `reports`: paths below `/_pilotlight/` that are read with GET, by anybody who may reach the node."""
        check_exposure(settings)
        self._settings = settings
        callers = Callers(settings, credentials, clock)
        signed = settings.auth == "sigv4"
        domains = tuple(host.removeprefix("*.") for host in settings.allowed_hosts)
        verifier = Verifier(settings.access_keys, credentials, callers, clock, domains, trusts_unknown=not signed)
        config = uvicorn.Config(
            self._dispatch,
            interface="asgi3",
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        config.load()
        self._desk = Desk(
            settings=settings,
            clock=clock,
            invoker=invoker,
            callers=callers,
            verifier=verifier if signed else None,
            url_verifier=verifier,
            function_urls=function_urls,
            config=config,
        )
        self._application = Dispatch(
            self._desk, services, forward, code_download, health, pages or {}, shared or {}, reports or {}
        )
        self._routes = InvocationRoutes()
        self._servers: list[asyncio.Server] = []
        self._port = 0
        self._tickers: list[asyncio.Task[None]] = []

    @property
    def port(self) -> int:
        """The port that was bound, also when settings.port is 0."""
        if not self._port:
            raise RuntimeError("the front has not been started")
        return self._port

    async def start(self) -> None:
        """Bind and listen. Raises OSError when the address is taken or not this machine's."""
        loop = asyncio.get_running_loop()
        for listener in _listeners(self._settings.host, self._settings.port):
            self._port = listener.getsockname()[1]
            self._servers.append(await loop.create_server(self.protocol, sock=listener, backlog=_BACKLOG))
        self._tickers = [asyncio.create_task(self._tell_time()), asyncio.create_task(self._watch_clients())]

    def protocol(self, identity: Identity | None = None) -> asyncio.Protocol:
        """A protocol for one connection. With an identity, the connection comes from inside that environment."""
        return cast(asyncio.Protocol, Connection(self._desk, self._routes, identity))

    def statistics(self) -> dict[str, int]:
        """Connections open now (from outside, from inside environments), requests of which a part has come, and ASGI
        requests under way."""
        connections = self._connections()
        inside = sum(connection.is_inside for connection in connections)
        return {
            "connections": len(connections) - inside,
            "environment_connections": inside,
            "receiving": sum(connection.is_receiving for connection in connections),
            "requests": len(self._desk.server_state.tasks),
        }

    async def drain(self, seconds: float) -> None:
        """Take no new connections and no new invocations; let what is under way finish, for at most `seconds`.

        Calls from inside environments are still served: what is under way may need them.
        """
        self._desk.draining = True
        for server in self._servers:
            server.close()
        for connection in self._connections():
            if not connection.is_inside:
                connection.shutdown()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wait_quiet(), seconds)

    async def stop(self) -> None:
        """Close everything at once."""
        self._desk.draining = True
        for server in self._servers:
            server.close()
        for ticker in self._tickers:
            ticker.cancel()
        for connection in self._connections():
            connection.transport.abort()
        # Applications see that their clients are gone and end by themselves; the others are made to.
        tasks = list(self._desk.server_state.tasks)
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=_STOP_S)
            for task in left:
                task.cancel()
        await asyncio.gather(*tasks, *self._tickers, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    async def _dispatch(self, scope: Any, receive: Any, send: Any) -> None:
        await self._application(scope, receive, send)

    def _connections(self) -> list[Connection]:
        return cast(list[Connection], list(self._desk.server_state.connections))

    async def _wait_quiet(self) -> None:
        """Until every client has its answers."""
        ended = self._desk.connection_ended
        while any(not (connection.is_inside or connection.is_lingering) for connection in self._connections()):
            ended.clear()
            await ended.wait()

    async def _tell_time(self) -> None:
        while True:
            await asyncio.sleep(1.0 - time.time() % 1.0)
            self._desk.tell_time()

    async def _watch_clients(self) -> None:
        interval = self._settings.slow_client_s / TICKS
        while True:
            await asyncio.sleep(interval)
            for connection in self._connections():
                try:
                    connection.check_progress()
                except Exception:
                    logger.exception("looking after a connection failed")


def _listeners(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of `host`, all on one port."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    for family, kind, protocol, _, address in dict.fromkeys(addresses):
        if listeners:
            address = (address[0], listeners[0].getsockname()[1], *address[2:])
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Accepted sockets inherit it: a client whose machine vanished is noticed while it waits for an answer.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            # A name like localhost may have an address that this machine does not: one that works is enough.
            if listeners or len(addresses) > 1:
                logger.info("not listening on %s", address[0])
                continue
            raise
        listener.setblocking(False)
        listeners.append(listener)
    if not listeners:
        raise OSError(f"no address of {host} could be bound to port {port}")
    return listeners
