"""One run in a zygote: its memory files, its limits, and what its end means."""

import contextlib
import json
import math
import os
import secrets
import signal
from collections.abc import Iterator

from reward_score.sandbox.client import SandboxBroken, Zygote
from reward_score.sandbox.outcome import Limits, Outcome

OPEN_FILES = 64
EXIT_MEMORY, EXIT_COMPILE = 77, 78  # as inside/child.py
_WARM = ("numpy",)  # imported by the zygote once a program mentions it


@contextlib.contextmanager
def _files(*contents: bytes) -> Iterator[list[int]]:
    """Memory files; a run gets their descriptors."""
    descriptors = [os.memfd_create("sandbox", os.MFD_CLOEXEC) for _ in contents]
    try:
        for descriptor, content in zip(descriptors, contents, strict=True):
            with open(descriptor, "wb", closefd=False) as file:
                file.write(content)
            os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _request(kind: str, limits: Limits, *texts: str) -> dict:
    resources = {"cpu": math.ceil(limits.seconds) + 1, "memory": limits.memory_mb * 2**20, "core": 0,
                 "file": limits.output_mb * 2**20, "processes": limits.processes, "files": OPEN_FILES,
                 "stack": 128 * 2**20}  # yapf: disable
    return {"kind": kind, "limits": resources, "seconds": limits.seconds,
            "warm": [name for name in _WARM if any(name in text for text in texts)]}  # yapf: disable


def program(zygote: Zygote, code: str, stdin: bytes, limits: Limits) -> Outcome:
    with _files(code.encode(errors="replace"), stdin, b"", b"") as files:
        reply = zygote.request(_request("program", limits, code), files, limits.seconds)
        stdout, stderr = _read(files[2], limits), _read(files[3], limits)
    words = stderr[-400:].decode(errors="replace").strip().rpartition("\n")[2]
    verdict = _verdict(reply, len(stdout) >= limits.output_mb * 2**20 or len(stderr) >= limits.output_mb * 2**20)
    return Outcome(verdict, "" if verdict == "ok" else words[:200], stdout, reply["seconds"])


def _read(descriptor: int, limits: Limits) -> bytes:
    return os.pread(descriptor, limits.output_mb * 2**20, 0)


def _verdict(reply: dict, flooded: bool) -> str:
    status = reply["status"]
    code = os.waitstatus_to_exitcode(status)
    if flooded:
        return "output limit"
    if reply["overdue"] or code == -signal.SIGXCPU:
        return "timeout"
    return {0: "ok", EXIT_MEMORY: "memory", EXIT_COMPILE: "compile error"}.get(code, "runtime error")


def check(zygote: Zygote, code: str, tests: str, prefix: str, entry_points: list[str], limits: Limits) -> Outcome:
    nonce = secrets.token_hex(16)
    answer = json.dumps({"prefix": prefix, "code": code}).encode()
    checks = json.dumps({"prefix": prefix, "tests": tests, "entry_points": entry_points, "nonce": nonce}).encode()
    with _files(answer, b"", b"", checks, b"") as files:
        reply = zygote.request(_request("check", limits, code, tests, prefix), files, limits.seconds)
        written = os.pread(files[4], 65536, 0)
    if reply["overdue"]:
        return Outcome("timeout", f"over {limits.seconds:g} s", b"", reply["seconds"])
    if not written:
        return Outcome("runtime error", "the tests ended without a verdict", b"", reply["seconds"])
    return read_verdict(written, nonce, reply["seconds"])


def read_verdict(written: bytes, nonce: str, seconds: float) -> Outcome:
    """The checker's verdict, which only counts with the nonce that nobody else was told."""
    verdict = json.loads(written)
    if verdict.pop("nonce") != nonce:
        raise SandboxBroken("a verdict came without its nonce")
    return Outcome(verdict["verdict"], verdict["feedback"], b"", seconds)
