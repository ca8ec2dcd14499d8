import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.timing import computes_within
from verl.utils.ragged import Ragged
from verl.utils.seqlen_balancing import rank_shares
from verl.workers.engine.packing import COPY_COST, first_fit_decreasing, plan_micro_batches, prompt_groups

LENGTHS = st.lists(st.integers(0, 50), max_size=40)
CAPS = st.integers(50, 200)


def naive_first_fit_decreasing(lengths, capacity):
    bins = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        for rows in bins:
            if sum(lengths[r] for r in rows) + lengths[row] <= capacity:
                rows.append(row)
                break
        else:
            bins.append([row])
    return bins


@given(LENGTHS, CAPS)
def test_first_fit_decreasing(lengths, capacity):
    bins = first_fit_decreasing(lengths, capacity)
    assert bins == naive_first_fit_decreasing(lengths, capacity)
    assert all(sum(lengths[row] for row in rows) <= capacity for rows in bins)
    assert sorted(row for rows in bins for row in rows) == list(range(len(lengths)))
    assert len(bins) <= max(2 * math.ceil(sum(lengths) / capacity), min(1, len(lengths)))


def test_perfect_packings_are_found():
    assert len(first_fit_decreasing([6, 4] * 50, 10)) == 50
    assert len(first_fit_decreasing([7, 2, 1] * 30, 10)) == 30


def test_a_row_longer_than_the_cap_is_named():
    with pytest.raises(ValueError, match="row 1 has 11 tokens, more than ppo_max_token_len_per_gpu=10"):
        first_fit_decreasing([3, 11, 4], 10)


def test_16384_rows_take_no_time():
    lengths = np.minimum(np.random.default_rng(0).lognormal(7, 1.2, 16384).astype(int), 32768)
    with computes_within(1):
        bins = first_fit_decreasing(lengths, 32768)
    assert len(bins) <= 1.01 * lengths.sum() / 32768


@given(LENGTHS, CAPS, st.integers(1, 8), st.integers(1, 50), st.booleans())
def test_plan(lengths, cap, size, min_count, by_tokens):
    bounds = (cap, None) if by_tokens else (None, size)
    plan = plan_micro_batches(lengths, *bounds, min_count)
    again = plan_micro_batches(np.array(lengths), *bounds, min_count)
    assert [rows.tolist() for rows in plan] == [rows.tolist() for rows in again]
    assert all(rows.dtype == np.int64 for rows in plan)
    assert sorted(row for rows in plan for row in rows) == list(range(len(lengths)))
    tokens = [sum(lengths[row] for row in rows) for rows in plan]
    assert max(tokens, default=0) <= cap if by_tokens else max(map(len, plan), default=0) <= size
    assert tokens == sorted(tokens, reverse=True)
    for rows in plan:
        assert [(lengths[row], row) for row in rows] == sorted((lengths[row], row) for row in rows)
    filled = [rows for rows in plan if len(rows)]
    assert plan[:len(filled)] == filled  # the empty ones are last
    unsplit = len(plan_micro_batches(lengths, *bounds))
    assert len(plan) == max(min_count, unsplit)
    assert len(filled) == max(min(min_count, len(lengths)),
                              len([r for r in plan_micro_batches(lengths, *bounds) if len(r)]))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20)), max_size=40), st.integers(40, 120),
       st.integers(1, 6))  # yapf: disable
def test_the_prompt_of_a_group_counts_once(rows, cap, min_count):
    groups, responses = np.array([g for g, _ in rows], int), np.array([r for _, r in rows], int)
    prompts = 3 * groups + 1
    plan = plan_micro_batches(prompts + responses, cap, None, min_count, groups=groups, prompt_lengths=prompts)
    assert sorted(row for part in plan for row in part) == list(range(len(rows)))

    def tokens(part):
        copies = prompts[part].sum() - sum(3 * g + 1 for g in set(groups[part]))
        return (prompts + responses)[part].sum() - copies + copies / COPY_COST

    assert all(tokens(part) <= cap for part in plan)
    unsplit = plan_micro_batches(prompts + responses, cap, None, groups=groups, prompt_lengths=prompts)
    assert len(plan) == max(min_count, len(unsplit))
    assert len(unsplit) <= len(plan_micro_batches(prompts + responses, cap, None))


