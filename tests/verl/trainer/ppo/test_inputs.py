import json
import logging

import pytest

from tests.support.runs import make_tokenizer, ppo_argv, rl_row, save_lm, write_rows
from verl.config import load_ppo_config
from verl.trainer.checkpoint import CheckpointManager
from verl.trainer.ppo.inputs import RunInputs
from verl.utils.fs import atomic_write_text


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_lm(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def run(tmp_path, model):
    """A folder that `ppo_argv` describes."""
    (tmp_path / "model").symlink_to(model)
    write_rows(tmp_path / "train.parquet", [rl_row(i) for i in range(8)])
    return tmp_path


def inputs(run, **overrides):
    return RunInputs(load_ppo_config(ppo_argv(run, **overrides)))


def test_what_a_run_reads(run):
    write_rows(run / "val.parquet", [rl_row(i, "math") for i in range(3)])
    read = inputs(run, data__val_files=run / "val.parquet", data__seed=5)
    assert (len(read.train_set), len(read.val_set)) == (8, 3)
    assert read.data_sources == ["math", "openai/gsm8k"]
    assert read.stop_ids() == (make_tokenizer().eos_token_id,)
    source = read.prompt_source()
    assert (source.steps_per_epoch, source.seed, source.fingerprint) == (2, 5, read.train_set.fingerprint)


def test_without_validation_files_there_is_no_validation_set(run):
    assert inputs(run).val_set is None


def test_where_outputs_go(run):
    read = inputs(run)
    assert (read.rollout_dir, read.validation_dir) == (run / "out" / "rollouts", run / "out" / "validation")
    read = inputs(run, trainer__rollout_data_dir=run / "a", trainer__validation_data_dir=run / "b")
    assert (read.rollout_dir, read.validation_dir) == (run / "a", run / "b")
    tracking = read.tracking(0)
    tracking.log({"x": 1}, 1)
    tracking.close()
    assert (run / "out" / "metrics.jsonl").read_text() == '{"step": 1, "x": 1}\n'


def test_a_model_with_spare_embeddings_is_fine(run):
    """Published models round their vocabulary up."""
    save_lm(run / "roomy", vocab=len(make_tokenizer()) + 20)
    inputs(run, actor_rollout_ref__model__path=run / "roomy")


def test_a_source_nobody_scores_is_found_in_either_file(run):
    write_rows(run / "val.parquet", [rl_row(0), rl_row(1, "opnai/gsm8k"), rl_row(2, "opnai/gsm8k")])
    with pytest.raises(ValueError, match=r"^data.val_files: 2 of 3 rows cannot be scored: no reward scores data_source "
                       "'opnai/gsm8k'; the nearest known pattern is 'openai/gsm8k'"):  # yapf: disable
        inputs(run, data__val_files=run / "val.parquet")


def test_a_judge_that_is_not_named_is_missed_before_anything_starts(run, monkeypatch):
    write_rows(run / "train.parquet", [rl_row(i, "stem_web") for i in range(4)])
    monkeypatch.delenv("STEM_LLM_JUDGE_URL", raising=False)
    with pytest.raises(ValueError, match="^data.train_files: 4 rows of data_source stem_web need STEM_LLM_JUDGE_URL"):
        inputs(run)
    monkeypatch.setenv("STEM_LLM_JUDGE_URL", "http://judge:8000")
    assert inputs(run).data_sources == ["stem_web"]


def test_a_custom_function_takes_any_source(run):
    write_rows(run / "train.parquet", [rl_row(i, "my own") for i in range(4)])
    (run / "mine.py").write_text("def judge(data_source, solution_str, ground_truth, extra_info):\n    return 1.0\n")
    read = inputs(run, custom_reward_function__path=run / "mine.py", custom_reward_function__name="judge")
    assert read.data_sources == ["my own"]


def test_rows_that_lack_what_their_reward_reads_are_counted(run, caplog):
    rows = [rl_row(i, "reasoning_gym") for i in range(4)]
    for row in rows[:3]:
        row["extra_info"] |= {"task": "spell_backward", "entry": "{}"}
    (run / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with caplog.at_level(logging.WARNING):
        inputs(run, data__train_files=run / "train.jsonl")
    (message,) = [r.getMessage() for r in caplog.records if r.name == "verl.trainer.ppo.inputs"]
    assert message.startswith("data.train_files: 1 rows of data_source reasoning_gym lack task or entry in extra_info")
    assert "3+3=?" in message


def test_a_checkpoint_of_other_data_is_refused_before_anything_starts(run):

    def save(read):
        manager = CheckpointManager(read.config.trainer)
        manager.save(1, {"prompts": read.prompt_source().state_dict()}, lambda folder: (folder / "actor").mkdir())

    save(inputs(run))
    inputs(run)
    with pytest.raises(ValueError, match="order was drawn with data.seed=1, now it is 2"):
        inputs(run, data__seed=2)
    write_rows(run / "train.parquet", [rl_row(i) for i in range(9)])
    with pytest.raises(ValueError, match="the checkpoint was made on other data"):
        inputs(run)
    inputs(run, trainer__resume_mode="disable")
    atomic_write_text(run / "out" / "latest_checkpointed_iteration.txt", "2")
    with pytest.raises(ValueError, match="names global_step_2, which is gone"):
        inputs(run)
