import json
import subprocess
import sys

import pytest

from data_preprocess.core.scripts import PACKAGE
from data_preprocess.general.reasoning_gym import make as make_examples
from tests.support.datasets import make, score

pytest.importorskip("reasoning_gym")


def run(folder, task, *flags, size="8"):
    made = make("general/reasoning_gym", folder, "--task", task, "--sample-size", size, *flags, fixture=False)
    file = f"general__reasoning_gym_{task}_{size}"
    return made["train"][file], made["test"][file]


def questions(rows):
    return {json.loads(row["extra_info"]["entry"])["question"] for row in rows}


@pytest.mark.parametrize(
    "task", ["chain_sum", "spell_backward", "graph_color", "arc_1d", "propositional_logic", "list_functions"])
def test_from_task_to_full_marks(task, tmp_path):
    train, test = run(tmp_path, task)
    for row in [*train, *test]:
        assert row["data_source"] == "reasoning_gym" and row["extra_info"]["task"] == task
        assert "within <answer> and </answer> tags" in row["prompt"][0]["content"]
        assert score(row, f"<answer>{row['reward_model']['ground_truth']}</answer>")["score"] == 1
        assert score(row, "<answer></answer>")["acc"] == 0


def test_a_row_holds_the_whole_entry(tmp_path):
    train, _ = run(tmp_path, "chain_sum")
    entry = json.loads(train[0]["extra_info"]["entry"])
    assert train[0]["prompt"][0]["content"].startswith(entry["question"])
    assert train[0]["reward_model"]["ground_truth"] == entry["answer"]
    assert entry["metadata"]["source_dataset"] == "chain_sum"


def test_a_configuration_is_json(tmp_path):
    train, _ = run(tmp_path, "chain_sum", "--config", '{"min_terms": 2, "max_terms": 2}')
    assert {json.loads(row["extra_info"]["entry"])["metadata"]["num_terms"] for row in train} == {2}


def test_no_question_is_in_both_splits_whatever_seed_and_size(tmp_path):
    small = ("--config", '{"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}')
    train, test = run(tmp_path / "1", "chain_sum", *small, size="30")
    other_train, other_test = run(tmp_path / "2", "chain_sum", *small, "--seed", "7", size="25")
    assert len(questions(train)) == 30 and len(questions(other_test)) == 25
    assert not (questions(train) | questions(other_train)) & (questions(test) | questions(other_test))


def test_another_seed_makes_other_questions_and_the_same_the_same(tmp_path):
    first, again = (list(make_examples(6, 1, "spell_backward", "{}", "train")) for _ in range(2))
    other = list(make_examples(6, 2, "spell_backward", "{}", "train"))
    assert first == again and first != other


def test_a_larger_number_goes_on_from_a_smaller(tmp_path):
    assert list(make_examples(9, 1, "chain_sum", "{}",
                              "test"))[:4] == list(make_examples(4, 1, "chain_sum", "{}", "test"))


@pytest.mark.parametrize(("task", "config", "words"), [("chain_some", "{}", "chain_some"),
                                                       ("chain_sum", '{"terms": 3}', "terms"),
                                                       ("chain_sum", '{"min_terms": 0}', "min_terms"),
                                                       ("chain_sum", "{", "--config"), ("composite", "{}", "dataset")])
def test_what_the_library_does_not_take_is_told(task, config, words):
    with pytest.raises(ValueError, match=words):
        list(make_examples(3, 1, task, config, "train"))


def test_a_task_with_too_few_questions_says_so():
    config = '{"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}'
    with pytest.raises(ValueError, match="makes only .* different questions for the test split, of 5000"):
        list(make_examples(5000, 1, "chain_sum", config, "test"))


def test_the_script_runs_by_its_path_and_does_not_hide_the_library(tmp_path):
    command = [sys.executable, str(PACKAGE / "general" / "reasoning_gym.py"), "--data-dir", str(tmp_path)]
    done = subprocess.run([*command, "--sample-size", "4"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "train" / "general__reasoning_gym_chain_sum_4.parquet").is_file()
