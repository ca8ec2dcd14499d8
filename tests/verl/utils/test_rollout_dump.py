import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from verl.utils.rollout_dump import SCHEMA, write_rollouts


def test_columns_types_and_json(tmp_path):
    sample = {"step": 3, "uid": "7", "data_source": "math", "prompt": "1+1?", "finish_reason": "stop"}
    extra = {"margin": np.float32(0.5), "ids": np.arange(2), "answer": {"x": None}}
    rows = [
        dict(sample,
             sample_index=0,
             response="2 ✓",
             ground_truth="2",
             score=np.float64(1),
             acc=True,
             status="ok",
             response_length=np.int64(2),
             extra=extra),
        dict(sample, sample_index=1, ground_truth=[[1, 2], [3]], score=0.0, status="timeout"),
    ]
    path = tmp_path / "rollouts" / "3.parquet"
    write_rollouts(path, rows)
    assert os.listdir(path.parent) == ["3.parquet"]
    table = pq.read_table(path)
    assert table.schema.equals(SCHEMA)
    first, second = table.to_pylist()
    assert first["response"] == "2 ✓" and first["acc"] == 1.0 and first["ground_truth"] == "2"
    assert json.loads(first["extra"]) == {"margin": 0.5, "ids": [0, 1], "answer": {"x": None}}
    assert json.loads(second["ground_truth"]) == [[1, 2], [3]]
    assert second["acc"] is None and second["extra"] == "{}"


def test_no_rows_is_a_readable_file(tmp_path):
    write_rollouts(tmp_path / "0.parquet", [])
    assert pq.read_table(tmp_path / "0.parquet").num_rows == 0


def test_unknown_column_is_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(AssertionError, match="no column 'reward'"):
        write_rollouts(tmp_path / "0.parquet", [{"reward": 1.0}])
    assert os.listdir(tmp_path) == []
