"""The warm process that the sandbox's runs are forked from.

    reward worker --Popen--> launcher --fork--> zygote, first process of its namespaces --fork--> one or two per run

It never holds a row's data: programs, tests and inputs are in memory files, whose descriptors it passes on, so that no
run finds in its memory what another one left there. It ends when its reward worker is gone (the socket closes), and
with it the kernel ends everything in its process namespace.
"""

import contextlib
import gc
import json
import os
import select
import shutil
import signal
import socket
import tempfile
import time

from . import checker, child, kernel, root, seccomp, server, wire  # noqa: F401 -- loaded before the fork


class Zygote:
    """Forks runs, one at a time, ends them, and cleans up after them.

    Attributes:
        facts: what is enforced here; see `reward_score.sandbox.Capabilities`.
    """

    def __init__(self, settings: dict) -> None:
        self._user, self._tests_user = settings["users"]
        self._namespaces = settings["namespaces"]
        self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY) if self._namespaces else -1
        self._private = False
        self._signals = self._namespaces or self._user is not None
        if self._namespaces:
            root.enter(settings["paths"], settings["scratch_mb"])
            self._private = True
        self._folder = "/tmp" if self._private else tempfile.mkdtemp(prefix="sandbox-")
        self._mounted = frozenset(os.listdir(self._folder))  # where Python lies below /tmp
        os.environ.update(HOME=self._folder, TMPDIR=self._folder)
        if not self._private:
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
            os.chmod(self._folder, 0o700)
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._ended: dict[int, int] = {}  # pid -> wait status
        self._control: socket.socket | None = None

    def facts(self) -> dict[str, object]:
        """What is enforced here."""
        network = "namespace" if self._namespaces else "system call filter" if seccomp.supported() else ""
        processes = "namespace" if self._namespaces else "user" if self._user is not None else ""
        return {"network": network, "processes": processes, "files": "private root" if self._private else "",
                "user": self._user, "filter": seccomp.supported()}  # yapf: disable

    def serve(self, control: socket.socket) -> None:
        """Serves until the reward worker is gone."""
        self._control = control
        if self._signals and seccomp.supported():
            seccomp.compiled(None)  # once, for all forks
        gc.collect()
        gc.freeze()
        try:
            while True:
                message, descriptors, _, _ = socket.recv_fds(control, 65536, 16)
                if not message:
                    return
                reply = self._run(json.loads(message), descriptors)
                control.send(json.dumps(reply).encode())
        except (OSError, InterruptedError):
            return
        finally:
            if not self._private:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, request: dict, descriptors: list[int]) -> dict:
        for name in request["warm"]:
            with contextlib.suppress(ImportError):
                __import__(name)
        start = time.monotonic()
        pids = []
        try:
            self._prepare()
            pids = (self._fork_program if request["kind"] == "program" else self._fork_check)(request, descriptors)
            overdue = self._wait(pids[0], start + request["seconds"])
        finally:
            self._clean(pids)
            for descriptor in descriptors:
                os.close(descriptor)
        return {"overdue": overdue, "status": self._ended.pop(pids[0]), "candidate": self._ended.pop(pids[-1], 0),
                "seconds": time.monotonic() - start}  # yapf: disable

    def _prepare(self) -> None:
        if not self._private and self._user is not None:
            os.makedirs(self._folder, exist_ok=True)
            os.chown(self._folder, self._user, self._user)

    def _fork_program(self, request: dict, descriptors: list[int]) -> list[int]:
        """Descriptors: program, stdin, stdout, stderr."""
        pid = self._fork()
        if pid:
            return [pid]
        with _no_return():
            code, *streams = descriptors
            child.confine({
                0: streams[0],
                1: streams[1],
                2: streams[2],
                3: code
            }, request["limits"], self._user, self._folder, self._signals)
            status = child.run_program(child.read_all(3).decode())
            os._exit(status & 255)

    def _fork_check(self, request: dict, descriptors: list[int]) -> list[int]:
        """Descriptors: the answer's job, its empty input, stderr; the tests' job, verdict. -> pids, tests first."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            tests = self._fork()
            if not tests:
                with _no_return():
                    child.confine({
                        3: descriptors[3],
                        4: descriptors[4],
                        5: ours.fileno()
                    }, request["limits"], self._tests_user, "/", self._signals)
                    checker.main(socket.socket(fileno=5), child.read_all(3), 4)
                    os._exit(0)
            answer = self._fork()
            if not answer:
                with _no_return():
                    job, empty, errors = descriptors[:3]
                    child.confine({
                        0: empty,
                        1: errors,
                        2: errors,
                        3: job,
                        4: theirs.fileno()
                    }, request["limits"], self._user, self._folder, self._signals)
                    child.run_answer(socket.socket(fileno=4), child.read_all(3))
                    os._exit(0)
        return [tests, answer]

    def _fork(self) -> int:
        if self._namespaces:
            kernel.unshare(kernel.CLONE_NEWPID)
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        elif self._namespaces:
            kernel.setns(self._own_pids, kernel.CLONE_NEWPID)
        return pid

    def _wait(self, pid: int, deadline: float) -> bool:
        """Waits for the end of `pid`; True if it is overdue.

        Raises:
            InterruptedError: the reward worker is gone.
        """
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        while not self._reap(pid):
            left = deadline - time.monotonic()
            if left <= 0:
                return True
            ready = [descriptor for descriptor, _ in poll.poll(left * 1000 + 1)]
            if self._control.fileno() in ready:
                raise InterruptedError
            if self._wake in ready:
                os.read(self._wake, 4096)
        return False

    def _reap(self, pid: int, options: int = os.WNOHANG) -> bool:
        if pid not in self._ended:
            found, status = os.waitpid(pid, options)
            if found:
                self._ended[pid] = status
        return pid in self._ended

    def _clean(self, pids: list[int]) -> None:
        """Ends every process of the run and empties its folders."""
        for pid in pids:
            if pid not in self._ended:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if not self._namespaces:
            self._kill_strays()
        for pid in pids:
            self._reap(pid, 0)
        for folder in (self._folder, *(["/dev/shm"] if self._private else [])):
            _empty(folder, self._mounted)

    def _kill_strays(self) -> None:
        """Without a process namespace: whatever runs as the run's user, and all that was ever started under us."""
        if self._user is not None:
            for user in (self._user, self._tests_user):
                helper = os.fork()
                if not helper:
                    with _no_return():
                        os.setresuid(user, user, user)
                        os.kill(-1, signal.SIGKILL)
                os.waitpid(helper, 0)
        for _ in range(1000):  # orphans become our children
            for pid in _children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            try:
                found, status = os.waitpid(-1, 0)
            except ChildProcessError:
                return
            self._ended[found] = status


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return list(map(int, file.read().split()))


def _empty(folder: str, mounted: frozenset[str]) -> None:
    try:
        names = set(os.listdir(folder)) - mounted
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(path)


class _no_return:
    """A forked child must never go on as the zygote."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if error is not None:
            with contextlib.suppress(OSError):
                os.write(2, f"sandbox: {error!r}\n".encode())
        os._exit(70 if error is not None else 0)
