"""Packing and padding against loops over rows."""
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from verl.utils.ragged import Ragged
from verl.workers.engine.micro_batch import MicroBatch

CPU = torch.device("cpu")
TOKENS = st.integers(0, 1 << 17)
ROWS = st.lists(st.tuples(st.lists(TOKENS, min_size=1, max_size=6), st.lists(TOKENS, max_size=6)), min_size=1,
                max_size=8)  # yapf: disable


def pack(rows, groups=None) -> MicroBatch:
    columns = (Ragged.from_rows(list(column), np.int32) for column in zip(*rows, strict=True))
    return MicroBatch.pack(*columns, CPU, groups)


def lengths_of(batch: MicroBatch, side: str) -> list[int]:
    """Queries (q) or keys (k) of each sequence, which the bounds, their maximum and the runs agree on."""
    kwargs = batch.attention_kwargs
    assert kwargs[f"cu_seq_lens_{side}"].dtype == torch.int32 and kwargs[f"cu_seq_lens_{side}"][0] == 0
    lengths = kwargs[f"cu_seq_lens_{side}"].diff().tolist()
    assert kwargs[f"max_length_{side}"] == max(lengths)
    assert [run[" qk".index(side)] for run in kwargs["sequence_runs"] for _ in range(run[0])] == lengths
    return lengths


@given(ROWS)
def test_rows_lie_end_to_end_without_what_predicts_nothing(rows):
    batch = pack(rows)
    tokens, positions, predictors, labels = [], [], [], []
    for prompt, response in rows:
        for place, token in enumerate(prompt + response):
            if place >= len(prompt):
                predictors.append(len(tokens) - 1 + (place - len(prompt) - len(response) + 1 > 0))
                labels.append(token)
            if place < max(len(prompt), len(prompt + response) - 1):
                tokens.append(token)
                positions.append(place)
    assert batch.input_ids.tolist() == [tokens] and batch.position_ids.tolist() == [positions]
    assert batch.predictors.tolist() == predictors and batch.labels.tolist() == labels
    assert {t.dtype for t in (batch.input_ids, batch.position_ids, batch.predictors, batch.labels)} == {torch.int64}
    assert lengths_of(batch, "q") == lengths_of(batch, "k") == [len(p) + max(len(r) - 1, 0) for p, r in rows]
    assert batch.attention_kwargs["key_tokens"] is None


@given(ROWS, st.data())
def test_a_shared_prompt_is_there_once_and_each_row_sees_its_own_sequence(rows, data):
    prompts = [prompt for prompt, _ in rows]
    groups = np.array([data.draw(st.integers(0, row)) for row in range(len(rows))])
    rows = [(prompts[group], response) for group, (_, response) in zip(groups, rows, strict=True)]
    batch, apart = pack(rows, groups), pack(rows)
    tokens, positions = batch.input_ids[0], batch.position_ids[0]
    copies = len(rows) - len(set(groups))
    assert len(tokens) == apart.input_ids.shape[1] - sum(len(prompts[group]) for group in groups) + sum(
        len(prompts[group]) for group in set(groups))
    assert torch.equal(tokens[batch.predictors], apart.input_ids[0][apart.predictors])
    assert torch.equal(positions[batch.predictors], apart.position_ids[0][apart.predictors])
    assert torch.equal(batch.labels, apart.labels)
    keys = batch.attention_kwargs["key_tokens"]
    assert (keys is None) == (copies == 0)
    keys = torch.arange(len(tokens)) if keys is None else keys
    queries, sequences = lengths_of(batch, "q"), keys.split(lengths_of(batch, "k"))
    assert sum(queries) == len(tokens)
    read = [prompt + response[:-1] for prompt, response in rows]
    has_queries = [row for row in range(len(rows)) if groups[row] not in groups[:row] or len(rows[row][1]) > 1]
    assert [tokens[sequence].tolist() for sequence in sequences] == [read[row] for row in has_queries]
    for sequence, own in zip(sequences, torch.arange(len(tokens)).split(queries), strict=True):
        assert torch.equal(sequence[len(sequence) - len(own):], own)  # the last keys are those of the queries
        assert positions[sequence].tolist() == list(range(len(sequence)))


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
    assert (batch.input_ids.tolist(), batch.predictors.tolist(), batch.labels.tolist()) == ([[5, 6, 7, 8]], [3], [9])
    nothing = pack([([5, 6], []), ([7], [])])
    assert nothing.predictors.shape == (0,) and nothing.padded(torch.zeros(0)).shape == (2, 0)


def test_no_rows_run_one_token_without_label():
    batch = MicroBatch.pack(*(Ragged.from_lengths(np.zeros(0, np.int32), []) for _ in range(2)), CPU)
    assert batch.input_ids.shape == batch.position_ids.shape == (1, 1)
    assert batch.attention_kwargs["sequence_runs"] == [(1, 1, 1)]
    assert batch.predictors.shape == batch.labels.shape == (0,)
    values = torch.zeros(0, requires_grad=True)
    padded = batch.padded(values)
    assert padded.shape == batch.mask(CPU).shape == (0, 0)
    padded.sum().backward()  # a loss over nothing still has a graph for the collectives of the backward pass
    assert values.grad.shape == (0,)


def test_an_empty_prompt_is_a_fault():
    with pytest.raises(AssertionError, match="empty prompt"):
        pack([([5], [1]), ([], [2])])
