import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_analysis.batch import read_tasks
from data_analysis.layout import DataFolder
from data_analysis.transform import transform
from data_preprocess.core.row import finish_row, make_row, row_id
from tests.data_analysis.support import flags_of, run_transform, training_rows

ROOT = Path(__file__).parents[2]


def ids(folder, splits):
    return [[task.custom_id for task in read_tasks(DataFolder(folder).split(i), 1)] for i in range(splits)]


@settings(max_examples=40)
@given(rows=st.integers(1, 40), splits=st.integers(1, 50))
def test_every_row_is_in_exactly_one_split(tmp_path_factory, rows, splits):
    folder = tmp_path_factory.mktemp("t")
    pq.write_table(pa.Table.from_pylist(training_rows(rows)), folder / "a.parquet")
    manifest = run_transform(folder / "a.parquet", folder / "out", splits=splits)
    found = ids(folder / "out", splits)
    assert Counter(name for split in found for name in split) == {row_id(row): 1 for row in training_rows(rows)}
    assert [len(split) for split in found] == manifest.requests
    assert max(manifest.requests) - min(manifest.requests) <= 1
    assert len(list((folder / "out").glob("split_*.jsonl"))) == splits


def test_ids_are_those_of_data_preprocess_and_copies_are_numbered(tmp_path):
    row = training_rows(1)[0]
    own = finish_row(make_row("math__x", "2+2?", "4", "math", {"id": "mine"}), "train", 7)
    made = finish_row(make_row("math__x", "2+2?", "4", "math"), "train", 7)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in (row, own, made, row, row)))
    run_transform(tmp_path / "a.jsonl", tmp_path / "out", splits=1)
    name = row_id(row)
    assert ids(tmp_path / "out", 1)[0] == [name, "mine", made["extra_info"]["id"], f"{name}-1", f"{name}-2"]


def test_requests_are_openai_batch_lines(tmp_path):
    rows = [make_row("math__x", [{"role": "system", "content": "s"}, {"role": "user", "content": "ü"}], "4", "math"),
            make_row("math__x", "q", "4", "math", apply_chat_template=False, raw_prompt="<u>q")]  # yapf: disable
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    run_transform(tmp_path / "a.jsonl", tmp_path / "out", splits=1, temperature=0.5, max_tokens=9)
    chat, text = map(json.loads, (tmp_path / "out" / "split_0.jsonl").read_text().splitlines())
    assert set(chat) == {"custom_id", "method", "url", "body"}
    assert (chat["method"], chat["url"], text["url"]) == ("POST", "/v1/chat/completions", "/v1/completions")
    assert chat["body"] == {"model": "default", "temperature": 0.5, "top_p": 1.0, "max_tokens": 9,
                            "messages": rows[0]["prompt"]}  # yapf: disable
    assert text["body"]["prompt"] == "<u>q"


def test_raw_problems_become_rows_that_training_reads(tmp_path):
    (tmp_path / "Big-Math.csv").write_text("problem,answer,domain\nWhat is 1+1?,2,x\nWhat is 2+2?,4,y\n")
    manifest = run_transform(tmp_path / "Big-Math.csv", tmp_path / "out", splits=2)
    rows = pq.read_table(manifest.rows[0]).to_pylist()
    assert [row["reward_model"]["ground_truth"] for row in rows] == ["2", "4"]
    assert {row["data_source"] for row in rows} == {"math__big_math"}
    assert [[row["extra_info"]["id"]] for row in rows] == ids(tmp_path / "out", 2)
    assert rows[0]["prompt"][0]["content"] == "What is 1+1? Please output the final answer within \\boxed{}."


def test_problems_without_answers_can_be_split_too(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"question": "why?"}\n')
    assert run_transform(tmp_path / "a.jsonl", tmp_path / "out", splits=3).rows == []


