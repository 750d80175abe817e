"""What every client is given: the node by AWS's own environment variables, and nothing of the developer's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.install import installed
from tests.support import NodeProcess

LIMIT_S = 100.0
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environ(node: NodeProcess, tmp_path: Path) -> dict[str, str]:
    """A developer's shell with AWS set to the node: no configuration files, no proxy, no telemetry."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PILOTLIGHT_"))}
    return kept | {
        "AWS_ENDPOINT_URL": node.endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


@pytest.fixture
def run(environ: dict[str, str]) -> Run:
    """Run a client to its end; it must succeed unless `status` says otherwise."""

    def run_client(
        *command: str | Path, cwd: Path | None = None, input: str = "", status: int = 0, **more: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            env=environ | more,
            input=input,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == status, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    return run_client


def place_of(client: str) -> Path:
    """Where `make clients` put it; the test is skipped where it has not."""
    place = installed(client)
    if place is None:
        pytest.skip(f"the {client} client is not installed (make clients)")
    return place
