"""What an environment is given: the tools it works with, the same for all of a node, and the owner it reports to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from pilotlight.catalog.credentials import CredentialIssuer, Identity
from pilotlight.catalog.records import FunctionVersion
from pilotlight.clock import Clock
from pilotlight.environments.code import Directories
from pilotlight.environments.output_turns import OutputTurns
from pilotlight.environments.streaming import StreamLimits
from pilotlight.observe.logs import LogStore
from pilotlight.sandbox.spec import LaunchSpec, RuntimeProcess, Sandbox

if TYPE_CHECKING:
    from pilotlight.environments.environment import Environment


class Launcher(Protocol):
    async def launch(self, spec: LaunchSpec, sandbox: Sandbox | None = None) -> RuntimeProcess: ...


class EnvironmentTools(msgspec.Struct, frozen=True):
    """What every environment of a node is made with."""

    launcher: Launcher
    directories: Callable[[FunctionVersion], Awaitable[Directories]]
    """Where the version's package and its layers lie unpacked, ready to run."""
    runtime_notice: Callable[[FunctionVersion], str]
    """Words for START when the function runs on another interpreter than it asked for; "" otherwise."""
    log_store: LogStore
    output_turns: OutputTurns
    credentials: CredentialIssuer
    clock: Clock
    endpoint_protocol: Callable[[Identity], asyncio.Protocol]
    network: Literal["none", "host"]
    stream_limits: StreamLimits
    provisioned_init: Callable[[FunctionVersion, float], None]
    """Told of each initialisation of provisioned concurrency, with its milliseconds: it is billed."""


class EnvironmentOwner(Protocol):
    """The pool, as an environment sees it."""

    def available(self, environment: Environment) -> None:
        """It can take an invocation: initialised and idle, or its init phase failed and it waits for a retry."""
        ...

    def start_failed(self, environment: Environment, reason: str) -> None:
        """No process could be made at all."""
        ...

    def lost(self, environment: Environment) -> None:
        """Its process died while it was idle."""
        ...

    def gone(self, environment: Environment) -> None: ...