@pytest.mark.parametrize("n, prompt, response, cap", [(8, 40, 260, 4096), (4, 500, 2000, 16384), (16, 20, 55, 4096),
                                                      (16, 20, 8, 4096), (16, 8000, 400, 16384)])  # yapf: disable
def test_groups_fill_micro_batches(n, prompt, response, cap):
    """A prompt is read again only where a micro-batch ends, and what attention copies stays within bounds."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(512 // n), n)
    prompts, responses = np.full(512, prompt), rng.integers(response // 2, 3 * response // 2, 512)
    lengths = prompts + responses
    plan = plan_micro_batches(lengths, cap, None, groups=groups, prompt_lengths=prompts)
    assert len(plan) <= len(plan_micro_batches(lengths, cap, None))
    assert sum(len(set(groups[part])) for part in plan) < 512 // n + len(plan)
    assert all(lengths[part].sum() <= COPY_COST * cap for part in plan)


def test_16384_rows_in_groups_take_no_time():
    rng = np.random.default_rng(0)
    prompts = np.repeat(rng.integers(50, 2000, 1024), 16)
    lengths = prompts + np.minimum(rng.lognormal(7, 1.2, 16384).astype(int), 30000)
    with computes_within(1):
        plan_micro_batches(lengths, 32768, None, groups=np.repeat(np.arange(1024), 16), prompt_lengths=prompts)


def test_a_row_of_a_group_longer_than_the_cap_is_named():
    with pytest.raises(ValueError, match="row 2 has 11 tokens, more than ppo_max_token_len_per_gpu=10"):
        plan_micro_batches([8, 8, 11], 10, None, groups=np.array([0, 0, 0]), prompt_lengths=np.array([5, 5, 5]))


def test_prompts_are_grouped_where_it_pays():
    prompts, answers = Ragged.from_rows([[1, 2], [3], [1, 2], [1, 2]]), lambda n: Ragged.from_rows([[7] * n] * 4)
    assert prompt_groups(prompts, answers(5)).tolist() == [0, 1, 0, 0]
    assert prompt_groups(prompts, answers(100)) is None
    assert prompt_groups(Ragged.from_rows([[1], [2], [1, 2]]), answers(1)[:3]) is None
    nothing = Ragged.from_lengths(np.zeros(0, np.int32), [])
    assert prompt_groups(nothing, nothing) is None


def test_the_heaviest_is_split():
    plan = plan_micro_batches([10, 10, 10, 10, 1, 1], 40, None, 3)
    assert [rows.tolist() for rows in plan] == [[0, 3], [1, 2], [4, 5]]
    assert [rows.tolist() for rows in plan_micro_batches([5, 7], None, 8, 4)] == [[1], [0], [], []]


def test_ranks_that_run_in_step_run_alike():
    rng, cost = np.random.default_rng(0), lambda lengths: lengths + lengths**2 / 8192.0
    lengths = np.minimum(rng.lognormal(8.5, 1, 8 * 64), 32768).astype(int)
    ranks = [lengths[rows] for rows in rank_shares(cost(lengths), 8, 1, balance=True)]

    def seconds(by_cost):
        """Of all micro-batches, each as slow as the slowest rank; 1: nobody waits."""
        order = lambda rank: cost(rank) if by_cost else rank
        plans = [plan_micro_batches(rank, 32768, None, 17, order(rank)) for rank in ranks]
        work = [[cost(rank[rows]).sum() for rows in plan] for rank, plan in zip(ranks, plans, strict=True)]
        return np.max(work, axis=0).sum() / np.sum(work, axis=1).mean()

    assert seconds(by_cost=True) < 1.07 < 1.1 < seconds(by_cost=False)


@pytest.mark.parametrize("bounds", [(None, None), (10, 2)])
def test_exactly_one_bound_is_asked_for(bounds):
    with pytest.raises(ValueError, match="set exactly one of ppo_max_token_len_per_gpu"):
        plan_micro_batches([1], *bounds)
