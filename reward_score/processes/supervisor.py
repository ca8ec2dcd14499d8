"""The process between a `RewardPool` and its workers.

It runs Pebble's pool, so that the owner of a `RewardPool` (a Ray actor, a notebook, a script without `__main__`
guard) lends it neither its `__main__` nor its threads and signals, and so that nothing is left when it ends:

    RewardPool --socket--> supervisor --fork server--> worker, leader of a process group --> what reward functions start
      the socket closes (`close`, or the owner died)  ->  every group is killed, the supervisor ends
      the supervisor dies                             ->  the kernel kills the fork server, and with it the workers
"""

import concurrent.futures
import contextlib
import functools
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess

from pebble import ProcessExpired, ProcessPool

from reward_score.processes.limits import kill_group
from reward_score.processes.messages import PoolSettings
from reward_score.processes.worker import EXIT_OUT_OF_MEMORY, check_worker, score_one, start_worker

MAX_BREAKS = 3  # of Pebble's pool in a row, without one answer in between
POLL_INTERVAL = 0.2  # seconds
EXIT_ZERO = 256  # stands for an exit code of 0; no process can have it


class _GroupProcess(ForkServerProcess):
    """A worker as this pool wants it to end."""

    @property
    def exitcode(self) -> int | None:
        """An exit code that Pebble notices: it takes 0 for a planned end, and no end of ours is planned."""
        code = super().exitcode
        return EXIT_ZERO if code == 0 else code

    def terminate(self) -> None:
        """Kills the whole process group at once. Pebble calls this for overdue answers and when it stops."""
        if not kill_group(self.pid):
            self.kill()  # it does not lead its group yet


class _GroupContext(ForkServerContext):
    Process = _GroupProcess


class Supervisor:
    """Hands requests to Pebble, `(ticket, payload)`, and returns what became of them, `(ticket, kind, value)`.

    Kinds: "done" (value: what the worker returned), "timeout", "crash" (value: the cause). A payload of None asks
    whether workers can score at all.
    """

    def __init__(self, connection: Connection, settings: PoolSettings) -> None:
        multiprocessing.set_forkserver_preload(["reward_score.processes.fork_server", *settings.libraries])
        forkserver.ensure_running()  # from the main thread, whose end is the supervisor's
        self._connection = connection
        self._settings = settings
        self._open: dict[int, bytes | None] = {}  # ticket -> payload of what is not answered yet
        self._breaks = 0
        self._sending = threading.Lock()  # Pebble answers from several threads
        self._pool = self._new_pool()

    def serve(self) -> None:
        """Serves until the owner closes its end or dies."""
        owner = os.getppid()
        with contextlib.suppress(EOFError, ConnectionError):  # the owner is gone: that is how a pool ends
            while os.getppid() == owner:
                if self._connection.poll(POLL_INTERVAL):
                    ticket, payload = self._connection.recv()
                    self._open[ticket] = payload
                    self._schedule(ticket, payload)
                if not self._pool.active:
                    self._replace_pool()
        self._pool.stop()
        self._pool.join()

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(max_workers=self._settings.num_workers,
                           initializer=start_worker,
                           initargs=(self._settings,),
                           context=_GroupContext())

    def _schedule(self, ticket: int, payload: bytes | None) -> None:
        with contextlib.suppress(RuntimeError):  # the pool has just broken: serve() replaces it and schedules again
            if payload is None:
                future = self._pool.schedule(check_worker)
            else:
                future = self._pool.schedule(score_one, (payload,), timeout=self._settings.timeout)
            future.add_done_callback(functools.partial(self._finish, ticket))

    def _replace_pool(self) -> None:
        """Starts over after Pebble gave up, which it does when a worker dies between two answers."""
        self._pool.join()
        self._pool = self._new_pool()
        self._breaks += 1
        for ticket, payload in list(self._open.items()):
            if self._breaks < MAX_BREAKS:
                self._schedule(ticket, payload)
            else:
                self._answer(ticket, "crash", "reward workers die before they can score")

    def _finish(self, ticket: int, future: concurrent.futures.Future) -> None:
        try:
            self._answer(ticket, "done", future.result())
            self._breaks = 0
        except TimeoutError:
            self._answer(ticket, "timeout", None)
        except ProcessExpired as error:
            kill_group(error.pid)  # the worker died by itself; what it had started did not
            self._answer(ticket, "crash", _cause_of_death(error.exitcode, self._settings.memory_limit_mb))
        except BrokenProcessPool:
            pass  # stays open: serve() schedules it again
        except Exception as error:  # noqa: BLE001 -- the recovery seam: an answer must never stay open
            self._answer(ticket, "crash", repr(error))

    def _answer(self, ticket: int, kind: str, value: object) -> None:
        known = self._open.pop(ticket, self) is not self
        with self._sending, contextlib.suppress(OSError):  # serve() notices that the owner is gone
            if known:
                self._connection.send((ticket, kind, value))


def _cause_of_death(exitcode: int, memory_limit_mb: int) -> str:
    if exitcode == EXIT_OUT_OF_MEMORY:
        return f"out of memory (reward_model.memory_limit_mb={memory_limit_mb})"
    if exitcode < 0:
        return f"its process was killed by {signal.Signals(-exitcode).name}"
    return f"its process exited with code {exitcode % EXIT_ZERO}"


def main() -> None:
    """Entry point; the argument is the descriptor of the socket to the owner, whose first message is the settings."""
    connection = Connection(int(sys.argv[1]))
    Supervisor(connection, connection.recv()).serve()
