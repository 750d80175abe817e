"""The init of every environment's pid namespace: a static program of some 330 bytes, written here as machine code.

PID 1 must not be the runtime (it would survive its own SIGKILL, and its orphans would pile up), and a Python init
costs 1.6 ms and 1 MB. This one makes itself undumpable, so that /proc/1 shows nothing of the zygote it came from;
ignores SIGCHLD, so that the kernel reaps orphans; sets where the namespace's pids go on from (`argv[1]`, five digits:
OpenSSL tells forks apart by pid); closes every file, which is how the zygote knows that all this is done; and waits
for ever. It is embedded so that installing needs no compiler. To read it: `objdump -D -b binary -m i386:x86-64`.
"""

from __future__ import annotations

import struct

_LAST_PID_PATH = b"/proc/sys/kernel/ns_last_pid\0"
#: struct kernel_sigaction {SIG_IGN, no flags, no restorer, empty mask}
_IGNORE = struct.pack("<4Q", 1, 0, 0, 0)
_BASE = 0x400000
_HEADERS = 64 + 56


def _x86_64() -> bytes:
    def lea(register: bytes, at: int, target: int) -> bytes:  # 7 bytes, relative to the next instruction
        return register + struct.pack("<i", target - (at + 7))

    action, path = 128, 128 + len(_IGNORE)
    code = b""
    code += b"\xb8\x9d\0\0\0" + b"\xbf\x04\0\0\0" + b"\x31\xf6" + b"\x0f\x05"  # prctl(PR_SET_DUMPABLE, 0)
    code += b"\xb8\x0d\0\0\0" + b"\xbf\x11\0\0\0"  # rt_sigaction(SIGCHLD,
    code += lea(b"\x48\x8d\x35", len(code), action)  # &ignore,
    code += b"\x31\xd2" + b"\x41\xba\x08\0\0\0" + b"\x0f\x05"  # NULL, 8)
    code += b"\xb8\x02\0\0\0"  # open(
    code += lea(b"\x48\x8d\x3d", len(code), path)  # path,
    code += b"\xbe\x01\0\0\0" + b"\x0f\x05"  # O_WRONLY)
    code += b"\x89\xc7" + b"\xb8\x01\0\0\0"  # write(that,
    code += b"\x48\x8b\x74\x24\x10" + b"\xba\x05\0\0\0" + b"\x0f\x05"  # argv[1], 5)
    code += b"\xb8\x03\0\0\0" + b"\x0f\x05"  # close(that)
    code += (
        b"\xb8\xb4\x01\0\0" + b"\x31\xff" + b"\xbe\xff\xff\xff\xff" + b"\x31\xd2" + b"\x0f\x05"
    )  # close_range(0, ~0, 0)
    code += b"\x31\xff" + b"\xb8\x03\0\0\0" + b"\x0f\x05"  # close(0), for a kernel without that
    code += b"\xb8\x22\0\0\0" + b"\x0f\x05" + b"\xeb\xf7"  # for (;;) pause()
    return code.ljust(action, b"\x90") + _IGNORE + _LAST_PID_PATH


def _aarch64() -> bytes:
    def put(register: int, value: int) -> int:  # movz
        return 0xD2800000 | value << 5 | register

    def address(register: int, at: int, target: int) -> int:  # adr
        offset = target - at * 4
        return 0x10000000 | (offset & 3) << 29 | (offset >> 2) << 5 | register

    call, action = 0xD4000001, 160
    path = action + len(_IGNORE)
    words = [put(0, 4), put(1, 0), put(8, 167), call]  # prctl(PR_SET_DUMPABLE, 0)
    words += [put(0, 17)]  # rt_sigaction(SIGCHLD,
    words += [address(1, len(words), action), put(2, 0), put(3, 8), put(8, 134), call]  # &ignore, NULL, 8)
    words += [0x92800000 | 99 << 5]  # openat(AT_FDCWD,
    words += [address(1, len(words), path), put(2, 1), put(8, 56), call]  # path, O_WRONLY)
    words += [0xAA0003E9]  # mov x9, x0
    words += [0xF9400BE1, put(2, 5), put(8, 64), call]  # write(that, argv[1], 5)
    words += [0xAA0903E0, put(8, 57), call]  # close(that)
    words += [put(0, 0), 0x92800001, put(2, 0), put(8, 436), call]  # close_range(0, ~0, 0)
    words += [put(0, 0), put(8, 57), call]  # close(0), for a kernel without that
    words += [put(0, 0), put(1, 0), put(2, 0), put(3, 0), put(4, 0), put(8, 73), call]  # ppoll(NULL, 0, NULL, NULL, 0)
    words += [0x14000000 | (-7 & 0x3FFFFFF)]  # for ever
    return struct.pack(f"<{len(words)}I", *words).ljust(action, b"\0") + _IGNORE + _LAST_PID_PATH


_MACHINES = {"x86_64": (62, _x86_64), "aarch64": (183, _aarch64)}


def init_program(machine: str) -> bytes:
    """The whole ELF file for `machine` (`os.uname().machine`); KeyError where there is none."""
    number, assemble = _MACHINES[machine]
    code = assemble()
    size = _HEADERS + len(code)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 2, number, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)  # PT_LOAD, read + execute
    return header + segment + code
