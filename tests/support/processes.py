"""Whether processes have ended."""
import time
from collections.abc import Sequence

import psutil


def still_running(pids: Sequence[int], seconds: float = 0.0) -> list[int]:
    """Those of `pids` that have not ended within `seconds`."""
    deadline = time.monotonic() + seconds
    while (running := [pid for pid in pids if _runs(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return running


def _runs(pid: int) -> bool:
    """One that has ended may stand as a zombie until whoever is to wait for it does."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
