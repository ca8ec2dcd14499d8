import time

import pytest

from reward_score import codeio, default_compute_score
from reward_score.registry import resolve
from tests.support.reward_cases import Case

OUT = '"output": {"count": 3, "mean": 0.5, "tags": ["a", "b"], "ok": true, "none": null}'
IN = '"input": {"numbers": [1, 2, 3], "k": 2}'


def block(text, language="json"):
    return f"```{language}\n{text}\n```"


CASES = {
    "simulation__codeio": [
        Case("right", f"<think>{block('1')}</think>So\n{block('{' + OUT + '}')}", OUT, 1.0),
        Case("right, boxed", r"The answer is \boxed{{" + OUT + "}}.", OUT, 1.0),
        Case("right, boxed as LaTeX", r"\boxed{\{" + OUT + r"\}}", OUT, 1.0),
        Case("right, without braces", block(OUT), OUT, 1.0),
        Case("right, value only", block(OUT.removeprefix('"output": ')), OUT, 1.0),
        Case("right, several lines", block('{\n  "output":\n  [1,\n   2]\n}'), '"output": [1, 2]', 1.0),
        Case("right input", block("{" + IN + "}"), IN, 1.0),
        Case("top-level list", block("[1, [2, 3]]"), '"output": [1, [2, 3]]', 1.0),
        Case("null is an answer", block("null"), '"output": null', 1.0),
        Case("decimals", block('{"output": 0.30000000000000004}'), '"output": 0.3', 1.0),
        Case("last one right",
             block('{"output": 1}') + "\nNo:\n" + block('{"output": 2}'), '"output": 2', 1.0),
        Case("last one wrong",
             block('{"output": 2}') + "\nNo:\n" + block('{"output": 1}'), '"output": 2', 0.0),
        Case("wrong", block('{"output": 4}'), '"output": 3', 0.0),
        Case("near miss: decimals", block('{"output": 0.3001}'), '"output": 0.3', 0.0),
        Case("near miss: integers", block('{"output": 1000001}'), '"output": 1000000', 0.0),
        Case("near miss: order", block("[2, 1]"), '"output": [1, 2]', 0.0),
        Case("near miss: case", block('"Abc"'), '"output": "abc"', 0.0),
        Case("near miss: one more key", block('{"input": {"a": 1, "b": 2}}'), '"input": {"a": 1}', 0.0),
        Case("true is not 1", block("true"), '"output": 1', 0.0),
        Case("1 is not true", block("[1]"), '"output": [true]', 0.0),
        Case("text is no number", block('"1"'), '"output": 1', 0.0),
        Case("text is no list", block('"[1]"'), '"output": [1]', 0.0),
        Case("other key", block('{"input": 1}'), '"output": 1', 0.0),
        Case("hack: unparsable for null", block("no idea"), '"output": null', 0.0),
        Case("hack: nothing for null", "", '"output": null', 0.0),
        Case("hack: empty block", block(""), '"output": null', 0.0),
        Case("hack: NaN", block("NaN"), '"output": 1.5', 0.0),
        Case("malformed", block('{"output": 3'), '"output": 3', 0.0),
        Case("unclosed block", '\\boxed{3} or\n```json\n{"output": 3}', '"output": 3', 0.0),
        Case("unclosed thinking", "<think>" + block('{"output": 3}'), '"output": 3', 0.0),
        Case("bare text", '{"output": 3}', '"output": 3', 0.0),
        Case("very deep", block("[" * 100_000 + "]" * 100_000), '"output": []', 0.0),
        Case("very long number", block("9" * 10_000), '"output": 9', 0.0),
        Case("huge exponent", block("1e999"), '"output": 1.5', 0.0),
    ]
}


@pytest.mark.parametrize("case", CASES["simulation__codeio"], ids=lambda case: case.name)
def test_cases(case):
    result = default_compute_score("simulation__codeio", case.answer, case.truth, case.extra_info)
    assert (result["score"], result["acc"]) == (case.score, case.score)
    assert result.keys() == {"score", "acc", "pred"}


@pytest.mark.parametrize("truth", [OUT, IN, '"output": null', '"output": "a"', '"input": {}'])
def test_reference_scores_full_and_near_misses_do_not(truth):
    reward = resolve("simulation__codeio_3.7k")
    assert codeio.compute_score("", reward.reference_answer(truth, {}), truth)["score"] == 1.0
    for answer in reward.near_misses(truth, {}):
        assert codeio.compute_score("", answer, truth)["score"] == 0.0, answer


@pytest.mark.parametrize("truth",
                         ["", "3", '{"output": 3}', '"result": 3', '"output": ', '"output": 1, "input": 2', None])
def test_bad_rows_are_told(truth):
    with pytest.raises(ValueError, match="simulation__codeio"):
        default_compute_score("simulation__codeio", "", truth)


def test_huge_answer_is_fast():
    start = time.monotonic()
    for text in ("{" * 10**7, block("x" * 10**7), block("[" + "1," * (5 * 10**6) + "1]"), "```json\n" * 10**6):
        assert codeio.compute_score("", text, '"output": 1')["score"] == 0.0
    assert time.monotonic() - start < 4
