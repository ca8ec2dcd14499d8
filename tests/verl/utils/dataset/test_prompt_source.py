import json
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl.utils.dataset.prompt_source import PromptSource

sizes = st.integers(1, 20).flatmap(lambda rows: st.tuples(st.just(rows), st.integers(1, rows)))


def draw(source, steps):
    return [batch.tolist() for batch in islice(source, steps)]


@given(sizes, st.booleans(), st.integers(0, 2**32), st.integers(0, 30), st.integers(1, 30))
def test_resumed_anywhere_the_rest_is_the_same(size, shuffle, seed, before, after):
    rows, batch = size
    source = PromptSource(rows, batch, shuffle, seed, "f")
    draw(source, before)
    state = json.loads(json.dumps(source.state_dict()))
    resumed = PromptSource(rows, batch, shuffle, seed, "f")
    draw(resumed, 3)  # whatever it did before
    resumed.load_state_dict(state)
    assert (resumed.epoch, resumed.cursor) == (source.epoch, source.cursor)
    assert draw(resumed, after) == draw(source, after)


@given(sizes, st.booleans(), st.integers(0, 2**32))
def test_no_row_twice_in_an_epoch(size, shuffle, seed):
    rows, batch = size
    source = PromptSource(rows, batch, shuffle, seed, "f")
    for epoch in range(3):
        seen = []
        for _ in range(source.steps_per_epoch):
            indices = next(source)
            assert indices.shape == (batch,) and source.epoch == epoch
            seen += indices.tolist()
        assert len(set(seen)) == len(seen) and set(seen) <= set(range(rows)) and rows - len(seen) < batch


def test_shuffling_depends_on_seed_and_epoch():
    epochs = draw(PromptSource(50, 50, True, 1, "f"), 3)
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    other = draw(PromptSource(50, 50, True, 2, "f"), 3)
    assert len({tuple(epoch) for epoch in epochs + other}) == 6
    assert draw(PromptSource(50, 20, False, 1, "f"), 3) == [list(range(20)), list(range(20, 40)), list(range(20))]


def test_another_batch_size_goes_on_in_the_same_order():
    source = PromptSource(10, 3, True, 0, "f")
    first = draw(source, 2)
    resumed = PromptSource(10, 4, True, 0, "f")
    resumed.load_state_dict(source.state_dict())
    order = np.random.default_rng([0, 0]).permutation(10).tolist()
    assert sum(first, []) == order[:6] and draw(resumed, 1) == [order[6:]] and resumed.epoch == 0


@pytest.mark.parametrize("batch_size", [0, 11, -1])
def test_batch_that_does_not_fit(batch_size):
    with pytest.raises(ValueError, match=f"data.train_batch_size={batch_size} does not fit 10 usable prompts"):
        PromptSource(10, batch_size, True, 0, "f")


def test_other_data_is_refused_with_both_fingerprints():
    state = PromptSource(10, 2, True, 0, "aaa").state_dict()
    with pytest.raises(ValueError, match="fingerprint aaa, now bbb.*resume_mode=disable"):
        PromptSource(10, 2, True, 0, "bbb").load_state_dict(state)


@pytest.mark.parametrize("key, seed, shuffle", [("seed", 1, True), ("shuffle", 0, False)])
def test_another_order_is_refused(key, seed, shuffle):
    state = PromptSource(10, 2, True, 0, "f").state_dict()
    with pytest.raises(ValueError, match=f"data.{key}="):
        PromptSource(10, 2, shuffle, seed, "f").load_state_dict(state)
