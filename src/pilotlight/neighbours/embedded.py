"""The embedded neighbours: moto's server in a process of its own, started on first use, started again when it died.

What it holds is in memory. Whoever keeps something about it (the S3 notification settings) is told of each fresh
process by `fresh`, before the first request reaches it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from pilotlight.errors import ServiceUnavailableException
from pilotlight.neighbours.client_session import client_session

logger = logging.getLogger(__name__)

START_LIMIT_S = 60.0
STOP_LIMIT_S = 5.0
#: how long a process that refuses connections is given to turn out dead
DEATH_LIMIT_S = 1.0
LOG_LIMIT_BYTES = 10_000_000
#: each is a thread in the process, and long polls hold theirs
CONNECTION_LIMIT = 512
#: sockaddr_un holds 108 bytes, the closing zero included
_LONGEST_SOCKET_PATH = 107

#: so that moto neither calls out, nor admits web pages, nor takes the first label of a host name for a bucket
_MOTO_SETTINGS = {
    "MOTO_EVENTS_INVOKE_HTTP": "false",
    "MOTO_DISABLE_GLOBAL_CORS": "true",
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
_NOT_PASSED_ON = ("AWS_", "MOTO_", "S3_", "TEST_SERVER_MODE", "PILOTLIGHT_", "WERKZEUG_")


class Embedded:
    """One moto process at a time. `session()` is the way in; `stop()` ends it."""

    def __init__(self, data_dir: Path, account_id: str, fresh: Callable[[], Awaitable[None]]) -> None:
        self._directory = data_dir / "neighbours"
        self._account_id = account_id
        self._fresh = fresh
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._exits = contextlib.AsyncExitStack()
        self.starts = 0

    @property
    def log_path(self) -> Path:
        return self._directory / "moto.log"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def session(self) -> aiohttp.ClientSession:
        """A client session connected to the running process. Starts it when there is none: callers share one start.

        Raises ServiceUnavailableException when it does not come up.
        """
        if self.pid is None or self._session is None:
            async with self._lock:
                if self.pid is None or self._session is None:
                    await self._clean_up()
                    await self._start()
        assert self._session is not None
        return self._session

    async def lost(self, session: aiohttp.ClientSession) -> None:
        """A connection over `session` was refused. When its process is dead or dying it is not used again; one that
        lives on (and was only busy) is left alone, because its death would lose what it holds."""
        async with self._lock:
            process = self._process
            if self._session is not session or process is None:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), DEATH_LIMIT_S)
                await self._clean_up()

    async def stop(self) -> None:
        async with self._lock:
            await self._clean_up()

    async def _start(self) -> None:
        stack = contextlib.AsyncExitStack()
        try:
            socket_path = self._socket_path(stack)
            process = await self._spawn(socket_path)
            self._process = process
            stack.push_async_callback(self._end, process)
            await self._wait_until_ready(process)
            await self._fresh()
            self._session = client_session(aiohttp.UnixConnector(path=socket_path, limit=CONNECTION_LIMIT))
            stack.push_async_callback(self._session.close)
        except BaseException:
            await stack.aclose()
            self._process = self._session = None
            raise
        self._exits = stack
        self.starts += 1

    def _socket_path(self, stack: contextlib.AsyncExitStack) -> str:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        path = self._directory / "moto.sock"
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pilotlight-"))) / "moto.sock"
        path.unlink(missing_ok=True)
        stack.callback(path.unlink, missing_ok=True)
        return str(path)

    async def _spawn(self, socket_path: str) -> asyncio.subprocess.Process:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}
        environ |= _MOTO_SETTINGS | {"MOTO_ACCOUNT_ID": self._account_id}
        with contextlib.suppress(FileNotFoundError):
            if self.log_path.stat().st_size > LOG_LIMIT_BYTES:
                self.log_path.unlink()
        # A session of its own: Ctrl-C in the terminal is the node's, which drains before it lets this process go.
        with self.log_path.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "pilotlight.neighbours.moto_process", socket_path),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=environ,
                start_new_session=True,
            )

    async def _wait_until_ready(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_LIMIT_S)
        except TimeoutError:
            line = b""
        if line != b"ready\n":
            raise ServiceUnavailableException(f"The embedded neighbours did not start; see {self.log_path}.")

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Its standard input closed, it goes at once; killed when it does not."""
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_LIMIT_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _clean_up(self) -> None:
        if self._process is not None and self._process.returncode is not None:
            logger.warning("the embedded neighbours ended with %s; see %s", self._process.returncode, self.log_path)
        self._session = self._process = None
        exits, self._exits = self._exits, contextlib.AsyncExitStack()
        await exits.aclose()
