"""What a lost replica may leave on its node: a stopped process, and the processes of its engine."""
import os
import signal
import time

import psutil

TIMEOUT = 30.0  # s, for the system to take a killed process's memory back


def end_process_group(pid: int, timeout: float = TIMEOUT) -> None:
    """Kills the Ray worker `pid` of this node and all it has started, and waits until they and their device memory are
    gone. TimeoutError when they stay.

    Ray gives each worker a process group of its own and kills that too, but only after it has waited for an answer.
    """
    deadline = time.monotonic() + timeout
    while left := _members(pid):
        for member in left:
            try:
                os.kill(member, signal.SIGKILL)
            except ProcessLookupError:  # Ray was quicker
                continue
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {left} of the lost replica with pid {pid} are still there {timeout:g} s "
                               "after they were killed; do they wait for a device?")
        time.sleep(0.05)


def _members(group: int) -> list[int]:
    """The process `group` and those that are in its group; what has ended but is not yet reaped holds nothing."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == group or os.getpgid(process.pid) == group:
                found += [process.pid] if process.status() != psutil.STATUS_ZOMBIE else []
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found
