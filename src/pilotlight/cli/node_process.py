"""A node in a process of its own, started as a user would: for the demo, for `make bench` and for end-to-end tests."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0
_PR_SET_PDEATHSIG = 1
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NodeDidNotStart(Exception):
    """The message has what the node wrote."""


class NodeProcess:
    """One `pilotlight up`. `settings` are Settings fields by name; port 0 unless given.

    `log_path` has everything it wrote. `kill` is SIGKILL; `stop` is SIGTERM and waits for the drain. After either,
    `start` may be called again: the same data directory, and the same port.
    """

    def __init__(self, data_dir: Path, *, dies_with_us: bool = False, **settings: Any) -> None:
        self.data_dir = data_dir
        self.settings = settings
        self.log_path = data_dir.with_name(data_dir.name + ".log")
        self.port: int = settings.pop("port", 0)
        self._dies_with_us = dies_with_us
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the node is not running")
        return self._process.pid

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self) -> None:
        """Return when `/_pilotlight/health` answers 200. Raises NodeDidNotStart with what the node wrote."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        serving = self.data_dir / "node.json"
        serving.unlink(missing_ok=True)
        # Settings go by environment variable: one spelling for all of them, and none leaks in from ours.
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PILOTLIGHT_")}
        for name, value in {"port": self.port, "data_dir": str(self.data_dir), **self.settings}.items():
            environ[f"PILOTLIGHT_{name.upper()}"] = value if isinstance(value, str) else json.dumps(value)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pilotlight", "up"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environ,
                # A terminal's Ctrl-C is for us alone: we stop the node when we have told the user.
                start_new_session=self._dies_with_us,
                preexec_fn=_die_with_parent if self._dies_with_us else None,
            )
        deadline = time.monotonic() + START_LIMIT_S
        while not self._serves(serving):
            status = self._process.poll()
            if status is not None:
                self._process = None
                raise NodeDidNotStart(f"`pilotlight up` ended with status {status}:\n{self.log().rstrip()}")
            if time.monotonic() > deadline:
                self.kill()
                raise NodeDidNotStart(f"`pilotlight up` does not serve after {START_LIMIT_S:.0f} s:\n{self.log()}")
            time.sleep(0.005)

    def _serves(self, serving: Path) -> bool:
        try:
            facts = json.loads(serving.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return False
        if facts["pid"] != self.pid:
            return False
        self.port = facts["port"]
        try:
            with _DIRECT.open(f"{self.endpoint}/_pilotlight/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL: what a power cut leaves."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM and wait; the exit status. TimeoutError (and SIGKILL) when that takes over `STOP_LIMIT_S`."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(how)
        try:
            return process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise TimeoutError(f"the node did not stop within {STOP_LIMIT_S:.0f} s:\n{self.log()}") from None


def _die_with_parent() -> None:
    """In the child before exec: SIGTERM when we end in whatever way, so that no demo leaves a node behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
