"""The same escapes and life cycle as an ordinary user: run once more under another uid when the tests run as root."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

_SUITES = ("test_escapes.py", "test_launch.py", "test_deaths.py", "test_randomness.py")


@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
@pytest.mark.timeout(300)
async def test_everything_holds_for_an_ordinary_user(pytestconfig: pytest.Config) -> None:
    user = pwd.getpwnam("nobody")
    home = Path(tempfile.mkdtemp(prefix="pilotlight-user-"))
    os.chown(home, user.pw_uid, user.pw_gid)
    try:
        environ = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "PILOTLIGHT_TEST_CACHE": str(home / "cache"),
            "PYTHONPATH": os.pathsep.join([str(pytestconfig.rootpath / "src"), *_site_packages()]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        python = await _python_for(user, environ)
        if python is None:
            pytest.skip("no interpreter of this version that an ordinary user can run with these libraries")
        suites = [str(Path(__file__).with_name(name)) for name in _SUITES]
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp", str(home / "tmp")]
        status, output = await _run([python, "-m", "pytest", *options, *suites], user, environ, pytestconfig.rootpath)
        assert status == 0, output[-6000:]
        assert " passed" in output
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _site_packages() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")]


async def _python_for(user: pwd.struct_passwd, environ: dict[str, str]) -> str | None:
    """This interpreter where that user can reach it, else the machine's own of the same version."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    check = "import pytest, pytest_asyncio, uvloop, msgspec, httptools, pilotlight.runtimes.python.launcher"
    for candidate in (sys.executable, shutil.which(version, path="/usr/local/bin:/usr/bin")):
        if candidate and (await _run([candidate, "-c", check], user, environ, Path("/")))[0] == 0:
            return candidate
    return None


async def _run(
    command: list[str], user: pwd.struct_passwd, environ: dict[str, str], directory: Path
) -> tuple[int, str]:
    def run() -> tuple[int, str]:
        try:
            done = subprocess.run(
                command,
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=[],
                env=environ,
                cwd=directory,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except OSError as error:
            return -1, str(error)
        return done.returncode, done.stdout.decode(errors="replace")

    return await asyncio.to_thread(run)
