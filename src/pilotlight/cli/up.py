"""`pilotlight up`: one node in the foreground, until SIGTERM or Ctrl-C.

`<data-dir>/node.json` ({"pid", "host", "port"}) exists while the node serves, so that a script which asked for
`--port 0` learns where. Exit status: 0 after a clean stop, 1 when the node could not start, 2 for a wrong setting.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pilotlight.settings import Settings


@click.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes any free one. [default: 4566]")
@click.option("--data-dir", metavar="DIR", help="Where functions, queues and logs are kept. [default: .pilotlight]")
@click.option("--region", help="Region of callers who name none. [default: us-east-1]")
@click.option("--account-id", metavar="DIGITS", help="Account of callers who name none. [default: 000000000000]")
@click.option(
    "--auth",
    type=click.Choice(["none", "sigv4"]),
    help="Whether signatures are checked, against the setting access_keys. [default: none]",
)
@click.option(
    "--sandbox",
    type=click.Choice(["auto", "namespaces", "process"]),
    help="How functions are confined; auto takes the best this machine allows. [default: auto]",
)
@click.option(
    "--network",
    type=click.Choice(["none", "host"]),
    help="What functions reach besides this node: nothing, or all that the machine can. [default: none]",
)
@click.option(
    "--runtime-fallback",
    type=click.Choice(["none", "nearest"]),
    help="Run a function whose Python is missing on the nearest one, or refuse it. [default: none]",
)
@click.option("--concurrency", type=click.IntRange(1), help="Concurrent executions of an account. [default: 1000]")
@click.option(
    "--state-delay-ms",
    type=click.IntRange(0),
    help="How long a create stays Pending and an update InProgress. [default: 100]",
)
@click.option(
    "--neighbours/--no-neighbours", default=None, help="S3, SQS, DynamoDB and others beside Lambda. [default: on]"
)
@click.option("--drain-s", type=float, help="Seconds that calls in flight get when the node is stopped. [default: 10]")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="What the node says about itself on stderr. [default: info]",
)
@click.option("--settings", "file", metavar="FILE", help="A TOML file of settings; flags and PILOTLIGHT_* win over it.")
def up(file: str | None, **flags: Any) -> None:
    """Start a node and serve until SIGTERM or Ctrl-C.

    Every setting can also come from a TOML file (--settings) or from the environment as PILOTLIGHT_<NAME>: see
    docs/settings.md. A node listens on loopback unless --auth sigv4 is set.
    """
    started = time.perf_counter()
    from pilotlight.settings import SettingsError, load

    try:
        settings = load(file, **flags)
    except SettingsError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    import uvloop

    _log_to_stderr(settings.log_level)
    with _failures_as_sentences(settings):
        uvloop.run(_serve(settings, started))


async def _serve(settings: Settings, started: float) -> None:
    import asyncio
    import signal

    from pilotlight.cli.banner import start_banner
    from pilotlight.clock import SystemClock
    from pilotlight.node import Node

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Node(settings, clock=SystemClock()) as node:
        with _node_file(settings, node.port):
            click.echo(start_banner(settings, node.facts(), node.port, time.perf_counter() - started))
            sys.stdout.flush()
            await stop.wait()
        # A second signal means now: whoever sends it has waited long enough.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        click.echo("Stopping; calls in flight may finish.", err=True)
        await node.drain()


@contextlib.contextmanager
def _node_file(settings: Settings, port: int) -> Generator[None]:
    import json
    import os

    path = settings.data_path / "node.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"pid": os.getpid(), "host": settings.host, "port": port}) + "\n")
    partial.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _failures_as_sentences(settings: Settings) -> Generator[None]:
    """What can go wrong on a user's machine when a node starts, each as one sentence."""
    import errno

    from pilotlight.settings import SettingsError
    from pilotlight.store.interface import StoreError

    try:
        yield
    except SettingsError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except StoreError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sentence = (
                f"Port {settings.port} on {settings.host} is taken by another process. "
                "Choose another with --port, or --port 0 for any free one."
            )
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC) and error.filename:
            sentence = f"Cannot use {error.filename}: {error.strerror}. Choose another directory with --data-dir."
        elif error.errno in (errno.EADDRNOTAVAIL, errno.EACCES):
            sentence = f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}."
        else:
            raise
        click.echo(f"Error: {sentence}", err=True)
        sys.exit(1)


def _log_to_stderr(level: str) -> None:
    import logging

    formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
    formatter.default_msec_format = "%s.%03dZ"
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    # One line per S3 call of a function is for those who debug the node.
    if level != "debug":
        for chatty in ("botocore", "urllib3", "asyncio"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
