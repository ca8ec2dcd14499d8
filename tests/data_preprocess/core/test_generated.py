import json
import textwrap

import pyarrow.parquet as pq
import pytest

from data_preprocess.core.cli import main

SCRIPT = """
from data_preprocess.core import Dataset, Generated, make_row

def make(count, seed, start):
    return ({"problem": f"{seed}: what comes after {start + i}?", "answer": str(start + i + 1)} for i in range(count))

DATASET = Dataset("math", "counting", train=Generated(make, 10), options={"start": 7}, FIELDS)

def make_map_fn(split, data_source, start):
    return lambda example, index: make_row(data_source, example["problem"], example["answer"], "math", {"start": start})
"""


@pytest.fixture
def run(tmp_path):

    def run_script(fields, *flags):
        script = tmp_path / f"script_{len(list(tmp_path.iterdir()))}.py"
        script.write_text(textwrap.dedent(SCRIPT).replace("FIELDS", fields))
        assert main(str(script), ["--data-dir", str(tmp_path / script.stem), "--num-proc", "1", *flags]) == 0
        files = sorted((tmp_path / script.stem).rglob("*.parquet"))
        return {str(file.relative_to(tmp_path / script.stem)): pq.read_table(file).to_pylist() for file in files}

    return run_script


def prompts(rows):
    return [row["prompt"][0]["content"] for row in rows]


def test_a_generator_gets_count_seed_and_options(run):
    made = run("", "--start", "100", "--seed", "5", "--train-sample-size", "3")
    rows = made["train/math__counting_3.parquet"]
    assert prompts(rows) == [f"5: what comes after {number}?" for number in (100, 101, 102)]
    assert rows[0]["extra_info"]["start"] == 100


def test_it_makes_its_own_number_unless_one_is_asked_for(run):
    assert list(run("")) == ["train/math__counting_10.parquet"]


@pytest.mark.parametrize(("flags", "train", "test"), [((), 8, 2), (("--train-sample-size", "20"), 20, 5),
                                                      (("--test-sample-size", "20"), 80, 20),
                                                      (("--train-sample-size", "7", "--test-sample-size", "9"), 7, 9)])
def test_both_shares_get_what_is_asked_for(run, flags, train, test):
    made = run("test_share=0.2", *flags)
    assert {
        name: len(rows) for name, rows in made.items()
    } == {
        f"train/math__counting_{train}.parquet": train,
        f"test/math__counting_{test}.parquet": test
    }
    splits = [set(prompts(rows)) for rows in made.values()]
    assert not splits[0] & splits[1]


def test_files_are_named_after_options(run):
    made = run("suffix=lambda split, options: '_from_' + str(options['start'])", "--start", "3")
    assert list(made) == ["train/math__counting_from_3_10.parquet"]


def test_saved_examples_come_before_generated_ones(run, tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "train.jsonl").write_text(json.dumps({"problem": "saved?", "answer": "yes"}))
    assert prompts(run("", "--input-dir", str(folder))["train/math__counting_1.parquet"]) == ["saved?"]
