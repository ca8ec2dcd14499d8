import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl.utils.seqlen_balancing import get_seqlen_balanced_partitions, log_seqlen_unbalance


@st.composite
def cases(draw):
    equal_size, parts = draw(st.booleans()), draw(st.integers(1, 6))
    count = parts * draw(st.integers(1, 8)) if equal_size else parts + draw(st.integers(0, 40))
    return draw(st.lists(st.integers(0, 99), min_size=count, max_size=count)), parts, equal_size


@given(cases())
def test_partition(case):
    lengths, parts, equal_size = case
    partitions = get_seqlen_balanced_partitions(*case)
    assert partitions == get_seqlen_balanced_partitions(*case)
    assert len(partitions) == parts and all(partitions)
    assert sorted(item for part in partitions for item in part) == list(range(len(lengths)))
    assert all(part == sorted(part) for part in partitions)
    sums = [sum(lengths[item] for item in part) for part in partitions]
    if equal_size:
        assert {len(part) for part in partitions} == {len(lengths) // parts}
    else:
        assert max(sums) - min(sums) <= max(lengths)


def test_long_tailed_lengths_are_even_within_a_thousandth():
    lengths = np.minimum(np.random.default_rng(0).lognormal(7, 1, 2048), 8192).astype(int).tolist()
    partitions = get_seqlen_balanced_partitions(lengths, 16, equal_size=True)
    figures = log_seqlen_unbalance(lengths, partitions)
    assert figures["global_seqlen/minmax_diff"] > 0.05 * figures["global_seqlen/mean"]
    assert figures["global_seqlen/balanced_max"] < 1.001 * figures["global_seqlen/mean"]


def test_one_giant_is_paid_for_with_the_smallest():
    assert get_seqlen_balanced_partitions([100, 9, 8, 1], 2, equal_size=True) == [[0, 3], [1, 2]]


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


def test_impossible_partitions_are_refused():
    with pytest.raises(ValueError, match="2 samples cannot fill 3 parts"):
        get_seqlen_balanced_partitions([1, 2], 3, equal_size=False)
    with pytest.raises(ValueError, match="3 samples do not divide into 2 equal parts"):
        get_seqlen_balanced_partitions([1, 2, 3], 2, equal_size=True)
