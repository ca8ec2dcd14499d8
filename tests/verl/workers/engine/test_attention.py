"""Packed attention against the same model on one sequence at a time."""
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    DeepseekV3Config,
    Exaone4Config,
    Glm4Config,
    MinistralConfig,
    Olmo2Config,
    Phi3Config,
    PreTrainedModel,
    SmolLM3Config,
)

from tests.support.models import FAMILIES, SIZES, make_model
from verl.utils.ragged import Ragged
from verl.workers.engine import attention
from verl.workers.engine.attention import PACKED_ATTENTION, packed_attention, runs_of_equal_length
from verl.workers.engine.micro_batch import MicroBatch
from verl.workers.engine.model import check_packable

LENGTHS = [1, 1, 7, 7, 7, 3, 12, 9, 9, 1, 20]  # runs of one and of several sequences, within and beyond the windows
PLAIN = {key: value for key, value in SIZES.items() if key != "head_dim"}
MLA = {"q_lora_rank": None, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 4, "v_head_dim": 6}
ALSO_ACCEPTED = {
    "deepseek_v3, dense": lambda: DeepseekV3Config(**PLAIN | {"num_key_value_heads": 4}, **MLA),
    "exaone4": lambda: Exaone4Config(**PLAIN, sliding_window=4, layer_types=["sliding_attention", "full_attention"]),
    "glm4": lambda: Glm4Config(**SIZES),
    "ministral": lambda: MinistralConfig(**SIZES, sliding_window=4, layer_types=["sliding_attention"] * 2),
    "olmo2": lambda: Olmo2Config(**PLAIN),
    "phi3": lambda: Phi3Config(**PLAIN, sliding_window=4),
    "smollm3": lambda: SmolLM3Config(**PLAIN, no_rope_layers=[1, 0]),
}  # yapf: disable


def sequences(seed: int = 0, lengths=LENGTHS) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(2, SIZES["vocab_size"], (n,), generator=generator) for n in lengths]


def packed_logits(model: PreTrainedModel, rows: list[torch.Tensor], device: str = "cpu") -> list[torch.Tensor]:
    """[length, vocab] of each sequence, from one packed forward pass. Leaves the model packed."""
    model.set_attn_implementation(PACKED_ATTENTION)
    prompts = Ragged.from_rows([row.numpy() for row in rows])
    batch = MicroBatch.pack(prompts, Ragged.from_lengths(prompts.values[:0], [0] * len(rows)), torch.device(device))
    out = model(input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False, **batch.attention_kwargs)
    return list(out.logits[0].split([len(row) for row in rows]))


def assert_packed_equals_alone(model: PreTrainedModel):
    model, rows = model.double().eval(), sequences()
    alone = [model(row[None]).logits[0] for row in rows]
    for ours, theirs in zip(packed_logits(model, rows), alone, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_each_family_sees_its_own_sequence(family):
    assert_packed_equals_alone(make_model(family))


@pytest.mark.parametrize("name", ALSO_ACCEPTED)
@torch.no_grad()
def test_what_is_accepted_beyond_the_named_families_is_right_too(name):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(ALSO_ACCEPTED[name]())
    check_packable(model)
    assert_packed_equals_alone(model)


@torch.no_grad()
def test_the_window_matters():
    """The sequences above are long enough to tell a model with a window from one without."""
    windowed, plain = make_model("mistral"), make_model("mistral")
    plain.config.sliding_window = None
    plain = AutoModelForCausalLM.from_config(plain.config)
    plain.load_state_dict(windowed.state_dict())
    differ = [
        not torch.allclose(a, b, atol=1e-3)
        for a, b in zip(packed_logits(windowed, sequences()), packed_logits(plain, sequences()), strict=True)
    ]
    assert differ == [length > 4 for length in LENGTHS]


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_nothing_leaks(family):
    """Other tokens in one sequence leave every other sequence's logits as they are, bit by bit."""
    model, rows = make_model(family).eval(), sequences()
    before = packed_logits(model, rows)
    for changed in (2, 3, 6, 10):
        others = list(rows)
        others[changed] = sequences(seed=1)[changed]
        for row, (ours, theirs) in enumerate(zip(packed_logits(model, others), before, strict=True)):
            assert torch.equal(ours, theirs) == (row != changed)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=30))
def test_runs_are_of_equal_lengths_and_as_long_as_can_be(lengths):
    runs = runs_of_equal_length([queries for queries, _ in lengths], [keys for _, keys in lengths])
    assert [pair for count, *pair in runs for _ in range(count)] == [list(pair) for pair in lengths]
    assert all(a[1:] != b[1:] for a, b in zip(runs, runs[1:], strict=False))


