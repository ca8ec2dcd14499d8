import numpy as np
import pytest

import reward_score.tablereason  # noqa: F401 -- registers it
from reward_score import default_compute_score, resolve
from tests.support.reward_cases import Case


def cell_cases(truth, right, wrong):
    return [
        Case("right", rf"<think>\boxed{{0}}</think>It is \boxed{{{right}}}.", truth, 1.0),
        Case("right, several lines", f"\\[\n\\boxed{{\n{right}\n}}\n\\]", truth, 1.0),
        Case("as text", rf"\boxed{{\text{{{right}}}}}", truth, 1.0),
        Case("wrong", rf"\boxed{{{wrong}}}", truth, 0.0),
        Case("right, then wrong", rf"\boxed{{{right}}} no, \boxed{{{wrong}}}", truth, 0.0),
        Case("malformed: no box", right, truth, 0.0),
        Case("malformed: unfinished box", rf"\boxed{{{right}", truth, 0.0),
        Case("malformed: only separators", r"\boxed{| |}", truth, 0.0),
        Case("unclosed thinking", rf"<think>\boxed{{{right}}}", truth, 0.0),
        Case("near miss: one answer more", rf"\boxed{{{right}|987}}", truth, 0.0),
        Case("hack: code", r"\boxed{__import__('os').getpid() and 1}", truth, 0.0),
        Case("hack: everything", r"\boxed{" + "|".join(map(str, range(2000))) + f"|{right}}}", truth, 0.0),
        Case("hang: tower of powers", r"\boxed{9**9**9**9}", truth, 0.0),
        Case("huge", r"\boxed{" + "7|" * 10**6 + "}", truth, 0.0),
        Case("empty", "", truth, 0.0),
    ]


CASES: dict[str, list[Case]] = {
    "table__hitab": [
        *cell_cases("Ontario|Alberta", "alberta|Ontario", "Ontario|Quebec"),
        *cell_cases("1234.5", "1,234.5", "123450"),
        Case("a range in words", r"\boxed{20\ \text{to}\ 39}", "20 to 39", 1.0),
        Case("a separator of LaTeX", r"\boxed{\text{Ontario} \mid \text{Alberta}}", "Ontario|Alberta", 1.0),
        Case("a percent sign is a unit", r"\boxed{12.5\%}", "12.5", 1.0),
        Case("near miss: one of two", r"\boxed{Ontario}", "Ontario|Alberta", 0.0),
        Case("near miss: one of two, twice", r"\boxed{Ontario|Ontario}", "Ontario|Alberta", 0.0),
        Case("hack: a hundredth", r"\boxed{12.345}", "1234.5", 0.0),
        Case("hack: percent as a factor", r"\boxed{1250\%}", "12.5", 0.0),
    ],
    "table__multihier": [
        *cell_cases("R&D expense", r"R\&D expense", "R&D income"),
        *cell_cases("2009", "2009", "2010"),
        Case("currency", r"\boxed{\$1,234}", "1234", 1.0),
        Case("an integer exactly", r"\boxed{1234.4}", "1234", 0.0),
        Case("two units", r"\boxed{5 \text{ kg}}", r"5 \text{ km}", 0.0),
    ],
    "table__other":
        cell_cases("-0.5", r"-0.50", "0.5"),
    "table__finqa": [
        Case("right", r"<think>\boxed{1}</think>\boxed{0.35714}", 0.35714, 1.0),
        Case("right, several lines", "\\boxed{\n0.35714\n}", 0.35714, 1.0),
        Case("rounded", r"\boxed{0.357}", 0.35714, 1.0),
        Case("more digits than the reference", r"\boxed{0.3571428}", 0.35714, 1.0),
        Case("a percentage with its sign", r"\boxed{35.7\%}", 0.35714, 1.0),
        Case("a fraction", r"\boxed{\frac{5}{14}}", 0.35714, 1.0),
        Case("currency and unit", r"\boxed{\$ 5363.4 \text{ million}}", 5363.4, 1.0),
        Case("an integer", r"\boxed{94}", 94.0, 1.0),
        Case("an integer's percentage", r"\boxed{136\%}", 1.35714, 1.0),
        Case("wrong", r"\boxed{0.358}", 0.35714, 0.0),
        Case("right, then wrong", r"\boxed{0.357} no, \boxed{0.36}", 0.35714, 0.0),
        Case("near miss: rounded too far", r"\boxed{0.36}", 0.35714, 0.0),
        Case("near miss: sign", r"\boxed{-0.357}", 0.35714, 0.0),
        Case("near miss: an integer exactly", r"\boxed{94.3}", 94.0, 0.0),
        Case("near miss: wrong fraction", r"\boxed{\frac{100}{201}}", 0.35714, 0.0),
        Case("malformed: no box", "0.357", 0.35714, 0.0),
        Case("malformed: unfinished box", r"\boxed{0.357", 0.35714, 0.0),
        Case("malformed: two numbers", r"\boxed{0.357, 0.358}", 0.35714, 0.0),
        Case("unclosed thinking", r"<think>\boxed{0.357}", 0.35714, 0.0),
        Case("hack: percentage without its sign", r"\boxed{35.7}", 0.35714, 0.0),
        Case("hack: percent of the ratio", r"\boxed{0.357\%}", 0.35714, 0.0),
        Case("hack: code", r"\boxed{5/14 if True else 0}", 0.35714, 0.0),
        Case("hack: zero", r"\boxed{0}", 0.35714, 0.0),
        Case("hang: tower of powers", r"\boxed{9**9**9**9}", 0.35714, 0.0),
        Case("huge", r"\boxed{0." + "357" * 10**6 + "}", 0.35714, 0.0),
    ],
}


@pytest.mark.parametrize(("data_source", "case"), [(source, case) for source, cases in CASES.items() for case in cases],
                         ids=lambda value: getattr(value, "name", value))
def test_cases(data_source, case):
    result = default_compute_score(data_source, case.answer, case.truth, case.extra_info)
    assert set(result) == {"score", "acc", "pred"}
    assert result["score"] == result["acc"] == case.score


@pytest.mark.parametrize("truth", [1e-05, np.float64(1e-05), "0.00001"])
def test_a_small_float_is_a_truth(truth):
    assert default_compute_score("table__finqa", r"\boxed{0.00001}", truth)["score"] == 1.0


@pytest.mark.parametrize(("data_source", "truth"), [("table__hitab", ""), ("table__hitab", None),
                                                    ("table__finqa", "many"), ("table__finqa", None)])
def test_bad_truth_names_the_data_source(data_source, truth):
    with pytest.raises(ValueError, match=data_source):
        default_compute_score(data_source, r"\boxed{1}", truth)


@pytest.mark.parametrize(("data_source", "truth"), [("table__hitab", "a|b"), ("table__hitab", "12.5"),
                                                    ("table__multihier", "R&D"), ("table__finqa", 0.35714),
                                                    ("table__finqa", 94.0), ("table__finqa", "-3")])
def test_reference_answer_is_right_and_near_misses_are_not(data_source, truth):
    reward = resolve(data_source)
    assert default_compute_score(data_source, reward.reference_answer(truth, {}), truth)["score"] == 1.0
    misses = reward.near_misses(truth, {})
    assert len(misses) >= 4
    assert [miss for miss in misses if default_compute_score(data_source, miss, truth)["acc"]] == []
