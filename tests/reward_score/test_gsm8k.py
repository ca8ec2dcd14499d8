import pytest

from reward_score import default_compute_score, resolve
from tests.support.reward_cases import Case

RIGHT = {
    "right": "6 * 7 = 42\n#### 42",
    "several lines": "step\nby\nstep\n#### 41\nno:\n#### 42\n\n",
    "no space": "####42.",
    "dollars": "#### $42",
    "decimals": "#### 42.00",
    "percent": "#### 42%",
    "unit": "#### 42 eggs per day",
    "unit in a box": r"\boxed{42 \text{ eggs}}",
    "box after hashes": r"#### \boxed{42}",
    "box after a heading": "#### Step 2: multiply\n6 * 7\n\nThe answer is \\boxed{42}.",
    "box after wrong hashes": "#### 41\nNo: \\boxed{42}",
    "box": r"so \boxed{42}",
    "box with dollars": r"\boxed{\$42.0}",
    "after thinking": "<think>#### 7</think>\n#### 42",
}
WRONG = {
    "empty": "",
    "malformed: bare": "42",
    "malformed: two numbers": "#### 42 43",
    "malformed: words": "#### forty-two",
    "malformed: separator": "#### 4,2",
    "malformed: unfinished box": r"\boxed{42",
    "malformed: hashes without a number after a box": "\\boxed{42}\n#### ",
    "unclosed thinking": "<think>#### 42",
    "only in the thoughts": "<think>#### 42</think> so it is",
    "near miss: a hundred times": "#### 4200",
    "near miss: a hundredth": "#### 0.42",
    "near miss: a little more": "#### 42.0001",
    "near miss: sign": "#### -42",
    "near miss: million": "#### 42 million",
    "near miss: millions in a box": r"\boxed{42 \text{ millions}}",
    "near miss: digits as a unit": r"\boxed{42\text{0}}",
    "malformed: a heading after the box": "\\boxed{42}\n#### Verification",
    "right, then wrong": "#### 42\n#### 43",
    "box, then wrong hashes": r"\boxed{42} #### 43",
    "hack: every number": "#### 40 41 42 43 44",
    "hack: equation": "#### 0=42",
    "hang: tower of powers": "#### 9**9**9**9",
    "huge": "#### " + "7" * 10**6,
}
CASES: dict[str, list[Case]] = {
    "openai/gsm8k": [Case(name, answer, "42", 1.0) for name, answer in RIGHT.items()] +
                    [Case(name, answer, "42", 0.0) for name, answer in WRONG.items()]
}


@pytest.mark.parametrize("case", CASES["openai/gsm8k"], ids=lambda case: case.name)
def test_cases(case):
    result = default_compute_score("openai/gsm8k", case.answer, case.truth)
    assert set(result) == {"score", "acc", "pred"}
    assert result["acc"] == result["score"] == case.score


@pytest.mark.parametrize(("response", "truth"), [("#### 1234", "1,234"), ("#### 1,234", "1234"), ("#### -3", -3),
                                                 ("#### 0.5", 0.5)])
def test_spellings_of_the_truth(response, truth):
    assert default_compute_score("openai/gsm8k", response, truth)["score"] == 1.0


def test_bad_truth_names_the_data_source():
    with pytest.raises(ValueError, match="openai/gsm8k.*'many'"):
        default_compute_score("openai/gsm8k", "#### 1", "many")


@pytest.mark.parametrize("truth", ["42", "0", -3, "1,234"])
def test_reference_answer_is_right_and_near_misses_are_not(truth):
    reward = resolve("openai/gsm8k")
    assert default_compute_score("openai/gsm8k", reward.reference_answer(truth, {}), truth)["score"] == 1.0
    misses = reward.near_misses(truth, {})
    assert len(misses) >= 5
    assert [miss for miss in misses if default_compute_score("openai/gsm8k", miss, truth)["acc"]] == []
