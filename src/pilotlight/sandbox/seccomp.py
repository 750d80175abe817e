"""The system call filter of a function's process, assembled to BPF here: no compiler and no libseccomp needed.

Everything is allowed but what a container's default refuses: mounting, namespaces, tracing, kernel modules, clocks,
keyrings, io_uring. What the mount and user namespaces already make harmless is refused again, because a kernel bug
behind one of these calls is the usual way out of a sandbox.
"""

from __future__ import annotations

import errno
import struct

_X86_64 = """
mount 165 umount2 166 pivot_root 155 chroot 161 setns 308 unshare 272 ptrace 101 kexec_load 246 kexec_file_load 320
init_module 175 finit_module 313 delete_module 176 bpf 321 perf_event_open 298 userfaultfd 323 keyctl 250 add_key 248
request_key 249 reboot 169 swapon 167 swapoff 168 sethostname 170 setdomainname 171 iopl 172 ioperm 173 quotactl 179
quotactl_fd 443 acct 163 settimeofday 164 clock_settime 227 clock_adjtime 305 adjtimex 159 open_by_handle_at 304
name_to_handle_at 303 process_vm_readv 310 process_vm_writev 311 move_mount 429 open_tree 428 fsopen 430 fsmount 432
fsconfig 431 fspick 433 mount_setattr 442 io_uring_setup 425 io_uring_enter 426 io_uring_register 427 vhangup 153
lookup_dcookie 212 nfsservctl 180 syslog 103 kcmp 312 _sysctl 156 uselib 134 create_module 174 get_kernel_syms 177
query_module 178 pidfd_getfd 438
"""
_AARCH64 = """
mount 40 umount2 39 pivot_root 41 chroot 51 setns 268 unshare 97 ptrace 117 kexec_load 104 kexec_file_load 294
init_module 105 finit_module 273 delete_module 106 bpf 280 perf_event_open 241 userfaultfd 282 keyctl 219 add_key 217
request_key 218 reboot 142 swapon 224 swapoff 225 sethostname 161 setdomainname 162 quotactl 60 quotactl_fd 443
acct 89 settimeofday 170 clock_settime 112 clock_adjtime 266 adjtimex 171 open_by_handle_at 265 name_to_handle_at 264
process_vm_readv 270 process_vm_writev 271 move_mount 429 open_tree 428 fsopen 430 fsmount 432 fsconfig 431 fspick 433
mount_setattr 442 io_uring_setup 425 io_uring_enter 426 io_uring_register 427 vhangup 58 lookup_dcookie 18
nfsservctl 42 syslog 116 kcmp 272 pidfd_getfd 438
"""
#: machine -> (AUDIT_ARCH_*, refused calls, clone, clone3, ioctl, personality)
_MACHINES = {
    "x86_64": (0xC000003E, _X86_64, 56, 435, 16, 135),
    "aarch64": (0xC00000B7, _AARCH64, 220, 435, 29, 92),
}
#: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_CLONE_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_ADDR_NO_RANDOMIZE = 0x0040000

_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM
_UNKNOWN = 0x00050000 | errno.ENOSYS
_NUMBER, _ARCHITECTURE, _ARGUMENT_0, _ARGUMENT_1 = 0, 4, 16, 24


def refused_calls(machine: str) -> dict[str, int]:
    """Name -> number of every call refused outright on `machine`."""
    words = _MACHINES[machine][1].split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


def seccomp_program(machine: str) -> bytes:
    """`struct sock_filter[]` for `machine` (`os.uname().machine`); KeyError where there is none."""
    architecture, _, clone, clone3, ioctl, personality = _MACHINES[machine]
    program: list[tuple[int, int, int, int]] = []

    def emit(code: int, value: int, if_true: int = 0, if_false: int = 0) -> None:
        program.append((code, if_true, if_false, value))

    def answer_when(code: int, value: int, answer: int) -> None:
        emit(code, value, 0, 1)
        emit(_RETURN, answer)

    emit(_LOAD, _ARCHITECTURE)
    emit(_JUMP_EQUAL, architecture, 1, 0)
    emit(_RETURN, _UNKNOWN)  # 32-bit calls: Lambda has none, and they would walk around the list
    emit(_LOAD, _NUMBER)
    if machine == "x86_64":
        answer_when(_JUMP_GREATER_EQUAL, 0x40000000, _UNKNOWN)  # the x32 numbers, the same walk around
    for number in sorted(refused_calls(machine).values()):
        answer_when(_JUMP_EQUAL, number, _REFUSE)
    answer_when(_JUMP_EQUAL, clone3, _UNKNOWN)  # its flags are in memory, which BPF cannot read: libc falls back
    # clone with any namespace flag
    emit(_JUMP_EQUAL, clone, 0, 4)
    emit(_LOAD, _ARGUMENT_0)
    emit(_JUMP_ANY_BIT, _CLONE_NAMESPACES, 0, 1)
    emit(_RETURN, _REFUSE)
    emit(_LOAD, _NUMBER)
    # pushing characters into a terminal
    emit(_JUMP_EQUAL, ioctl, 0, 6)
    emit(_LOAD, _ARGUMENT_1)
    answer_when(_JUMP_EQUAL, _TIOCSTI, _REFUSE)
    answer_when(_JUMP_EQUAL, _TIOCLINUX, _REFUSE)
    emit(_LOAD, _NUMBER)
    # personality: only asking, and what debuggers and old binaries need
    emit(_JUMP_EQUAL, personality, 0, 5)
    emit(_LOAD, _ARGUMENT_0)
    emit(_JUMP_EQUAL, 0, 3, 0)
    emit(_JUMP_EQUAL, _ADDR_NO_RANDOMIZE, 2, 0)
    emit(_JUMP_EQUAL, 0xFFFFFFFF, 1, 0)
    emit(_RETURN, _REFUSE)
    emit(_RETURN, _ALLOW)
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