def attend(**options):
    query, key, value = (torch.randn(1, heads, 6, 8) for heads in (4, 2, 2))
    module = make_model("qwen2").model.layers[0].self_attn
    arguments = {
        "scaling": 1.0,
        "sequence_runs": [(2, 3, 3)],
        **dict.fromkeys(("cu_seq_lens_q", "cu_seq_lens_k")),
        **dict.fromkeys(("max_length_q", "max_length_k"), 3)
    }
    return packed_attention(module, query, key, value, None, **arguments | options)


def test_what_packing_does_not_cover_is_refused_by_name():
    assert attend()[0].shape == (1, 6, 4, 8)
    with pytest.raises(ValueError,
                       match=r"Qwen2Attention: attention dropout 0.1 .*override_config.attention_dropout=0"):
        attend(dropout=0.1)
    for option in ({"softcap": 50.0}, {"s_aux": torch.zeros(4)}):
        with pytest.raises(ValueError, match="Qwen2Attention: soft-capped or sink attention is not tested"):
            attend(**option)


@pytest.mark.parametrize("window", [None, 3, 6])
@pytest.mark.parametrize("full_block", [0, 512])
def test_sequences_that_share_a_prompt(window, full_block, monkeypatch):
    """Against attention written from its formula, output and gradients, in float64."""
    monkeypatch.setattr(attention, "FULL_BLOCK", full_block)
    rows = [[0, 1, 2, 3, 4], [0, 1, 2, 5, 6, 7, 8], [0, 1, 2, 9, 10, 11, 12]]  # tokens of each sequence
    queries, keys = [5, 4, 4], [5, 7, 7]
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, heads, 13, 8, dtype=torch.float64, requires_grad=True) for heads in (4, 2, 2))
    ours = attend_to(query, key, value, queries, keys, torch.tensor(sum(rows, [])), window)
    theirs = torch.zeros_like(ours)
    for row, count in zip(rows, queries, strict=True):
        own = row[-count:]
        k, v = (x[0][:, row].repeat_interleave(2, 0) for x in (key, value))
        scores = query[0][:, own] @ k.transpose(1, 2)
        distance = torch.arange(len(row))[-count:, None] - torch.arange(len(row))
        scores = scores.masked_fill((distance < 0) | (distance >= (window or 9)), -torch.inf)
        theirs[own] = (scores.softmax(-1) @ v).transpose(0, 1)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
    weight = torch.randn_like(ours)
    for a, b in zip(*(torch.autograd.grad(out, (query, key, value), weight) for out in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


def attend_to(query, key, value, queries, keys, key_tokens, window=None):
    """[tokens, heads, head_dim]."""
    ends = lambda lengths: torch.tensor([0, *lengths], device=query.device).cumsum(0).int()
    return packed_attention(nn.Identity(), query, key, value, None, scaling=1.0,
                            sequence_runs=runs_of_equal_length(queries, keys), cu_seq_lens_q=ends(queries),
                            cu_seq_lens_k=ends(keys), max_length_q=max(queries), max_length_k=max(keys),
                            key_tokens=key_tokens, sliding_window=window)[0][0]  # yapf: disable


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("window", [None, 3, 6])
def test_shared_prompts_on_cuda(window):
    """Output and gradients of the variable-length kernel in bfloat16 against SDPA in float32."""
    torch.manual_seed(0)
    tensors = [torch.randn(1, heads, 13, 64, device="cuda", requires_grad=True) for heads in (4, 2, 2)]
    key_tokens = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2, 5, 6, 7, 8, 0, 1, 2, 9, 10, 11, 12], device="cuda")
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        query, key, value = (x.to(dtype) for x in tensors)
        out = attend_to(query / 8, key, value, [5, 4, 4], [5, 7, 7], key_tokens, window).float()
        results.append([out, *torch.autograd.grad(out.square().sum(), tensors)])
    for exact, rounded in zip(*results, strict=True):
        assert (rounded - exact).norm() < 0.03 * exact.norm()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("family", FAMILIES)
def test_flash_attention_equals_sdpa_on_cuda(family):
    """Forward and gradient of the variable-length kernel in bfloat16 against float32, no further than SDPA is."""
    model, rows = make_model(family).to("cuda").eval(), [row.to("cuda") for row in sequences()]
    results = {}
    for name, dtype in (("float32", torch.float32), ("sdpa", torch.bfloat16), ("packed", torch.bfloat16)):
        model = model.to(dtype)
        model.zero_grad()
        if name == "packed":
            logits = packed_logits(model, [row.cpu() for row in rows], "cuda")
        else:
            logits = [model(row[None]).logits[0] for row in rows]
        total = sum((line.float().log_softmax(-1)[:, 5]).sum() for line in logits)
        total.backward()
        results[name] = (torch.cat(logits).float(), torch.cat([p.grad.flatten().float() for p in model.parameters()]))
    for exact, sdpa, packed in zip(*(results[n] for n in ("float32", "sdpa", "packed")), strict=True):
        assert (packed - exact).norm() < 1.5 * (sdpa - exact).norm() + 1e-3 * exact.norm()
