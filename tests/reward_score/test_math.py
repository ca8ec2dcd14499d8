import numpy as np
import pytest

from reward_score import default_compute_score, resolve
from tests.support.reward_cases import Case

TOWER = r"\boxed{9^{9^{9^{9}}}}"


def boxed_cases(truth, right, wrong, hack):
    """What every source read from a box must get right; `right` and `wrong` are spellings of an answer to `truth`."""
    return [
        Case("right", rf"<think>\boxed{{0}}</think>It is \boxed{{{right}}}.", truth, 1.0),
        Case("right, several lines", f"So:\n\\[\n\\boxed{{\n{right}\n}}\n\\]\n", truth, 1.0),
        Case("last box wins", rf"\boxed{{{wrong}}} no, \boxed{{{right}}}", truth, 1.0),
        Case("wrong", rf"It is \boxed{{{wrong}}}.", truth, 0.0),
        Case("right, then wrong", rf"\boxed{{{right}}} no, \boxed{{{wrong}}}", truth, 0.0),
        Case("malformed: no box", f"The answer is {right}", truth, 0.0),
        Case("malformed: unfinished box", rf"\boxed{{{right}}}, that is \boxed{{{right}", truth, 0.0),
        Case("unclosed thinking", rf"<think>It is \boxed{{{right}}}", truth, 0.0),
        Case("near miss: one more answer", rf"\boxed{{{right}, 987654321}}", truth, 0.0),
        Case("hack", rf"\boxed{{{hack}}}", truth, 0.0),
        Case("hack: any equation that ends right", rf"\boxed{{0={right}}}", truth, 0.0),
        Case("hack: Python", r"\boxed{__import__('os').system('true') or 42}", truth, 0.0),
        Case("hang: tower of powers", TOWER, truth, 0.0),
        Case("huge", r"\boxed{" + "7" * 10**6 + "}", truth, 0.0),
        Case("empty", "", truth, 0.0),
    ]


DAPO_METRIC = {"reward_metric": "math_dapo"}
CASES: dict[str, list[Case]] = {
    "math": boxed_cases("42", "42.0", "41", "4200"),
    "math__merged_deduped_dapo_or1_dataset": boxed_cases("0.42", r"\frac{21}{50}", "0.43", "42"),
    "math__deepscaler_preview": boxed_cases("(x+1)^{2}", "x^{2}+2x+1", "x^2+2x-1", "x^2+2x+1.01"),
    "math__bigmath_preview_filtered_mar21": boxed_cases(r"\frac{\pi}{2}", r"\pi/2", "1.57", "90"),
    "math__aime_repeated_8x": boxed_cases("204", "204", "205", "2.04"),
    "math__aime2025_repeated_8x": boxed_cases("70", "070.0", "71", r"0.70"),
    "math__amc_repeated_4x": boxed_cases("9901", "9,901", "9902", "990100"),
    "math__minerva": boxed_cases(r"4.5 \times 10^{33}", r"4.5\times10^{33}", r"4.5\times 10^{32}", r"4.5e33"),
    "math__olympiad_bench": boxed_cases("(-1, 3)", r"\left(-1,3\right)", "(3, -1)", "[-1, 3]"),
    "math__math": boxed_cases(r"10\text{ cm}", "10", r"10\text{ m}", r"1000\text{ mm}"),
    "lighteval/MATH": boxed_cases(r"\text{Tuesday}", "Tuesday", "Monday", "not Tuesday"),
    "DigitalLearningGmbH/MATH-lighteval": boxed_cases(r"\{1,2\}", "2, 1", r"\{1,3\}", "(1,2)"),
    "HuggingFaceH4/MATH-500": boxed_cases(r"\left[ -2, 7 \right]", r"-2 \le x \le 7", "(-2,7)", "[7,-2]"),
    "numina_aops_forum": boxed_cases("x = 5", "5", "x=6", "y=5"),
    "numina_synthetic_math": boxed_cases("42", r"42\%", "43", "0.42"),
    "numina_amc_aime": boxed_cases(r"\frac{1}{3}", "0.333333", "0.33", r"33.3333\%"),
    "numina_synthetic_amc": boxed_cases("B", r"\text{(B)}", "C", "B, C"),
    "numina_cn_k12": boxed_cases(r"1\frac{1}{2}", "1.5", r"\frac{11}{2}", "150"),
    "numina_olympiads": boxed_cases("y=2x+1", "2x-y+1=0", "y=2x-1", "0=0"),
    "boba": [
        *boxed_cases([r"\boxed{6}", r"\boxed{7}"], "7", "8", "0=6"),
        Case("the other solution", r"\boxed{6}", [r"\boxed{6}", r"\boxed{7}"], 1.0),
        Case("thoughts were begun by the prompt", r"so \boxed{1}</think>\boxed{6}", [r"\boxed{6}"], 1.0),
    ],
    "areal_math": boxed_cases([r"\boxed{2\sqrt{3}}"], r"\sqrt{12}", r"3\sqrt{2}", "3.46"),
}
for _cases in CASES.values():
    _cases += [Case(f"{case.name} (prime_math)", case.answer, case.truth, case.score, {"reward_metric": "prime_math"})
               for case in _cases[:4]]  # yapf: disable
