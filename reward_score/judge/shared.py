"""What the processes of one user on one machine know together about a judge: free slots, and whether it is down.

Files in the temporary directory, locked with flock: the kernel frees the lock of a process that is killed.
"""

import contextlib
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from reward_score.result import RewardUnavailable

DOWN_SECONDS = 60.0  # after that, a mark that nobody renewed says nothing
_POLL = 0.02


def shared_directory(endpoint: str) -> Path:
    """The directory of one judge, made on first use.

    Raises:
        ValueError: its place is taken by another user.
    """
    base = Path(tempfile.gettempdir()) / f"reasoning360-judge-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    if base.lstat().st_uid != os.getuid():
        raise ValueError(f"{base} belongs to another user; set TMPDIR to a directory of your own")
    directory = base / hashlib.sha256(endpoint.encode()).hexdigest()[:16]
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory


@contextlib.contextmanager
def slot(directory: Path, count: int, deadline: float) -> Iterator[None]:
    """Holds one of `count` slots, which all processes share; waits for one until `deadline` (monotonic seconds).

    Raises:
        RewardUnavailable: none became free in time.
    """
    names = [f"slot-{(os.getpid() + i) % count}" for i in range(count)]
    while True:
        for name in names:
            with _try_lock(directory / name) as locked:
                if locked:
                    yield
                    return
        if time.monotonic() + _POLL >= deadline:
            raise RewardUnavailable(f"all {count} requests to the judge that REWARD_JUDGE_SLOTS allows were in flight "
                                    "until the time was over; allow more, or raise REWARD_JUDGE_BUDGET")
        time.sleep(_POLL)


@contextlib.contextmanager
def turn(directory: Path, judge: str) -> Iterator[bool]:
    """Asks whether the judge is known to be down; yields True to the one process that may then look again.

    So a dead judge costs a batch the time of a few answers and not that of all, and is noticed when it comes back.

    Raises:
        RewardUnavailable: it is down, and another process is looking.
    """
    if _age(directory / "down") > DOWN_SECONDS:
        yield False
        return
    with _try_lock(directory / "probe") as mine:
        if not mine:
            raise RewardUnavailable(f"{judge} was down a moment ago")
        yield True


def mark_down(directory: Path, since: float) -> None:
    """Tells the other processes that it is down, unless it answered one of them after `since` (`time.time()`)."""
    if _age(directory / "up") > time.time() - since:
        (directory / "down").touch()


def mark_up(directory: Path) -> None:
    """Tells the other processes that it answered."""
    (directory / "up").touch()
    (directory / "down").unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


@contextlib.contextmanager
def _try_lock(path: Path) -> Iterator[bool]:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = True
        except BlockingIOError:
            locked = False
        yield locked
    finally:
        os.close(file)