def test_malformed_rows_are_named_and_may_be_left_out(tmp_path, capsys):
    good, empty, no_truth = training_rows(3)
    empty["prompt"] = [{"role": "user", "content": " "}]
    no_truth["reward_model"] = {"style": "rule", "ground_truth": None}
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in (good, empty, no_truth)))
    with pytest.raises(ValueError, match=r"2 rows are malformed") as error:
        run_transform(tmp_path / "a.jsonl", tmp_path / "out")
    assert "a.jsonl, row 1: prompt[0].content is empty" in str(error.value)
    assert "a.jsonl, row 2: there is no data_source, or no reward_model.ground_truth" in str(error.value)
    assert not list((tmp_path / "out").glob("*"))
    manifest = run_transform(tmp_path / "a.jsonl", tmp_path / "out", splits=2, skip_malformed=True)
    assert (manifest.requests, manifest.malformed) == ([1, 0], 2)
    assert "left out: " in capsys.readouterr().err


def test_an_id_given_twice_is_refused(tmp_path):
    rows = [row | {"extra_info": {"id": "same"}} for row in training_rows(2)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="row 1: extra_info.id 'same' belongs to an earlier row too"):
        run_transform(tmp_path / "a.parquet", tmp_path / "out")


@pytest.mark.parametrize("change, message", [
    ({"splits": 0}, "--splits must be at least 1, got 0"),
    ({"limit": 0}, "--limit must be at least 1"),
    ({"dataset": ["./nowhere"]}, "there is no such file"),
    ({"dataset": ["gone.parquet"]}, "there is no such file"),
    ({"prompt_key": "ask"}, "no column is ask"),
    ({"answer_key": "ask"}, "no column 'ask'"),
])  # yapf: disable
def test_what_cannot_work_is_said(tmp_path, change, message):
    (tmp_path / "a.jsonl").write_text('{"question": "why?", "answer": "so"}\n')
    with pytest.raises(ValueError, match=message):
        transform(flags_of(tmp_path / "a.jsonl", tmp_path / "out", **change))


def test_splitting_again_replaces_splits_unless_they_have_answers(tmp_path):
    pq.write_table(pa.Table.from_pylist(training_rows(6)), tmp_path / "a.parquet")
    run_transform(tmp_path / "a.parquet", tmp_path / "out", splits=5)
    run_transform(tmp_path / "a.parquet", tmp_path / "out", splits=2)
    assert len(list((tmp_path / "out").glob("split_*"))) == 2
    DataFolder(tmp_path / "out").run("org/model").open("org/model", 0)
    run_transform(tmp_path / "a.parquet", tmp_path / "out", splits=2)
    with pytest.raises(ValueError, match="holds answers to other requests or splits"):
        run_transform(tmp_path / "a.parquet", tmp_path / "out", splits=3)
    assert ids(tmp_path / "out", 2)


def test_a_hub_id_is_read_by_datasets(tmp_path, monkeypatch):
    import datasets

    asked, problems = [], datasets.Dataset.from_list([{"problem": f"{i}?", "answer": str(i)} for i in range(5)])
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: asked.append((args, kwargs)) or problems)
    run_transform("SynthLabsAI/Big-Math-RL-Verified", tmp_path / "out", splits=64, limit=3)
    assert asked == [(("SynthLabsAI/Big-Math-RL-Verified", None), {"split": "train"})]
    assert sum(map(len, ids(tmp_path / "out", 64))) == 3


def test_the_command_of_the_seed_readme(tmp_path):
    (tmp_path / "raw.jsonl").write_text("".join(f'{{"problem": "{i}?", "answer": "{i}"}}\n' for i in range(70)))
    command = [sys.executable, str(ROOT / "transform_dataset.py"), "--dataset", "raw.jsonl", "--output", "problems"]
    done = subprocess.run([*command, "--splits", "64"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "problems: 70 requests in 64 splits\n"
    assert len(list((tmp_path / "problems").glob("split_*.jsonl"))) == 64
    failed = subprocess.run([*command, "--splits", "0"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert failed.returncode == 1 and failed.stderr == "transform_dataset.py: --splits must be at least 1, got 0\n"


def test_flags_have_defaults():
    assert flags_of("x", "y").splits == 64
