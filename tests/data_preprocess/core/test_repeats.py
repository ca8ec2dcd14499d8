import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_preprocess.core.cli import main
from data_preprocess.core.output import Kept, write_parquet

SCRIPT = """
from data_preprocess.core import Dataset, Source, make_row

DATASET = Dataset("math", "waves", train=Source(), test=Source(repeats=True))

def make_map_fn(split, data_source):
    return lambda example, index: make_row(data_source, example["problem"], "1", "math")
"""


@pytest.fixture
def made(tmp_path):
    (tmp_path / "waves.py").write_text(SCRIPT)
    for split in ("train", "test"):
        lines = [json.dumps({"problem": f"problem {number % 1000}"}) for number in range(2500)]  # several chunks
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))

    def run(split, *flags):
        flags = ["--input-dir", str(tmp_path), "--data-dir", str(tmp_path / "data"), "--num-proc", "1", *flags]
        assert main(str(tmp_path / "waves.py"), flags) == 0
        file, = (tmp_path / "data" / split).glob("*.parquet")
        return pq.read_table(file).to_pylist()

    return run


def ids(rows):
    return [row["extra_info"]["id"] for row in rows]


def test_repeats_of_a_source_that_means_them_stay_under_ids_of_their_own(made):
    rows = made("test")
    assert len(rows) == len(set(ids(rows))) == 2500
    assert rows[0]["prompt"] == rows[1000]["prompt"] == rows[2000]["prompt"]
    first = ids(rows)[0]
    assert (ids(rows)[1000], ids(rows)[2000]) == (f"{first}-1", f"{first}-2")


def test_a_sample_of_repeats_keeps_their_ids(made):
    sample = set(ids(made("test", "--test-sample-size", "1200")))
    numbered = {f"{name}{copy}" for name in ids(made("train")) for copy in ("", "-1", "-2")}
    assert len(sample) == 1200 and sample < numbered


def test_other_sources_lose_them(made):
    rows = made("train")
    assert len(rows) == len(set(ids(rows))) == 1000


def test_ids_are_unique_without_dedupe_too(made):
    rows = made("train", "--dedupe", "off")
    assert len(rows) == len(set(ids(rows))) == 2500


def test_chunks_with_empty_columns_in_lists_of_structs_join(tmp_path):
    chunks = [[{"g": [{"x": None, "y": 1}]}], [], [{"g": [{"x": "s", "y": None, "z": [1]}]}, {"g": [{"y": 2}]}]]
    kept = []
    for number, rows in enumerate(chunks):
        path = tmp_path / f"{number}.arrow"
        infos = ({"extra_info": {"id": f"{number}-{i}", "index": i}} for i in range(len(rows)))
        table = pa.Table.from_pylist([row | info for row, info in zip(rows, infos, strict=True)])
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        kept.append(Kept(path, list(range(len(rows)))))
    write_parquet(tmp_path / "all.parquet", kept)
    assert pq.read_table(tmp_path / "all.parquet", columns=["g"]).to_pylist() == [
        {"g": [{"x": None, "y": 1, "z": None}]}, {"g": [{"x": "s", "y": None, "z": [1]}]},
        {"g": [{"x": None, "y": 2, "z": None}]}]  # yapf: disable
