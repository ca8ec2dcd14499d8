import json
import subprocess
import sys

import pytest

from data_preprocess.core.scripts import PACKAGE
from data_preprocess.general.reasoning_gym import make as make_examples
from tests.support.datasets import make, score

pytest.importorskip("reasoning_gym")
SMALL = '{"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}'


def entry(row):
    return json.loads(row["extra_info"]["entry"])


@pytest.mark.parametrize(("task", "config"), [("chain_sum", '{"min_terms": 3, "max_terms": 3}'), ("graph_color", "{}")])
def test_from_task_to_full_marks(task, config, tmp_path):
    made = make("general/reasoning_gym", tmp_path, "--task", task, "--config", config, "--sample-size", "8",
                fixture=False)  # yapf: disable
    for split in ("train", "test"):
        rows = made[split][f"general__reasoning_gym_{task}_8"]
        assert len({row["extra_info"]["id"] for row in rows}) == 8
        for row in rows:
            assert row["data_source"] == "reasoning_gym" and row["extra_info"]["task"] == task
            prompt = row["prompt"][0]["content"]
            assert prompt.startswith(entry(row)["question"]) and "within <answer> and </answer> tags" in prompt
            assert score(row, f"<answer>{row['reward_model']['ground_truth']}</answer>")["score"] == 1
            assert score(row, "<answer>none</answer>")["acc"] == 0
            assert task != "chain_sum" or entry(row)["metadata"]["num_terms"] == 3


def test_no_question_is_in_both_splits_whatever_seed_and_size():
    found = [[
        json.loads(example["entry"])["question"] for example in make_examples(count, seed, "chain_sum", SMALL, split)
    ] for count, seed, split in ((30, 42, "train"), (25, 7, "train"), (20, 42, "test"), (25, 7, "test"))]
    assert [len(set(questions)) for questions in found] == [30, 25, 20, 25]
    assert found[0][:25] != found[1]
    assert not {*found[0], *found[1]} & {*found[2], *found[3]}


def test_a_seed_makes_the_same_questions_and_a_larger_number_goes_on(monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "1")  # it orders sets of texts, through which this task walks
    first = list(make_examples(6, 1, "ransom_note", "{}", "train"))
    monkeypatch.setenv("PYTHONHASHSEED", "2")
    assert list(make_examples(4, 1, "ransom_note", "{}", "train")) == first[:4]


@pytest.mark.parametrize(("task", "config", "words"), [("chain_some", "{}", "chain_some"),
                                                       ("chain_sum", '{"terms": 3}', "terms"),
                                                       ("chain_sum", "{", "--config")])
def test_what_the_library_does_not_take_is_told(task, config, words):
    with pytest.raises(ValueError, match=words):
        list(make_examples(3, 1, task, config, "train"))


def test_a_task_with_too_few_questions_says_so():
    with pytest.raises(ValueError, match="makes only .* different questions for the test split, of 5000"):
        list(make_examples(5000, 1, "chain_sum", SMALL, "test"))


def test_the_script_runs_by_its_path_and_does_not_hide_the_library(tmp_path):
    command = [sys.executable, str(PACKAGE / "general" / "reasoning_gym.py"), "--data-dir", str(tmp_path)]
    done = subprocess.run([*command, "--sample-size", "4"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "train" / "general__reasoning_gym_chain_sum_4.parquet").is_file()
