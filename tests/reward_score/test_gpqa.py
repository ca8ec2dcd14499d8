import pytest

import reward_score.gpqa  # noqa: F401 -- registers itself
from reward_score import default_compute_score
from tests.support.reward_cases import Case
from tests.support.reward_contract import assert_case, assert_examples, assert_quick, per_case

SOURCES = ["stem__gpqa", "stem__gpqa_diamond_no_box", "stem__gpqa_diamond", "stem__gpqa_main"]


def cases():
    return [
        Case("right line", "<think>Answer: A</think>So.\nAnswer: C", "C", 1.0),
        Case("right box", r"So \boxed{C}.", "C", 1.0),
        Case("bold line", "**Answer:** C", "C", 1.0),
        Case("bold letter", "**Answer: C**", "C", 1.0),
        Case("parentheses", "Answer: (C)", "C", 1.0),
        Case("text in a box", r"$\boxed{\text{C}}$", "C", 1.0),
        Case("box on the answer line", r"Answer: $\boxed{C}$", "C", 1.0),
        Case("label in the box", r"\boxed{\text{Answer: C}}", "C", 1.0),
        Case("lower-case truth", "Answer: C", "c", 1.0),
        Case("several lines", "Let me see.\n\nAnswer: A? No.\n\nAnswer: C\n", "C", 1.0),
        Case("line after a box", "\\boxed{A}, I thought.\nAnswer: C", "C", 1.0),
        Case("box after a line", "Answer: A\nNo, \\boxed{C}", "C", 1.0),
        Case("wrong", "Answer: A", "C", 0.0),
        Case("wrong box", r"\boxed{B}", "C", 0.0),
        Case("taken back", "Answer: C\nAnswer: D", "C", 0.0),
        Case("box taken back by a line", "\\boxed{C}\nAnswer: D", "C", 0.0),
        Case("line taken back by a box", "Answer: C, no: \\boxed{D}", "C", 0.0),
        Case("two letters", "Answer: C or D", "C", 0.0),
        Case("box of two", r"\boxed{C, D}", "C", 0.0),
        Case("near miss: a word", "Answer: Carbon", "C", 0.0),
        Case("near miss: no such choice", "Answer: E", "C", 0.0),
        Case("no format", "It is C.", "C", 0.0),
        Case("malformed: unfinished box", "Answer: C\n\\boxed{C", "C", 0.0),
        Case("unclosed thinking", "<think>Answer: C", "C", 0.0),
        Case("hack: all letters", r"\boxed{ABCD}", "C", 0.0),
        Case("hack: nothing, and luck", "I do not know.", "C", 0.0),
        Case("hack: the first line wins", "Answer: C\n" + "".join(f"Answer: {x}\n" for x in "ABD"), "C", 0.0),
        Case("huge", "Answer: C " * 100_000, "C", 0.0),
    ]


CASES = {source: cases() for source in SOURCES}


@per_case(CASES)
def test_cases(source, case):
    assert_case(source, case)


@pytest.mark.parametrize("truth", list("ABCD"))
def test_examples(truth):
    assert_examples("stem__gpqa", truth)
    assert_examples("stem__gpqa_diamond_no_box", truth)


def test_ten_megabytes():
    assert_quick("stem__gpqa", "C")


def test_garbage_scores_zero_every_time():
    assert {default_compute_score("stem__gpqa", "hm", letter)["score"] for letter in "ABCD" for _ in range(50)} == {0.0}


@pytest.mark.parametrize("truth", [None, "", "E", "AB", "Carbon", 1])
def test_a_bad_row_names_its_data_source(truth):
    with pytest.raises(ValueError, match="stem__gpqa_diamond_no_box"):
        default_compute_score("stem__gpqa_diamond_no_box", "", truth)
