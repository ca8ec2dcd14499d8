import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_analysis.answers import answer_split
from data_analysis.batch import make_answer, make_refusal
from data_analysis.pass_rates import BUCKETS, PassRate, analyse, bucket, make_map, read_map, report, write_map
from data_analysis.scoring import read_truths, score_answers
from data_analysis.tables import annotate, select
from data_preprocess.core.row import row_id
from tests.data_analysis.support import make_run, run_transform, training_rows


class Scripted:
    """To row i, its first i answers are right; row 3 is refused."""

    def __init__(self, run):
        self.truths = {name: truth.ground_truth for name, truth in read_truths(run).items()}

    def answer(self, tasks, write):
        for task in tasks:
            truth = int(self.truths[task.custom_id])
            if truth == 6:
                write(make_refusal(task, 400, "too long"))
            else:
                text = f"#### {truth if task.sample < truth // 2 else truth + 1}"
                write(make_answer(task, text, "stop", 5))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Four rows, two answers to each, scored."""
    run = make_run(tmp_path_factory.mktemp("run"))
    for i in range(2):
        answer_split(run, i, 2, lambda: Scripted(run))
    assert score_answers(run, read_truths(run), workers=1, chunk=3) == 6
    return run


def names():
    return [row_id(row) for row in training_rows(4)]


def rate(value):
    return PassRate(value, 0, 1, 0, "s")


def test_the_share_of_right_answers(run):
    rates = make_map(run, read_truths(run))
    found = [(rates[name].pass_rate, rates[name].answers, rates[name].refused) for name in names()]
    assert found == [(0.0, 2, 0), (0.5, 2, 0), (1.0, 2, 0), (None, 0, 2)]


def test_scoring_goes_on_where_it_ended(run):
    whole = run.scores.read_bytes()
    run.scores.write_bytes(whole[:len(whole) // 2])
    left = 6 - whole[:len(whole) // 2].count(b"\n")
    with pytest.raises(ValueError, match=f"{left} answers have no score yet"):
        make_map(run, read_truths(run))
    assert score_answers(run, read_truths(run), workers=1) == left
    assert score_answers(run, read_truths(run), workers=1) == 0
    scored = [json.loads(line) for line in run.scores.read_text().splitlines()]
    assert len({(line["custom_id"], line["sample"]) for line in scored}) == len(scored) == 6


def test_what_a_judge_could_not_say_is_asked_again_and_counts_for_nothing(run):
    lines = [json.loads(line) for line in run.scores.read_text().splitlines()]
    for line in lines:
        if line["custom_id"] == names()[1] and line["sample"] == 0:
            line["status"] = "unavailable"
    run.scores.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = make_map(run, read_truths(run))[names()[1]]
    assert (found.pass_rate, found.answers, found.refused) == (0.0, 1, 1)
    assert score_answers(run, read_truths(run), workers=1) == 1
    assert make_map(run, read_truths(run))[names()[1]].pass_rate == 0.5


def test_answers_to_another_dataset_are_refused(run):
    truths = read_truths(run)
    run.scores.rename(run.scores.with_suffix(".kept"))
    try:
        with pytest.raises(ValueError, match="the dataset has no such row"):
            score_answers(run, {"x": next(iter(truths.values()))}, workers=1)
    finally:
        run.scores.with_suffix(".kept").rename(run.scores)


def test_a_dataset_without_truths_has_no_pass_rates(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"question": "why?"}\n')
    run_transform(tmp_path / "a.jsonl", tmp_path / "out", splits=1)
    from data_analysis.layout import DataFolder
    with pytest.raises(ValueError, match="no ground truths"):
        read_truths(DataFolder(tmp_path / "out").run("m"))


def test_a_map_is_read_as_it_was_written(run, tmp_path):
    rates = make_map(run, read_truths(run))
    write_map(tmp_path / "r.json", run, rates, 1.0)
    assert read_map(tmp_path / "r.json") == rates
    (tmp_path / "r.json").write_text('{"rates": 3}')
    for path, message in ((tmp_path / "r.json", "no map of pass rates"), (tmp_path / "none.json", "there is no")):
        with pytest.raises(ValueError, match=message):
            read_map(path)


@given(passed=st.integers(0, 64), more=st.integers(0, 64))
def test_every_rate_has_one_bucket(passed, more):
    answers = max(1, passed + more)
    found = bucket(passed / answers)
    exact = 0 if not passed else 6 if not more else next(i for i in range(1, 6) if passed * 5 <= i * answers)
    assert found == exact
    analysis = analyse({"a": rate(passed / answers)})["all"]["buckets"]
    assert sum(analysis.values()) == 1 and analysis[BUCKETS[found]] == 1


def test_an_analysis_counts_every_row_once():
    values = [0, 0.2, 0.4, 0.6, 0.8, 1, 0.1, 0.9, None]
    found = analyse({str(i): rate(value) for i, value in enumerate(values)})
    assert found["all"] == found["s"]
    assert list(found["all"]["buckets"].values()) == [1, 2, 1, 1, 1, 1, 1]
    assert (found["all"]["rows"], found["all"]["unknown"], found["all"]["mean"]) == (9, 1, 0.5)
    assert "perfect     1                  1  12.5 %" in report(found)
    assert analyse({"a": rate(None)})["all"]["mean"] is None


RATES = st.lists(st.none() | st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=12)


@given(rates=RATES, low=st.sampled_from([-1, 0.0, 0.25]), high=st.sampled_from([0.5, 1.0, 2]), drop=st.booleans())
def test_a_filter_keeps_exactly_what_lies_between(tmp_path_factory, rates, low, high, drop):
    folder = tmp_path_factory.mktemp("f")
    pd.DataFrame({"row": range(len(rates)), "pass_rate": pd.array(rates, "Float64")}).to_parquet(folder / "a.parquet")
    kept = [i for i, r in enumerate(rates) if (not drop if r is None else low < r < high)]
    if not kept:
        with pytest.raises(ValueError, match="no row has a pass rate between"):
            select([folder / "a.parquet"], folder / "b.parquet", "pass_rate", low, high, drop)
        assert [file.name for file in folder.iterdir()] == ["a.parquet"]
        return
    count, = select([folder / "a.parquet"], folder / "b.parquet", "pass_rate", low, high, drop)
    assert pd.read_parquet(folder / "b.parquet")["row"].tolist() == kept
    assert (count.rows, count.kept, count.unknown) == (len(rates), len(kept), rates.count(None))
    assert count.too_hard + count.too_easy + count.unknown * drop + count.kept == count.rows


def test_annotating_adds_a_column_and_ids_and_changes_nothing_else(run, tmp_path):
    rows = training_rows(5)
    rows[2]["extra_info"]["index"] = None
    table = pa.Table.from_pylist(rows + rows[:1]).append_column("weight", pa.array([1.5] * 6, pa.float32()))
    pq.write_table(table, tmp_path / "a.parquet")
    rates = make_map(run, read_truths(run))
    count, = annotate([tmp_path / "a.parquet"], tmp_path / "b.parquet", rates, "low_pass_rate")
    found = pq.read_table(tmp_path / "b.parquet")
    assert found["low_pass_rate"].to_pylist() == [0.0, 0.5, 1.0, None, None, None]
    assert found.drop_columns(["extra_info", "low_pass_rate"]) == table.drop_columns(["extra_info"])
    infos = found["extra_info"].to_pylist()
    assert [info["id"] for info in infos] == [*map(row_id, rows), f"{row_id(rows[0])}-1"]
    assert [info["index"] for info in infos] == [0, 1, None, 3, 4, 0]
    assert (count.rows, count.known, count.unknown) == (6, 4, 3)
    again, = annotate([tmp_path / "b.parquet"], tmp_path / "c.parquet", rates, "high_pass_rate")
    third = pq.read_table(tmp_path / "c.parquet")
    assert third["high_pass_rate"].equals(third["low_pass_rate"]) and again.known == 4


def test_nothing_is_written_for_a_map_of_another_dataset(tmp_path):
    pq.write_table(pa.Table.from_pylist(training_rows(2)), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="it is of another dataset"):
        annotate([tmp_path / "a.parquet"], tmp_path / "b.parquet", {"x": rate(0.5)}, "pass_rate")
    assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("inputs, output, message", [
    (["a.parquet", "b.parquet"], "c.parquet", "need a folder as --output"),
    (["a.parquet"], "a.parquet", "would overwrite"),
    (["a.parquet"], "c.parquet", "has no column 'pass_rate'"),
    (["none.parquet"], "c.parquet", "there is no such .parquet file"),
])  # yapf: disable
def test_files_that_cannot_be_filtered(tmp_path, inputs, output, message):
    for name in ("a.parquet", "b.parquet"):
        pq.write_table(pa.Table.from_pylist([{
            "pass_rate" if message.startswith(("need", "would")) else "x": 0.5
        }]), tmp_path / name)
    with pytest.raises(ValueError, match=message):
        select([tmp_path / name for name in inputs], tmp_path / output, "pass_rate", 0, 1)
    with pytest.raises(ValueError, match="must be below"):
        select([tmp_path / "a.parquet"], tmp_path / "d.parquet", "pass_rate", 1, 0)
