import numpy as np
import pytest

import reward_score.puzzles_dataset  # noqa: F401 -- registers itself
from reward_score import default_compute_score
from tests.support.reward_cases import Case
from tests.support.reward_contract import assert_case, assert_examples, assert_quick, per_case

TRUTH = ["pigeon", "crow", "great tit"]
RIGHT = "<answer> ['pigeon', 'crow', 'great tit'] </answer>"
PEOPLE = ["Alice", "Bob"]
SOURCES = [
    "logic__ordering_puzzle", "logic__ordering_puzzle_dataset", "ordering_puzzle_dataset", "puzzles_dataset",
    "logic__ordering_puzzle_1.9k"
]


def cases():
    return [
        Case("right", f"<think>no</think>{RIGHT}", TRUTH, 1.0),
        Case("parquet", RIGHT, np.array(TRUTH, dtype=object), 1.0),
        Case("truth as text", RIGHT, str(TRUTH), 1.0),
        Case("double quotes", '<answer>["pigeon","crow","great tit"]</answer>', TRUTH, 1.0),
        Case("several lines", "<answer>\n[\n 'pigeon',\n 'crow',\n 'great tit',\n]\n</answer>", TRUTH, 1.0),
        Case("people keep their capitals", "<answer>['Alice', 'Bob']</answer>", PEOPLE, 1.0),
        Case("people without capitals", "<answer>['alice', 'bob']</answer>", PEOPLE, 1.0),
        Case("apostrophe", '<answer>["bee\'s nest", \'o\\\'hare\']</answer>', ["bee's nest", "o'hare"], 1.0),
        Case("wrong", "<answer>['crow', 'great tit', 'pigeon']</answer>", TRUTH, 0.0),
        Case("near miss", "<answer>['pigeon', 'crow', 'great tits']</answer>", TRUTH, 0.0),
        Case("one missing", "<answer>['pigeon', 'crow']</answer>", TRUTH, 0.0),
        Case("no quotes", "<answer>[pigeon, crow, great tit]</answer>", TRUTH, 0.0),
        Case("malformed", "<answer>['pigeon', 'crow', 'great tit'</answer>", TRUTH, 0.0),
        Case("no tags", "['pigeon', 'crow', 'great tit']", TRUTH, 0.0),
        Case("unclosed thinking", f"<think>{RIGHT}", TRUTH, 0.0),
        Case("taken back", f"{RIGHT} or <answer>['crow']</answer>", TRUTH, 0.0),
        Case("two lists", "<answer>['pigeon', 'crow', 'great tit'] ['crow']</answer>", TRUTH, 0.0),
        Case("hack: code", "<answer>['pigeon'] + ['crow', 'great tit']</answer>", TRUTH, 0.0),
        Case("hack: a call", "<answer>list(('pigeon', 'crow', 'great tit'))</answer>", TRUTH, 0.0),
        Case("hang: a power", "<answer>[9**9**9**9]</answer>", TRUTH, 0.0),
        Case("huge", "<answer>" + "['a'," * 200_000 + "</answer>", TRUTH, 0.0),
    ]


CASES = {source: cases() for source in SOURCES}


@per_case(CASES)
def test_cases(source, case):
    assert_case(source, case)


@pytest.mark.parametrize("truth", [TRUTH, PEOPLE, ["alone"], np.array(TRUTH, dtype=object), str(TRUTH)])
def test_examples(truth):
    assert_examples("logic__ordering_puzzle", truth)


def test_ten_megabytes():
    assert_quick("ordering_puzzle_dataset", TRUTH)


@pytest.mark.parametrize("truth", [None, "", "pigeon", [], [1, 2], {"a": 1}, [["a"]]])
def test_a_bad_row_names_its_data_source(truth):
    with pytest.raises(ValueError, match="ordering_puzzle_dataset"):
        default_compute_score("ordering_puzzle_dataset", RIGHT, truth)
