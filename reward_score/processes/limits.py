"""Process groups, limits and last wills of reward workers (Linux; elsewhere without the last will)."""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


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


def limit_memory(limit_mb: int) -> None:
    """Caps what this process may allocate, in MiB; beyond it Python raises MemoryError. No core dumps.

    Data is limited, not address space: numerical libraries reserve far more addresses than they touch.
    """
    limit = limit_mb * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
