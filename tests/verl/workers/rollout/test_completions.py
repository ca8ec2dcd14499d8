from hypothesis import given
from hypothesis import strategies as st

from verl.workers.rollout.base import version_spans


def test_tokens_are_counted_to_the_version_that_sampled_them():
    assert version_spans([(3, 10)]) == ((3, 10),)
    assert version_spans([(3, 4), (4, 10)]) == ((3, 4), (4, 6))
    assert version_spans([(3, 0), (4, 10)]) == ((4, 10),)  # updated before its first token
    assert version_spans([(3, 4), (4, 4), (5, 9)]) == ((3, 4), (5, 5))  # updated twice without a token between
    assert version_spans([(3, 10), (4, 10)]) == ((3, 10),)  # nothing was left to sample
    assert version_spans([(0, 0)]) == ()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_spans_sum_to_the_tokens(steps):
    counts = [(version, sum(steps[:version + 1])) for version in range(len(steps))]
    spans = version_spans(counts)
    assert sum(tokens for _, tokens in spans) == sum(steps)
    assert [version for version, _ in spans] == [version for version, tokens in enumerate(steps) if tokens]
