"""The decoding cache and its attention against transformers' own."""
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from tests.support.models import make_model
from verl.workers.rollout import decode_cache
from verl.workers.rollout.decode_cache import RoomyLayer, decode_attention, roomy_cache

# (what, argument): a step of so many tokens, or a choice of rows.
ACTIONS = st.lists(
    st.one_of(st.tuples(st.just("step"), st.integers(1, 3)),
              st.tuples(st.just("select"), st.lists(st.integers(0, 5), min_size=1, max_size=6))),
    max_size=20)  # yapf: disable


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.integers(1, 4))
def test_keys_and_values_are_those_of_a_layer_that_copies(actions, room):
    ours, theirs, rng = RoomyLayer(), DynamicLayer(), torch.Generator().manual_seed(0)
    decode_cache_room, decode_cache.ROOM = decode_cache.ROOM, room
    rows = 6
    try:
        for what, argument in [("step", 5), *actions]:
            if what == "step":
                new = torch.randn(2, rows, 2, argument, 4, generator=rng)
                for mine, other in zip(ours.update(*new), theirs.update(*new), strict=True):
                    assert torch.equal(mine, other)
            else:
                kept = torch.tensor([row % rows for row in argument])
                rows = len(kept)
                for layer in (ours, theirs):
                    layer.batch_select_indices(kept)
            assert ours.get_seq_length() == theirs.get_seq_length()
            assert ours.get_mask_sizes(1) == theirs.get_mask_sizes(1)
    finally:
        decode_cache.ROOM = decode_cache_room


@pytest.mark.parametrize("queries", [1, 5])
@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_attention_is_that_of_repeated_keys(queries, key_heads):
    torch.manual_seed(0)
    query = torch.randn(3, 4, queries, 8, dtype=torch.float64)
    key, value = torch.randn(2, 3, key_heads, 5, 8, dtype=torch.float64)
    mask = torch.ones(3, 1, queries, 5, dtype=torch.bool).tril(5 - queries)
    mask[1, ..., :2] = False
    mask[1, :, :2, 0] = queries > 1  # a query that sees nothing has no attention
    module = nn.Module()
    module.num_key_value_groups = 4 // key_heads
    ours, theirs = (
        f(module, query, key, value, mask, scaling=0.3)[0] for f in (decode_attention, sdpa_attention_forward))
    torch.testing.assert_close(ours, theirs)


def test_layers_of_other_kinds_keep_their_own_cache():
    assert {type(layer) for layer in roomy_cache(make_model("qwen2").config).layers} == {RoomyLayer}
    assert RoomyLayer not in {type(layer) for layer in roomy_cache(make_model("mistral").config).layers}
