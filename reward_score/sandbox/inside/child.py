"""A process of the sandbox: confines itself, then runs what it was forked for."""

import builtins
import os
import resource
import signal
import socket
import sys
import threading
import traceback
import types

from . import kernel, seccomp

EXIT_RUNTIME, EXIT_MEMORY, EXIT_COMPILE = 1, 77, 78
MAX_STACK = 128 * 2**20
_LIMITS = {"cpu": resource.RLIMIT_CPU, "memory": resource.RLIMIT_AS, "file": resource.RLIMIT_FSIZE,
           "processes": resource.RLIMIT_NPROC, "files": resource.RLIMIT_NOFILE, "core": resource.RLIMIT_CORE,
           "stack": resource.RLIMIT_STACK}  # yapf: disable


builtins.exit = builtins.quit = sys.exit  # by `site`, which -S leaves out


def confine(descriptors: dict[int, int], limits: dict[str, int], user: int | None, folder: str, signals: bool) -> None:
    """Gives up what this process could harm with.

    Args:
        descriptors: what it keeps, {its number from now on: its number before}; all others are closed.
        limits: resource limits by the names of `_LIMITS`.
        user: the uid to become; None keeps the user.
        folder: the new working directory.
        signals: False lets it signal itself only.
    """
    os.setsid()
    _keep(descriptors)
    for name, value in limits.items():
        hard = resource.getrlimit(_LIMITS[name])[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(_LIMITS[name], (value, value))
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which clears it
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # keeps its memory from other processes of its user
    if seccomp.supported():
        seccomp.install(signals=signals)
    os.chdir(folder)


def _keep(descriptors: dict[int, int]) -> None:
    high = [os.dup2(old, 200 + new) for new, old in descriptors.items()]  # out of each other's way first
    for new, old in zip(descriptors, high, strict=True):
        os.dup2(old, new, inheritable=new < 3)
    last = -1
    for descriptor in sorted(descriptors):
        if descriptor > last + 1:  # Python 3.11 takes an empty range for all there is
            os.closerange(last + 1, descriptor)
        last = descriptor
    os.closerange(last + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def read_all(descriptor: int) -> bytes:
    """What a memory file holds; it is closed."""
    with open(descriptor, "rb") as file:
        file.seek(0)
        return file.read()


def run_program(code: str) -> int:
    """Runs a program as `python program.py` would, with the descriptors 0, 1 and 2; -> its exit code."""
    text = {"encoding": "utf-8", "errors": "replace", "closefd": False}
    sys.stdin = open(0, **text)  # noqa: SIM115 -- for good
    sys.stdout = open(1, "w", **text)  # noqa: SIM115 -- for good
    sys.stderr = open(2, "w", 1, **text)  # noqa: SIM115 -- for good
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    sys.argv = ["main.py"]
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        program = compile(code, "main.py", "exec")
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        traceback.print_exc(limit=0)
        return EXIT_COMPILE
    status = _guard(lambda: exec(program, module.__dict__))
    ended = _guard(_end)
    return status or ended


def _end() -> None:
    """What Python does at the end of a program."""
    import atexit
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()


def _guard(function: object) -> int:
    try:
        function()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except MemoryError:
        return EXIT_MEMORY
    except BaseException:  # noqa: BLE001 -- the program's own errors
        traceback.print_exc(limit=-3)
        return EXIT_RUNTIME
    return 0


def run_answer(connection: socket.socket, job: bytes) -> None:
    """Serves an answer's functions; what it prints is dropped."""
    import json

    from .server import Server
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 -- for good
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 -- for good
    sys.stderr = open(2, "w", errors="replace", buffering=1, closefd=False)  # noqa: SIM115 -- for good
    job = json.loads(job)
    Server(connection).run(job["prefix"], job["code"])
