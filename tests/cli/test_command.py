"""The `pilotlight` command itself: its help, how quickly it is there, and what a fault looks like."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from pilotlight import __version__, cli


def run(*arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pilotlight", *arguments], capture_output=True, text=True, timeout=60, **options
    )


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(cli.pilotlight, ["--help"])
    assert result.exit_code == 0
    for name, entry in cli.COMMANDS.items():
        assert name in result.output
        assert entry.short_help.split()[0] in result.output


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_of_a_command(name: str) -> None:
    result = CliRunner().invoke(cli.pilotlight, [name, "--help"], prog_name="pilotlight")
    assert result.exit_code == 0, result.output
    assert f"Usage: pilotlight {name}" in result.output


def test_short_form_of_help_and_version() -> None:
    assert CliRunner().invoke(cli.pilotlight, ["-h"]).exit_code == 0
    assert __version__ in CliRunner().invoke(cli.pilotlight, ["--version"]).output


def test_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(cli.pilotlight, ["nonsense"])
    assert result.exit_code == 2
    assert "No such command 'nonsense'" in result.output


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['pilotlight', '--help']\n"
        "from pilotlight.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'botocore', 'boto3', 'uvloop', 'aiohttp', 'apsw', 'moto', 'msgspec', 'pilotlight.node'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "loaded: []" in result.stdout, result.stdout + result.stderr


def test_a_fault_of_ours_is_a_sentence_and_a_traceback_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("the moon is down")

    monkeypatch.setattr(cli.pilotlight, "callback", broken)
    monkeypatch.setattr(sys, "argv", ["pilotlight", "functions"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 70
    monkeypatch.setenv("PILOTLIGHT_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        cli.main()
