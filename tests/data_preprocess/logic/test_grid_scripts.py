import json

import pytest

from data_preprocess.core import Drop
from data_preprocess.core.cli import main
from data_preprocess.core.scripts import find_script
from data_preprocess.logic.grids import grid_row
from tests.support.datasets import cards, make, score, score_truth


def rows_of(made, split):
    return [row for rows in made[split].values() for row in rows]


@pytest.mark.parametrize(("flags", "source"), [((), "simulation__arcagi1"),
                                               (("--name", "arcagi2"), "simulation__arcagi2"),
                                               (("--domain", "logic"), "logic__arcagi1")])
def test_arcagi(tmp_path, flags, source):
    made = make("logic/arcagi", tmp_path, *flags)
    assert list(made["train"]) == [f"{source}_3"] and list(made["test"]) == [f"{source}_1"]
    assert cards(tmp_path)[f"{source}_3"]["dropped"] == {
        "no grid of colours": 1, "no examples": 1, "no test output": 1, "duplicate prompt (exact)": 1
    }  # yapf: disable
    for row in rows_of(made, "train") + rows_of(made, "test"):
        assert row["data_source"] == source and row["ability"] == "logic"
        assert "inside <answer> tags" in row["prompt"][0]["content"]
        assert score_truth(row)["score"] == 1
    first, many, zero = rows_of(made, "train")
    assert first["extra_info"]["task_id"] == "00aa11bb"
    assert first["reward_model"]["ground_truth"] == [[0, 9], [1, 0]]  # of the first test, mirrored
    assert "Example 3\nInput: [[7], [8]]\nOutput: [[7], [8]]" in first["prompt"][0]["content"]
    assert "Example 6" in many["prompt"][0]["content"] and "Example 7" not in many["prompt"][0]["content"]
    assert score(first, "<answer>[[9, 0], [0, 1]]</answer>")["score"] == 0
    assert score(zero, "nothing")["score"] == 0 and score(zero, "<answer>[[0]]</answer>")["score"] == 1


def test_arcagi_says_where_it_is_and_which_file_is_broken(tmp_path, capsys):
    script = str(find_script("logic/arcagi"))
    assert main(script, ["--data-dir", str(tmp_path)]) == 1
    assert "git clone https://github.com/fchollet/ARC-AGI" in capsys.readouterr().err
    (tmp_path / "training").mkdir()
    assert main(script, ["--input-dir", str(tmp_path), "--data-dir", str(tmp_path)]) == 1
    assert "task files" in capsys.readouterr().err
    (tmp_path / "training" / "a.json").write_text("{")
    assert main(script, ["--input-dir", str(tmp_path), "--data-dir", str(tmp_path)]) == 1
    assert "a.json is no task" in capsys.readouterr().err


def test_barc_sets_a_fifth_aside(tmp_path):
    made = make("logic/barc", tmp_path)
    train, test = rows_of(made, "train"), rows_of(made, "test")
    read = sorted(card["read"] for card in cards(tmp_path).values())
    assert read == [2, 9]  # of 11
    dropped = [reason for card in cards(tmp_path).values() for reason in card["dropped"]]
    assert {"fewer than two examples", "no grid of colours"} <= set(dropped)
    assert not {row["extra_info"]["id"] for row in train} & {row["extra_info"]["id"] for row in test}
    for row in train + test:
        assert row["data_source"] == "simulation__barc"
        assert score_truth(row)["score"] == 1
        assert "." not in row["prompt"][0]["content"].partition("Example 1")[2].partition("Give the output")[0].replace(
            ".\n", "")


@pytest.mark.parametrize("grid", [[], [[]], [[1, 2], [3]], [[10]], [[-1]], [["1"]], [[0.5]], "[[1]]", None, [1, 2]])
def test_what_is_no_grid(grid):
    with pytest.raises(Drop):
        grid_row("simulation__barc", [([[1]], [[1]])], [[1]], grid, {})


def test_grids_of_floats_become_integers():
    row = grid_row("simulation__barc", [([[1.0]], [[2.0]])], [[3.0]], [[4.0, 0.0]], {})
    assert json.dumps(row["reward_model"]["ground_truth"]) == "[[4, 0]]"
