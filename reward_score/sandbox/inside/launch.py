"""The first process of a sandbox: enters namespaces where it may, then is, or starts, the zygote."""

import json
import os
import resource
import signal
import socket
import sys

from . import kernel, zygote

COMMON = ("array", "bisect", "cmath", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq",
          "io", "itertools", "json", "math", "operator", "queue", "random", "re", "statistics", "string", "textwrap",
          "threading", "typing", "unicodedata", "dataclasses", "enum", "hashlib", "traceback", "linecache",
          "encodings.ascii", "encodings.latin_1", "encodings.idna", "subprocess", "tempfile", "abc", "contextlib",
          "numbers", "types", "calendar", "struct", "binascii", "base64", "pprint", "locale", "codecs", "platform")
_NAMESPACES = kernel.CLONE_NEWNET | kernel.CLONE_NEWPID | kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
_FIRST_USER, _MAX_PID = 1_000_000, 2**22


def _slot_users(own_pid: int) -> tuple[int, int]:
    """Uids of the answer and of the tests that no other sandbox on this machine has now: they count as the pid does."""
    with open("/proc/self/uid_map") as file:
        top = max(int(first) + int(count) for first, _, count in map(str.split, file))
    if top > _FIRST_USER + 2 * _MAX_PID:
        return _FIRST_USER + own_pid, _FIRST_USER + _MAX_PID + own_pid
    return 20_000 + own_pid % 20_000, 40_000 + own_pid % 20_000


def _enter_namespaces(settings: dict) -> bool:
    """New namespaces for the next child; False where they are not permitted."""
    uid, gid = os.geteuid(), os.getegid()
    for flags in (_NAMESPACES, _NAMESPACES | kernel.CLONE_NEWUSER):
        try:
            kernel.unshare(flags)
        except OSError:
            continue
        settings["mapped"] = bool(flags & kernel.CLONE_NEWUSER)
        if settings["mapped"]:
            for file, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
                with open(f"/proc/self/{file}", "w") as out:
                    out.write(text)
        return True
    return False


def main(descriptor: int, settings: dict) -> None:
    """Entry point of the launcher. `settings`: namespaces (bool), paths, scratch_mb."""
    control = socket.socket(fileno=descriptor)
    settings |= {"mapped": False}
    settings["namespaces"] = settings["namespaces"] and _enter_namespaces(settings)
    settings["users"] = _slot_users(os.getpid()) if os.geteuid() == 0 and not settings["mapped"] else (None, None)
    for name in COMMON:
        __import__(name)
    sys.path[:] = [path for path in sys.path if path != settings["here"]] + settings["paths"][2:]
    child = os.fork() if settings["namespaces"] else 0
    if child:
        control.close()
        os.waitpid(child, 0)
        os._exit(0)
    if settings["namespaces"]:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        os.setsid()  # survives the reward worker's group for the moment that it takes to clean up
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        warm = zygote.Zygote(settings)
    except OSError as error:
        control.send(json.dumps({"problem": str(error)}).encode())
        os._exit(1)
    control.send(json.dumps(warm.facts()).encode())
    warm.serve(control)
    os._exit(0)
