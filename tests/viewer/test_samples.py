import json
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.viewer_data import ANSWERS, HUGE, SCRIPT, rollout_rows
from verl.utils.rollout_dump import write_rollouts
from viewer.detect import SourceError
from viewer.run import Run
from viewer.samples import PAGE, SORTS, SampleFilter, open_samples

ALL = SampleFilter()


@pytest.fixture(scope="module")
def samples(run_dir):
    return Run(run_dir).samples("train")


def test_steps_prompts_and_answers_of_a_run(samples):
    assert samples.steps == [1, 2, 3, 4]
    prompts = samples.prompts(3, ALL)
    assert [(row["uid"], row["data_source"], row["samples"]) for row in prompts] == [("0", "math", 6), ("1", "code", 6),
                                                                                     ("2", "math", 6)]
    assert prompts[0]["score"] == pytest.approx(1.25 / 6) and prompts[0]["spread"] == 1.0
    answers = samples.answers(3, "1", ALL)
    assert [(row["sample_index"], row["status"]) for row in answers][2:5] == [(2, "timeout"), (3, "ok"), (4, "crash")]
    whole = samples.sample(3, "1", 3)
    assert whole["response"] == "step 3 answer 3\n" + HUGE and whole["finish_reason"] == "length"
    assert json.loads(whole["extra"])["note"] == SCRIPT
    assert samples.sample(3, "1", 99) is None and samples.sample(77, "1", 1) is None
    assert samples.answers(77, "1", ALL) == []


def test_summary(samples):
    summary = samples.summary(2, ALL)
    assert (summary["prompts"], summary["samples"]) == (3, 18)
    assert summary["truncated"] == pytest.approx(1 / 6) and summary["score"] == pytest.approx(1.25 / 6)


@pytest.mark.parametrize("wanted, count", [
    (SampleFilter(sources=("math",)), 12),
    (SampleFilter(sources=("math", "code"), statuses=("timeout", "crash")), 6),
    (SampleFilter(score=(0.1, None)), 6),
    (SampleFilter(score=(None, 0.25)), 15),
    (SampleFilter(score=(0.25, 0.25)), 3),
    (SampleFilter(length=(100_000, None)), 3),
    (SampleFilter(finish="length"), 3),
    (SampleFilter(text="THE VERY END"), 3),
    (SampleFilter(text="prompt 1: what"), 6),
    (SampleFilter(text="4"), 18),
    (SampleFilter(text="100%_'; drop table"), 0),
    (SampleFilter(text="\\boxed{4}"), 3),
    (SampleFilter(sources=("nothing' or 1=1 --",)), 0),
])
def test_filters_and_search(samples, wanted, count):
    assert samples.summary(1, wanted)["samples"] == count
    assert sum(row["samples"] for row in samples.prompts(1, wanted)) == count


def test_a_percent_sign_is_searched_as_it_stands(tmp_path):
    texts = ("50% off", "50 off", "a_b", "axb", "a!b")
    write_rollouts(tmp_path / "a.parquet", [{"uid": str(i), "response": text} for i, text in enumerate(texts)])
    samples = open_samples(tmp_path / "a.parquet")
    for text, uids in (("50%", ["0"]), ("a_b", ["2"]), ("!", ["4"])):
        assert [row["uid"] for row in samples.prompts(None, SampleFilter(text=text))] == uids


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """130 prompts of two steps in one file; scores and lengths differ."""
    path = tmp_path_factory.mktemp("many") / "all.parquet"
    write_rollouts(path, [{
        "step": step, "uid": str(uid), "sample_index": i, "response": "x", "score": (uid * 37 % 130) / 130 + i,
        "response_length": uid * 17 % 130, "data_source": "m"
    } for step in (1, 2) for uid in range(130) for i in range(2)])  # yapf: disable
    return open_samples(path)


