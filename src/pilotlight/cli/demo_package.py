"""The demo's deployment package: the thumbnail function with Pillow vendored, zipped as AWS's tutorial has it.

Pillow comes from the package index as a wheel for the Python the function will run on, pinned by hash in
examples/thumbnail/requirements.txt, and is kept in the cache directory, so the second demo needs no network.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pilotlight

#: the function's runtime: that of this very Python, which is the one interpreter sure to be here
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"


def example_dir() -> Path:
    """Where examples/thumbnail is: inside an installed package, or in the source tree."""
    package = Path(pilotlight.__file__).parent
    for candidate in (package / "examples" / "thumbnail", package.parents[1] / "examples" / "thumbnail"):
        if (candidate / "app.py").is_file():
            return candidate
    raise FileNotFoundError("examples/thumbnail is neither in the installed package nor beside its source")


def vendored_pillow(cache: Path) -> Path:
    """The directory with Pillow in it, installed at first use. Raises RuntimeError with pip's own words."""
    requirements = example_dir() / "requirements.txt"
    version = requirements.read_text().split("pillow==", 1)[1].split()[0]
    target = cache / "demo" / f"pillow-{version}-{RUNTIME}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="pillow-", dir=target.parent))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--root-user-action", "ignore", "--only-binary=:all:", "--require-hashes", "--no-deps", "--no-compile"]
    done = subprocess.run(
        [*command, "--target", str(partial), "-r", str(requirements)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    try:
        if done.returncode != 0:
            raise RuntimeError(f"pip could not install Pillow {version} for {RUNTIME}:\n{done.stderr.strip()}")
        partial.chmod(0o755)
        if not target.is_dir():
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def build_zip(pillow: Path) -> bytes:
    """app.py and everything of Pillow's, at the root of the archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        archive.write(example_dir() / "app.py", "app.py")
        for path in sorted(pillow.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(pillow))
    return buffer.getvalue()


def with_pillow(pillow: Path, action: str, path: Path) -> str:
    """Run examples/thumbnail/photo.py in a process that has the vendored Pillow; what it printed."""
    done = subprocess.run(
        [sys.executable, "-B", str(example_dir() / "photo.py"), action, str(path)],
        env={**os.environ, "PYTHONPATH": str(pillow)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no output"]
        raise RuntimeError(f"Pillow cannot {action} {path.name}: {last[0]}")
    return done.stdout.strip()
