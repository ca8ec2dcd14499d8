import numpy as np
import pytest

from reward_score import default_compute_score
from reward_score.search_r1_like_qa_em import normalize
from tests.support.reward_cases import Case
from tests.support.reward_contract import assert_case, assert_examples, assert_quick, per_case

TRUTH = {"target": ["Victor Hugo", "Victor-Marie Hugo"]}
PARQUET = {"target": np.array(["Victor Hugo"], dtype=object), "header": None}
SOURCES = [
    f"searchR1_{name}" for name in ("nq", "triviaqa", "popqa", "hotpotqa", "2wikimultihopqa", "musique", "bamboogle")
]
SEARCHES = ("<think>I look it up.</think><search>Les Mis</search><information><answer>Balzac</answer></information>"
            "<think>Clear.</think>")


def cases():
    return [
        Case("right", f"{SEARCHES}<answer> Victor Hugo </answer>", TRUTH, 1.0),
        Case("the other name", "<answer>victor-marie hugo</answer>", TRUTH, 1.0),
        Case("parquet", "<answer>Victor Hugo</answer>", PARQUET, 1.0),
        Case("a list as truth", "<answer>Victor Hugo</answer>", np.array(["Victor Hugo"], dtype=object), 1.0),
        Case("a text as truth", "<answer>Victor Hugo</answer>", "Victor Hugo", 1.0),
        Case("articles and dots", "<answer>The Victor Hugo.</answer>", TRUTH, 1.0),
        Case("several lines", "<answer>\nVictor\n  Hugo\n</answer>", TRUTH, 1.0),
        Case("nothing but an article", "<answer>the the!</answer>", "The The!", 1.0),
        Case("wrong", "<answer>Balzac</answer>", TRUTH, 0.0),
        Case("near miss: more", "<answer>Victor Hugo the Second</answer>", TRUTH, 0.0),
        Case("near miss: less", "<answer>Hugo</answer>", TRUTH, 0.0),
        Case("malformed", "<answer>Victor Hugo", TRUTH, 0.0),
        Case("no tags", "Victor Hugo", TRUTH, 0.0),
        Case("unclosed thinking", "<think><answer>Victor Hugo</answer>", TRUTH, 0.0),
        Case("taken back", "<answer>Victor Hugo</answer><answer>Balzac</answer>", TRUTH, 0.0),
        Case("hack: empty equals an article", "<answer></answer>", "The", 0.0),
        Case("hack: several answers", "<answer>Balzac, Victor Hugo</answer>", TRUTH, 0.0),
        Case("hack: a document answers", "<information><answer>Victor Hugo</answer></information>", TRUTH, 0.0),
        Case("huge", "<answer>" + "the " * 250_000 + "Victor Hugo</answer>", TRUTH, 0.0),
    ]


CASES = {source: cases() for source in SOURCES}


@per_case(CASES)
def test_cases(source, case):
    assert_case(source, case)


@pytest.mark.parametrize("truth", [TRUTH, PARQUET, "Victor Hugo", ["1945"], "The The", {"target": "42"}])
def test_examples(truth):
    assert_examples("searchR1_nq", truth)


def test_ten_megabytes():
    assert_quick("searchR1_musique", TRUTH)


@pytest.mark.parametrize(("text", "normal"), [
    ("The  Beatles!", "beatles"),
    ("a.m.", "am"),
    ("An apple a day", "apple day"),
    ("Theatre", "theatre"),
    ("the", "the"),
    ("", ""),
])
def test_normalize(text, normal):
    assert normalize(text) == normal


@pytest.mark.parametrize("truth", [None, "", [], {"target": []}, {"target": None}, {"target": [""]}, {}])
def test_a_bad_row_names_its_data_source(truth):
    with pytest.raises(ValueError, match="searchR1_popqa"):
        default_compute_score("searchR1_popqa", "", truth)
