"""Numbered steps on a terminal or in a CI log: what is being done, whether it worked, how long it took."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Generator

import click

TITLE_WIDTH = 56


class StepFailed(Exception):
    """A step ended for the reason in the message; the report has been printed up to there."""


class Step:
    """The step being taken; `note` is shown behind its time when it is done."""

    def __init__(self) -> None:
        self.note = ""


class Steps:
    """Prints each step when it begins (on a terminal) and when it ends (everywhere)."""

    def __init__(self) -> None:
        self._count = 0
        self._terminal = sys.stdout.isatty()
        encoding = (sys.stdout.encoding or "ascii").lower()
        self._done, self._failed = ("✓", "✗") if encoding.startswith("utf") else ("ok", "FAILED")

    @contextlib.contextmanager
    def step(self, title: str) -> Generator[Step]:
        """Time the block. An exception in it is printed as this step's failure and becomes StepFailed."""
        self._count += 1
        label = f"{self._count:3}  {title}"
        if self._terminal:
            click.echo(f"     {label} …", nl=False)
            sys.stdout.flush()
        step = Step()
        started = time.perf_counter()
        try:
            yield step
        except Exception as error:
            self._end(click.style(self._failed, fg="red", bold=True), label, time.perf_counter() - started, "")
            raise StepFailed(f"Step {self._count}, “{title}”: {error}") from error
        except KeyboardInterrupt:
            click.echo()
            raise
        self._end(click.style(self._done, fg="green", bold=True), label, time.perf_counter() - started, step.note)

    def _end(self, mark: str, label: str, seconds: float, note: str) -> None:
        if self._terminal:
            click.echo("\r\033[K", nl=False)
        took = f"{seconds:6.2f} s" if seconds >= 1 else f"{seconds * 1000:5.0f} ms"
        click.echo(f"  {mark}  {label:{TITLE_WIDTH}}{took}   {click.style(note, dim=True)}".rstrip())
        sys.stdout.flush()
