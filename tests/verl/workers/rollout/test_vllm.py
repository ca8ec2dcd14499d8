"""The vLLM engine as runs use it: one real replica on Ray behind the router."""
import asyncio
import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import ray
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from tests.support.engines import generated_greedily, make_requests, recomputed_log_probs
from tests.support.models import SIZES
from verl.config.model import ModelConfig
from verl.config.rollout import RolloutConfig
from verl.single_controller import ResourcePool
from verl.utils.errors import OutOfMemory
from verl.workers.rollout.base import Sampling
from verl.workers.rollout.replica import ReplicaSet
from verl.workers.rollout.router import RolloutRouter

pytest.importorskip("vllm", reason="the vLLM engine needs vllm: pip install -e '.[cpu]'")
pytestmark = pytest.mark.skipif(torch.cuda.is_available(),
                                reason="float32 on vLLM's build for CPUs is what is compared")

PROMPTS = [[5, 9, 2], [7], [11, 3, 44, 8, 30, 21, 19, 2, 6, 13], [5, 9, 2, 40, 17]]
GREEDY = Sampling(0.0, 12)
MAX_MODEL_LEN = 512
LONG = 200  # tokens; an update comes in their midst


def make_model(seed):
    """Tied embeddings, whose head a reload can miss; heads as wide as vLLM's CPU attention wants them."""
    torch.manual_seed(seed)
    sizes = SIZES | {"hidden_size": 128, "head_dim": 32, "max_position_embeddings": 512, "initializer_range": 0.1}
    return Qwen2ForCausalLM(Qwen2Config(**sizes, tie_word_embeddings=True)).eval()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    for version in range(3):
        make_model(version).save_pretrained(root / str(version))
    return [root / str(version) for version in range(3)]


@pytest.fixture(scope="module")
def engine(ray_cluster, folders):
    """A replica with the model of seed 0, and what tests want of it."""
    pool = ResourcePool(1, 1, "cpu")
    config = RolloutConfig(name="vllm", dtype="fp32", max_num_seqs=64, request_timeout=120.0, start_timeout=240.0)
    env = {"OMP_NUM_THREADS": str(os.cpu_count())}
    replicas = ReplicaSet(ModelConfig(path=str(folders[0])), config, pool, MAX_MODEL_LEN, [{"cuda": ""}], env)
    replicas.start()
    current = {}

    def load(version, folder):
        current.update(version=version, directories={replicas.where[0]["ip"]: str(folder)})
        replicas.update_weights(**current)

    async def bring_up(replica):
        await asyncio.to_thread(replicas.start, [replica])
        await asyncio.to_thread(replicas.update_weights, **current)

    async def collect(units, on_first):
        completions = []
        async for batch in RolloutRouter(replicas, 64, bring_up, False).generate(units):
            if not completions:
                await asyncio.to_thread(on_first)
            completions += batch
        return completions

    def complete(requests, on_first=lambda: None):
        completions = asyncio.run(collect([[request] for request in requests], on_first))
        assert sorted(c.request_id for c in completions) == sorted(r.request_id for r in requests)
        return {c.request_id: c for c in completions}

    def update(version, folder):
        replicas.wake("weights")
        load(version, folder)
        replicas.wake("kv_cache")

    yield SimpleNamespace(complete=complete, update=update, replicas=replicas)
    processes = [psutil.Process(replicas.where[0]["pid"]), *children(replicas)]
    replicas.shutdown()
    assert not psutil.wait_procs(processes, timeout=30)[1], "the engine's process outlives its replica"
    pool.release()


def children(replicas):
    return psutil.Process(replicas.where[0]["pid"]).children(recursive=True)


def assert_log_probs(completions, requests, model, tolerance=1e-4):
    for request in requests:
        completion = completions[request.request_id]
        expected = recomputed_log_probs(model, request, completion)
        np.testing.assert_allclose(completion.log_probs, expected, atol=tolerance)


def test_greedy_is_what_transformers_generates(engine):
    requests, model = make_requests(PROMPTS, GREEDY), make_model(0)
    completions = engine.complete(requests)
    for request in requests:
        completion = completions[request.request_id]
        assert completion.token_ids.tolist() == generated_greedily(model, request)
        assert completion.token_ids.dtype == np.int32 and completion.log_probs.dtype == np.float32
        assert completion.finish_reason == "length" and completion.version_spans == ((0, 12),)
    assert_log_probs(completions, requests, model)


