"""Nodes of a make-believe SLURM cluster on this machine: each has a network, a host name, /tmp and /dev/shm of its own.

A node is a set of namespaces held by one sleeping process; a bridge in one more namespace joins them. All else (files,
GPUs, users) is shared, as on a cluster with a shared file system. Needs root.
"""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SUBNET = "10.99.7"


def why_not() -> str | None:
    """Why no such cluster can be made here, if so."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if ROOT.is_relative_to("/tmp") or sys.prefix.startswith("/tmp/"):
        return "the repository or its Python lies below /tmp, which each node has for itself"
    made = subprocess.run(["unshare", "--net", "--uts", "--mount", "ip", "link", "add", "bridge0", "type", "bridge"],
                          capture_output=True, text=True, check=False)  # yapf: disable
    return f"no network namespaces here: {made.stderr.strip()}" if made.returncode else None


class FakeCluster:
    """`folder` holds its state and is shared by the nodes n1, n2, …; a context manager."""

    def __init__(self, folder: Path, nodes: int = 2):
        self.folder = folder
        self.names = [f"n{i + 1}" for i in range(nodes)]
        self.anchors: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> "FakeCluster":
        (self.folder / "jobs").mkdir(parents=True)
        self._anchor("hub")
        self._in("hub", "ip link add bridge type bridge && ip link set bridge up")
        for i, name in enumerate(self.names):
            self._make_node(name, i + 1)
        pids = {name: self.anchors[name].pid for name in self.names}
        (self.folder / "nodes.json").write_text(json.dumps(pids))
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.names:
            self.kill(name, "")
        for anchor in self.anchors.values():
            anchor.kill()
            anchor.wait()

    @property
    def env(self) -> dict[str, str]:
        """The environment in which sbatch, srun and scontrol are this cluster's."""
        return os.environ | {"PATH": f"{HERE}:{os.environ['PATH']}", "FAKE_SLURM": str(self.folder)}

    def _anchor(self, name: str) -> None:
        command = ["unshare", "--net", "--uts", "--mount", "--propagation", "private", "sleep", "infinity"]
        self.anchors[name] = subprocess.Popen(command)
        pid, own = self.anchors[name].pid, os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{pid}/ns/net") == own or Path(f"/proc/{pid}/comm").read_text().strip() != "sleep":
            time.sleep(0.01)

    def on(self, name: str, *command: str) -> list[str]:
        """`command` on a node."""
        return ["nsenter", "-t", str(self.anchors[name].pid), "-n", "-u", "-m", f"--wd={os.getcwd()}", *command]

    def _in(self, name: str, script: str) -> None:
        subprocess.run(self.on(name, "sh", "-ec", script), check=True)

    def connect(self, name: str, state: str) -> None:
        """Takes a node off the network ("down") or back ("up")."""
        self._in(name, f"ip link set eth7 {state}")

    def _make_node(self, name: str, number: int) -> None:
        self._anchor(name)
        hub, pid = self.anchors["hub"].pid, self.anchors[name].pid
        self._in("hub", f"ip link add {name} type veth peer name eth7 netns {pid} && "
                        f"ip link set {name} master bridge up && test {hub} -gt 0")  # yapf: disable
        hosts = self.folder / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{SUBNET}.{i + 1} {n}\n" for i, n in enumerate(self.names)))
        tmp = self.folder / "tmp" / name
        shared = tmp / self.folder.relative_to("/tmp") if self.folder.is_relative_to("/tmp") else None
        (shared or tmp).mkdir(parents=True)
        bind = f"mount --bind {self.folder} {shared} && " if shared else ""
        self._in(
            name,
            f"hostname {name}; ip link set lo up; ip addr add {SUBNET}.{number}/24 dev eth7; ip link set eth7 up; "
            f"mount -t tmpfs shm /dev/shm; mount --bind {hosts} /etc/hosts; {bind}mount --rbind {tmp} /tmp")

    def processes(self, name: str) -> dict[int, str]:
        """pid -> command line of what runs on a node."""
        network = os.readlink(f"/proc/{self.anchors[name].pid}/ns/net")
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(entry / "ns/net") == network and int(entry.name) != self.anchors[name].pid:
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:  # it has ended meanwhile
                continue
        return found

    def kill(self, name: str, what: str) -> list[int]:
        """SIGKILL to the node's processes with `what` in their command lines; -> their pids."""
        victims = [pid for pid, command in self.processes(name).items() if what in command]
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return victims
