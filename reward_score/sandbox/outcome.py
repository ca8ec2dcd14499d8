"""What a run may use, and what became of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Of one run.

    Attributes:
        seconds: wall clock; also the processor time of each of its processes, rounded up.
        memory_mb: address space of each of its processes, in MiB.
        output_mb: the largest file it may write, standard output and error among them, in MiB.
        processes: processes and threads at once.
    """

    seconds: float = 10.0
    memory_mb: int = 1024
    output_mb: int = 16
    processes: int = 16


@dataclass(frozen=True)
class Outcome:
    """Of one run or of a series of tests.

    Attributes:
        verdict: "pass", "wrong answer", "runtime error", "timeout", "memory", "output limit", "compile error"; of a
            plain program "ok" in place of the first two; "bad row" where the row's tests test nothing.
        feedback: one short line; empty if passed.
        stdout: what a program wrote.
        seconds: wall clock.
    """

    verdict: str
    feedback: str = ""
    stdout: bytes = b""
    seconds: float = 0.0


@dataclass(frozen=True)
class Capabilities:
    """What the sandbox enforces on this machine.

    Attributes:
        network: "namespace" (there is no network), "system call filter" (no sockets but local ones) or "" (open).
        processes: how all processes of a run are ended: "namespace", "user" (an uid of its own) or "" (as descendants).
        files: "private root" (sees system libraries and Python only) or "" (reads what its user may read).
        user: the uid that answers run as; None: the reward worker's own.
        filter: whether system calls are filtered.
    """

    network: str
    processes: str
    files: str
    user: int | None
    filter: bool
