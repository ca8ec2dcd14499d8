import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verl.utils.seqlen_balancing import (
    cost_imbalance,
    get_seqlen_balanced_partitions,
    karmarkar_karp,
    log_seqlen_unbalance,
    longest_first,
    rank_shares,
)


@st.composite
def cases(draw):
    equal_size, parts = draw(st.booleans()), draw(st.integers(1, 6))
    count = parts * draw(st.integers(1, 8)) if equal_size else parts + draw(st.integers(0, 40))
    return draw(st.lists(st.integers(0, 99), min_size=count, max_size=count)), parts, equal_size


def sums(costs, partitions):
    return [sum(costs[item] for item in part) for part in partitions]


@pytest.mark.parametrize("method", [get_seqlen_balanced_partitions, karmarkar_karp, longest_first])
@given(case=cases())
def test_partition(method, case):
    costs, parts, equal_size = case
    partitions = method(*case)
    assert partitions == method(*case)
    assert len(partitions) == parts and all(partitions)
    assert sorted(item for part in partitions for item in part) == list(range(len(costs)))
    if equal_size:
        assert {len(part) for part in partitions} == {len(costs) // parts}
    elif method is not get_seqlen_balanced_partitions:
        assert max(sums(costs, partitions)) - min(sums(costs, partitions)) <= max(costs)


@given(cases())
def test_balancing_does_no_harm(case):
    costs, parts, _ = case
    partitions = get_seqlen_balanced_partitions(*case)
    assert all(part == sorted(part) for part in partitions)
    heaviest = max(sums(costs, partitions))
    assert heaviest <= max(part.sum() for part in np.array_split(costs, parts))
    assert heaviest <= max(sum(costs[first::parts]) for first in range(parts))
    assert heaviest <= max(sums(costs, karmarkar_karp(*case)))


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), rows=st.sampled_from([8, 16, 64]), parts=st.sampled_from([2, 8, 16]))
def test_long_tailed_costs_come_near_the_lower_bound(seed, rows, parts):
    lengths = np.sort(np.minimum(np.random.default_rng(seed).lognormal(7, 1, rows * parts), 8192))
    costs = lengths + lengths**2 / 8192
    with_the_largest = costs[-1] + costs[:rows - 1].sum()
    bound = max(1.0, with_the_largest * parts / costs.sum())
    imbalance = cost_imbalance(costs, get_seqlen_balanced_partitions(costs, parts, equal_size=True))
    assert bound - 1e-9 <= imbalance <= bound * {8: 1.25, 16: 1.1, 64: 1.005}[rows]


def test_differencing_beats_longest_first():
    """The classical example: 2 parts of 4, 5, 6, 7 and 8."""
    costs = [4, 5, 6, 7, 8]
    assert max(sums(costs, longest_first(costs, 2, False))) == 17
    assert max(sums(costs, karmarkar_karp(costs, 2, False))) == 16


def test_one_giant_is_paid_for_with_the_smallest():
    assert get_seqlen_balanced_partitions([100, 9, 8, 1], 2, equal_size=True) == [[0, 3], [1, 2]]


@given(ranks=st.integers(1, 4), mini_batches=st.integers(1, 4), balance=st.booleans(), seed=st.integers(0, 99))
def test_ranks_share_every_mini_batch_equally(ranks, mini_batches, balance, seed):
    size = 12
    costs = np.random.default_rng(seed).lognormal(7, 1, size * mini_batches)
    shares = rank_shares(costs, ranks, mini_batches, balance)
    for number in range(mini_batches):
        parts = [[row for row in share if row // size == number] for share in shares]
        assert [len(part) for part in parts] == [size // ranks] * ranks
        assert sorted(sum(parts, [])) == list(range(number * size, (number + 1) * size))
    assert [share == sorted(share) for share in shares] == [True] * ranks


def test_figures():
    figures = log_seqlen_unbalance([4, 3, 2, 1], [[0, 3], [1, 2]], prefix="x")
    assert figures == {
        "x/min": 3,
        "x/max": 7,
        "x/minmax_diff": 4,
        "x/balanced_min": 5,
        "x/balanced_max": 5,
        "x/mean": 5
    }
    assert cost_imbalance(np.array([4, 3, 2, 1]), [[0, 1], [2, 3]]) == 7 / 5


def test_impossible_partitions_are_refused():
    with pytest.raises(ValueError, match="2 samples cannot fill 3 parts"):
        get_seqlen_balanced_partitions([1, 2], 3, equal_size=False)
    with pytest.raises(ValueError, match="3 samples do not divide into 2 equal parts"):
        get_seqlen_balanced_partitions([1, 2, 3], 2, equal_size=True)
