import json

import numpy as np
import pytest

import reward_score.zebra_puzzle  # noqa: F401 -- registers itself
from reward_score import default_compute_score
from tests.support.reward_cases import Case
from tests.support.reward_contract import assert_case, assert_examples, assert_quick, per_case

HEADER = ["Position", "Nationality", "Job"]
ROWS = [["1", "british", "plumber"], ["2", "polish", "carpenter"]]
TRUTH = {"header": HEADER, "rows": ROWS}
PARQUET = {
    "header": np.array(HEADER, dtype=object),
    "rows": np.array([np.array(row, dtype=object) for row in ROWS] + [None], dtype=object)[:-1],
    "target": None
}
SOURCES = [
    "logic__zebra_puzzle", "logic__zebra_puzzle_dataset", "zebra_puzzle_dataset", "zebra_puzzle",
    "logic__zebra_puzzle_1.3k"
]


def answer(rows=ROWS, header=HEADER, indent=None):
    return f"<answer>{json.dumps({'header': header, 'rows': rows}, indent=indent)}</answer>"


def cases():
    right, wrong_cell = ROWS[0], ["2", "polish", "plumber"]
    columns = [["plumber", "1", "british"], ["carpenter", "2", "polish"]]
    return [
        Case("right", "<think>no</think>So " + answer(), TRUTH, 1.0),
        Case("parquet", answer(), PARQUET, 1.0),
        Case("json truth", answer(), json.dumps(TRUTH), 1.0),
        Case("pretty-printed", answer(indent=2), TRUTH, 1.0),
        Case("python quotes", f"<answer> {TRUTH} </answer>", TRUTH, 1.0),
        Case("fenced", f"<answer>\n```json\n{json.dumps(TRUTH)}\n```\n</answer>", TRUTH, 1.0),
        Case("int positions", answer([[1, "British", "plumber"], [2, "Polish", "carpenter"]]), TRUTH, 1.0),
        Case("columns in another order", answer(columns, ["Job", "Position", "Nationality"]), TRUTH, 1.0),
        Case("rows in another order", answer(ROWS[::-1]), TRUTH, 1.0),
        Case("three of four cells", answer([right, wrong_cell]), TRUTH, 0.75),
        Case("nothing but the position", answer([["1", "", ""], ["2", "", ""]]), TRUTH, 0.0),
        Case("wrong", answer([["1", "polish", "carpenter"], ["2", "british", "plumber"]]), TRUTH, 0.0),
        Case("a row missing", answer([right]), TRUTH, 0.0),
        Case("a row too many", answer([*ROWS, ["3", "dutch", "cook"]]), TRUTH, 0.0),
        Case("a position twice", answer([right, right]), TRUTH, 0.0),
        Case("another header", answer(header=["Position", "Nationality", "Pet"]), TRUTH, 0.0),
        Case("columns swapped under the header", answer(header=["Position", "Job", "Nationality"]), TRUTH, 0.0),
        Case("ragged", answer([right, ["2", "polish"]]), TRUTH, 0.0),
        Case("malformed", "<answer>{'header': ['Position'</answer>", TRUTH, 0.0),
        Case("a list", f"<answer>{ROWS}</answer>", TRUTH, 0.0),
        Case("unclosed thinking", "<think>" + answer(), TRUTH, 0.0),
        Case("taken back",
             answer() + answer([right]), TRUTH, 0.0),
        Case("hack: a column twice", answer([[*row, row[2]] for row in ROWS], [*HEADER, "Job"]), TRUTH, 0.0),
        Case("hack: rows without end", answer(ROWS * 1000), TRUTH, 0.0),
        Case("huge", "<answer>" + '{"header":' * 100_000 + "</answer>", TRUTH, 0.0),
    ]


CASES = {source: cases() for source in SOURCES}


@per_case(CASES)
def test_cases(source, case):
    assert_case(source, case)


@pytest.mark.parametrize("truth", [
    TRUTH, PARQUET,
    json.dumps(TRUTH), {
        "header": ["Name", "Pet"],
        "rows": [["ann", "cat"], ["bob", "dog"]]
    }, {
        "header": HEADER,
        "rows": ROWS[:1]
    }
])
def test_examples(truth):
    assert_examples("logic__zebra_puzzle", truth)


def test_ten_megabytes():
    assert_quick("zebra_puzzle_dataset", TRUTH)


@pytest.mark.parametrize("truth", [
    None, "", [], {}, {
        "header": HEADER,
        "rows": None
    }, {
        "header": HEADER,
        "rows": []
    }, {
        "header": ["Position"],
        "rows": [["1"]]
    }, {
        "header": HEADER,
        "rows": [ROWS[0], ROWS[0]]
    }, {
        "header": HEADER,
        "rows": [["1"]]
    }
])
def test_a_bad_row_names_its_data_source(truth):
    with pytest.raises(ValueError, match="zebra_puzzle_dataset"):
        default_compute_score("zebra_puzzle_dataset", answer(), truth)
