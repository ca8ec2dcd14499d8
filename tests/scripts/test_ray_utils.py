import os
import socket
import subprocess
import sys
import time

import psutil
import pytest

from tests.support.fake_slurm.cluster import FakeCluster, why_not
from tests.support.spelling import ROOT, load_script

ADDRESS = load_script("ray_utils/node_address.py")
CHECK = load_script("ray_utils/check_ray.py")
ENV = os.environ | {"PYTHON": sys.executable, "RAY_RUN_ID": "this"}
REASON = why_not()
START, READY = (str(ROOT / f"ray_utils/{name}_ray.sh") for name in ("start", "check"))


def test_the_way_to_a_peer_decides_the_address():
    own = ADDRESS.node_ip([*ADDRESS.ANYWHERE, socket.gethostname()])
    assert own in [a.address for addresses in psutil.net_if_addrs().values() for a in addresses]
    assert ADDRESS.node_ip(["no-such-host.invalid", "127.0.0.1"]) == "127.0.0.1", "a lone machine"
    assert ADDRESS.interface_of("127.0.0.1") == "lo"
    with pytest.raises(ValueError, match="correct RAY_NODE_IP"):
        ADDRESS.interface_of("192.0.2.77")


def test_a_taken_port_is_not_free(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        monkeypatch.setattr(ADDRESS.random.Random, "sample", lambda *_: [number, number + 1])
        assert ADDRESS.free_port("127.0.0.1") == number + 1


def test_counting_nodes():
    nodes = [{"Resources": {"CPU": 4.0, "GPU": 2.0}, "NodeManagerHostname": "a.cluster"},
             {"Resources": {"CPU": 2.0}, "NodeManagerHostname": "b"}]  # yapf: disable
    assert [CHECK.count(nodes, unit) for unit in ("nodes", "cpus", "gpus")] == [2, 6, 2]
    assert CHECK.missing(nodes, ["a", "b.cluster", "c"]) == ["c"]


@pytest.mark.parametrize("content, text", [
    (None, "is not there yet"),
    ("127.0.0.1:9 earlier", "is stale: it is of run earlier, this is this"),
    ("127.0.0.1:9 this", "no head answers at 127.0.0.1:9"),
    ("[::1]:9 this", "no head answers at [::1]:9"),
])
def test_a_stale_head_file_is_ignored(tmp_path, content, text):
    head = tmp_path / "head"
    if content:
        head.write_text(content + "\n")
    env = ENV | {"RANK": "1", "RAY_HEAD_FILE": str(head), "RAY_START_TIMEOUT": "2"}
    done = subprocess.run(["bash", START], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert text in done.stderr and "no head within 2 s" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["many"], ["2", "tpus"]])
def test_check_ray_says_how_it_is_called(arguments):
    done = subprocess.run(["bash", READY, *arguments], env=ENV, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "usage: check_ray.sh N" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(REASON is not None, reason=str(REASON))
def test_two_machines_find_each_other(tmp_path):
    """The second one is started first; the file of an earlier run is there."""
    with FakeCluster(tmp_path / "slurm") as cluster:
        head = cluster.folder / "head"
        head.write_text("10.99.7.1:9 earlier\n")
        env = ENV | {"RAY_HEAD_FILE": str(head), "RAY_NUM_CPUS": "2"}
        start = ["bash", str(ROOT / "ray_utils/start_ray.sh")]
        second = subprocess.Popen(cluster.on("n2", *start), env=env | {"RANK": "1"})
        subprocess.run(cluster.on("n1", *start), env=env | {"RANK": "0", "RAY_PEER": "n2"}, check=True)
        assert second.wait(timeout=60) == 0
        check = lambda *arguments: subprocess.run(
            cluster.on("n1", "bash", str(ROOT / "ray_utils/check_ray.sh"), *arguments), capture_output=True, text=True,
            check=False, env=env | {"RAY_START_TIMEOUT": "2", "RAY_EXPECTED_NODES": "n1 n2 n3",
                                    "RAY_ADDRESS": head.read_text().split()[0]})  # yapf: disable
        assert check("1", "nodes").returncode == check("4", "cpus").returncode == 0, "at least, not exactly"
        began = time.monotonic()
        late = check("3", "nodes")
        assert late.returncode == 1 and time.monotonic() - began < 30
        assert "2 of 3 nodes within 2 s; missing: n3" in late.stderr
        assert "0 of 1 gpus" in check("1").stderr
