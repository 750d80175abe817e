"""The `pilotlight` command. Commands are loaded when they run, so that `--help` and short calls answer at once.

What goes wrong for a reason the user can do something about is one sentence on stderr and an exit status (docs/cli.md
has them); a traceback is for bugs, and shown only on request.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import NamedTuple

import click

from pilotlight import __version__


class _Entry(NamedTuple):
    module: str
    short_help: str


#: command -> where it is, and its line in `pilotlight --help` (here, so that listing commands loads none of them)
COMMANDS: dict[str, _Entry] = {
    "up": _Entry("pilotlight.cli.up", "Start a node and serve until stopped."),
    "demo": _Entry("pilotlight.cli.demo", "Watch a real function run: a photo goes in, a thumbnail comes out."),
    "invoke": _Entry("pilotlight.cli.invoke", "Invoke a function and print what it returns."),
    "logs": _Entry("pilotlight.cli.logs", "Show a function's log; -f follows it as it is written."),
    "functions": _Entry("pilotlight.cli.functions", "List the functions of a node."),
    "bill": _Entry("pilotlight.cli.bill", "Show what a month would cost on AWS, by function."),
    "doctor": _Entry("pilotlight.cli.doctor", "Say what this machine can enforce and run, and how to close each gap."),
}


class _LazyGroup(click.Group):
    """A group whose commands are imported one at a time; a command is called as its module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        return getattr(importlib.import_module(entry.module), cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.short_help) for name, entry in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="pilotlight", message="%(prog)s %(version)s")
def pilotlight() -> None:
    """AWS Lambda for machines of your own: the same API, the same runtimes, no Docker, no AWS account.

    Start a node with `pilotlight up` and point boto3, the AWS CLI, Terraform or SAM at http://localhost:4566.
    """


def main() -> None:
    """The console script."""
    try:
        pilotlight(prog_name="pilotlight")
    except Exception as error:
        if os.environ.get("PILOTLIGHT_TRACEBACK"):
            raise
        click.echo(f"Error: {type(error).__name__}: {error}", err=True)
        click.echo("This is a fault in Pilotlight; PILOTLIGHT_TRACEBACK=1 shows where.", err=True)
        sys.exit(70)