@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_sampled_log_probs_are_of_the_tempered_distribution(engine, temperature):
    requests = make_requests(PROMPTS, Sampling(temperature, 12))
    assert_log_probs(engine.complete(requests), requests, make_model(0))


def test_a_sample_follows_its_seed_not_its_place_or_its_companions(engine):
    requests = make_requests(PROMPTS * 4, Sampling(1.0, 12))
    together = engine.complete(requests)
    greedy = [replace(request, request_id=f"greedy {request.request_id}") for request in make_requests(PROMPTS, GREEDY)]
    short = [
        replace(request, request_id=f"short {request.request_id}", sampling=Sampling(0.5, 3)) for request in greedy
    ]
    for companions in (requests[::-1], requests[3:5], greedy + requests, requests[::3] + short):
        completions = engine.complete(companions)
        for name in completions.keys() & together.keys():
            assert (completions[name].token_ids == together[name].token_ids).all()
    assert len({together[f"r{i}"].token_ids.tobytes() for i in range(0, 16, 4)}) == 4  # one prompt, four seeds


def test_a_stop_id_ends_the_answer_and_belongs_to_it(engine):
    free = engine.complete(make_requests(PROMPTS, GREEDY))
    stop = tuple(set(free["r0"].token_ids[3:].tolist()) - set(free["r2"].token_ids.tolist()))
    stopped = engine.complete(make_requests(PROMPTS, Sampling(0.0, 12, stop_ids=stop)))
    for name, completion in stopped.items():
        whole = free[name].token_ids.tolist()
        end = next((i + 1 for i, token in enumerate(whole) if token in stop), None)
        assert completion.token_ids.tolist() == whole[:end]
        assert len(completion.log_probs) == len(completion.token_ids)
        assert completion.finish_reason == ("length" if end is None else "stop")
    assert {c.finish_reason for c in stopped.values()} == {"stop", "length"}


def test_nothing_but_the_stop_ids_stops(engine):
    """Not the eos token of the model's config either: `ignore_eos` and warm-up without one rely on it."""
    requests = make_requests(PROMPTS * 4, Sampling(2.0, 60))
    completions = engine.complete(requests)
    assert any(SIZES["eos_token_id"] in c.token_ids for c in completions.values())
    assert {(len(c.token_ids), c.finish_reason) for c in completions.values()} == {(60, "length")}


def test_min_new_tokens_comes_before_any_stop(engine):
    sampling = Sampling(1.0, 12, min_new_tokens=5, stop_ids=tuple(range(30)))
    completions = engine.complete(make_requests(PROMPTS * 4, sampling))
    for completion in completions.values():
        assert not set(completion.token_ids[:5].tolist()) & set(range(30))
    assert any(c.finish_reason == "stop" for c in completions.values())


def test_a_prompt_that_is_too_long_is_the_users_error_and_costs_no_replica(engine):
    with pytest.raises(ValueError, match=str(MAX_MODEL_LEN)):
        engine.complete(make_requests([[3] * (MAX_MODEL_LEN + 5)], GREEDY))
    assert len(engine.complete(make_requests([[7]], GREEDY))) == 1


# ---- new weights; from here on in order ----


def test_new_weights_change_the_version_and_the_answers(engine, folders):
    requests = make_requests(PROMPTS, GREEDY)
    before = engine.complete(requests)
    engine.update(1, folders[1])
    after = engine.complete(requests)
    assert all(c.version_spans == ((1, 12),) for c in after.values())
    assert any((after[name].token_ids != before[name].token_ids).any() for name in after)
    assert_log_probs(after, requests, make_model(1))


