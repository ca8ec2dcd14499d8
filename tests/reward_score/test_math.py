import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_score import default_compute_score
from reward_score.complexity import too_complex


def result(answer, truth, data_source="math_dapo"):
    return default_compute_score(data_source, rf"<think>\boxed{{0}}</think>So it is \boxed{{{answer}}}.", truth)


@pytest.mark.parametrize(("answer", "truth"), [
    ("42", "42"),
    ("42", 42),
    ("42.0", "42"),
    (r"42\%", "42"),
    ("1,000", "1000"),
    (r"\$18.50", "18.5"),
    ("0.5", r"\frac{1}{2}"),
    (r"\dfrac12", r"\frac{1}{2}"),
    ("x^2+2x+1", "(x+1)^{2}"),
    ("2,1", "1,2"),
    ("x=5", "5"),
    ("5", "x=5"),
    (r"10\text{ cm}", "10"),
    (r"\left( 1, 2 \right)", "(1,2)"),
    (r"\{2,1\}", r"\{1,2\}"),
    (r"\text{Tuesday}", "Tuesday"),
    ("(A)", "A"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ("3", r"\boxed{3}"),
    ("(1+x)^{100000}", "(1 + x)^{100000}"),
    ("2^{2023} \\cdot 2", "2^{2024}"),
    ("7", ["6", "7"]),
    ("7", np.array(["6", "7"], dtype=object)),
])
def test_right(answer, truth):
    assert result(answer, truth)["score"] == 1.0


@pytest.mark.parametrize(("answer", "truth"), [
    ("4200", "42"),
    ("0.42", "42"),
    (r"42\%", "0.42"),
    ("42.1", "42"),
    ("-42", "42"),
    ("1000001", "1000000"),
    ("0.0000002", "0.0000001"),
    ("41, 42", "42"),
    ("(1,2)", "(2,1)"),
    ("x^2+2x-1", "(x+1)^{2}"),
    ("", "42"),
    ("\\", "42"),
    (r"\frac{1}{", "1"),
    ("__import__('os')", "42"),
])
def test_wrong(answer, truth):
    assert result(answer, truth)["score"] == 0.0


@pytest.mark.parametrize(
    "response",
    ["", "42", r"<think>\boxed{42}", r"\boxed{42", r"\boxed{42} or rather \boxed{43}", "<think>so</think>42"])
def test_only_the_last_box_of_the_answer_counts(response):
    assert default_compute_score("math", response, "42")["score"] == 0.0


def test_answer_over_several_lines():
    assert default_compute_score("math", "\\boxed{\n  x^2\n  + 1\n}", "x^{2}+1")["score"] == 1.0


@pytest.mark.parametrize("data_source", ["math", "math_dapo", "aime2024", "lighteval/MATH", "HuggingFaceH4/MATH-500"])
def test_data_sources(data_source):
    assert result("1", "1", data_source)["acc"] == 1.0


BOMBS = [
    r"9^{9^{9^9}}",
    r"9^9^9^9",
    r"(1+x)^{100000}",
    r"((9^{9999})^{9999})^{9999}",
    r"10^{999999999}",
    r"9^\frac{9^{9^9}}{1}",
    r"(999999!)!",
    r"9999999!",
    r"2^{9999!}",
    r"\binom{10^9}{10^8}",
    r"\binom{1000000}{500000}",
    r"\binom{x}{1000}",
    r"\sum_{i=1}^{10000000} \frac{1}{i^3+1}",
    r"\prod_{i=1}^{99999} (x+i)",
    r"\int_0^1 e^{x^2} \sin(x) dx",
    "(" * 60 + "1" + ")" * 60,
    "(x+1)^{99}(y+1)^{99}(z+1)^{99}",
    "x" * 5000,
]


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_would_never_end_is_refused_at_once(bomb):
    start = time.perf_counter()
    outcome = result(bomb, "42")
    assert outcome["score"] == 0.0
    assert outcome["refused"]
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize("formula", [
    r"\frac{-b \pm \sqrt{b^2-4ac}}{2a}", "2^{2024}", "x^{2024}+1", "e^{x^{2}}", "2024!", r"\binom{20}{10}",
    "2^3 \\cdot 3^2 \\cdot 5^{4}", r"x^{12}+x^{11}+x^{10}+x^{9}+x^{8}", r"(x+1)^{12}(x-1)^{3}",
    r"\sin^{2}(x)+\cos^{2}(x)", r"3.5 \times 10^{-12}", r"90^\circ", "n!",
    r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "f^{-1}(x)"
])
def test_ordinary_answers_are_not_refused(formula):
    assert too_complex(formula) == ""


@given(st.text("0123456789x^{}()[]!\\+-*. binomfrac", max_size=60))
def test_guard_never_raises(text):
    assert isinstance(too_complex(text), str)


def test_keys_are_constant():
    responses = ["", r"\boxed{1}", r"\boxed{9^{9^{9}}}", r"<think>", r"\boxed{x+1}"]
    assert {frozenset(default_compute_score("math", response, "x")) for response in responses
           } == {frozenset({"score", "acc", "pred", "refused"})}


def test_works_in_a_thread():
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(result(r"\frac{2}{4}", r"\frac{1}{2}")))
    thread.start()
    thread.join()
    assert outcomes[0]["score"] == 1.0


def test_empty_truth_names_the_data_source():
    with pytest.raises(ValueError, match="math_dapo"):
        result("1", "")
