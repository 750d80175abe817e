"""The two programs assembled here, run for what they are: the init, and the system call filter."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from pilotlight.sandbox.init import init_program
from pilotlight.sandbox.seccomp import refused_calls, seccomp_program
from tests.support import eventually

MACHINE = os.uname().machine


def test_init_makes_itself_ready_and_waits(tmp_path: Path) -> None:
    program = tmp_path / "init"
    program.write_bytes(init_program(MACHINE))
    program.chmod(0o755)
    done, busy = os.pipe()
    pid = os.posix_spawn(str(program), ["init", "20000"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, busy, 0)])
    os.close(busy)
    assert os.read(done, 1) == b""  # it has closed what it was given
    os.close(done)
    try:
        status = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
        )
        assert int(status["SigIgn"], 16) >> (signal.SIGCHLD - 1) & 1
        assert os.stat(f"/proc/{pid}/environ").st_uid == 0  # undumpable: not even its own user's
        eventually(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S")
    finally:
        os.kill(pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_init_is_a_small_static_elf(machine: str) -> None:
    program = init_program(machine)
    assert len(program) < 400
    assert program[:7] == b"\x7fELF\x02\x01\x01"
    entry, phoff = struct.unpack_from("<QQ", program, 24)
    kind, flags, offset, address, _, size, _, _ = struct.unpack_from("<IIQQQQQQ", program, phoff)
    assert (kind, flags, offset, size) == (1, 5, 0, len(program))
    assert entry == address + 120


def test_the_calls_are_the_kernels_by_number() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("no kernel headers here")
    numbers = {}
    for line in header.read_text().splitlines():
        if line.startswith("#define __NR_"):
            _, name, number = line.split()
            numbers[name.removeprefix("__NR_")] = int(number)
    known = {name: number for name, number in refused_calls("x86_64").items() if name in numbers}
    assert known == {name: numbers[name] for name in known}
    assert len(known) > 50


def _interpret(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the filter answers, by running it: the kernel's classic BPF, as far as it is used."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, *(arguments + (0,) * 6)[:6])
    instructions = list(struct.iter_unpack("<HBBI", program))
    at, value = 0, 0
    while True:
        code, if_true, if_false, operand = instructions[at]
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, operand)
        elif code == 0x06:
            return operand
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
            at += if_true if holds else if_false


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)])
def test_the_filter_by_rule(machine: str, architecture: int) -> None:
    program = seccomp_program(machine)
    allow, refuse, unknown = 0x7FFF0000, 0x00050001, 0x00050026
    clone, clone3, ioctl, personality = (56, 435, 16, 135) if machine == "x86_64" else (220, 435, 29, 92)
    for name, number in refused_calls(machine).items():
        assert _interpret(program, architecture, number) == refuse, name
    assert _interpret(program, architecture, clone3) == unknown
    assert _interpret(program, architecture, clone, 17) == allow
    for flag in (0x10000000, 0x20000000, 0x00020000, 0x40000000, 0x02000000):
        assert _interpret(program, architecture, clone, flag | 17) == refuse
    assert _interpret(program, architecture, ioctl, 0, 0x5412) == refuse
    assert _interpret(program, architecture, ioctl, 0, 0x5413) == allow
    assert _interpret(program, architecture, personality, 0xFFFFFFFF) == allow
    assert _interpret(program, architecture, personality, 8) == refuse
    assert _interpret(program, 0x40000003, 11) == unknown  # 32-bit
    for number in (0, 1, 2, 3, 57, 59, 63, 202, 257):
        if number not in refused_calls(machine).values():
            assert _interpret(program, architecture, number) == allow
    if machine == "x86_64":
        assert _interpret(program, architecture, 0x40000000 | 165) == unknown  # x32


def test_unknown_machines_are_a_key_error() -> None:
    with pytest.raises(KeyError):
        init_program("riscv64")
    with pytest.raises(KeyError):
        seccomp_program("riscv64")


def test_nothing_needs_a_compiler() -> None:
    script = (
        "from pilotlight.sandbox import init, seccomp; init.init_program('x86_64'); seccomp.seccomp_program('aarch64')"
    )
    environ = {"PATH": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environ)
