"""The hf engine against transformers' own generate and against full forward passes."""
import asyncio
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from tests.support.engines import complete, generated_greedily, make_requests, recomputed_log_probs
from tests.support.models import FAMILIES, make_model, save_model
from verl.config.model import ModelConfig
from verl.config.rollout import RolloutConfig
from verl.workers.rollout.base import Sampling
from verl.workers.rollout.hf import HFEngine

PROMPTS = [[5, 9, 2], [7], [11, 3, 44, 8, 30, 21, 19, 2, 6, 13], [5, 9, 2, 40, 17]]
GREEDY = Sampling(0.0, 12)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny products on shared cores: a second thread is mostly waited for."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {family: save_model(family, root / family) for family in FAMILIES}


def make_engine(folder):
    return HFEngine(ModelConfig(path=str(folder)), RolloutConfig(name="hf", dtype="fp32"), "cpu")


def start(folder):
    engine = make_engine(folder)
    asyncio.run(engine.start())
    return engine


@pytest.fixture(scope="module")
def engines(folders):
    return {family: start(folder) for family, folder in folders.items()}


def same(a, b):
    return (a.token_ids.tobytes() == b.token_ids.tobytes() and a.log_probs.tobytes() == b.log_probs.tobytes() and
            a.finish_reason == b.finish_reason)


def batches(engine, requests):
    """Completions as they arrive."""

    async def collect():
        return [completions async for completions in engine.generate(requests)]

    return asyncio.run(collect())


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_is_what_transformers_generates(engines, folders, family):
    model = AutoModelForCausalLM.from_pretrained(folders[family], dtype=torch.float32)
    requests = make_requests(PROMPTS, GREEDY)
    completions = complete(engines[family], requests)
    for request in requests:
        completion = completions[request.request_id]
        assert completion.token_ids.tolist() == generated_greedily(model, request)
        assert completion.token_ids.dtype == np.int32


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("family", FAMILIES)
def test_log_probs_are_those_of_a_forward_pass_without_padding(engines, family, temperature):
    requests = make_requests(PROMPTS, Sampling(temperature, 12))
    completions = complete(engines[family], requests)
    for request in requests:
        completion = completions[request.request_id]
        expected = recomputed_log_probs(make_model(family), request, completion)
        np.testing.assert_allclose(completion.log_probs, expected, atol=1e-5)
        assert completion.log_probs.dtype == np.float32


def test_log_probs_are_of_the_cut_distribution(engines):
    requests = make_requests(PROMPTS, Sampling(1.0, 12, top_k=2))
    for request, completion in zip(requests, complete(engines["qwen2"], requests).values(), strict=True):
        whole = recomputed_log_probs(make_model("qwen2"), request, completion)
        assert (completion.log_probs > whole).all() and completion.log_probs.min() >= np.log(0.5) - 10


def test_a_stop_id_ends_the_answer_and_belongs_to_it(engines):
    free = complete(engines["llama"], make_requests(PROMPTS, GREEDY))
    stop = tuple(set(free["r0"].token_ids[3:].tolist()) - set(free["r2"].token_ids.tolist()))
    stopped = complete(engines["llama"], make_requests(PROMPTS, Sampling(0.0, 12, stop_ids=stop)))
    for name, completion in stopped.items():
        whole = free[name].token_ids.tolist()
        end = next((i + 1 for i, token in enumerate(whole) if token in stop), None)
        assert completion.token_ids.tolist() == whole[:end]
        assert len(completion.log_probs) == len(completion.token_ids)
        assert completion.finish_reason == ("length" if end is None else "stop")
        np.testing.assert_allclose(completion.log_probs, free[name].log_probs[:end], atol=1e-6)
    assert {c.finish_reason for c in stopped.values()} == {"stop", "length"}


def test_a_stop_id_as_the_last_token_allowed_is_a_stop(engines):
    token = int(complete(engines["llama"], make_requests([[7]], GREEDY))["r0"].token_ids[2])
    completion = complete(engines["llama"], make_requests([[7]], Sampling(0.0, 3, stop_ids=(token,))))["r0"]
    assert len(completion.token_ids) <= 3 and completion.finish_reason == "stop"


def test_min_new_tokens_comes_before_any_stop(engines):
    sampling = Sampling(1.0, 12, min_new_tokens=5, stop_ids=tuple(range(30)))
    completions = complete(engines["qwen3"], make_requests(PROMPTS * 4, sampling))
    for completion in completions.values():
        assert len(completion.token_ids) >= 5 or completion.finish_reason == "length"
        assert not set(completion.token_ids[:5].tolist()) & set(range(30))
    assert any(c.finish_reason == "stop" for c in completions.values())


def test_repetition_gives_the_same_bits(engines, folders):
    requests = make_requests(PROMPTS * 8, Sampling(1.0, 12, top_p=0.9), first_seed=100)
    first = complete(engines["qwen3"], requests)
    complete(engines["qwen3"], make_requests(PROMPTS, GREEDY))  # nothing is left behind by other work
    for again in (complete(engines["qwen3"], requests), complete(start(folders["qwen3"]), requests)):
        assert all(same(first[name], again[name]) for name in first)


