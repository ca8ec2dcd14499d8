"""Two real hf replicas on Ray: new weights, killed processes, a stalled one, and their successors."""
import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tests.support.engines import make_requests
from tests.support.models import save_model
from tests.support.processes import still_running
from verl.config.model import ModelConfig
from verl.config.rollout import RolloutConfig
from verl.single_controller import ResourcePool, WorkerFailure
from verl.workers.rollout import replica as replica_module
from verl.workers.rollout import router as router_module
from verl.workers.rollout.base import Sampling
from verl.workers.rollout.predecessor import end_process_group
from verl.workers.rollout.replica import ReplicaSet, engine_name
from verl.workers.rollout.router import RolloutRouter
from verl.workers.rollout.weight_sync import WeightSync

UNIT = 2
REQUESTS = make_requests([[5, 9, 2], [7], [11, 3, 44, 8], [30, 21, 19, 2, 6]] * 6, Sampling(1.0, 80))
UNITS = [REQUESTS[i:i + UNIT] for i in range(0, len(REQUESTS), UNIT)]


@pytest.fixture(scope="module")
def pool(ray_cluster):
    pool = ResourcePool(2, 1, "cpu")
    yield pool
    pool.release()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_model("llama", tmp_path_factory.mktemp("model"))


class Trainer:
    """Training workers on this node that have a model like `folder`'s, with the version as its seed."""

    def __init__(self, ip):
        self.locations, self.seed = [{"ip": ip}], 0

    def write_weights(self, directory, dtype):
        return [str(save_model("llama", Path(directory), self.seed))]

    def remove_weights(self, directory):
        shutil.rmtree(directory)


@pytest.fixture
def setup(pool, folder):
    """Replicas and WeightSync with version 1 published."""
    config = RolloutConfig(name="hf", dtype="fp32", num_replicas=2, request_timeout=60.0, stall_timeout=5.0,
                           max_restarts=2)  # yapf: disable
    replicas = ReplicaSet(ModelConfig(path=str(folder)), config, pool, 128, [{
        "cuda": ""
    }] * 2, {"OMP_NUM_THREADS": "1"})
    replicas.start()
    trainer = Trainer(replicas.where[0]["ip"])
    weights = WeightSync(trainer, replicas, config)
    publish(weights)
    yield replicas, weights
    replicas.shutdown()
    weights.close()


def publish(weights):
    weights.trainer.seed += 1
    weights.publish()


def generate(replicas, weights, on_first=lambda: None):
    """Runs all units; -> completions by request id, each of which came once."""

    async def collect():
        completions = []
        async for batch in RolloutRouter(replicas, UNIT, weights.bring_up, True).generate(UNITS):
            if not completions:
                on_first()
            completions += batch
        return completions

    completions = asyncio.run(collect())
    assert Counter(c.request_id for c in completions) == Counter(r.request_id for r in REQUESTS)
    assert {c.version_spans for c in completions} == {((weights.version, 80),)}
    return {c.request_id: (c.token_ids.tobytes(), c.log_probs.tobytes()) for c in completions}


def pids(replicas):
    return [replicas.where[i]["pid"] for i in (0, 1)]


def send(signum, *processes):
    for pid in processes:
        os.kill(pid, signum)


def test_lost_replicas_are_restarted_with_the_current_weights(setup, caplog, monkeypatch):
    replicas, weights = setup
    monkeypatch.setattr(router_module, "HEARTBEAT", 1.0)
    undisturbed, first = generate(replicas, weights), pids(replicas)
    disturbed = generate(replicas, weights, on_first=lambda: send(signal.SIGKILL, *first))
    assert disturbed == undisturbed  # to the last bit: a unit is the same work wherever it runs
    assert len(set(first + pids(replicas))) == 4 and replicas.restarts == {0: 1, 1: 1}
    assert f"hf replica 0 (node {replicas.where[0]['ip']}, pid {first[0]}) failed in" in caplog.text

    replicas.sleep()
    second = pids(replicas)
    send(signal.SIGKILL, second[1])
    publish(weights)  # goes on without it
    assert replicas.lost == [1]
    send(signal.SIGSTOP, second[0])  # before it has work: after its first answer the other might do all the rest
    disturbed = generate(replicas, weights)
    assert "made no progress for 5 s (rollout.stall_timeout)" in replicas.failures[0]
    assert not still_running(first + second) and replicas.restarts == {0: 2, 1: 2}
    assert generate(replicas, weights) == disturbed != undisturbed

    name, victim = replicas.describe(0), pids(replicas)[0]
    send(signal.SIGKILL, victim)
    with pytest.raises(WorkerFailure) as error:
        generate(replicas, weights)
    assert re.match(rf"{re.escape(name)} failed in (generate|health):\n", str(error.value)) and str(victim) in name
    assert "restarted 2 times, and actor_rollout_ref.rollout.max_restarts=2" in str(error.value)
    assert not weights.directory.exists() or not any(weights.directory.iterdir())


def test_what_a_lost_replica_left_is_killed_with_its_children():
    """Also where it was stopped, and where only a child of it is left."""
    parent = subprocess.Popen([sys.executable, "-c", "import subprocess as s; s.run(['sleep', '600'])"],
                              start_new_session=True)  # yapf: disable
    child = wait_for_child(parent.pid)
    parent.send_signal(signal.SIGSTOP)
    end_process_group(parent.pid)
    assert not still_running([parent.pid, child])
    end_process_group(parent.pid)  # nothing is left: nothing happens
    parent.wait()


def wait_for_child(pid, timeout=30.0):
    deadline = time.monotonic() + timeout
    while not (children := psutil.Process(pid).children()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return children[0].pid


@pytest.mark.parametrize("broken, error, message", [
    ("config.json", ValueError, "^Unrecognized model in "),
    ("model.safetensors", WorkerFailure, r"^hf replica 0 \(node starting, pid \?\) failed in start:(.|\n)*afetensor"),
], ids=["config", "weights"])  # yapf: disable
def test_a_model_that_cannot_be_loaded(pool, folder, tmp_path, broken, error, message):
    """What the user can mend is said as it is; the rest names the replica."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / broken).write_text("{}")
    replicas = ReplicaSet(ModelConfig(path=str(tmp_path)), RolloutConfig(name="hf"), pool, 128, [{"cuda": ""}] * 2, {})
    with pytest.raises(error, match=message):
        replicas.start()
    replicas.shutdown()


def test_a_replica_that_is_late_is_named(pool, folder):
    config = RolloutConfig(name="hf", start_timeout=0.01)
    replicas = ReplicaSet(ModelConfig(path=str(folder)), config, pool, 128, [{"cuda": ""}] * 2, {})
    with pytest.raises(WorkerFailure,
                       match=r"^hf replica 0 \(node starting, pid \?\) gave no answer to start within 0.01 s"):
        replicas.start()
    replicas.shutdown()


@pytest.mark.parametrize("installed, asked, engine", [
    (True, "auto", "vllm"),
    (False, "auto", "hf"),
    (True, "hf", "hf"),
    (True, "vllm", "vllm"),
])
def test_auto_is_the_best_engine_there_is(monkeypatch, installed, asked, engine):
    find_spec = lambda name: SimpleNamespace() if installed else None
    monkeypatch.setattr(replica_module.importlib.util, "find_spec", find_spec)
    assert engine_name(RolloutConfig(name=asked)) == engine


def test_an_engine_that_is_not_installed_is_refused_with_the_fix(monkeypatch):
    monkeypatch.setattr(replica_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"rollout.name=vllm, but vllm is not installed: pip install .*name=hf"):
        engine_name(RolloutConfig(name="vllm"))
