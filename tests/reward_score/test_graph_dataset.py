import numpy as np
import pytest

import reward_score.graph_dataset  # noqa: F401 -- registers itself
from reward_score import default_compute_score
from tests.support.reward_cases import Case
from tests.support.reward_contract import assert_case, assert_examples, assert_quick, per_case

TRUTH = "fdebme"
SOURCES = ["logic__graph", "logic__graph_logical", "logic__graph_logical_dataset", "graph_logical_dataset"]


def cases():
    return [
        Case("right", "<think>no</think>So <answer> fdebme </answer>.", TRUTH, 1.0),
        Case("parquet", "<answer>fdebme</answer>", np.str_(TRUTH), 1.0),
        Case("several lines", "<answer>\nfdebme\n</answer>", TRUTH, 1.0),
        Case("capitals", "<answer>FDEBME</answer>", TRUTH, 1.0),
        Case("wrong", "<answer>abcdef</answer>", TRUTH, 0.0),
        Case("near miss", "<answer>fdebm</answer>", TRUTH, 0.0),
        Case("a sentence", "<answer>the node fdebme</answer>", TRUTH, 0.0),
        Case("malformed", "<answer>fdebme<answer>", TRUTH, 0.0),
        Case("no tags", "fdebme", TRUTH, 0.0),
        Case("empty", "<answer></answer>", TRUTH, 0.0),
        Case("unclosed thinking", "<think><answer>fdebme</answer>", TRUTH, 0.0),
        Case("taken back", "<answer>fdebme</answer> no <answer>x</answer>", TRUTH, 0.0),
        Case("hack: all nodes", "<answer>fdebme abcdef</answer>", TRUTH, 0.0),
        Case("huge", "<answer>" + "fdebme" * 200_000 + "</answer>", TRUTH, 0.0),
    ]


CASES = {source: cases() for source in SOURCES}


@per_case(CASES)
def test_cases(source, case):
    assert_case(source, case)


@pytest.mark.parametrize("truth", [TRUTH, "A", "Bob Smith"])
def test_examples(truth):
    assert_examples("logic__graph_logical", truth)


def test_ten_megabytes():
    assert_quick("graph_logical_dataset", TRUTH)


@pytest.mark.parametrize("truth", [None, "", "  "])
def test_a_bad_row_names_its_data_source(truth):
    with pytest.raises(ValueError, match="graph_logical_dataset"):
        default_compute_score("graph_logical_dataset", "", truth)
