import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.viewer_data import make_table
from viewer.detect import Kind, SourceError, detect


def test_each_kind_is_told_from_its_contents(run_dir, table_file, dataset_file, tmp_path):
    assert detect(run_dir) == Kind.RUN
    assert detect(run_dir / "rollouts") == Kind.ROLLOUTS
    assert detect(run_dir / "rollouts" / "step_1.parquet") == Kind.ROLLOUTS
    assert detect(table_file) == Kind.WANDB_TABLE
    assert detect(dataset_file) == Kind.DATASET
    (tmp_path / "1.jsonl").write_text('{"input": "q", "output": "a", "score": 1}\n{"input":')
    assert detect(tmp_path / "1.jsonl") == Kind.ROLLOUTS
    assert detect(tmp_path) == Kind.ROLLOUTS
    make_table(tmp_path / "no_suffix")
    assert detect(tmp_path / "no_suffix") == Kind.WANDB_TABLE


def test_an_indented_and_a_huge_wandb_table(tmp_path):
    table = {"columns": ["step", "input_1", "output_1", "score_1"], "data": [[1, "q", "a" * (5 << 20), 1.0]]}
    (tmp_path / "a.json").write_text(json.dumps(table, indent=2))
    (tmp_path / "b.json").write_text(json.dumps(table))
    assert detect(tmp_path / "a.json") == detect(tmp_path / "b.json") == Kind.WANDB_TABLE


def test_a_run_of_which_only_one_thing_is_there(tmp_path):
    (tmp_path / "metrics.jsonl").touch()
    assert detect(tmp_path) == Kind.RUN


@pytest.mark.parametrize("name, content, message", [
    ("missing", None, "does not exist"),
    ("x.parquet", b"PAR1 cut off", "no whole parquet file"),
    ("x.txt", b"hello", "neither parquet nor JSON"),
    ("x.json", b'{"a": 1}', "no wandb table"),
    ("empty", b"", "neither parquet nor JSON"),
])
def test_other_files_are_refused_by_name(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message) as error:
        detect(tmp_path / name)
    assert name in str(error.value)


def test_foreign_columns_and_folders_say_what_is_needed(tmp_path, run_dir):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="columns a: rollouts need `response`, a dataset `prompt`"):
        detect(tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="has several files: open one of them"):
        detect(tmp_path)
    with pytest.raises(SourceError, match="runs are below it: my_run"):
        detect(run_dir.parent)
