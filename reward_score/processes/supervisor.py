"""The process between a `RewardPool` and its workers: one thread, one loop, one socket per worker.

It exists so that the owner of a `RewardPool` (a Ray actor, a notebook, a script without `__main__` guard) lends it
neither its `__main__` nor its threads and signals, and so that nothing is left when it ends:

    RewardPool --socket--> supervisor --fork server--> worker, leader of a process group --> what reward functions start
      the socket closes (`close`, or the owner died)  ->  every group and orphan is killed, the supervisor ends
      the supervisor dies                             ->  the kernel kills the fork server, and with it the workers

Why not a library's pool: one queue shared by all workers (Pebble, concurrent.futures) learns of a death and of the
results that came before it by different ways, so that on a busy machine a crash is charged to the wrong answer, and
a worker killed at the wrong moment takes the lock along. Here a worker's own socket orders everything it said before
it died.
"""

import os
import selectors
import sys
import time
from collections import deque
from multiprocessing import forkserver
from multiprocessing.connection import Connection

from reward_score.processes.limits import kill_orphans
from reward_score.processes.messages import PoolSettings
from reward_score.processes.worker_handle import Task, WorkerHandle

MAX_FAILED_STARTS = 3  # in a row
POLL_INTERVAL = 0.2  # seconds between looks at whether the owner lives
PREFETCH_BYTES = 16_384  # a larger task waits here: sending it to a busy worker could block


