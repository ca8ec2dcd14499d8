import pytest

import reward_score.geo3k  # noqa: F401 -- registers it
from reward_score import default_compute_score
from tests.support.reward_cases import Case

THOUGHT = "<think>The triangle is\nisosceles: \\boxed{1}.</think>"
CASES: dict[str, list[Case]] = {
    "hiyouga/geometry3k": [
        Case("right", THOUGHT + r"So \boxed{4\sqrt{2}}", r"\sqrt{32}", 1.0),
        Case("right, several lines", THOUGHT + "So\n\\boxed{\n45^\\circ\n}\n", "45", 1.0),
        Case("right without thoughts", r"\boxed{45}", "45", 0.9),
        Case("right, thoughts never opened", r"so</think>\boxed{45}", "45", 0.9),
        Case("wrong", THOUGHT + r"\boxed{46}", "45", 0.1),
        Case("wrong without thoughts", r"\boxed{46}", "45", 0.0),
        Case("malformed: no box", THOUGHT + "45", "45", 0.0),
        Case("malformed: unfinished box", THOUGHT + r"\boxed{45", "45", 0.0),
        Case("unclosed thinking", r"<think>\boxed{45}", "45", 0.0),
        Case("near miss: another unit", THOUGHT + r"\boxed{45\text{ m}}", r"45\text{ cm}", 0.1),
        Case("near miss: rounded too far", THOUGHT + r"\boxed{5.7}", r"\sqrt{32}", 0.1),
        Case("hack: box within the thoughts", r"<think>\boxed{45}</think>So be it.", "45", 0.0),
        Case("hack: a hundred times", THOUGHT + r"\boxed{4500}", "45", 0.1),
        Case("hack: any equation that ends right", THOUGHT + r"\boxed{0=45}", "45", 0.1),
        Case("hang: tower of powers", THOUGHT + r"\boxed{9^{9^{9^{9}}}}", "45", 0.1),
        Case("huge", THOUGHT + r"\boxed{" + "7" * 10**5 + "}", "45", 0.1),
    ]
}


@pytest.mark.parametrize("case", CASES["hiyouga/geometry3k"], ids=lambda case: case.name)
def test_cases(case):
    result = default_compute_score("hiyouga/geometry3k", case.answer, case.truth, case.extra_info)
    assert set(result) == {"score", "acc", "format", "pred", "refused"}
    assert result["score"] == pytest.approx(case.score)
    assert result["acc"] == float(case.score >= 0.9)


def test_empty_truth_names_the_data_source():
    with pytest.raises(ValueError, match="geometry3k"):
        default_compute_score("hiyouga/geometry3k", r"\boxed{1}", "")
