"""`pilotlight doctor`: what it finds is what there is, and each gap has its advice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from pilotlight.cli.machine import apparmor_profile, machine_findings
from pilotlight.runtimes.python.interpreters import RUNTIMES


def doctor(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pilotlight", "doctor", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environ},
    )


def test_says_what_runs_here() -> None:
    result = doctor()
    assert result.returncode == 0, result.stdout + result.stderr
    for name in ("sandbox", "kernel", "control groups", "Landlock", "seccomp", "open files", *RUNTIMES):
        assert name in result.stdout
    assert "Functions run here" in result.stdout


def test_json_names_this_python_and_advises_on_gaps() -> None:
    report = json.loads(doctor("--json").stdout)
    assert report["able"] is True
    findings = {finding["name"]: finding for finding in report["findings"]}
    assert findings[f"python{sys.version_info[0]}.{sys.version_info[1]}"]["state"] == "ok"
    missing = [findings[name] for name in RUNTIMES if findings[name]["state"] != "ok"]
    assert all("uv python install" in finding["advice"] for finding in missing)


def test_process_driver_is_a_gap_with_its_consequences() -> None:
    report = json.loads(doctor("--json", PILOTLIGHT_SANDBOX="process").stdout)
    sandbox = next(finding for finding in report["findings"] if finding["name"] == "sandbox")
    assert sandbox["state"] == "gap"
    gaps = [finding["finding"] for finding in report["findings"] if finding["name"] == "not enforced"]
    assert any(gap.startswith("isolation") for gap in gaps)


def test_wrong_setting_is_a_sentence() -> None:
    result = doctor(PILOTLIGHT_SANDBOX="armour")
    assert result.returncode == 2
    assert "sandbox" in result.stderr


def test_apparmor_profile_names_every_interpreter_once(tmp_path: Path) -> None:
    real = tmp_path / "python3.11"
    real.touch()
    link = tmp_path / "python3"
    link.symlink_to(real)
    profile = apparmor_profile([str(link), str(real), "/usr/bin/other"])
    assert profile.count(str(real)) == 1
    assert "/usr/bin/other" in profile
    assert "userns," in profile


def test_full_data_directory_is_found_by_its_nearest_parent(tmp_path: Path) -> None:
    findings = {finding.name: finding for finding in machine_findings([sys.executable], tmp_path / "a/b/c")}
    assert findings["data directory"].state == "ok"
