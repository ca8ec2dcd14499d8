"""SandboxFusion by URL (https://github.com/bytedance/SandboxFusion): the same verdicts from another machine.

`POST {url}/run_code` runs one Python program. Functional tests travel as one program that starts the answer in a second
process and keeps the tests in its own, as the local sandbox does. What the answer may do on that machine is up to the
server; it sees no expected output of a stdin test, and a verdict counts only with its nonce.
"""

import itertools
import json
import os
import secrets
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib import resources
from urllib.parse import urlsplit

from reward_score.result import RewardUnavailable
from reward_score.sandbox.outcome import Limits, Outcome
from reward_score.sandbox.runs import read_verdict

DEFAULT_PORT = 8080
BACKOFF = (0.2, 0.5, 1.0)  # seconds before each further try
NETWORK_SECONDS = 10.0  # of a request beyond its run
_turn = itertools.count(os.getpid())  # workers begin at different servers

_DRIVER = '''
import contextlib, ctypes, json, os, socket, subprocess, sys, types
JOB, SOURCES, ANSWER = json.loads({job!r}), json.loads({sources!r}), json.loads({answer!r})
with contextlib.suppress(OSError):
    os.unlink(sys.argv[0])
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
LOADER = """
import sys, types
def load(sources):
    package = sys.modules["inside"] = types.ModuleType("inside"); package.__path__ = []
    for name, text in sources.items():
        module = sys.modules["inside." + name] = types.ModuleType("inside." + name)
        module.__package__ = "inside"; setattr(package, name, module)
        exec(compile(text, name, "exec"), module.__dict__)
"""
CHILD = LOADER + """
import json, os, socket
job = json.loads(sys.stdin.read())
sys.stdin = open(os.devnull)
sys.stdout = open(os.devnull, "w")
load(job["sources"])
sys.modules["inside.server"].Server(socket.socket(fileno=int(sys.argv[1]))).run(job["prefix"], job["code"])
"""
ours, theirs = socket.socketpair()
answer = subprocess.Popen([sys.executable, "-c", CHILD, str(theirs.fileno())], pass_fds=(theirs.fileno(),),
                          stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=True)
theirs.close()
answer.stdin.write(json.dumps({{**ANSWER, "sources": SOURCES}}).encode())
answer.stdin.close()
exec(LOADER)
load(SOURCES)
checker = sys.modules["inside.checker"]
verdict = checker.check(ours, JOB["prefix"], JOB["tests"], JOB["entry_points"])
answer.kill()
sys.stdout.write("\\n" + json.dumps({{**verdict, "nonce": JOB["nonce"]}}) + "\\n")
sys.stdout.flush()
os._exit(0)
'''


@dataclass(frozen=True)
class RemoteSandbox:
    """Servers that take turns.

    Args:
        urls: comma-separated `host`, `host:port` or URLs, with or without `/run_code`.
        limits: of each run; `processes` is the server's own.
    """

    urls: str
    limits: Limits = Limits()

    def run_program(self, code: str, stdin: bytes, seconds: float) -> Outcome:
        """As `LocalSandbox.run_program`.

        Raises:
            RewardUnavailable: no server ran it.
        """
        start = time.monotonic()
        ran = self._post(code, stdin.decode(errors="replace"), seconds)
        stdout, stderr = (ran.get("stdout") or "").encode(), ran.get("stderr") or ""
        verdict = self._verdict(ran, stdout, stderr)
        words = stderr[-400:].strip().rpartition("\n")[2][:200]
        return Outcome(verdict, "" if verdict == "ok" else words, stdout, time.monotonic() - start)

    def run_tests(self, code: str, tests: str, prefix: str, entry_points: list[str], seconds: float) -> Outcome:
        """As `LocalSandbox.run_tests`.

        Raises:
            RewardUnavailable: no server ran it.
        """
        start = time.monotonic()
        nonce = secrets.token_hex(16)
        job = {"prefix": prefix, "tests": tests, "entry_points": entry_points, "nonce": nonce}
        program = _DRIVER.format(job=json.dumps(job), sources=json.dumps(_sources()),
                                 answer=json.dumps({"prefix": prefix, "code": code}))  # yapf: disable
        ran = self._post(program, "", seconds)
        if ran.get("status") == "TimeLimitExceeded":
            return Outcome("timeout", f"over {seconds:g} s", b"", time.monotonic() - start)
        written = (ran.get("stdout") or "").strip().rpartition("\n")[2]
        if nonce not in written:
            return Outcome("runtime error", "the tests ended without a verdict", b"", time.monotonic() - start)
        return read_verdict(written.encode(), nonce, time.monotonic() - start)

    def _verdict(self, ran: dict, stdout: bytes, stderr: str) -> str:
        last = stderr.strip().rpartition("\n")[2]
        if len(stdout) >= self.limits.output_mb * 2**20:
            return "output limit"
        if ran.get("status") == "TimeLimitExceeded":
            return "timeout"
        if ran.get("return_code") == 0:
            return "ok"
        if last.startswith("MemoryError") or ran.get("return_code") in (-9, 137):
            return "memory"
        unread = last.startswith(("SyntaxError", "IndentationError", "TabError")) and "Traceback (" not in stderr
        return "compile error" if unread else "runtime error"

    def _post(self, code: str, stdin: str, seconds: float) -> dict:
        body = json.dumps({"code": code, "stdin": stdin, "language": "python", "compile_timeout": seconds,
                           "run_timeout": seconds, "memory_limit_MB": self.limits.memory_mb}).encode()  # yapf: disable
        servers = [_url(server.strip()) for server in self.urls.split(",") if server.strip()]
        if not servers:
            raise ValueError("sandbox_fusion_url is empty; give the URL of a SandboxFusion server")
        for pause in (*BACKOFF, None):
            url = servers[next(_turn) % len(servers)]
            problem = self._try(url, body, seconds)
            if isinstance(problem, dict):
                return problem
            if pause is None:
                raise RewardUnavailable(f"SandboxFusion at {url} does not answer: {problem}; "
                                        "check SANDBOX_FUSION_SERVERS or sandbox_fusion_url")
            time.sleep(pause)
        raise AssertionError

    def _try(self, url: str, body: bytes, seconds: float) -> dict | str:
        """The run's result, or what went wrong."""
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=seconds + NETWORK_SECONDS) as response:
                answer = json.loads(response.read())
        except (OSError, urllib.error.URLError, ValueError) as error:
            return str(error)
        if not isinstance(answer, dict) or not isinstance(answer.get("run_result"), dict):
            return f"no run_result in its answer: {str(answer)[:200]}"
        return f"SandboxError: {answer.get('message')}" if answer.get(
            "status") == "SandboxError" else answer["run_result"]


def _url(server: str) -> str:
    parts = urlsplit(server if "://" in server else f"http://{server}")
    host = parts.netloc if parts.port or "://" in server else f"{parts.netloc}:{DEFAULT_PORT}"
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{host}{path if path.endswith('/run_code') else path + '/run_code'}"


def _sources() -> dict[str, str]:
    folder = resources.files("reward_score.sandbox") / "inside"
    return {name: (folder / f"{name}.py").read_text() for name in ("wire", "server", "checker")}