def test_requests_in_flight_outlive_an_update(engine, folders):
    """The quick one's end starts the update, in whose middle the long ones are; what follows it is of the new model."""
    quick, slow = make_requests([[5, 9]], Sampling(0.0, 20)), make_requests(PROMPTS * 2, Sampling(1.0, LONG))[1:]
    models = {seed: make_model(seed) for seed in (1, 2)}
    completions = engine.complete(quick + slow, on_first=lambda: engine.update(2, folders[2]))
    for request in slow:
        completion = completions[request.request_id]
        assert len(completion.token_ids) == len(completion.log_probs) == LONG
        spans = dict(completion.version_spans)
        assert list(spans) == [1, 2] and sum(spans.values()) == LONG and spans[1] > 0
        old, new = (recomputed_log_probs(models[seed], request, completion) for seed in (1, 2))
        np.testing.assert_allclose(completion.log_probs[:spans[1]], old[:spans[1]], atol=1e-4)
        np.testing.assert_allclose(completion.log_probs[spans[1]:], new[spans[1]:], atol=1e-4)
    requests = make_requests(PROMPTS, GREEDY)
    assert_log_probs(engine.complete(requests), requests, models[2])


def test_a_transfer_goes_on_without_a_replica_that_dies(ray_cluster):
    vllm_transfer = pytest.importorskip("verl.workers.rollout.vllm_transfer")

    class Taker:  # here, so that Ray sends the class rather than this file's name

        def transfer(self, step, info):
            if info.get("last word") == step:
                os._exit(1)
            if info:
                raise RuntimeError("there is no such tensor")

    takers = {i: ray.remote(Taker).options(num_cpus=0).remote() for i in (0, 1)}
    client = vllm_transfer.ReplicaClient(takers, timeout=60.0)
    client.start_weight_update()
    ray.kill(takers[1])
    with pytest.raises(ray.exceptions.RayActorError):  # it takes a moment
        while True:
            ray.get(takers[1].transfer.remote("", {}), timeout=30)
    client.update_weights({})
    assert list(client.replicas) == [0] and client.lost.keys() == {1}
    assert client.lost[1].startswith("failed in transfer (update):\n")
    client.finish_weight_update()
    with pytest.raises(RuntimeError, match="there is no such tensor"):  # no loss: a successor would refuse it too
        client.update_weights({"names": ["?"]})
    client._all("more", {"last word": "more"})
    assert client.lost.keys() == {0, 1} and len(takers) == 2


def test_a_killed_replica_is_restarted_with_the_current_weights(engine):
    """Its engine's process does not live on beside the new one, though it is stopped and cannot end by itself."""
    requests = make_requests(PROMPTS * 4, Sampling(1.0, LONG))
    undisturbed = engine.complete(requests)
    actor, left = psutil.Process(engine.replicas.where[0]["pid"]), children(engine.replicas)
    core = next(process for process in left if "EngineCore" in " ".join(process.cmdline()))

    def kill():
        core.send_signal(signal.SIGSTOP)
        actor.kill()

    first = replace(make_requests([[5, 9]], Sampling(0.0, 20))[0], request_id="first")
    completions = engine.complete([first, *requests], on_first=kill)
    assert not psutil.wait_procs([actor, *left], timeout=0)[1]
    assert engine.replicas.restarts == {0: 1} and engine.replicas.where[0]["pid"] != actor.pid
    assert {c.version_spans for c in completions.values()} == {((2, LONG),), ((2, 20),)}
    assert_log_probs(completions, requests, make_model(2))
    same = [(completions[name].token_ids == undisturbed[name].token_ids).all() for name in undisturbed]
    assert sum(same) > 0.8 * len(same)  # a seed's draws are the same; rounding depends on who shares the batch


@pytest.mark.long
def test_a_cache_that_does_not_fit_is_told_from_the_engines_process(ray_cluster, tmp_path):
    """1 GiB is there for the cache; one sequence of this model wants 2."""
    wide = SIZES | {"num_attention_heads": 64, "num_key_value_heads": 64, "head_dim": 256}
    Qwen3ForCausalLM(Qwen3Config(**wide | {"max_position_embeddings": 8192})).save_pretrained(tmp_path)
    pool = ResourcePool(1, 1, "cpu")
    config = RolloutConfig(name="vllm", dtype="fp32", max_num_seqs=4, start_timeout=240.0)
    replicas = ReplicaSet(ModelConfig(path=str(tmp_path)), config, pool, 8192, [{"cuda": ""}], {})
    with pytest.raises(OutOfMemory) as error:
        replicas.start()
    replicas.shutdown()
    pool.release()
    text = str(error.value)
    assert text.startswith("vllm replica 0 (") and "): out of memory in start_replicas: ValueError: " in text
    assert "KV cache is needed" in text and "See root cause above" not in text
