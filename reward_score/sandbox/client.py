"""The reward worker's end of one zygote: starts it, hands it runs, ends it."""

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig

from reward_score.sandbox.outcome import Capabilities

START_SECONDS = 20.0
GRACE_SECONDS = 5.0  # of a zygote to end a run and clean up
SCRATCH_MB = 64
_BOOT = "import json, sys; s = json.loads(sys.argv[2]); sys.path.insert(0, s['here']); " \
        "from inside import launch; launch.main(int(sys.argv[1]), s)"
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"
}  # yapf: disable


class SandboxBroken(RuntimeError):
    """The sandbox itself failed; the answer is neither right nor wrong."""


class Zygote:
    """One zygote and the socket to it.

    Args:
        namespaces: False leaves them out even where they are permitted.

    Raises:
        SandboxBroken: it does not start.
    """

    def __init__(self, namespaces: bool = True) -> None:
        paths = sysconfig.get_paths()
        settings = {"here": os.path.dirname(os.path.abspath(__file__)), "namespaces": namespaces,
                    "paths": [sys.base_prefix, sys.base_exec_prefix, *{paths["purelib"], paths["platlib"]}],
                    "scratch_mb": SCRATCH_MB}  # yapf: disable
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-P", "-s", "-S", "-c", _BOOT, str(theirs.fileno()), json.dumps(settings)]
            self._process = subprocess.Popen(command, env=_ENVIRONMENT, cwd="/", stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                             pass_fds=(theirs.fileno(),))  # yapf: disable
        self.owner = os.getpid()
        facts = self._receive(START_SECONDS)
        if facts is None or "problem" in facts:
            self.close()
            raise SandboxBroken(f"the sandbox does not start: {(facts or {}).get('problem') or self._last_words}")
        self.capabilities = Capabilities(**facts)

    def request(self, message: dict, descriptors: list[int], seconds: float) -> dict:
        """One run.

        Raises:
            SandboxBroken: the zygote died or is stuck; it is closed.
        """
        try:
            socket.send_fds(self._control, [json.dumps(message).encode()], descriptors)
            reply = self._receive(seconds + GRACE_SECONDS)
        except OSError:
            reply = None
        if reply is None:
            self.close()
            raise SandboxBroken(f"the sandbox's zygote is gone: {self._last_words}")
        return reply

    def close(self) -> None:
        """Ends it and everything below it."""
        self._control.close()
        if os.getpid() != self.owner:
            self._process.stderr.close()
            return
        try:
            _, errors = self._process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            _, errors = self._process.communicate()
        self._last_words = errors.decode(errors="replace").strip()[-300:]

    def _receive(self, seconds: float) -> dict | None:
        self._control.settimeout(seconds)
        try:
            data = self._control.recv(65536)
        except OSError:
            return None
        return json.loads(data) if data else None
