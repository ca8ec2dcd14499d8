"""Chunked log-probs and entropies against whole logits."""
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, Qwen2Config

from tests.support.ranks import run_ranks
from tests.support.train_engines import PPO, make_engine
from verl.protocol import DataProto
from verl.utils.ragged import Ragged
from verl.workers.engine import log_prob as log_prob_module
from verl.workers.engine.base import MicroBatchBounds
from verl.workers.engine.log_prob import linear_log_prob

VOCAB, WIDTH = 23, 5
ROW_BYTES = {torch.float64: 8 * VOCAB, torch.float32: 4 * VOCAB, torch.bfloat16: 4 * VOCAB}
SMALLEST_CHUNK = 16  # tokens


@pytest.fixture
def chunk_of(monkeypatch):
    """Sets the chunk to so many tokens of `dtype`."""

    def set_chunk(tokens: int, dtype: torch.dtype = torch.float64) -> None:
        monkeypatch.setattr(log_prob_module, "CHUNK_BYTES", tokens * ROW_BYTES[dtype])

    return set_chunk


def make_inputs(tokens, dtype=torch.float64, vocab=VOCAB, width=WIDTH):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(tokens, width, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    weight = torch.randn(vocab, width, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    return hidden, weight, torch.randint(vocab, (tokens,), generator=generator)


def reference(hidden, weight, labels, temperature):
    lines = torch.log_softmax(hidden @ weight.t() / temperature, -1)
    return lines[torch.arange(len(labels)), labels], -(lines.exp() * lines).sum(-1)


def objective(log_prob, entropy):
    """Weighs every value differently."""
    places = torch.arange(1, len(log_prob) + 1, dtype=log_prob.dtype)
    return (places.sin() * log_prob).sum() + (places.cos() * entropy).sum()


@settings(max_examples=40)
@given(st.integers(0, 70), st.sampled_from([1, 16, 17, 32, 33, 70]), st.sampled_from([0.5, 1.0, 1.7]))
def test_values_and_gradients_at_any_chunk_size(tokens, chunk, temperature):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_prob_module, "CHUNK_BYTES", chunk * ROW_BYTES[torch.float64])
        hidden, weight, labels = make_inputs(tokens)
        ours = linear_log_prob(hidden, weight, labels, temperature, with_entropy=True)
        theirs = reference(hidden, weight, labels, temperature)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
        gradients = [torch.autograd.grad(objective(*pair), (hidden, weight)) for pair in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("tokens", [15, 16, 17, 31, 32, 33, 48])
def test_chunks_cover_every_token_once(chunk_of, tokens):
    chunk_of(3)  # a chunk never gets smaller than SMALLEST_CHUNK, where matrix products are slow
    chunks = log_prob_module._chunks(tokens, VOCAB, 8)
    assert [i for part in chunks for i in range(tokens)[part]] == list(range(tokens))
    assert len(chunks) == -(-tokens // SMALLEST_CHUNK)
    chunk_of(20)
    assert [part.stop - part.start for part in log_prob_module._chunks(50, VOCAB, 8)] == [20, 20, 10]


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_gradcheck(chunk_of, temperature):
    chunk_of(1)
    hidden, weight, labels = make_inputs(SMALLEST_CHUNK + 2, vocab=4, width=2)
    both = lambda h, w: linear_log_prob(h, w, labels, temperature, with_entropy=True)
    assert torch.autograd.gradcheck(both, (hidden, weight))
    assert torch.autograd.gradcheck(lambda h, w: both(h, w)[1], (hidden, weight))  # the entropy alone
    assert torch.autograd.gradcheck(lambda h, w: linear_log_prob(h, w, labels, temperature)[0], (hidden, weight))


def test_entropy_only_on_request_and_free_where_only_reported(monkeypatch):
    hidden, weight, labels = make_inputs(20)
    alone, nothing = linear_log_prob(hidden, weight, labels)
    assert nothing is None
    log_prob, entropy = linear_log_prob(hidden, weight, labels, with_entropy=True)
    assert torch.equal(alone, log_prob)
    calls = []
    monkeypatch.setattr(torch, "addcmul", lambda *args, **kwargs: calls.append(args))
    from_both = torch.autograd.grad(log_prob.sum() + 0 * entropy.detach().sum(), (hidden, weight))
    assert not calls  # the only operation that the entropy's gradient adds per chunk
    assert all(map(torch.equal, from_both, torch.autograd.grad(alone.sum(), (hidden, weight))))


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_lower_precision_reduces_in_float32(chunk_of, dtype, tolerance):
    chunk_of(16, dtype)
    hidden, weight, labels = make_inputs(40, dtype)
    ours = linear_log_prob(hidden, weight, labels, 0.8, with_entropy=True)
    assert {x.dtype for x in ours} == {torch.float32}
    exact = [x.detach().double().requires_grad_() for x in (hidden, weight)]
    theirs = reference(*exact, labels, 0.8)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=tolerance, atol=tolerance)
    gradients = torch.autograd.grad(objective(*ours), (hidden, weight))
    for a, b in zip(gradients, torch.autograd.grad(objective(*theirs), exact), strict=True):
        assert a.dtype == dtype and (a.double() - b).norm() < tolerance * b.norm()


def test_extreme_logits_stay_finite():
    hidden, weight, labels = make_inputs(4, torch.float32)
    log_prob, entropy = linear_log_prob(hidden * 1e4, weight, labels, 1.0, with_entropy=True)
    exact = reference(hidden.double() * 1e4, weight.double(), labels, 1.0)
    torch.testing.assert_close(log_prob.double(), exact[0], rtol=1e-5, atol=1e-2)
    torch.testing.assert_close(entropy.double(), exact[1], rtol=1e-5, atol=1e-2)
    assert torch.isfinite(torch.cat(torch.autograd.grad(objective(log_prob, entropy), (hidden, weight)))).all()


TOKENS, LARGE_VOCAB, HIDDEN = 8192, 151_936, 256
LIMIT = 1.2e9  # bytes


def memory(key: str) -> int:
    """Bytes of this process now (VmRSS) or at its peak (VmHWM; getrusage's peak would hold that of the parent)."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[key].split()[0]) * 1024


def peak_of_log_prob(backward: bool) -> tuple[int, float]:
    """Bytes above model and inputs at the peak, and the loss; in a process that has done nothing else."""
    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    hidden = torch.randn(TOKENS, HIDDEN, requires_grad=backward)
    weight = torch.randn(LARGE_VOCAB, HIDDEN).mul_(0.05).requires_grad_(backward)
    labels = torch.randint(LARGE_VOCAB, (TOKENS,))
    before = memory("VmRSS")
    log_prob, entropy = linear_log_prob(hidden, weight, labels, 0.7, with_entropy=True)
    loss = log_prob.mean() - 0.01 * entropy.mean()
    if backward:
        loss.backward()
    return memory("VmHWM") - before, float(loss.detach())


def large_model(folder: Path) -> Path:
    """One layer below the large vocabulary."""
    sizes = {"hidden_size": HIDDEN, "intermediate_size": 512, "num_hidden_layers": 1, "num_attention_heads": 4,
             "num_key_value_heads": 2}  # yapf: disable
    AutoModelForCausalLM.from_config(Qwen2Config(vocab_size=LARGE_VOCAB, **sizes)).save_pretrained(folder)
    return folder


def peak_of_engine(folder: Path) -> tuple[int, int]:
    """Bytes above the loaded model at the peak of a forward and backward pass, its gradients included; and theirs."""
    torch.set_num_threads(os.cpu_count())
    engine = make_engine(folder, enable_gradient_checkpointing=True)
    ids = np.random.default_rng(0).integers(0, LARGE_VOCAB, TOKENS).astype(np.int32)
    responses = Ragged.from_rows([ids[1:]])
    batch = DataProto.from_dict({
        "prompts": Ragged.from_rows([ids[:1]]),
        "responses": responses,
        "response_mask": Ragged(np.ones(TOKENS - 1, bool), responses.offsets),
        "old_log_probs": Ragged(np.full(TOKENS - 1, -12, np.float32), responses.offsets),
        "advantages": np.ones(1, np.float32),
    })  # yapf: disable
    before = memory("VmRSS")
    engine.forward_backward(batch, PPO, MicroBatchBounds(TOKENS, None), 1.0, with_entropy=True)
    peak = memory("VmHWM") - before
    return peak, sum(p.grad.to_local().nbytes for p in engine.parameters.values())


@pytest.mark.slow
def test_peak_memory_of_the_engine_at_a_large_vocabulary(tmp_path):
    """One layer's activations and FSDP's copies of both vocabulary-sized weights come on top of the log-probs."""
    peak, of_gradients = run_ranks(1, peak_of_engine, large_model(tmp_path))
    print(f"peak above the model: {peak / 1e9:.2f} GB, of which gradients {of_gradients / 1e9:.2f} GB")
    assert 0.1e9 < peak - of_gradients < LIMIT


@pytest.mark.parametrize("backward", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["forward", "backward"])
def test_peak_memory_at_a_large_vocabulary(backward):
    peak, loss = run_ranks(1, peak_of_log_prob, backward)
    print(f"peak above model and inputs: {peak / 1e9:.2f} GB")
    assert 0.1e9 < peak < LIMIT  # a lower bound, lest the measurement be empty
    assert -13 < loss < -11.5  # about -log(vocabulary) under random weights
