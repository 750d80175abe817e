"""Installs the tools people drive Lambda with, pinned, under .cache/clients, for the tests here to run.

`make clients` runs this. What is there in the wanted version is left alone; what cannot be had on this machine is said
in a sentence, and its tests then skip. Everything comes from the package registries the machine is set to.

    python tests/clients/install.py [NAME ...]
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALLED = HERE.parents[1] / ".cache" / "clients"
STAMP = ".installed"

OLDEST_NODE = 20
OPENTOFU = "github.com/opentofu/opentofu@v1.12.6"


class NotInstallable(Exception):
    """The message says what is missing here, or what the registry answered."""


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What the command wrote; NotInstallable with its last words if it failed."""
    try:
        done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotInstallable(str(error)) from None
    if done.returncode:
        raise NotInstallable("\n".join((done.stderr or done.stdout).strip().splitlines()[-5:]))
    return done.stdout


def require(program: str, what_for: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise NotInstallable(f"there is no `{program}` here, {what_for}")
    return found


def python_client(name: str) -> Callable[[Path], None]:
    """A venv of the client's own: its pins must not bind ours, nor ours its."""

    def install(place: Path) -> None:
        run(sys.executable, "-m", "venv", "--clear", place)
        pip = [place / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        # The lock is complete, and names no extras, which pip would ask for in hash mode.
        run(*pip, "--no-compile", "--no-deps", "--require-hashes", "-r", HERE / name / "requirements.lock")

    return install


def javascript(place: Path) -> None:
    version = run(require("node", "which the SDK for JavaScript runs on"), "--version").strip().removeprefix("v")
    if int(version.partition(".")[0]) < OLDEST_NODE:
        raise NotInstallable(f"the SDK for JavaScript needs Node.js {OLDEST_NODE} or newer; this is {version}")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "javascript" / name, place)
    run(require("npm", "which installs the SDK for JavaScript"), "ci", "--no-audit", "--no-fund", cwd=place)


def terraform(place: Path) -> None:
    """The AWS provider, and OpenTofu where there is no Terraform; two minutes each."""
    require("go", "which builds terraform-provider-aws")
    run(sys.executable, HERE / "terraform" / "provider.py", place / "source", place / "terraform-provider-aws")
    shutil.rmtree(place / "source")
    if not shutil.which("terraform") and not shutil.which("tofu"):
        # `go install` refuses a module that replaces others, as OpenTofu does; built in its own directory it is fine.
        source = json.loads(run("go", "mod", "download", "-json", OPENTOFU, cwd=place))["Dir"]
        run("go", "build", "-buildvcs=false", "-trimpath", "-o", place / "tofu", "./cmd/tofu", cwd=Path(source))


# Each client, with the files that decide what is installed.
CLIENTS: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "chalice": (python_client("chalice"), ["chalice/requirements.lock"]),
    "javascript": (javascript, ["javascript/package-lock.json"]),
    "sam": (python_client("sam"), ["sam/requirements.lock"]),
    "terraform": (terraform, ["terraform/provider.py", "terraform/go.mod", "terraform/go.sum"]),
}


def wanted(name: str) -> str:
    """A digest of what decides what is installed, and whether it still runs: locks, interpreter, place, and how."""
    digest = hashlib.sha256(f"{sys.base_prefix} {sys.version} {INSTALLED}".encode())
    for path in (Path(__file__), *(HERE / file for file in CLIENTS[name][1])):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def installed(name: str) -> Path | None:
    """Where the client is, in the wanted version; None if it is not there."""
    stamp = INSTALLED / name / STAMP
    return stamp.parent if stamp.exists() and stamp.read_text() == wanted(name) else None


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One installation at a time, whoever started it."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(names: list[str]) -> int:
    missing = 0
    with alone():
        for name in names or CLIENTS:
            if installed(name):
                continue
            place, began_s = INSTALLED / name, time.monotonic()
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            try:
                CLIENTS[name][0](place)
            except NotInstallable as error:
                missing += 1
                shutil.rmtree(place, ignore_errors=True)
                print(f"{name}: not installed, so its tests will skip: {error}", flush=True)
                continue
            (place / STAMP).write_text(wanted(name))
            print(f"{name}: installed in {time.monotonic() - began_s:.0f} s", flush=True)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
