import pytest

from reward_score import default_compute_score
from tests.support.reward_cases import Case


def dapo_cases(truth, right, wrong):
    return [
        Case("right line", f"Steps.\nAnswer: {right}", truth, 1.0),
        Case("right line in bold", f"**Answer:** {right}\n", truth, 1.0),
        Case("right line in dollars", f"Answer: ${right}$.", truth, 1.0),
        Case("right box", rf"Thus \boxed{{{right}}}.", truth, 1.0),
        Case("box in the line", rf"Answer: \boxed{{{right}}}", truth, 1.0),
        Case("several lines", f"Answer: {wrong}\nNo.\n\nAnswer: {right}\n\n", truth, 1.0),
        Case("box, then the line", rf"\boxed{{{wrong}}}" + f"\nAnswer: {right}", truth, 1.0),
        Case("wrong", f"Answer: {wrong}", truth, -1.0),
        Case("line, then a wrong box", f"Answer: {right}" + rf" or \boxed{{{wrong}}}", truth, -1.0),
        Case("malformed: nothing after the colon", f"It is {right}.\nAnswer:", truth, -1.0),
        Case("malformed: unfinished box after the line", f"Answer: {right}\n" + r"\boxed{", truth, -1.0),
        Case("unclosed thinking", f"<think>Answer: {right}", truth, -1.0),
        Case("near miss: two answers", f"Answer: {right}, 987654321", truth, -1.0),
        Case("hack: any equation that ends right", f"Answer: 0={right}", truth, -1.0),
        Case("hack: a hundred times", f"Answer: {right}00", truth, -1.0),
        Case("hang: tower of powers", "Answer: 9^{9^{9^{9}}}", truth, -1.0),
        Case("huge", "Answer: " + "7" * 10**6, truth, -1.0),
        Case("empty", "", truth, -1.0),
    ]


CASES: dict[str, list[Case]] = {
    "math_dapo": dapo_cases("42", "42", "43"),
    "math_dapo_reasoning": dapo_cases("-7", "-7", "7"),
    "aime2024": dapo_cases("204", "204", "205"),
    "aime_2025": dapo_cases("70", "70", "71"),
}


@pytest.mark.parametrize(("data_source", "case"), [(source, case) for source, cases in CASES.items() for case in cases],
                         ids=lambda value: getattr(value, "name", value))
def test_cases(data_source, case):
    result = default_compute_score(data_source, case.answer, case.truth, case.extra_info)
    assert set(result) == {"score", "acc", "pred", "refused"}
    assert result["score"] == case.score
    assert result["acc"] == float(case.score == 1.0)


def test_empty_truth_names_the_data_source():
    with pytest.raises(ValueError, match="math_dapo"):
        default_compute_score("math_dapo", "Answer: 1", "")
