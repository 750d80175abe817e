"""What `pilotlight up` says when it serves: where, with what confinement, and what a user must not take for granted."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from pilotlight import __version__
from pilotlight.settings import Settings


def start_banner(settings: Settings, facts: Mapping[str, Any], port: int, seconds: float) -> str:
    """The banner, styled (click strips that where stdout is no terminal). `facts` are those of Node.facts()."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{port}"
    lines = [
        "",
        f"  {_flame()}{click.style('Pilotlight', bold=True)} {__version__} is lit, in {seconds * 1000:.0f} ms",
        "",
        _fact("endpoint", click.style(url, bold=True) + f"   region {settings.region}, account {settings.account_id}"),
        _fact("data", str(settings.data_path)),
        _fact("sandbox", _sandbox(facts)),
    ]
    lines += [_fact("", click.style(f"not enforced: {gap}", fg="yellow")) for gap in facts["not_enforced"]]
    lines += [
        _fact("runtimes", ", ".join(facts["interpreters"]) or "none found: see `pilotlight doctor`"),
        _fact("auth", _auth(settings)),
        *(_fact("" if index else "neighbours", sentence) for index, sentence in enumerate(facts["neighbours"])),
        "",
        f"  Point any AWS client here: endpoint URL {url}, {_credentials(settings)}.  Ctrl-C stops the node.",
        "",
    ]
    return "\n".join(lines)


def _fact(name: str, value: str) -> str:
    return f"    {click.style(name.ljust(12), dim=True)}{value}"


def _flame() -> str:
    encoding = (sys.stdout.encoding or "").lower()
    return "🔥 " if encoding.startswith("utf") and sys.stdout.isatty() else ""


def _sandbox(facts: Mapping[str, Any]) -> str:
    if facts["driver"] == "process":
        warning = click.style("process: functions are NOT isolated from this machine or from each other", fg="red")
        return f"{warning} ({facts['reason']})"
    return str(facts["reason"])


def _auth(settings: Settings) -> str:
    if settings.auth == "none":
        return "none: for development, everything is allowed to whoever reaches this port"
    count = len(settings.access_keys)
    return f"sigv4: requests are signed with one of {count} access key{'s' if count != 1 else ''}"


def _credentials(settings: Settings) -> str:
    return "any credentials" if settings.auth == "none" else "a configured key"
