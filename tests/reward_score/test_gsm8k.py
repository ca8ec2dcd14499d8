import pytest

from reward_score import default_compute_score


def score(response, truth="42"):
    result = default_compute_score("openai/gsm8k", response, truth)
    assert set(result) == {"score", "acc", "pred"}
    assert result["acc"] == result["score"]
    return result["score"]


@pytest.mark.parametrize("response", [
    "6 * 7 = 42\n#### 42",
    "#### 41\nno:\n#### 42\n",
    "####42.",
    "#### $42",
    "#### 42.00",
    "#### 42%",
    r"so \boxed{42}",
    r"\boxed{\$42.0}",
    "<think>#### 7</think>\n#### 42",
    "step\nby\nstep\n#### 42\n\n",
])
def test_right(response):
    assert score(response) == 1.0


@pytest.mark.parametrize("response", [
    "",
    "42",
    "#### 4200",
    "#### 0.42",
    "#### 42.0001",
    "#### -42",
    "#### 42 million",
    "#### 42 43",
    "#### forty-two",
    "#### 4,2",
    "#### 42\n#### 43",
    r"\boxed{42} #### 43",
    r"\boxed{42",
    "<think>#### 42",
    "<think>#### 42</think> so it is",
    "#### 9**9**9**9",
])
def test_wrong(response):
    assert score(response) == 0.0


@pytest.mark.parametrize(("response", "truth"), [("#### 1234", "1,234"), ("#### 1,234", "1234"), ("#### -3", -3),
                                                 ("#### 0.5", 0.5)])
def test_spellings_of_the_truth(response, truth):
    assert score(response, truth) == 1.0


def test_bad_truth_names_the_data_source():
    with pytest.raises(ValueError, match="openai/gsm8k.*'many'"):
        score("#### 1", "many")
