import pytest

import reward_score.supergpqa  # noqa: F401 -- registers itself
from reward_score import default_compute_score
from tests.support.reward_cases import Case
from tests.support.reward_contract import assert_case, assert_examples, assert_quick, per_case

SOURCES = ["stem__supergpqa", "stem__supergpqa_200"]


def cases():
    return [
        Case("right", r"<think>\boxed{A}</think>So \boxed{J}.", "J", 1.0),
        Case("text in a box", r"\boxed{\text{J}}", "J", 1.0),
        Case("bold in a box", r"\boxed{\textbf{(J)}}", "J", 1.0),
        Case("with the option's text", r"\boxed{J) 42 \text{ cm}}", "J", 1.0),
        Case("lower case", r"\boxed{j}", "J", 1.0),
        Case("several lines", "So\n\\boxed{\n J\n}\n", "J", 1.0),
        Case("the last box", r"\boxed{A}, no, \boxed{J}", "J", 1.0),
        Case("wrong", r"\boxed{A}", "J", 0.0),
        Case("taken back", r"\boxed{J}, no, \boxed{A}", "J", 0.0),
        Case("near miss: another letter", r"\boxed{I}", "J", 0.0),
        Case("near miss: no such choice", r"\boxed{K}", "J", 0.0),
        Case("malformed: unfinished", r"\boxed{J} \boxed{J", "J", 0.0),
        Case("empty", r"\boxed{}", "J", 0.0),
        Case("no box", "Answer: J", "J", 0.0),
        Case("unclosed thinking", r"<think>\boxed{J}", "J", 0.0),
        Case("hack: a capital in a word", r"\boxed{Joule}", "J", 0.0),
        Case("hack: all letters", r"\boxed{ABCDEFGHIJ}", "J", 0.0),
        Case("hack: two letters", r"\boxed{I \text{ or } J}", "J", 0.0),
        Case("hack: nothing, and luck", "I do not know.", "J", 0.0),
        Case("huge", r"\boxed{" + "J" * 1_000_000 + "}", "J", 0.0),
    ]


CASES = {source: cases() for source in SOURCES}


@per_case(CASES)
def test_cases(source, case):
    assert_case(source, case)


@pytest.mark.parametrize("truth", list("ABCDEFGHIJ"))
def test_examples(truth):
    assert_examples("stem__supergpqa", truth)


def test_ten_megabytes():
    assert_quick("stem__supergpqa", "J")


def test_garbage_scores_zero_every_time():
    assert {default_compute_score("stem__supergpqa", "hm", "ABCDEFGHIJ"[i % 10])["score"] for i in range(200)} == {0.0}


@pytest.mark.parametrize("truth", [None, "", "K", "AB", 1])
def test_a_bad_row_names_its_data_source(truth):
    with pytest.raises(ValueError, match="stem__supergpqa"):
        default_compute_score("stem__supergpqa", "", truth)
