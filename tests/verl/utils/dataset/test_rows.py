import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl.utils.dataset.rows import RowFile, Rows, read_rows, sample_rows


@pytest.mark.parametrize("name", ["a.parquet", "a.json", "a.jsonl"])
def test_nested_values_come_back_as_plain_python(write, make_row, name):
    rows = [make_row(i, ground_truth=["x", str(i)]) for i in range(3)]
    read = read_rows([write(name, rows)])
    assert list(read) == rows and [read[i] for i in range(3)] == rows
    assert type(read[0]["prompt"]) is list and type(read[0]["reward_model"]["ground_truth"]) is list
    assert type(read[0]["data_source"]) is str


def test_numpy_nested_columns_and_pandas_strings(tmp_path):
    frame = pd.DataFrame({"prompt": [np.array([{"role": "user", "content": "a"}], dtype=object)],
                          "truth": [np.array([np.array([1, 2]), np.array([3])], dtype=object)],
                          "data_source": pd.array(["x"], dtype="str")})  # yapf: disable
    frame.to_parquet(tmp_path / "a.parquet")
    row = read_rows([str(tmp_path / "a.parquet")])[0]
    assert row == {"prompt": [{"role": "user", "content": "a"}], "truth": [[1, 2], [3]], "data_source": "x"}


def test_files_of_different_schemas_side_by_side(write):
    paths = [write("a.parquet", [{"x": 1, "truth": "a"}]), write("b.parquet", [{"truth": [1.5]}] * 2),
             write("c.jsonl", [{"x": "s"}, {"y": None}])]  # yapf: disable
    rows = read_rows(paths)
    assert [(row.get("x"), row.get("truth")) for row in rows] == [(1, "a"), (None, [1.5]), (None, [1.5]), ("s", None),
                                                                  (None, None)]
    assert [rows.where(i).rsplit("/", 1)[1] for i in range(5)
           ] == ["a.parquet, row 0", "b.parquet, row 0", "b.parquet, row 1", "c.jsonl, row 0", "c.jsonl, row 1"]
    assert rows.columns(0) == ["x", "truth"] and rows.columns(1) == ["truth"] and rows.columns(4) == ["x", "y"]


def test_json_lines_under_the_name_json(tmp_path):
    (tmp_path / "a.json").write_text('{"x": 1}\n\n{"x": "two"}\n')
    assert list(read_rows([str(tmp_path / "a.json")])) == [{"x": 1}, {"x": "two"}]


def test_folder_names_add_no_columns(tmp_path, write):
    (tmp_path / "split=train").mkdir()
    assert read_rows([write("split=train/a.parquet", [{"x": 1}])])[0] == {"x": 1}


@pytest.mark.parametrize("name, content, message", [
    ("a.json", "{\"x\": 1}\n{\"x\": ", "a.json, line 2 is not JSON"),
    ("a.jsonl", "{}\n[1]\n", "a.jsonl, line 2 is not an object"),
    ("a.json", "[1, 2]", "a.json is not a list of objects"),
    ("a.parquet", "PAR1 no", "a.parquet cannot be read as parquet"),
    ("a.csv", "x", "data.val_files: .*a.csv is neither .parquet, .json nor .jsonl"),
])
def test_unreadable_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_rows([str(tmp_path / name)], "data.val_files")


def test_missing_file_and_no_file():
    with pytest.raises(ValueError, match="data.train_files: no file nowhere.parquet"):
        read_rows(["nowhere.parquet"])
    with pytest.raises(ValueError, match="data.train_files is empty"):
        read_rows([])


def test_sampling_is_by_seed_or_from_the_start(write):
    rows = read_rows(
        [write("a.parquet", [{
            "x": i
        } for i in range(50)]),
         write("b.json", [{
             "x": i
         } for i in range(50, 80)])])
    assert [row["x"] for row in sample_rows(rows, 5, shuffle=False, seed=3)] == [0, 1, 2, 3, 4]
    drawn = [row["x"] for row in sample_rows(rows, 20, shuffle=True, seed=3)]
    assert len(drawn) == 20 and drawn == sorted(set(drawn)) and max(drawn) >= 50
    assert drawn == [row["x"] for row in sample_rows(rows, 20, shuffle=True, seed=3)]
    assert drawn != [row["x"] for row in sample_rows(rows, 20, shuffle=True, seed=4)]
    assert len(sample_rows(rows, -1, True, 3)) == len(sample_rows(rows, 99, True, 3)) == 80


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.data())
def test_keeping_rows_keeps_their_names(sizes, data):
    """What a mask leaves is the same rows, in order, under the row numbers of their files."""
    rows = Rows(tuple(RowFile(str(f), [{"id": (f, i)} for i in range(n)], np.arange(n)) for f, n in enumerate(sizes)))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))), dtype=bool)
    kept = rows.keep(mask)
    assert [row["id"] for row in kept] == [row["id"] for row, keep in zip(rows, mask, strict=True) if keep]
    for i, row in enumerate(kept):
        assert kept[i] == row and kept.where(i) == "{}, row {}".format(*row["id"])
    with pytest.raises(IndexError):
        kept[len(kept)]


def test_parquet_rows_can_be_dropped_twice(write):
    rows = read_rows([write("a.parquet", [{"x": i} for i in range(6)])])
    twice = rows.keep(np.arange(6) % 2 == 1).keep(np.array([False, True, True]))
    assert json.dumps(list(twice)) == '[{"x": 3}, {"x": 5}]' and twice.where(0).endswith("row 3")