def test_pages_follow_each_other_in_every_order(many):
    assert many.steps == [1, 2]
    for sort, key in zip(SORTS, ("uid", "score", "score", "length", "length", "spread"), strict=True):
        rows = [row for page in range(3) for row in many.prompts(2, ALL, sort, page)]
        assert len(rows) == 130 and len(many.prompts(2, ALL, sort, 2)) == 130 - 2 * PAGE
        keys = [float(row[key]) for row in rows]
        assert all(a <= b for a, b in pairwise(keys)) or all(a >= b for a, b in pairwise(keys))
        assert [many.page_of(2, row["uid"], ALL, sort) for row in rows[::10]] == [i // PAGE for i in range(0, 130, 10)]
    assert many.page_of(2, "none", ALL, "prompt") == 0


def test_history_of_a_prompt(samples):
    assert [(row["step"], row["samples"]) for row in samples.history("1")] == [(1, 6), (2, 6), (3, 6), (4, 6)]
    assert samples.history("none") == []


def test_wandb_table(table_file):
    samples = open_samples(table_file, is_table=True)
    assert samples.steps == [10, 20]
    assert [(row["uid"], row["samples"], row["score"]) for row in samples.prompts(10, ALL)] == [("1", 2, 0.5),
                                                                                                ("2", 1, None)]
    assert samples.sample(20, "1", 1)["response"] == SCRIPT + "?"  # a lone surrogate
    assert samples.summary(20, SampleFilter(text="the very end"))["samples"] == 1
    assert samples.answers(10, "2", ALL)[0]["length"] == len(HUGE)  # in characters: nobody counted tokens


def test_a_table_of_something_else_is_refused(tmp_path):
    (tmp_path / "t.json").write_text('{"columns": ["a", "b"], "data": []}')
    with pytest.raises(SourceError, match="the columns are a, b; a table of generations has step"):
        open_samples(tmp_path / "t.json", is_table=True)


def test_json_lines_of_verl(tmp_path):
    lines = [{"input": "q", "output": text, "gts": {"a": [1]}, "score": i / 2, "step": 7, "acc": True, "pred": "x"}
             for i, text in enumerate(("one", "two"))] + [{"input": "r", "output": "b", "score": None}]  # yapf: disable
    path = tmp_path / "7.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines) + '\n{"input": "torn')
    samples = open_samples(path)
    assert samples.steps == [7, None]
    prompt, = samples.prompts(7, ALL)
    assert prompt["samples"] == 2 and prompt["score"] == 0.25
    sample = samples.sample(7, prompt["uid"], 1)
    assert (sample["response"], sample["ground_truth"], sample["acc"]) == ("two", '{"a": [1]}', 1.0)
    assert json.loads(sample["extra"]) == {"pred": "x"}
    assert len(samples.prompts(None, ALL)) == 1  # those without a step
    path.write_text('{"output": "a"}\n{broken\n{"output": "b"}\n')
    with pytest.raises(SourceError, match="line 2: no JSON"):
        open_samples(path)


def test_foreign_parquet_gets_what_it_lacks(tmp_path):
    pq.write_table(pa.table({
        "prompt": ["q", "q", "r"],
        "response": ["a", "b", "c"],
        "score": [1, 0, 1]
    }), tmp_path / "x.parquet")
    samples = open_samples(tmp_path / "x.parquet")
    assert samples.steps == [None]
    rows = samples.prompts(None, ALL)
    assert sorted(row["samples"] for row in rows) == [1, 2]
    uid = next(row["uid"] for row in rows if row["samples"] == 2)
    assert [samples.sample(None, uid, row["sample_index"])["response"] for row in samples.answers(None, uid, ALL)
           ] == ["a", "b"]


def test_names_with_wildcards_are_one_file(tmp_path):
    for name in ("a[1]*.parquet", "a1x.parquet"):
        write_rollouts(tmp_path / name, rollout_rows(1, 1)[:1 if "[" in name else 3])
    assert open_samples(tmp_path / "a[1]*.parquet").summary(1, ALL)["samples"] == 1


def test_a_run_whose_rollouts_are_elsewhere(tmp_path):
    write_rollouts(tmp_path / "else where" / "step_3.parquet", rollout_rows(3, 1))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").touch()
    assert Run(tmp_path / "run").sets == []
    (tmp_path / "run" / "config.yaml").write_text(f"trainer:\n  rollout_data_dir: {tmp_path}/else where\n")
    run = Run(tmp_path / "run")
    assert run.sets == ["train"] and run.steps("train") == [3]
    assert run.samples("train").summary(3, ALL)["samples"] == len(ANSWERS)


def test_a_cut_off_file_is_named(tmp_path, run_dir):
    whole = (run_dir / "rollouts" / "step_1.parquet").read_bytes()
    (tmp_path / "step_1.parquet").write_bytes(whole[:len(whole) // 2])
    with pytest.raises(SourceError, match="step_1.parquet is no whole parquet file"):
        open_samples(tmp_path)


def test_temporary_files_go_with_the_source(table_file):
    samples = open_samples(table_file, is_table=True)
    folder = samples.database.folder
    assert folder.exists()
    samples.database.close()
    assert not folder.exists()
