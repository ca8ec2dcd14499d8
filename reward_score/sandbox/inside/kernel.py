"""The system calls that Python 3.11 lacks, through ctypes. Each raises OSError as `os` would."""

import ctypes
import os

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 36, 38

_SYSCALLS = {"x86_64": {"capset": 126, "pivot_root": 155}, "aarch64": {"capset": 91, "pivot_root": 41}}
_MOUNT_SETATTR = 442  # the same everywhere; Linux 5.12
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Puts this process into new namespaces (of processes: its next child)."""
    _check(_libc.unshare(flags), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Joins the namespace of a descriptor from `/proc/self/ns`."""
    _check(_libc.setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    arguments = [text.encode() or None for text in (source, target, kind)]
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), options.encode() or None), f"mount {target}")


def umount(target: str) -> None:
    """Detaches a mount, at once from the tree and for good when it is no longer used."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def make_read_only(target: str) -> None:
    """Makes a bind mount and all below it read-only; before Linux 5.12 the mount itself only."""
    attributes = (ctypes.c_uint64 * 4)(MS_RDONLY | MS_NOSUID, 0, 0, 0)
    recursive = 0x8000
    if _libc.syscall(_MOUNT_SETATTR, -100, target.encode(), recursive, attributes, ctypes.sizeof(attributes)) < 0:
        mount("", target, "", MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID)


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    _check(_libc.syscall(_SYSCALLS[os.uname().machine]["pivot_root"], new_root.encode(), put_old.encode()),
           "pivot_root")


def drop_capabilities() -> None:
    """Gives up every capability of this process, which in a user namespace survives a change of user."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if os.uname().machine in _SYSCALLS:
        _check(_libc.syscall(_SYSCALLS[os.uname().machine]["capset"], header, nothing), "capset")


def prctl(option: int, *arguments: int | ctypes.c_void_p) -> None:
    """prctl(2)."""
    values = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    _check(_libc.prctl(option, *values, *[ctypes.c_ulong(0)] * (4 - len(values))), "prctl")
