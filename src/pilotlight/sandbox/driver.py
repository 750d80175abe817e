"""Which driver confines functions on this machine, and what it cannot enforce here: found by trying, said out loud."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any, Literal

import msgspec

from pilotlight.sandbox.errors import LaunchError
from pilotlight.sandbox.namespaces import UidRange, root_plan, seccomp_works

Wanted = Literal["auto", "namespaces", "process"]

_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
_PROBE_SECONDS = 20.0


class Driver(msgspec.Struct, frozen=True):
    """The choice, with its reasons. `mode` is how the zygote enters: as root, in a user namespace, or not at all."""

    name: Literal["namespaces", "process"]
    mode: Literal["root", "user", "process"]
    reason: str
    """Why this one, as a sentence; when it is second best, what was refused."""
    not_enforced: tuple[str, ...]
    """What a function is not kept from here, each with its cause."""


class _Answer(msgspec.Struct):
    error: str
    nested_user_namespace: bool
    cgroup_namespace: bool


async def choose_driver(wanted: Wanted, probe_script: str) -> Driver:
    """Try what `wanted` allows, best first. `probe_script` is run as `<python> -I -S <script> probe <plan>`.

    Raises LaunchError when `namespaces` was asked for by name and the machine refuses it.
    """
    if wanted == "process":
        return _process("asked for by the setting sandbox=process")
    if sys.platform != "linux":
        refused = [f"namespaces are Linux's, this is {sys.platform}"]
    else:
        refused: list[str] = []
        modes: tuple[Literal["root", "user"], ...] = ("root", "user") if os.geteuid() == 0 else ("user",)
        for mode in modes:
            answer = await _probe(mode, probe_script)
            if not answer.error:
                return _namespaces(mode, answer, refused)
            refused.append(f"{_WORDS[mode]}: {answer.error}{_advice(answer.error)}")
    if wanted == "namespaces":
        raise LaunchError("this machine refuses what the namespaces driver needs: " + "; ".join(refused))
    return _process("namespaces are refused here: " + "; ".join(refused))


_WORDS = {"root": "as root", "user": "in a user namespace"}


def _namespaces(mode: Literal["root", "user"], answer: _Answer, refused: list[str]) -> Driver:
    gaps: list[str] = ["memory and CPU limits: control groups are not used yet; /tmp and process counts are limited"]
    if not seccomp_works():
        gaps.append("system calls: this kernel has no seccomp filters, or this machine's call numbers are not known")
    if not answer.nested_user_namespace:
        gaps.append("uid 993 inside: nested user namespaces are refused, so a function sees the uid it really has")
    if not answer.cgroup_namespace:
        gaps.append("a view of control groups of its own: cgroup namespaces are refused")
    if mode == "user":
        gaps.append("a uid per environment: without root all share this user's, kept apart by namespaces alone")
    reason = f"namespaces {_WORDS[mode]}"
    return Driver("namespaces", mode, "; ".join([reason, *refused]), tuple(gaps))


def _process(reason: str) -> Driver:
    gaps = (
        "isolation: functions run as ordinary processes of this user and can read and signal whatever it can",
        "/tmp, /opt and /var/task: TMPDIR and LAMBDA_TASK_ROOT name the places used instead; layers are on the search "
        "paths (sys.path, PATH, LD_LIBRARY_PATH) one after the other, and not at /opt",
        "the network: functions reach what this machine reaches",
        "memory, CPU and /tmp limits",
    )
    return Driver("process", "process", reason, gaps)


async def _probe(mode: Literal["root", "user"], script: str) -> _Answer:
    plan: dict[str, Any] = root_plan(mode, "none", runtime_set=os.path.dirname(script), prefixes=["/usr"], hidden=[])
    plan["uid"] = UidRange(mode).take()
    err = b""
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            script,
            "probe",
            json.dumps(plan),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        out, err = await asyncio.wait_for(process.communicate(), _PROBE_SECONDS)
        return msgspec.json.decode(out, type=_Answer)
    except (OSError, TimeoutError) as error:
        return _Answer(str(error) or type(error).__name__, False, False)
    except msgspec.MsgspecError:
        lines = err.decode(errors="replace").strip().splitlines()
        return _Answer(lines[-1] if lines else "the probe said nothing", False, False)


def _advice(error: str) -> str:
    try:
        with open(_APPARMOR) as file:
            if file.read().strip() == "1" and os.geteuid() != 0:
                return " (AppArmor keeps them from this user; `pilotlight doctor` prints the profile that allows them)"
    except OSError:
        pass
    if "No space left" in error:
        return " (user.max_user_namespaces is 0 or used up)"
    return ""
