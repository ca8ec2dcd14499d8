"""A supervisor's view of one worker: its process, its socket and the tasks it was given."""

import contextlib
import multiprocessing
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from reward_score.processes.limits import kill_group
from reward_score.processes.messages import PoolSettings
from reward_score.processes.worker import EXIT_OUT_OF_MEMORY, run_worker

START_TIMEOUT = 60.0  # seconds until a worker must have loaded its reward function
SOCKET_TIMEOUT = 10  # seconds; a worker that takes or finishes no message for so long is stuck


@dataclass
class Task:
    """One answer to score.

    Attributes:
        ticket: the owner's number for it.
        payload: the pickled request.
        spent: seconds of its deadline used on a worker that died.
        cause: what that one died of.
        moved: another worker has it now; whatever this copy yields is dropped.
    """

    ticket: int
    payload: bytes
    spent: float = 0.0
    cause: str = ""
    moved: bool = False


class WorkerHandle:
    """Starts a worker; `task` is what it shall score first.

    Attributes:
        tasks: what it has; the first one is being scored since `since`.
        ready: whether it has loaded its reward function.
        scored: how many it has scored.
        ended: whether its process is gone.
        silent: whether its socket is closed or stuck.
    """

    def __init__(self, settings: PoolSettings, task: Task | None) -> None:
        context = multiprocessing.get_context("forkserver")
        self.connection, theirs = context.Pipe()
        _limit_waiting(self.connection.fileno())
        self._process = context.Process(target=run_worker, args=(theirs, settings))
        self._process.start()
        theirs.close()
        self.pid: int = self._process.pid
        self.sentinel: int = self._process.sentinel
        self._settings = settings
        self.silent = False
        self.tasks: deque[Task] = deque([task] if task else [])
        self.ready = False
        self.scored = 0
        self.since = time.monotonic()

    @property
    def ended(self) -> bool:
        return self._process.exitcode is not None

    @property
    def deadline(self) -> float:
        """When it will be overdue, on the monotonic clock."""
        if not self.ready:
            return self.since + START_TIMEOUT
        return self.since + self._settings.timeout - self.tasks[0].spent if self.tasks else float("inf")

    def give(self, task: Task) -> None:
        """Sends a task. A worker that cannot take it counts as dead and keeps the task for its burial."""
        if not self.tasks:
            self.since = time.monotonic()
        self.tasks.append(task)
        self._send(task)

    def said(self) -> Iterator[tuple[Task | None, object]]:
        """Each message since the last call: a task with its pickled result, or None with the problem at start."""
        try:
            while self.connection.poll():
                message = self.connection.recv_bytes()
                self.since = time.monotonic()
                if self.ready and not self.tasks:
                    raise OSError("a message out of turn")
                if self.ready:
                    self.scored += 1
                    yield self.tasks.popleft(), message
                else:
                    self.ready = True
                    for task in self.tasks:
                        self._send(task)
                    yield None, message.decode()
        except (EOFError, OSError):
            self.silent = True

    def kill(self) -> None:
        """Kills its whole process group at once."""
        if not kill_group(self.pid):
            self._process.kill()  # it does not lead its group yet, or is gone

    def end(self) -> str:
        """Kills it, waits until it is gone and returns the cause of death in words."""
        self.kill()
        self._process.join()
        exitcode = self._process.exitcode
        if exitcode == EXIT_OUT_OF_MEMORY:
            return f"out of memory (reward_model.memory_limit_mb={self._settings.memory_limit_mb})"
        if exitcode < 0:
            return f"its process was killed by {signal.Signals(-exitcode).name}"
        return f"its process exited with code {exitcode}"

    def close(self) -> None:
        """Frees what this process holds of a dead worker."""
        self.connection.close()
        self._process.close()

    def _send(self, task: Task) -> None:
        with contextlib.suppress(OSError):  # dead or stuck: the sentinel or the deadline tells
            self.connection.send_bytes(task.payload)
            return
        self.silent = True


def _limit_waiting(descriptor: int) -> None:
    """Makes blocking reads and writes of a socket fail after SOCKET_TIMEOUT."""
    with socket.socket(fileno=socket.dup(descriptor)) as end:
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            end.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", SOCKET_TIMEOUT, 0))
