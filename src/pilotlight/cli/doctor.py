"""`pilotlight doctor`: what this machine can enforce and run, found by trying, and what to do about each gap."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pilotlight.cli.machine import Finding
    from pilotlight.runtimes.python.launcher import LauncherFacts
    from pilotlight.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
@click.option("--settings", "file", metavar="FILE", help="A TOML file of settings, as for `pilotlight up`.")
def doctor(as_json: bool, file: str | None) -> None:
    """Say what this machine can enforce and run, and what to do about each gap.

    Looks for the Pythons that functions need and tries the confinement they get. The exit status is 0 unless no
    function could run here at all, then 1.
    """
    from pilotlight.settings import SettingsError, load

    try:
        settings = load(file)
    except SettingsError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    findings, able = examine(settings)
    if as_json:
        report = {
            "able": able,
            "findings": [{name: getattr(f, name) for name in f.__struct_fields__} for f in findings],
        }
        click.echo(json.dumps(report, indent=2))
    else:
        _print(findings, able)
    sys.exit(0 if able else 1)


def examine(settings: Settings) -> tuple[list[Finding], bool]:
    """All findings, and whether any function can run here."""
    from pilotlight.cli.machine import Finding, machine_findings
    from pilotlight.runtimes.python.launcher import PythonLauncher
    from pilotlight.sandbox.errors import LaunchError

    async def look() -> LauncherFacts:
        launcher = PythonLauncher(settings)
        await launcher.start()
        try:
            return launcher.describe()
        finally:
            await launcher.stop()

    findings: list[Finding] = []
    executables = [sys.executable]
    able = False
    try:
        facts = asyncio.run(look())
    except LaunchError as error:
        findings.append(Finding("sandbox", "gap", str(error), "Use --sandbox auto to run with less, said out loud."))
    else:
        able = bool(facts.interpreters)
        executables += [described.split(" ", 1)[1] for described in facts.interpreters.values()]
        findings += _confinement(facts)
        findings += _runtimes(facts)
    findings += machine_findings(executables, settings.data_path)
    return findings, able


def _confinement(facts: LauncherFacts) -> list[Finding]:
    from pilotlight.cli.machine import Finding

    confined = facts.driver != "process"
    findings = [Finding("sandbox", "ok" if confined else "gap", f"{facts.driver}: {facts.reason}")]
    for gap in facts.not_enforced:
        what, _, why = gap.partition(": ")
        findings.append(Finding("not enforced", "gap", f"{what}: {why}" if why else what))
    return findings


def _runtimes(facts: LauncherFacts) -> list[Finding]:
    from pilotlight.cli.machine import Finding

    findings = [Finding(runtime, "ok", described) for runtime, described in facts.interpreters.items()]
    for runtime in facts.missing:
        version = runtime.removeprefix("python")
        findings.append(
            Finding(
                runtime,
                "gap" if not facts.interpreters else "info",
                "no interpreter found; its functions are refused",
                f"`uv python install {version}` or `pyenv install {version}`, or interpreters = "
                f'{{"{runtime}" = "/path/to/{runtime}"}} in the settings, or --runtime-fallback nearest.',
            )
        )
    return findings


def _print(findings: list[Finding], able: bool) -> None:
    colours = {"ok": "green", "gap": "yellow", "info": "blue"}
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = click.style(finding.state.rjust(4), fg=colours[finding.state], bold=True)
        click.echo(f"  {mark}  {finding.name:{width}}  {finding.finding}")
        for line in finding.advice.splitlines():
            click.secho(f"  {'':4}  {'':{width}}  {line}", dim=True)
    gaps = sum(finding.state == "gap" for finding in findings)
    click.echo()
    if not able:
        click.secho("No function can run here yet.", fg="red", bold=True)
    elif gaps:
        click.echo(f"Functions run here. {gaps} gap{'s' if gaps > 1 else ''}, as marked.")
    else:
        click.echo("Functions run here, with everything enforced.")
