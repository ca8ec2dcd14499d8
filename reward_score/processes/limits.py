"""Process groups, limits and last wills of reward workers (Linux; elsewhere without the last will)."""

import contextlib
import ctypes
import glob
import os
import resource
import signal
import sys
import time
from collections.abc import Collection

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36


def lead_group() -> None:
    """Makes this process the leader of a new session and process group, so that it is killed with all it starts."""
    os.setsid()


def kill_group(group: int) -> bool:
    """Kills every process of a group at once; False if there is none."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def die_with_parent() -> None:
    """Has the kernel kill this process as soon as its parent is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Makes this process the parent of whatever its descendants leave behind, so that `kill_orphans` finds it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def kill_orphans(parent: int, known: Collection[int], patience: float = 0.0) -> None:
    """Kills every descendant of `parent` outside the families of `known`; looks again until none is left.

    Args:
        patience: seconds to wait for the last of them to be gone; 0: kills what is there now.
    """
    end = time.monotonic() + patience
    while orphans := _descendants(parent, known):
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() >= end:
            return
        time.sleep(0.005)


def _descendants(parent: int, known: Collection[int]) -> list[int]:
    """From /proc; what has gone meanwhile is left out."""
    found = []
    for task in glob.glob(f"/proc/{parent}/task/*/children"):
        with contextlib.suppress(OSError), open(task) as children:
            for pid in map(int, children.read().split()):
                if pid not in known:
                    found += [pid, *_descendants(pid, ())]
    return found


def limit_memory(limit_mb: int) -> None:
    """Caps what this process may allocate, in MiB; beyond it Python raises MemoryError. No core dumps.

    Data is limited, not address space: numerical libraries reserve far more addresses than they touch.
    """
    limit = limit_mb * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
