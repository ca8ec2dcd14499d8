"""What every reward must keep to, whatever it scores."""

import time

import pytest

from reward_score import default_compute_score
from reward_score.registry import resolve
from tests.support.reward_cases import Case

MEGABYTES = 10
FRAGMENTS = [
    "a ", "<answer>", "</answer>", "<answer>[[1,", "<answer>{", "\\boxed{", "Answer: ", "**", "\n", "1,", "```\n"
]


def per_case(cases: dict[str, list[Case]]):
    """Parametrizes a test by data source and case."""
    pairs = [(source, case) for source, table in cases.items() for case in table]
    return pytest.mark.parametrize(("source", "case"), pairs, ids=[f"{source}-{case.name}" for source, case in pairs])


def assert_case(source: str, case: Case):
    outcome = default_compute_score(source, case.answer, case.truth, case.extra_info)
    assert outcome["score"] == pytest.approx(case.score), outcome
    assert outcome["acc"] == float(case.score == 1.0)


def assert_examples(source: str, truth: object, extra_info: dict | None = None):
    """The reference answer scores full, no near miss does, and the keys are the same for all of them."""
    reward, extra_info = resolve(source), extra_info or {}
    assert reward.answer_format
    right = reward.reference_answer(truth, extra_info)
    outcomes = [default_compute_score(source, f"<think>hm</think>\n{right}", truth, extra_info)]
    assert outcomes[0]["score"] == outcomes[0]["acc"] == 1.0, right
    misses = reward.near_misses(truth, extra_info)
    assert len(misses) >= 3
    for miss in [*misses, "", f"<think>{right}"]:
        outcome = default_compute_score(source, miss, truth, extra_info)
        assert outcome["acc"] == 0.0 and outcome["score"] < 1.0, miss
        outcomes.append(outcome)
    assert len({frozenset(outcome) for outcome in outcomes}) == 1


def assert_quick(source: str, truth: object, extra_info: dict | None = None, fragments: list[str] = FRAGMENTS):
    """Ten megabytes of what extraction looks for take less than a second."""
    for fragment in fragments:
        answer = fragment * (MEGABYTES * 1_000_000 // len(fragment))
        start = time.perf_counter()
        outcome = default_compute_score(source, answer, truth, extra_info)
        assert time.perf_counter() - start < 1.0, fragment
        assert outcome["score"] < 1.0, fragment
