"""Weights that leave the engine: in which files, of which type, and that transformers reads them."""
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.support.models import make_model
from tests.support.two_ranks import BUCKET_BYTES
from verl.workers.engine import weights
from verl.workers.engine.weights import WeightSource


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 40), st.sampled_from([torch.float32, torch.bfloat16]))
def test_buckets_hold_all_in_order_within_the_limit(sizes, limit, dtype):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "BUCKET_BYTES", limit * dtype.itemsize)
        buckets = WeightSource({str(i): torch.empty(size) for i, size in enumerate(sizes)}, dtype).buckets()
    assert [int(name) for names in buckets for name in names] == list(range(len(sizes)))
    totals = [sum(sizes[int(name)] for name in names) for names in buckets]
    for names, total in zip(buckets, totals, strict=True):
        assert names and (total <= limit or sum(sizes[int(name)] > 0 for name in names) == 1)
    for i, names in enumerate(buckets[1:]):  # each bucket was opened because its first tensor did not fit before
        assert totals[i] + sizes[int(names[0])] > limit


@pytest.fixture
def original():
    return make_model("qwen2_tied").state_dict()


def assert_same(folder, original, dtype):
    """transformers reads `folder` as the original model, tied embeddings included."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    loaded = model.state_dict()
    assert loaded.keys() == original.keys()
    for name, tensor in original.items():
        assert torch.equal(loaded[name], tensor.to(dtype)), name


def test_export_in_one_file(on_two_ranks, work, original):
    assert {path.name for path in (work / "hf").iterdir()
           } == {"config.json", "generation_config.json", "model.safetensors"}
    assert_same(work / "hf", original, torch.float32)
    assert json.loads((work / "hf" / "config.json").read_text())["dtype"] == "float32"


def test_small_buckets_make_several_files_with_an_index(on_two_ranks, work, original):
    index = json.loads((work / "many" / "model.safetensors.index.json").read_text())["weight_map"]
    files = sorted(path.name for path in (work / "many").glob("*.safetensors"))
    assert len(files) > 2 and files[-1] == f"model-{len(files):05d}-of-{len(files):05d}.safetensors"
    for file in files:
        tensors = load_file(work / "many" / file)
        assert {name for name, place in index.items() if place == file} == set(tensors)
        assert sum(t.nbytes for t in tensors.values()) <= BUCKET_BYTES or len(tensors) == 1
    assert_same(work / "many", original, torch.float32)


def test_cast_to_the_receivers_dtype(on_two_ranks, work, original):
    tensors = load_file(work / "bf16" / "model.safetensors")
    assert {t.dtype for t in tensors.values()} == {torch.bfloat16} and "lm_head.weight" not in tensors
    assert_same(work / "bf16", original, torch.bfloat16)
