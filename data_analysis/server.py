"""Answers from an OpenAI-compatible server, sglang's or vLLM's, over HTTP."""

import http.client
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import psutil

from data_analysis.answers import Write
from data_analysis.batch import CHAT, Task, make_answer, make_refusal
from data_analysis.progress import warn
from verl.workers.rollout.base import sample_seed

REFUSED = (400, 413, 422)  # the same request would be refused again
FATAL = (401, 403, 404, 405)
# no connection, a reply that was cut, a reply that holds no answer
UNUSABLE = (OSError, http.client.HTTPException, ValueError, KeyError, IndexError, TypeError)
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the server is near: no proxy between


class ServerGoneError(RuntimeError):
    """The server does not answer any more, or never did."""


class Server:
    """A server at `url`.

    Args:
        model: its name there.
        pid: its process, where it is ours: when that ends, waiting does too.
        concurrency: requests in flight.
        timeout: seconds for one answer.
        tries: per request, before it is left for another run.
        pause: seconds before a second try; doubles with each.
    """

    def __init__(self, url: str, model: str, seed: int, pid: int | None = None, concurrency: int = 512,
                 timeout: float = 3600.0, tries: int = 4, pause: float = 1.0) -> None:  # yapf: disable
        self._url, self._model, self._seed, self._pid = url.rstrip("/"), model, seed, pid
        self._concurrency, self._timeout, self._tries, self._pause = concurrency, timeout, tries, pause
        self._gone = threading.Event()

    def wait_until_ready(self, limit: float) -> None:
        """Raises ServerGoneError if the server ends, or is not ready after `limit` seconds."""
        end = time.monotonic() + limit
        pause = 0.1
        while not self._is_healthy():
            if not self._is_alive():
                raise ServerGoneError("the server ended before it was ready; its log says why")
            if time.monotonic() > end:
                raise ServerGoneError(f"{self._url}: not ready within {limit:g} s; --start-timeout gives it longer")
            time.sleep(pause)
            pause = min(2.0, pause * 1.5)

    def answer(self, tasks: Sequence[Task], write: Write) -> None:
        """Raises ServerGoneError if the server ends; a request that fails on a healthy server is left unanswered."""
        waiting = iter(tasks)
        self._gone.clear()
        with ThreadPoolExecutor(self._concurrency) as pool:
            running: set[Future] = set()
            try:
                while True:
                    for task in waiting:
                        running.add(pool.submit(self._one, task))
                        if len(running) >= self._concurrency:
                            break
                    if not running:
                        return
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        if line := future.result():
                            write(line)
            finally:
                self._gone.set()
                for future in running:
                    future.cancel()

    def _one(self, task: Task) -> dict | None:
        """The line of an answer; None if there is none after all tries."""
        problem: object = None
        for attempt in range(self._tries):
            try:
                return self._ask(task)
            except urllib.error.HTTPError as error:
                message = error.read().decode("utf-8", "replace")
                if error.code in REFUSED:
                    return make_refusal(task, error.code, message)
                if error.code in FATAL:
                    raise ServerGoneError(f"{self._url}{task.url} answers {error.code}: {message[:300]}") from error
                problem = f"{error.code} {message[:300]}"
            except UNUSABLE as error:
                problem = error
            if not self._is_alive():
                raise ServerGoneError("the server's process has ended; its log says why")
            if self._gone.wait(self._pause * 2**attempt):
                return None
        if not self._is_healthy():
            raise ServerGoneError(f"{self._url} answers no more: {problem}")
        warn(f"{task.custom_id}, answer {task.sample}: given up after {self._tries} tries: {problem}")
        return None

    def _ask(self, task: Task) -> dict:
        seed = sample_seed(self._seed, 0, task.custom_id, task.sample) % 2**31
        body = json.dumps(task.body | {"model": self._model, "seed": seed, "n": 1}).encode()
        request = urllib.request.Request(self._url + task.url, body, {"Content-Type": "application/json"})
        with _OPENER.open(request, timeout=self._timeout) as reply:
            found = json.load(reply)
        choice = found["choices"][0]
        text = choice["message"]["content"] if task.url == CHAT else choice["text"]
        thoughts = choice["message"].get("reasoning_content") if task.url == CHAT else None
        text = f"<think>{thoughts}</think>{text or ''}" if thoughts else text or ""
        return make_answer(task, text,
                           choice.get("finish_reason") or "stop", (found.get("usage") or {}).get("completion_tokens") or
                           0)

    def _is_healthy(self) -> bool:
        try:
            with _OPENER.open(f"{self._url}/health", timeout=10):
                return True
        except (OSError, http.client.HTTPException, ValueError):
            return False

    def _is_alive(self) -> bool:
        """False only if its process is known to have ended."""
        if self._pid is None:
            return True
        try:
            return psutil.Process(self._pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