class Supervisor:
    """Hands tasks to workers and returns what became of them, `[(ticket, kind, value), ...]`.

    Kinds: "done" (value: what the worker returned), "timeout" (None), "crash" (value: cause and seconds). A payload of
    None asks whether workers can score at all.
    """

    def __init__(self, connection: Connection, settings: PoolSettings) -> None:
        forkserver.set_forkserver_preload(["reward_score.processes.fork_server", *settings.libraries])
        forkserver.ensure_running()
        self._owner = connection
        self._settings = settings
        self._waiting: deque[Task] = deque()
        self._questions: list[int] = []  # tickets that ask whether workers can score
        self._verdict: str | None = None  # the answer to them; None: no worker is ready yet
        self._answers: list[tuple[int, str, object]] = []
        self._failed_starts = 0
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ, None)
        self._workers: set[WorkerHandle] = set()
        for _ in range(settings.num_workers):
            self._start_worker(None)

    def serve(self) -> None:
        """Serves until the owner closes its end or dies."""
        owner = os.getppid()
        try:
            while os.getppid() == owner:
                self._wait()
                self._end_overdue()
                self._assign()
                self._send_answers()
        except (EOFError, ConnectionError):  # the owner is gone: that is how a pool ends
            return
        finally:
            for worker in self._workers:
                worker.kill()
            kill_orphans(forkserver._forkserver._forkserver_pid, set(), patience=1.0)

    def _start_worker(self, task: Task | None) -> None:
        worker = WorkerHandle(self._settings, task)
        self._workers.add(worker)
        self._selector.register(worker.connection, selectors.EVENT_READ, worker)
        self._selector.register(worker.sentinel, selectors.EVENT_READ, worker)

    def _wait(self) -> None:
        now = time.monotonic()
        limit = min((worker.deadline for worker in self._workers), default=now + POLL_INTERVAL)
        events = self._selector.select(max(0.0, min(limit - now, POLL_INTERVAL)))
        for worker in {key.data for key, _ in events}:
            if worker is None:
                self._take_tasks()
            elif worker in self._workers:
                self._read(worker)

    def _take_tasks(self) -> None:
        for ticket, payload in self._owner.recv():
            if payload is not None:
                self._waiting.append(Task(ticket, payload))
            elif self._verdict is None:
                self._questions.append(ticket)
            else:
                self._answers.append((ticket, "done", self._verdict))

    def _read(self, worker: WorkerHandle) -> None:
        """Takes all that a worker said; then, if it is dead, replaces it."""
        ended = worker.ended  # asked first: what a dead worker said is in its socket, whole
        for task, value in worker.said():
            if task is None:
                self._ready(value)
            elif not task.moved:
                self._answers.append((task.ticket, "done", value))
        if ended or worker.silent:
            self._bury(worker)

    def _ready(self, problem: str) -> None:
        self._verdict = problem
        self._failed_starts = 0
        self._answers += [(ticket, "done", problem) for ticket in self._questions]
        self._questions.clear()

    def _end_overdue(self) -> None:
        now = time.monotonic()
        for worker in [worker for worker in self._workers if now >= worker.deadline]:
            self._read(worker)  # it may have answered at the last moment
            if worker in self._workers and now >= worker.deadline:
                self._bury(worker, overdue=True)

    def _bury(self, worker: WorkerHandle, overdue: bool = False) -> None:
        """Kills a worker with what it leaves behind, settles its tasks and starts its successor."""
        cause = worker.end()
        self._selector.unregister(worker.connection)
        self._selector.unregister(worker.sentinel)
        self._workers.remove(worker)
        kill_orphans(forkserver._forkserver._forkserver_pid, {other.pid for other in self._workers})
        second_chance = self._settle(worker, cause, overdue) if worker.ready else self._failed_start(worker, cause)
        worker.close()
        self._start_worker(second_chance)

    def _settle(self, worker: WorkerHandle, cause: str, overdue: bool) -> Task | None:
        """Answers for the task that a worker ended with; returns it instead where an earlier one may be to blame.

        What a worker scored before can leave a thread or a full heap behind, so a death there is not held against the
        task: it is tried once more on a fresh worker, in what is left of its deadline.
        """
        victim = worker.tasks.popleft() if worker.tasks else None
        self._waiting.extendleft(task for task in reversed(worker.tasks) if not task.moved)
        if victim is None or victim.moved:
            return None
        victim.spent += time.monotonic() - worker.since
        if overdue and not victim.cause:
            self._answers.append((victim.ticket, "timeout", None))
            return None
        victim.cause = victim.cause or cause
        if worker.scored and victim.spent < self._settings.timeout:
            return victim
        self._answers.append((victim.ticket, "crash", (victim.cause, victim.spent)))
        return None

    def _failed_start(self, worker: WorkerHandle, cause: str) -> None:
        self._waiting.extendleft(worker.tasks)
        self._failed_starts += 1
        if self._failed_starts < MAX_FAILED_STARTS:
            return
        problem = (f"reward workers do not start: {cause}", 0.0)
        self._answers += [
            (ticket, "crash", problem) for ticket in [task.ticket for task in self._waiting] + self._questions
        ]
        self._waiting.clear()
        self._questions.clear()
        self._failed_starts = 0

    def _assign(self) -> None:
        """Gives every idle worker a task, then every busy one a second, which spares it the wait for this loop."""
        for depth in (1, 2):
            for worker in self._workers:
                if not worker.ready or len(worker.tasks) >= depth:
                    continue
                if self._waiting and (depth == 1 or len(self._waiting[0].payload) < PREFETCH_BYTES):
                    worker.give(self._waiting.popleft())
                elif depth == 1 and (task := self._stuck_task()):
                    worker.give(task)

    def _stuck_task(self) -> Task | None:
        """A task that waits behind another on a worker, taken away from it."""
        behind = [worker.tasks[1] for worker in self._workers if len(worker.tasks) == 2 and not worker.tasks[1].moved]
        if not behind:
            return None
        behind[0].moved = True
        return Task(behind[0].ticket, behind[0].payload)

    def _send_answers(self) -> None:
        if self._answers:
            self._owner.send(self._answers)
            self._answers = []


def main() -> None:
    """Entry point; the argument is the descriptor of the socket to the owner, whose first message is the settings."""
    connection = Connection(int(sys.argv[1]))
    Supervisor(connection, connection.recv()).serve()
