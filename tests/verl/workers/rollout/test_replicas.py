"""Two real hf replicas on Ray: new weights, a killed process, a stalled one."""
import asyncio
import os
import shutil
import signal
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from tests.support.engines import make_requests
from tests.support.models import save_model
from verl.config.model import ModelConfig
from verl.config.rollout import RolloutConfig
from verl.single_controller import ResourcePool, WorkerFailure
from verl.workers.rollout import replica as replica_module
from verl.workers.rollout.base import Sampling
from verl.workers.rollout.replica import ReplicaSet, engine_name
from verl.workers.rollout.router import RolloutRouter

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


@pytest.fixture
def replicas(pool, folder):
    config = RolloutConfig(name="hf", dtype="fp32", num_replicas=2, request_timeout=60.0)
    replicas = ReplicaSet(ModelConfig(path=str(folder)), config, pool, 128, [{
        "cuda": ""
    }] * 2, {"OMP_NUM_THREADS": "1"})
    replicas.start()
    yield replicas
    replicas.shutdown()


def generate(replicas, deadline=60.0, on_first=lambda: None):
    """Runs all units; -> completions by request id, each of which came once."""

    async def collect():
        completions = []
        async for batch in RolloutRouter(replicas, UNIT, deadline).generate(UNITS):
            if not completions:
                on_first()
            completions += batch
        return completions

    completions = asyncio.run(collect())
    assert Counter(c.request_id for c in completions) == Counter(r.request_id for r in REQUESTS)
    return {c.request_id: (c.token_ids.tobytes(), c.log_probs.tobytes(), c.version_spans) for c in completions}


def test_replicas_are_lost_one_after_the_other(replicas, tmp_path):
    undisturbed = generate(replicas)
    killed, last = (replicas.where[i]["pid"] for i in (1, 0))
    disturbed = generate(replicas, on_first=lambda: os.kill(killed, signal.SIGKILL))
    assert disturbed == undisturbed  # to the last bit: a unit is the same work wherever it runs
    assert list(replicas.handles) == [0]

    save_model("llama", tmp_path, seed=1)
    replicas.update_weights(5, {replicas.where[0]["ip"]: str(tmp_path)})
    replicas.sleep()
    replicas.wake("weights")
    renewed = generate(replicas)
    assert {spans for _, _, spans in renewed.values()} == {((5, 80),)}
    assert all(renewed[name][0] != undisturbed[name][0] for name in renewed)

    name, began = replicas.describe(0), time.monotonic()
    with pytest.raises(WorkerFailure) as error:
        generate(replicas, deadline=3.0, on_first=lambda: os.kill(last, signal.SIGSTOP))
    assert time.monotonic() - began < 15
    assert str(error.value) == (f"{name} was the last rollout replica and failed: "
                                "no answer within 3 s (rollout.request_timeout)")
    assert f"hf replica 0 (node {replicas.where[0]['ip']}, pid {last})" == name


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
    with pytest.raises(WorkerFailure, match="^start: no answer within 0.01 s from hf replica 0"):
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
