import json

import numpy as np
import pytest

import reward_score.arcagi  # noqa: F401 -- registers itself
from reward_score import default_compute_score
from tests.support.reward_cases import Case
from tests.support.reward_contract import assert_case, assert_examples, assert_quick, per_case

GRID = [[0, 1, 2], [3, 4, 5]]
WRITTEN = "[[0, 1, 2], [3, 4, 5]]"
PARQUET = np.array([np.array(row) for row in GRID] + [None], dtype=object)[:-1]
SOURCES = [
    "simulation__arcagi1", "simulation__arcagi2", "simulation__barc", "simulation__barc_1.6k", "logic__arcagi1",
    "logic__arcagi2", "logic__barc"
]


def cases():
    return [
        Case("right", f"<think>no</think>So <answer>{WRITTEN}</answer>.", GRID, 1.0),
        Case("parquet", f"<answer>{WRITTEN}</answer>", PARQUET, 1.0),
        Case("json truth", f"<answer>{WRITTEN}</answer>", json.dumps(GRID), 1.0),
        Case("several lines", "<answer>\n```json\n[\n  [0, 1, 2],\n  [3, 4, 5]\n]\n```\n</answer>", GRID, 1.0),
        Case("words around", f"<answer>Output grid: {WRITTEN}</answer>", GRID, 1.0),
        Case("wrong", "<answer>[[5, 4, 3], [2, 1, 0]]</answer>", GRID, 0.0),
        Case("near miss", "<answer>[[0, 1, 2], [3, 4, 6]]</answer>", GRID, 0.0),
        Case("more rows", "<answer>[[0, 1, 2], [3, 4, 5], [0, 0, 0]]</answer>", GRID, 0.0),
        Case("ragged", "<answer>[[0, 1, 2], [3, 4]]</answer>", GRID, 0.0),
        Case("malformed", "<answer>[[0, 1, 2], [3, 4, 5]</answer>", GRID, 0.0),
        Case("text cells", "<answer>[['0', '1', '2'], ['3', '4', '5']]</answer>", GRID, 0.0),
        Case("one row flat", "<answer>[0]</answer>", [[0]], 0.0),
        Case("unclosed thinking", f"<think><answer>{WRITTEN}</answer>", GRID, 0.0),
        Case("unclosed tag", f"<answer>{WRITTEN}", GRID, 0.0),
        Case("taken back", f"<answer>{WRITTEN}</answer> no: <answer>[[1]]</answer>", GRID, 0.0),
        Case("two grids", f"<answer>{WRITTEN} {WRITTEN}</answer>", GRID, 0.0),
        Case("hack: nothing equals [[0]]", "I do not know", [[0]], 0.0),
        Case("hack: garbage equals [[0]]", "<answer>[[zero]]</answer>", [[0]], 0.0),
        Case("hack: False is 0", "<answer>[[False]]</answer>", [[0]], 0.0),
        Case("hack: code", "<answer>[[__import__('os').getpid()]]</answer>", [[0]], 0.0),
        Case("huge number", "<answer>[[" + "9" * 100_000 + "]]</answer>", GRID, 0.0),
        Case("huge", "<answer>" + "[" * 1_000_000 + "</answer>", GRID, 0.0),
    ]


CASES = {source: cases() for source in SOURCES}


@per_case(CASES)
def test_cases(source, case):
    assert_case(source, case)


@pytest.mark.parametrize("truth", [GRID, [[0]], [[7]], [[1, 1], [1, 1]], PARQUET, "[[3, 3]]", np.array(GRID)])
def test_examples(truth):
    assert_examples("simulation__arcagi1", truth)


def test_ten_megabytes():
    assert_quick("simulation__barc", GRID)


def test_part_of_the_grid_is_reported():
    outcome = default_compute_score("logic__arcagi1", "<answer>[[0, 1, 2], [3, 4, 6]]</answer>", GRID)
    assert outcome["shape_ok"] is True
    assert outcome["cell_acc"] == pytest.approx(5 / 6)
    outcome = default_compute_score("logic__arcagi1", "<answer>[[0, 1, 2]]</answer>", GRID)
    assert (outcome["shape_ok"], outcome["cell_acc"]) == (False, 0.5)


@pytest.mark.parametrize("truth", [None, "", [], [[]], [[0], [1, 2]], [["a"]], [1, 2], {"a": 1}, "[[0"])
def test_a_bad_row_names_its_data_source(truth):
    with pytest.raises(ValueError, match="simulation__arcagi2"):
        default_compute_score("simulation__arcagi2", "", truth)