def test_a_sample_follows_its_seed_not_its_place(engines):
    requests = make_requests(PROMPTS * 4, Sampling(1.0, 12))
    forward = complete(engines["llama"], requests)
    backward = complete(engines["llama"], requests[::-1])
    assert all((forward[name].token_ids == backward[name].token_ids).all() for name in forward)
    assert len({forward[f"r{i}"].token_ids.tobytes() for i in range(0, 16, 4)}) == 4  # one prompt, four seeds


def test_answers_leave_as_they_end_and_the_rest_goes_on_unchanged(engines):
    whole = complete(engines["qwen3"], make_requests(PROMPTS * 8, Sampling(1.0, 40)))
    stop = tuple(range(12))
    stream = batches(engines["qwen3"], make_requests(PROMPTS * 8, Sampling(1.0, 40, stop_ids=stop)))
    assert len(stream) > 2 and sum(map(len, stream)) == 32
    for completion in (c for part in stream for c in part):
        before = whole[completion.request_id].token_ids[:len(completion.token_ids)]
        assert completion.token_ids.tolist() == before.tolist() and not set(before[:-1].tolist()) & set(stop)
    lengths = [max(len(c.token_ids) for c in part) for part in stream]
    assert lengths == sorted(lengths)


def test_requests_that_sample_differently_share_a_call(engines):
    requests = make_requests(PROMPTS, GREEDY)[:2] + make_requests(PROMPTS, Sampling(1.0, 4))[2:]
    completions = complete(engines["llama"], requests)
    assert [len(completions[f"r{i}"].token_ids) for i in range(4)] == [12, 12, 4, 4]


@pytest.mark.parametrize("family", ["qwen2", "qwen2_tied"])
def test_new_weights_change_the_version_and_the_answers(folders, family, tmp_path):
    engine, requests = start(folders[family]), make_requests(PROMPTS, GREEDY)
    before = complete(engine, requests)
    assert engine.version == 0 and before["r0"].version_spans == ((0, 12),)
    asyncio.run(engine.update_weights(3, str(save_model(family, tmp_path / "new", seed=1))))
    after = complete(engine, requests)
    assert engine.version == 3 and after["r0"].version_spans == ((3, 12),)
    fresh = complete(start(tmp_path / "new"), requests)
    assert all(same(after[name], fresh[name]) for name in after)
    assert not any(same(after[name], before[name]) for name in after)


def test_weights_that_do_not_fit_are_refused(folders, tmp_path):
    engine = start(folders["llama"])
    with pytest.raises(AssertionError, match="do not fit"):
        asyncio.run(engine.update_weights(1, str(folders["qwen2"])))
    (tmp_path / "empty").mkdir()
    with pytest.raises(AssertionError, match="do not fit"):
        asyncio.run(engine.update_weights(1, str(tmp_path / "empty")))
    assert engine.version == 0


@pytest.mark.parametrize("family, fits", [("qwen2", False), ("qwen2_tied", True)])
def test_only_a_tied_head_may_be_missing(folders, family, fits, tmp_path):
    engine = start(folders[family])
    state = {
        name: tensor for name, tensor in make_model(family, seed=1).state_dict().items() if name != "lm_head.weight"
    }
    save_file(state, tmp_path / "model.safetensors")
    with nullcontext() if fits else pytest.raises(AssertionError, match="lm_head"):
        asyncio.run(engine.update_weights(1, str(tmp_path)))
        assert torch.equal(engine.model.lm_head.weight, state["model.embed_tokens.weight"])


def test_health_counts_on_while_a_batch_is_decoded(folders):

    async def watch():
        engine = make_engine(folders["llama"])
        await engine.start()
        first = asyncio.create_task(anext(engine.generate(make_requests(PROMPTS, Sampling(0.0, 60)))))
        counts = set()
        while not first.done():
            counts.add(await engine.health())
            await asyncio.sleep(0.001)
        return counts, await engine.health() / engine.model.config.num_hidden_layers

    counts, end = asyncio.run(watch())
    assert len(counts) > 5 and end == 60


def test_an_update_waits_for_the_batch_in_progress(folders, tmp_path):
    new = save_model("llama", tmp_path / "new", seed=1)

    async def update_while_generating():
        engine = make_engine(folders["llama"])
        await engine.start()
        stream = engine.generate(make_requests(PROMPTS, Sampling(0.0, 60)))
        first = asyncio.create_task(anext(stream))
        await asyncio.sleep(0.02)
        assert not first.done()
        await engine.update_weights(1, str(new))
        assert first.done()
        return await first

    expected = complete(start(folders["llama"]), make_requests(PROMPTS, Sampling(0.0, 60)))
    for completion in asyncio.run(update_while_generating()):
        assert same(completion, expected[completion.request_id]) and completion.version_spans == ((0, 60),)
