"""Runs on this machine, from any thread.

A thread takes an idle zygote or starts one: runs of several threads do not wait for each other, and a worker with one
thread has one zygote.
"""

import atexit
import contextlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reward_score.sandbox.client import SandboxBroken, Zygote
from reward_score.sandbox.outcome import Capabilities, Limits, Outcome
from reward_score.sandbox.runs import check, program

DEFAULT = Limits()

_idle: list[Zygote] = []
_lock = threading.Lock()
_choice: dict[str, bool] = {}  # "namespaces": what works here, once known


@contextlib.contextmanager
def _zygote() -> Iterator[Zygote]:
    with _lock:
        zygote = _idle.pop() if _idle else None
    zygote = zygote or _start()
    try:
        yield zygote
    except BaseException:
        zygote.close()  # it may still be at work
        raise
    with _lock:
        _idle.append(zygote)


def _start() -> Zygote:
    """A zygote with all that works here; the first one of a process is tried out."""
    if "namespaces" in _choice:
        return Zygote(_choice["namespaces"])
    problem = None
    for namespaces in (True, False):
        try:
            zygote = Zygote(namespaces)
        except SandboxBroken as error:
            problem = error
            continue
        trial = program(zygote, "print(6 * 7)", b"", Limits())
        if trial.stdout == b"42\n":
            _choice["namespaces"] = namespaces
            _warn(zygote.capabilities)
            return zygote
        zygote.close()
        problem = SandboxBroken(f"the sandbox runs no program: {trial.verdict}: {trial.feedback}")
    raise problem


def _warn(facts: Capabilities) -> None:
    if not facts.network:
        warnings.warn(
            "sandbox: answers can use the network here: neither namespaces nor system call filters are permitted")


@atexit.register
def close() -> None:
    """Ends this process's zygotes; the next run starts one again."""
    with _lock:
        zygotes, _idle[:] = _idle[:], []
    for zygote in zygotes:
        zygote.close()


def _forget() -> None:
    """In a forked child: the zygotes are its parent's."""
    global _lock
    _lock = threading.Lock()
    for zygote in _idle:
        zygote.close()
    _idle.clear()


os.register_at_fork(after_in_child=_forget)


def warm() -> None:
    """Starts a zygote if none waits, so that the first answer's deadline does not pay for it."""
    with _zygote():
        pass


def capabilities() -> Capabilities:
    """What is enforced on this machine, from a sandbox that runs."""
    with _zygote() as zygote:
        return zygote.capabilities


def run_program(code: str, stdin: bytes = b"", limits: Limits = DEFAULT) -> Outcome:
    """Runs a program; `verdict` is "ok" if it ended with exit code 0.

    Raises:
        SandboxBroken: the sandbox itself failed, twice.
    """
    return _retried(lambda zygote: program(zygote, code, stdin, limits))


def run_tests(code: str, tests: str, prefix: str = "", entry_points: list[str] | None = None,
              limits: Limits = DEFAULT) -> Outcome:  # yapf: disable
    """Runs test code against the functions that `code` defines, in two processes.

    Args:
        code: the answer.
        tests: trusted code that raises, if only AssertionError, unless the answer is right.
        prefix: trusted code that comes before the answer; its names cannot be redefined for the tests.
        entry_points: Python's own function names that the tests take from the answer (`def sum(a, b)`).

    Raises:
        SandboxBroken: the sandbox itself failed, twice.
    """
    return _retried(lambda zygote: check(zygote, code, tests, prefix, entry_points or [], limits))


def _retried(run: Callable[[Zygote], Outcome]) -> Outcome:
    try:
        with _zygote() as zygote:
            return run(zygote)
    except SandboxBroken:  # it was killed from outside, say for memory
        with _zygote() as zygote:
            return run(zygote)


@dataclass(frozen=True)
class LocalSandbox:
    """This machine, behind the interface that `RemoteSandbox` has too."""

    limits: Limits = DEFAULT

    def run_program(self, code: str, stdin: bytes, seconds: float) -> Outcome:
        """`run_program` within `seconds` and the other limits."""
        return run_program(code, stdin, self._within(seconds))

    def run_tests(self, code: str, tests: str, prefix: str, entry_points: list[str], seconds: float) -> Outcome:
        """`run_tests` within `seconds` and the other limits."""
        return run_tests(code, tests, prefix, entry_points, self._within(seconds))

    def _within(self, seconds: float) -> Limits:
        return Limits(min(seconds, self.limits.seconds), self.limits.memory_mb, self.limits.output_mb,
                      self.limits.processes)