CASES["math"] += [
    Case("metric math_dapo, right", "Answer: 42", "42", 1.0, DAPO_METRIC),
    Case("metric math_dapo, wrong", r"\boxed{41}", "42", -1.0, DAPO_METRIC),
    Case("metric None", r"\boxed{42}", "42", 1.0, {"reward_metric": None}),
    Case("metric naive_dapo, hack", r"\boxed{0.42}", "42", 0.0, {"reward_metric": "naive_dapo"}),
]


@pytest.mark.parametrize(("data_source", "case"), [(source, case) for source, cases in CASES.items() for case in cases],
                         ids=lambda value: getattr(value, "name", value))
def test_cases(data_source, case):
    result = default_compute_score(data_source, case.answer, case.truth, case.extra_info)
    assert result["score"] == case.score
    assert result["acc"] == float(case.score == 1.0)


@pytest.mark.parametrize("truth", [["6", "7"], np.array(["6", "7"], dtype=object), np.int64(7), 7, 7.0, r"\boxed{7}"])
def test_spellings_of_the_truth(truth):
    assert default_compute_score("math", r"\boxed{7}", truth)["score"] == 1.0


def test_keys_are_constant():
    responses = ["", r"\boxed{1}", TOWER, r"<think>", r"\boxed{x+1}"]
    keys = {frozenset(default_compute_score("math", response, "x", extra))
            for response in responses for extra in (None, DAPO_METRIC)}  # yapf: disable
    assert keys == {frozenset({"score", "acc", "pred", "refused"})}


def test_a_refused_answer_says_why_and_is_cut():
    assert "tower" in default_compute_score("math", TOWER, "42")["refused"]
    assert len(default_compute_score("math", r"\boxed{" + "x" * 5000 + "}", "42")["pred"]) == 200


@pytest.mark.parametrize("truth", ["", " ", None, [], ["7", ""], "$$"])
def test_empty_truth_names_the_data_source(truth):
    with pytest.raises(ValueError, match="'math_x'.*is empty"):
        default_compute_score("math_x", r"\boxed{1}", truth)


def test_unknown_metric_names_the_known_ones():
    with pytest.raises(ValueError, match="'math' is 'fuzzy'.*prime_math"):
        default_compute_score("math", r"\boxed{1}", "1", {"reward_metric": "fuzzy"})


@pytest.mark.parametrize("truth", ["42", "-3", "0", "0.5", r"\frac{1}{2}", r"\text{Tuesday}", "(1,2)", "1,2", "x=5",
                                   "y=2x+1", r"10\%", r"10\text{ cm}", r"\infty", "x > 2", "A", ["6", "7"],
                                   r"\begin{pmatrix}1\\2\end{pmatrix}", r"\pm 1", r"(-\infty,\infty)"])  # yapf: disable
@pytest.mark.parametrize("data_source", ["math", "math_dapo", "hiyouga/geometry3k"])
def test_reference_answer_is_right_and_near_misses_are_not(data_source, truth):
    reward = resolve(data_source)
    assert default_compute_score(data_source, reward.reference_answer(truth, {}), truth)["score"] == 1.0
    misses = reward.near_misses(truth, {})
    assert len(misses) >= 5
    assert [miss for miss in misses if default_compute_score(data_source, miss, truth)["acc"]] == []
