"""Packing and padding against loops over rows."""
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from verl.utils.ragged import Ragged
from verl.workers.engine.attention import runs_of_equal_length
from verl.workers.engine.micro_batch import MicroBatch

CPU = torch.device("cpu")
TOKENS = st.integers(0, 1 << 17)
ROWS = st.lists(st.tuples(st.lists(TOKENS, min_size=1, max_size=6), st.lists(TOKENS, max_size=6)), min_size=1,
                max_size=8)  # yapf: disable


def pack(rows) -> MicroBatch:
    return MicroBatch.pack(*(Ragged.from_rows(list(column), np.int32) for column in zip(*rows, strict=True)), CPU)


@given(ROWS)
def test_rows_lie_end_to_end(rows):
    batch = pack(rows)
    tokens, positions, predictors, labels, ends = [], [], [], [], [0]
    for prompt, response in rows:
        for place, token in enumerate(prompt + response):
            if place >= len(prompt):
                predictors.append(len(tokens) - 1)
                labels.append(token)
            tokens.append(token)
            positions.append(place)
        ends.append(len(tokens))
    assert batch.input_ids.tolist() == [tokens] and batch.position_ids.tolist() == [positions]
    assert batch.predictors.tolist() == predictors and batch.labels.tolist() == labels
    assert {t.dtype for t in (batch.input_ids, batch.position_ids, batch.predictors, batch.labels)} == {torch.int64}
    kwargs, lengths = batch.attention_kwargs, np.diff(ends).tolist()
    for side in "qk":
        assert kwargs[f"cu_seq_lens_{side}"].tolist() == ends and kwargs[f"cu_seq_lens_{side}"].dtype == torch.int32
        assert kwargs[f"max_length_{side}"] == max(lengths)
    assert kwargs["sequence_runs"] == runs_of_equal_length(lengths)


@given(ROWS)
def test_padding_puts_each_value_back_in_its_row(rows):
    batch = pack(rows)
    values = torch.arange(1.0, len(batch.labels) + 1, dtype=torch.float64, requires_grad=True)
    padded, mask = batch.padded(values), batch.mask(CPU)
    longest = max(len(response) for _, response in rows)
    assert padded.shape == mask.shape == (len(rows), longest)
    expected, keep, value = torch.zeros(len(rows), longest), torch.zeros(len(rows), longest, dtype=torch.bool), 0
    for row, (_, response) in enumerate(rows):
        for place in range(len(response)):
            value += 1
            expected[row, place], keep[row, place] = value, True
    assert torch.equal(padded, expected.double()) and torch.equal(mask, keep)
    padded.square().sum().backward()
    assert torch.equal(values.grad, 2 * values.detach())


def test_rows_without_response():
    batch = pack([([5, 6], []), ([7], []), ([8], [9])])
    assert (batch.predictors.tolist(), batch.labels.tolist()) == ([3], [9])
    nothing = pack([([5, 6], []), ([7], [])])
    assert nothing.predictors.shape == (0,) and nothing.padded(torch.zeros(0)).shape == (2, 0)


def test_no_rows_run_one_token_without_label():
    batch = MicroBatch.pack(*(Ragged.from_lengths(np.zeros(0, np.int32), []) for _ in range(2)), CPU)
    assert batch.input_ids.shape == batch.position_ids.shape == (1, 1)
    assert batch.attention_kwargs["sequence_runs"] == [(0, 1, 1)]
    assert batch.predictors.shape == batch.labels.shape == (0,)
    values = torch.zeros(0, requires_grad=True)
    padded = batch.padded(values)
    assert padded.shape == batch.mask(CPU).shape == (0, 0)
    padded.sum().backward()  # a loss over nothing still has a graph for the collectives of the backward pass
    assert values.grad.shape == (0,)


def test_an_empty_prompt_is_a_fault():
    with pytest.raises(AssertionError, match="empty prompt"):
        pack([([5], [1]), ([], [2])])
