"""Scores answers in processes that can be killed, with a deadline per answer.

    with RewardPool(num_workers=4, timeout=10.0) as pool:
        results = pool.score([RewardRequest("openai/gsm8k", "#### 42", "42"), ...])

The deadline counts from the moment a worker takes the answer, not from `submit`. An overdue answer costs its worker's
whole process group; a new worker takes the next one. Every result says in `status` what became of it: no score of 0
is silent. Usable from any thread, event loop or Ray actor; `reward_score.processes.supervisor` draws the processes.
"""

import contextlib
import itertools
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from multiprocessing.connection import Connection
from types import TracebackType

from reward_score.processes.limits import kill_group
from reward_score.processes.messages import CustomFunction, PoolSettings, RewardRequest, RewardResult
from reward_score.registry import resolve

__all__ = ["RewardPool", "RewardRequest", "RewardResult"]

START_TIMEOUT = 120.0  # seconds until a first worker must have loaded its reward function
STOP_TIMEOUT = 10.0
CHUNK = 256  # requests in one message


class RewardPool:
    """A pool of killable reward processes.

    Args:
        num_workers: processes; None: this process's cores, at most 8.
        timeout: seconds per answer.
        memory_limit_mb: data memory of one worker, in MiB.
        custom: None for the registered functions, else `(path, name, reward_kwargs)` of the user's own.
        kwargs: passed to every registered function, such as `sandbox_fusion_url`.
        data_sources: what will be scored, where known; the libraries it needs are then imported once, before workers
            fork, rather than by each worker within its first deadline.

    Raises:
        ValueError: a setting is not positive, a data source is unknown, or the custom function cannot be loaded.
        RuntimeError: the processes do not start.
    """

    def __init__(self,
                 num_workers: int | None = None,
                 timeout: float = 30.0,
                 memory_limit_mb: int = 4096,
                 custom: tuple[str, str, dict] | None = None,
                 kwargs: Mapping[str, object] | None = None,
                 data_sources: Iterable[str] = ()) -> None:
        num_workers = min(8, len(os.sched_getaffinity(0))) if num_workers is None else num_workers
        for key, value in (("num_workers", num_workers), ("timeout", timeout), ("memory_limit_mb", memory_limit_mb)):
            if value <= 0:
                raise ValueError(f"reward_model.{key} must be above 0, got {value}")
        data_sources = () if custom else sorted(set(data_sources))
        libraries = {library for source in data_sources for library in resolve(source).libraries}
        self._settings = PoolSettings(num_workers, timeout, memory_limit_mb,
                                      CustomFunction(*custom) if custom else None, dict(kwargs or {}),
                                      tuple(data_sources), tuple(sorted(libraries)), os.environ.get("PYTHONPATH"))
        self._tickets = itertools.count()
        self._open: dict[int, tuple[str | None, Future]] = {}  # ticket -> data_source, future
        self._lock = threading.Lock()  # guards _open and _ended
        self._sending = threading.Lock()
        self._ended = ""  # why no more answers are taken
        self._start()

    def submit(self, request: RewardRequest) -> Future[RewardResult]:
        """Queues one answer. Its future raises only if the pool itself is gone.

        Raises:
            ValueError: the request cannot be pickled.
            RuntimeError: the pool is closed or its supervisor died.
        """
        return self._send([(request.data_source, _pickled(request))])[0]

    def score(self, requests: Sequence[RewardRequest]) -> list[RewardResult]:
        """Scores many answers; results in the order of `requests`."""
        futures = []
        for start in range(0, len(requests), CHUNK):
            futures += self._send([(request.data_source, _pickled(request)) for request in requests[start:start + CHUNK]
                                  ])
        return [future.result() for future in futures]

    def close(self) -> None:
        """Ends every process of the pool; answers that are not scored yet are cancelled."""
        for future in self._end("the reward pool is closed"):
            future.cancel()
        if self._connection.closed:
            return
        with contextlib.suppress(OSError):  # the supervisor may have closed it first
            self._socket.shutdown(socket.SHUT_RDWR)  # both ends read EOF
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        kill_group(self._process.pid)  # its fork server and resource tracker, if they linger
        if threading.current_thread() is not self._reader:
            self._reader.join()
        self._connection.close()
        self._socket.close()

    def __enter__(self) -> "RewardPool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair()
        environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with theirs:
            command = [
                sys.executable, "-c", "from reward_score.processes.supervisor import main; main()",
                str(theirs.fileno())
            ]
            self._process = subprocess.Popen(command,
                                             env=environment,
                                             stdin=subprocess.DEVNULL,
                                             pass_fds=(theirs.fileno(),),
                                             start_new_session=True)
        self._connection = Connection(os.dup(self._socket.fileno()))
        self._reader = threading.Thread(target=self._read, name="reward-pool", daemon=True)
        self._reader.start()
        try:
            self._connection.send(self._settings)
            problem = self._send([(None, None)])[0].result(START_TIMEOUT)
            if problem:
                raise ValueError(problem)
        except TimeoutError as error:
            self.close()
            raise RuntimeError(f"no reward worker was ready after {START_TIMEOUT:.0f} s; "
                               "does the file of custom_reward_function.path do long work when imported?") from error
        except BaseException:
            self.close()
            raise

    def _send(self, items: Sequence[tuple[str | None, bytes | None]]) -> list[Future]:
        futures: list[Future] = [Future() for _ in items]
        tickets = [next(self._tickets) for _ in items]
        with self._lock:
            if self._ended:
                raise RuntimeError(self._ended)
            for ticket, (data_source, _), future in zip(tickets, items, futures, strict=True):
                self._open[ticket] = (data_source, future)
        try:
            with self._sending:
                self._connection.send([(ticket, payload) for ticket, (_, payload) in zip(tickets, items, strict=True)])
        except OSError as error:
            raise RuntimeError(self._ended or "the reward pool's supervisor is gone") from error
        return futures

    def _read(self) -> None:
        """The reader thread: sets results until the socket ends."""
        try:
            while True:
                for ticket, kind, value in self._connection.recv():
                    with self._lock:
                        data_source, future = self._open.pop(ticket, (None, None))
                    if future is not None and future.set_running_or_notify_cancel():
                        future.set_result(self._result(data_source, kind, value))
        except (EOFError, OSError):
            for future in self._end("the reward pool's supervisor died; its last words are on stderr"):
                future.set_exception(RuntimeError(self._ended))

    def _end(self, reason: str) -> list[Future]:
        """Takes no more answers from now on; returns the futures left open."""
        with self._lock:
            self._ended = self._ended or reason
            left = [future for _, future in self._open.values()]
            self._open.clear()
        return left

    def _result(self, data_source: str | None, kind: str, value: object) -> object:
        if data_source is None:  # the question whether workers can score
            return value if kind == "done" else value[0]
        if kind == "done":
            return pickle.loads(value)
        timeout = self._settings.timeout
        cause, seconds = (f"no score within {timeout:g} s", timeout) if kind == "timeout" else value
        return RewardResult(0.0, 0.0, kind, {}, f"{data_source}: {cause}", seconds)


def _pickled(request: RewardRequest) -> bytes:
    try:
        return pickle.dumps(request)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ValueError(f"a row of {request.data_source!r} cannot be sent to a reward process: {error}") from error
