"""`pilotlight demo`: the main job, end to end, as CI and a user's shell see it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pilotlight.cli.demo_package import vendored_pillow, with_pillow
from pilotlight.cli.steps import StepFailed, Steps
from pilotlight.settings import load


@pytest.fixture(scope="module")
def pillow() -> Path:
    try:
        return vendored_pillow(load().cache_path)
    except RuntimeError as error:
        pytest.skip(f"Pillow is neither cached nor to be had: {error}")


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pilotlight", "demo", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
    )


def test_a_photo_becomes_a_thumbnail(pillow: Path) -> None:
    result = demo()
    output = result.stdout
    assert result.returncode == 0, output + result.stderr
    assert "4000 x 3000 JPEG" in output
    assert re.search(r"300 x 225 JPEG", output)
    for line in ("START RequestId:", "END RequestId:", "REPORT RequestId:", "became 300 x 225"):
        assert line in output, output
    report = next(line for line in output.splitlines() if "REPORT RequestId:" in line)
    for part in ("Duration:", "Billed Duration:", "Memory Size: 512 MB", "Max Memory Used:", "Init Duration:"):
        assert part in report
    assert re.search(r"cold.*p50 [\d.]+ ms", output)
    assert re.search(r"warm.*p50 [\d.]+ ms", output)
    assert re.search(r"would cost \$0\.\d+", output)
    assert "aws --endpoint-url http://127.0.0.1:" in output
    steps = [line for line in output.splitlines() if re.match(r"\s+(✓|ok)\s+\d+  ", line)]
    assert len(steps) >= 12
    assert all(re.search(r"\d m?s\b", step) for step in steps)


def test_your_own_picture_with_a_name_that_needs_encoding(pillow: Path, tmp_path: Path) -> None:
    picture = tmp_path / "grüße + co.png"
    script = f"from PIL import Image; Image.new('RGB', (640, 960), 'teal').save({str(picture)!r})"
    subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(pillow)}, check=True)
    result = demo("--image", str(picture))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "200 x 300 PNG" in result.stdout


def test_a_step_that_fails_is_named_with_its_cause(pillow: Path, tmp_path: Path) -> None:
    (tmp_path / "no.jpg").write_text("not a picture")
    result = demo("--image", str(tmp_path / "no.jpg"))
    assert result.returncode == 1
    assert "Open no.jpg" in result.stderr
    assert "cannot identify image file" in result.stderr
    assert "The node's last lines" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_steps_report_time_note_and_failure(capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps()
    with steps.step("Light it") as step:
        step.note = "burning"
    with pytest.raises(StepFailed, match="Step 2, “Keep it lit”: no gas"), steps.step("Keep it lit"):
        raise OSError("no gas")
    done, failed = capsys.readouterr().out.splitlines()
    assert re.search(r"1  Light it +\d+ ms   burning", done)
    assert re.search(r"(✗|FAILED) +2  Keep it lit", failed)


def test_photo_is_twelve_megapixels(pillow: Path, tmp_path: Path) -> None:
    with_pillow(pillow, "make", tmp_path / "photo.jpg")
    assert with_pillow(pillow, "look", tmp_path / "photo.jpg") == "4000 3000 JPEG"
