import json

import pytest

from data_preprocess.logic.puzzle_rows import parse_sizes
from tests.support.datasets import make, score, score_truth

SCRIPTS = {
    "process_zebrapuzzle_dataset": ("zebra_puzzle", "zebra_puzzles", ("--levels", "1-3,5"), "grid_size"),
    "process_puzzles_dataset": ("ordering_puzzle", "puzzles_dataset", ("--sizes", "3-4"), "num_objects"),
    "process_graph_dataset": ("graph_logical", "graph_search", ("--lookaheads", "3"), "lookahead"),
}
SAMPLE = ("--train-sample-size", "12", "--test-sample-size", "3")


def rows_of(made):
    return [row for split in ("train", "test") for rows in made[split].values() for row in rows]


@pytest.mark.parametrize("script", SCRIPTS)
def test_generated_puzzles_become_rows(script, tmp_path):
    name, _, flags, field = SCRIPTS[script]
    made = make(f"logic/{script}", tmp_path / "a", *SAMPLE, *flags, fixture=False)
    assert list(made["train"]) == [f"logic__{name}_12"] and list(made["test"]) == [f"logic__{name}_3"]
    rows = rows_of(made)
    assert len({row["extra_info"]["id"] for row in rows}) == len({row["prompt"][0]["content"] for row in rows}) == 15
    for row in rows:
        assert row["data_source"] == f"logic__{name}" and row["ability"] == "logic"
        assert "inside <answer>" in row["prompt"][0]["content"].replace("\n", " ")
        assert row["prompt"][0]["content"].endswith(row["extra_info"]["raw_input"])
        assert row["extra_info"][field]
        assert score_truth(row)["score"] == 1 and score(row, "<answer></answer>")["score"] == 0
    again = make(f"logic/{script}", tmp_path / "b", *SAMPLE, *flags, fixture=False)
    other = make(f"logic/{script}", tmp_path / "c", *SAMPLE, *flags, "--seed", "1", fixture=False)
    assert again == made != other


def test_options_say_what_is_made(tmp_path):
    made = make("logic/process_graph_dataset", tmp_path / "a", *SAMPLE, "--lookaheads", "3", fixture=False)
    assert {row["extra_info"]["lookahead"] for row in rows_of(made)} == {"3"}
    made = make("logic/process_puzzles_dataset", tmp_path / "b", *SAMPLE, "--sizes", "3,4", fixture=False)
    assert {row["extra_info"]["num_objects"] for row in rows_of(made)} == {"3", "4"}


@pytest.mark.parametrize(("script", "truth"), [
    ("process_zebrapuzzle_dataset", {"header": ["Position", "Pet"], "rows": [["1", "cat"], ["2", "dog"]]}),
    ("process_puzzles_dataset", ["pigeon", "crow"]),
    ("process_graph_dataset", "fdebme"),
])  # yapf: disable
def test_puzzles_saved_before_are_read(script, truth, tmp_path):
    puzzles = [{
        "instruction": "Solve it.",
        "input": f"Clue {n}.",
        "ground_truth": truth,
        "lookahead": 3
    } for n in range(10)]
    (tmp_path / f"{SCRIPTS[script][1]}.json").write_text(json.dumps(puzzles))
    made = make(f"logic/{script}", tmp_path / "out", "--input-dir", str(tmp_path), fixture=False)
    rows = rows_of(made)
    assert [len(rows) for rows in (*made["train"].values(), *made["test"].values())] == [8, 2]
    assert {row["prompt"][0]["content"] for row in rows} == {f"Solve it.\n\nClue {n}." for n in range(10)}
    assert len({row["extra_info"]["id"] for row in rows}) == 10
    assert all(score_truth(row)["score"] == 1 for row in rows)


@pytest.mark.parametrize(("text", "sizes"), [("3", [3]), ("2-5,9", [2, 3, 4, 5, 9]), ("1-1", [1]), (" 3 , 4 ", [3, 4])])
def test_sizes(text, sizes):
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize("text", ["", "a", "3-", "-3", "3..4", "3-x"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="sizes are written"):
        parse_sizes(text)
