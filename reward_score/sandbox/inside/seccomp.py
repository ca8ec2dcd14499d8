"""A system call filter: no sockets but local ones, no tracing, no namespaces, nothing that outlives its process.

It needs no privilege, so that the network is closed even where namespaces are not permitted. Classic BPF, one pass over
the number of the call (linux/filter.h, linux/seccomp.h).
"""

import ctypes
import errno
import functools
import os
import struct

from . import kernel

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h

# name: (x86_64, aarch64). Refused: what reaches other processes, the kernel's rarely used sides, and memory that no
# limit counts (System V and POSIX queues and segments, memfd).
_REFUSED = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    "io_uring_setup": (425, 425), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "memfd_create": (319, 279),
}  # yapf: disable
_SOCKET, _PRCTL, _CLONE, _CLONE3, _PRLIMIT = (41, 198), (157, 167), (56, 220), (435, 435), (302, 261)
_SIGNALS = ((62, 129), (200, 130), (234, 131), (129, 138), (297, 240), (424, 424))  # kill ... pidfd_send_signal
_NAMESPACES = (kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET |
               kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS)
_X32 = 0x40000000
_AF_UNIX = 1

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian
_ALLOW = 0x7FFF0000


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def supported() -> bool:
    """Whether this machine's system calls are known here."""
    return os.uname().machine in ARCHITECTURES


def install(signals: bool) -> None:
    """Filters this process and all it starts; there is no way back. Needs no_new_privs.

    Args:
        signals: False refuses signals to other processes than this one.

    Raises:
        OSError: the kernel refuses.
    """
    packed = compiled(None if signals else os.getpid())
    buffer = ctypes.create_string_buffer(packed, len(packed))
    program = _Program(len(packed) // 8, ctypes.addressof(buffer))
    kernel.prctl(kernel.PR_SET_SECCOMP, 2, ctypes.cast(ctypes.byref(program), ctypes.c_void_p))


@functools.lru_cache(maxsize=1)
def compiled(only_signal: int | None) -> bytes:
    """The filter as struct sock_filter[]; `only_signal`: the one process that may be signalled."""
    instructions = _instructions(list(ARCHITECTURES).index(os.uname().machine), only_signal)
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in instructions)


def _instructions(column: int, only_signal: int | None) -> list[tuple[int, int, int, int]]:
    """(code, jump if true, jump if false, value) of each instruction."""
    refuse = (_RETURN, 0, 0, 0x00050000 | errno.EPERM)
    program = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, list(ARCHITECTURES.values())[column]), refuse,
               (_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), refuse]  # another ABI has other numbers
    for numbers in _REFUSED.values():
        program += [(_EQUAL, 0, 1, numbers[column]), refuse]
    program += [(_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, 0x00050000 | errno.ENOSYS)]  # libc falls back to clone
    rules = [(_SOCKET, _EQUAL, _AF_UNIX, False), (_PRCTL, _EQUAL, kernel.PR_SET_PDEATHSIG, True),
             (_CLONE, _ANY_BIT, _NAMESPACES, True), (_PRLIMIT, _EQUAL, 0, False)]  # 0: itself
    if only_signal is not None:
        rules += [(numbers, _EQUAL, only_signal, False) for numbers in _SIGNALS]
    for numbers, test, value, bad in rules:
        allow = (_RETURN, 0, 0, _ALLOW)
        program += [(_EQUAL, 0, 4, numbers[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT), (test, 0, 1, value)]
        program += [refuse, allow] if bad else [allow, refuse]
    return [*program, (_RETURN, 0, 0, _ALLOW)]
