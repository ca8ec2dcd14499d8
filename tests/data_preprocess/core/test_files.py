import json

import pandas as pd
import pyarrow as pa
import pytest

from data_preprocess.core.files import find, read_examples
from data_preprocess.core.output import add_suffix, choose

ROWS = [{"q": "é\u2028x", "n": "1"}, {"q": "", "n": "2"}]


def arrow(path, new):
    table = pa.Table.from_pylist(ROWS)
    with new(str(path), table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize(("name", "write"), [
    ("a.parquet", lambda path: pd.DataFrame(ROWS).to_parquet(path)),
    ("a.csv", lambda path: pd.DataFrame(ROWS).to_csv(path, index=False)),
    ("a.json", lambda path: path.write_text(json.dumps(ROWS))),
    ("b.json", lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))),
    ("a.jsonl", lambda path: path.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n")),
    ("a.arrow", lambda path: arrow(path, pa.ipc.new_file)),
    ("b.arrow", lambda path: arrow(path, pa.ipc.new_stream)),
])
def test_every_format_reads_alike(tmp_path, name, write):
    write(tmp_path / name)
    assert list(read_examples(tmp_path / name)) == ROWS
    assert list(read_examples(tmp_path)) == ROWS
    assert find(tmp_path, name.split(".")[0]) == tmp_path / name


@pytest.mark.parametrize(("name", "text", "message"), [
    ("a.txt", "", "must end in"),
    ("a.jsonl", "{}\n{", "line 2 is not JSON"),
    ("a.jsonl", "[1]", "line 1 is not an object"),
    ("a.json", "{}\n3", "line 2 is not an object"),
    ("a.json", "[3]", "must be a list of objects"),
    ("a.csv", "a,b\n1,2\n1\n", "line 3 has more or fewer fields"),
])
def test_what_cannot_be_read_names_the_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        list(read_examples(tmp_path / name))


def test_missing_inputs(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        list(read_examples(tmp_path / "a.jsonl"))
    with pytest.raises(ValueError, match="has no file"):
        list(read_examples(tmp_path))
    assert find(tmp_path, "train") is None


@pytest.mark.parametrize(("rows", "name"), [(164, "x_164"), (999, "x_999"), (1000, "x_1k"), (2000, "x_2k"),
                                            (2400, "x_2.4k"), (54_404, "x_54.4k"), (1049, "x_1.0k")])
def test_file_names_say_how_many(rows, name):
    assert add_suffix("x", rows) == name


def test_a_sample_is_a_draw_of_the_seed():
    assert choose(100, 10, 1, "train/x") == choose(100, 10, 1, "train/x")
    assert len(choose(100, 10, 1, "train/x") | choose(100, 10, 2, "train/x") | choose(100, 10, 1, "test/x")) > 20
    assert choose(10, 10, 1, "x") is None and choose(10, None, 1, "x") is None
