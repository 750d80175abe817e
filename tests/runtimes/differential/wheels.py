"""Real distributions for handlers to vendor, fetched once into the tests' cache; None where that cannot be done."""

from __future__ import annotations

import shutil
import subprocess
import sys
import uuid
from pathlib import Path


def vendored(names: tuple[str, ...], cache_dir: str, python_version: str) -> Path | None:
    """A directory with these distributions installed for that Python (`3.11`), world-readable."""
    target = Path(cache_dir) / "wheels" / f"{python_version}-{'-'.join(names)}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.with_name(f".{uuid.uuid4().hex}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--retries=1"]
    command += ["--disable-pip-version-check", "--timeout=10", "--python-version", python_version]
    done = subprocess.run([*command, "--target", str(work), *names], capture_output=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(work, ignore_errors=True)
        return None
    for path in [work, *work.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        work.rename(target)
    except OSError:  # another worker was first
        shutil.rmtree(work, ignore_errors=True)
    return target
