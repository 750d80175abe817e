"""The system calls that Python's `os` lacks on 3.10, through ctypes; each raises OSError naming what it tried."""

from __future__ import annotations

import ctypes
import os
import platform

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC = 1, 2, 4, 8, 32, 4096, 16384
MS_SLAVE, MS_PRIVATE = 1 << 19, 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 4, 24, 38, 47
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2

_PIVOT_ROOT, _MEMFD_CREATE = {"x86_64": (155, 319), "aarch64": (41, 279)}[platform.machine()]
_PIDFD_OPEN = 434

_libc = ctypes.CDLL(None, use_errno=True)
_libc.malloc.restype = ctypes.c_void_p
_unsigned = ctypes.c_ulong


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _path(path: str | None) -> bytes | None:
    return None if path is None else os.fsencode(path)


def mount(source: str | None, target: str, kind: str | None, flags: int = 0, data: str | None = None) -> None:
    result = _libc.mount(_path(source), _path(target), _path(kind), _unsigned(flags), _path(data))
    _check(result, f"mount {kind or 'bind'} {source} on {target}")


def umount(target: str, flags: int = MNT_DETACH) -> None:
    _check(_libc.umount2(_path(target), flags), f"umount {target}")


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), f"unshare {flags:#x}")


def setns(fd: int, kind: int) -> None:
    _check(_libc.setns(fd, kind), f"setns {kind:#x}")


def pivot_root(new: str, old: str) -> None:
    _check(_libc.syscall(_PIVOT_ROOT, _path(new), _path(old)), f"pivot_root {new}")


def prctl(option: int, value: int = 0, third: int = 0) -> None:
    _check(_libc.prctl(option, _unsigned(value), _unsigned(third), _unsigned(0), _unsigned(0)), f"prctl {option}")


class _CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def drop_all_capabilities() -> None:
    """Empty the bounding set as far as this process may, then every other set."""
    capability = 0
    while _libc.prctl(PR_CAPBSET_DROP, _unsigned(capability), _unsigned(0), _unsigned(0), _unsigned(0)) == 0:
        capability += 1
    header = _CapHeader(0x20080522, 0)
    _check(_libc.capset(ctypes.byref(header), (ctypes.c_uint32 * 6)()), "capset")


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


class Filter:
    """A BPF program, laid out once so that a fork only has to hand it to the kernel."""

    def __init__(self, program: bytes) -> None:
        self._instructions = ctypes.create_string_buffer(program, len(program))
        self._program = _FilterProgram(len(program) // 8, ctypes.addressof(self._instructions))

    def install(self) -> None:
        """For this process and all that come from it; needs no_new_privs."""
        program = ctypes.cast(ctypes.byref(self._program), ctypes.c_void_p).value or 0
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program)


def bind_read_only(source: str, target: str) -> None:
    """Show `source` at `target`: read-only, no set-uid, no devices; noexec stays where the source has it."""
    mount(source, target, None, MS_BIND)
    kept = os.statvfs(source).f_flag & MS_NOEXEC  # a user namespace may not take this flag away
    mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | kept)


def allocate(size: int) -> int:
    """The address of `size` bytes of libc's heap, never given back."""
    return _libc.malloc(_unsigned(size)) or 0


def memory_file(content: bytes) -> int:
    """A descriptor of a file in memory that holds `content`, at its start. (Portable builds lack os.memfd_create.)"""
    fd = _libc.syscall(_MEMFD_CREATE, b"pilotlight", 1)
    _check(fd, "memfd_create")
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def pidfd_open(pid: int) -> int:
    """os.pidfd_open, which portable builds lack."""
    fd = _libc.syscall(_PIDFD_OPEN, pid, 0)
    _check(fd, "pidfd_open")
    os.set_inheritable(fd, False)
    return fd


def write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
