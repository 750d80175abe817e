"""`make bench-peers`: the peers that can be installed here without Docker, under the same load as Pilotlight.

Each runs the same Python handler, as its own documentation says to run it, in a throwaway directory under .cache/peers.
A peer that cannot be had here gets a row that says why. The figures are warm calls: what each answers when nothing has
to be started.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import load, measures

CACHE = Path(".cache/peers").absolute()
START_LIMIT_S = 90
INSTALL_LIMIT_S = 600
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SERVERLESS_YML = """\
service: bench
frameworkVersion: "3"
provider: {{name: aws, runtime: {runtime}, region: us-east-1}}
plugins: [serverless-offline]
functions:
  hello: {{handler: app.handler}}
"""


class Peer(NamedTuple):
    """`open` installs if need be, starts it, and yields the URL that invokes the function."""

    name: str
    open: Callable[[], contextlib.AbstractContextManager[str]]


@contextlib.contextmanager
def pilotlight() -> Generator[str]:
    with measures.node() as node:
        yield measures.deploy(node, "hello")


@contextlib.contextmanager
def ministack() -> Generator[str]:
    venv = CACHE / "ministack"
    if not (venv / "bin/ministack").exists():
        install([sys.executable, "-m", "venv", str(venv)])
        install([str(venv / "bin/pip"), "install", "--quiet", "ministack"])
    port = free_port()
    with running([str(venv / "bin/ministack")], GATEWAY_PORT=str(port), LOG_LEVEL="WARNING"):
        wait_for(f"http://127.0.0.1:{port}/_ministack/health")
        with measures.Api(port) as api:
            api.create("hello", measures.HELLO)
        yield measures.invocations_url(f"http://127.0.0.1:{port}", "hello")


@contextlib.contextmanager
def serverless_offline() -> Generator[str]:
    if not (shutil.which("node") and shutil.which("npm")):
        raise RuntimeError("needs node and npm")
    home = CACHE / "serverless-offline"
    command = home / "node_modules/.bin/serverless"
    if not command.exists():
        home.mkdir(parents=True, exist_ok=True)
        # Version 3 is the last that asks for no account.
        packages = ["serverless@3", "serverless-offline@13"]
        install(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home), *packages])
    with tempfile.TemporaryDirectory(prefix="bench-serverless-") as directory:
        project = Path(directory)
        (project / "serverless.yml").write_text(SERVERLESS_YML.format(runtime=measures.RUNTIME))
        (project / "app.py").write_text(measures.HELLO)
        (project / "node_modules").symlink_to(home / "node_modules")
        ports = (free_port(), free_port())
        arguments = ["offline", "start", "--lambdaPort", str(ports[0]), "--httpPort", str(ports[1])]
        credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        quiet = {"SLS_TELEMETRY_DISABLED": "1", "SLS_NOTIFICATIONS_MODE": "off"}
        with running([str(command), *arguments], cwd=project, **credentials, **quiet):
            url = f"http://127.0.0.1:{ports[0]}/2015-03-31/functions/bench-dev-hello/invocations"
            wait_for(url, b"{}")
            yield url


PEERS = (Peer("Pilotlight", pilotlight), Peer("ministack", ministack), Peer("serverless-offline", serverless_offline))


def install(command: Sequence[str]) -> None:
    print(f"  installing: {' '.join(command[-3:])} …", file=sys.stderr)
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False
    )
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise RuntimeError(f"could not be installed: {last[0]}")


@contextlib.contextmanager
def running(command: Sequence[str], cwd: Path | None = None, **environ: str) -> Generator[None]:
    """A peer in a session of its own, so that whatever it started ends with it."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def check(url: str) -> None:
    """It must run the handler: a figure for anything else would be worthless."""
    request = urllib.request.Request(url, data=b'{"name": "bench"}', headers={"Authorization": load.AUTHORIZATION})
    with DIRECT.open(request, timeout=60) as answer:
        body = answer.read()
    if json.loads(body) != {"hello": "bench"}:
        raise RuntimeError(f"it answers {body[:100]!r}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url: str, body: bytes | None = None) -> None:
    """Until `url` answers anything at all but a refusal of the connection."""
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            DIRECT.open(url, body, timeout=10).close()
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"did not answer within {START_LIMIT_S} s")
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-peers BENCH_ARGS=…", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="length of each measurement (5)")
    options, _ = parser.parse_known_args()
    print(f"Warm calls of one Python handler, by {load.generator()}\n")
    heads = f"{'':20}{'1 connection, p50':>20}{'8 connections':>18}{'failed':>10}"
    print(heads + "\n" + "-" * len(heads))
    for peer in PEERS:
        try:
            with peer.open() as url:
                check(url)
                load.run(url, connections=8, seconds=2)
                one = load.run(url, connections=1, seconds=options.seconds)
                eight = load.run(url, connections=8, seconds=options.seconds)
                check(url)
        except Exception as error:
            print(f"{peer.name:20}not measured: {error}")
            continue
        failed = one.failed + eight.failed
        print(f"{peer.name:20}{one.p50_us / 1000:17.2f} ms{eight.rate:16,.0f}/s{failed:10}", flush=True)


if __name__ == "__main__":
    main()
