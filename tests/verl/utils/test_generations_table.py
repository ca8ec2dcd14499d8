import json
import math

import pytest

from verl.utils.generations_table import GenerationsTable


def read(path):
    return json.loads(path.read_text())


def test_a_row_per_step_in_the_columns_of_verl(tmp_path):
    table = GenerationsTable(tmp_path / "deep" / "t.json")
    table.add([("q", "a", 1.0), ("q2", "a2 \ud800", math.nan)], 0)
    table.add([("q", "b", 0.5), ("q2", "b2", None)], 5)
    assert read(tmp_path / "deep" / "t.json") == {
        "columns": ["step", "input_1", "output_1", "score_1", "input_2", "output_2", "score_2"],
        "data": [[0, "q", "a", 1.0, "q2", "a2 \ud800", None], [5, "q", "b", 0.5, "q2", "b2", None]],
    }


def test_resume_drops_later_steps_and_takes_other_widths(tmp_path):
    path = tmp_path / "t.json"
    first = GenerationsTable(path)
    for step in (2, 4, 6):
        first.add([("q", f"at {step}", 0.0)], step)
    GenerationsTable(path, 4).add([("q", "again", 1.0), ("r", "more", 1.0)], 6)
    assert read(path)["data"] == [[2, "q", "at 2", 0.0, None, None, None], [4, "q", "at 4", 0.0, None, None, None],
                                  [6, "q", "again", 1.0, "r", "more", 1.0]]  # yapf: disable
    GenerationsTable(path).add([("q", "fresh", 0.0)], 0)
    assert [row[0] for row in read(path)["data"]] == [0]


def test_the_same_step_again_takes_the_place_of_the_old_row(tmp_path):
    table = GenerationsTable(tmp_path / "t.json")
    table.add([("q", "a", 0.0)], 3)
    table.add([("q", "b", 0.0)], 3)
    assert read(tmp_path / "t.json")["data"] == [[3, "q", "b", 0.0]]


def test_another_file_of_that_name_is_not_overwritten(tmp_path):
    (tmp_path / "t.json").write_text("[1]")
    with pytest.raises(ValueError, match="is no table of generations.*move it away"):
        GenerationsTable(tmp_path / "t.json", 2).add([("q", "a", 0.0)], 3)
    assert (tmp_path / "t.json").read_text() == "[1]"
