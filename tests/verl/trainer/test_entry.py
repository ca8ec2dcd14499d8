import logging
import sys

import numpy as np
import pytest

from reward_score.pool import RewardResult
from verl.config import load_ppo_config
from verl.config.trainer import TrainerConfig
from verl.single_controller import WorkerFailure
from verl.trainer import main_ppo
from verl.trainer.entry import check_outputs, due, inputs_are_checked, run_entry
from verl.trainer.ppo.rollouts import Sample, check_failures
from verl.utils.dataset.rl_dataset import PromptRow
from verl.utils.errors import RunFailure
from verl.workers.rollout.base import Completion


def run_raising(error):

    def run(config):
        raise error

    return run_entry(lambda argv: argv, run, [])


def test_the_config_reaches_the_run():
    seen = []
    assert run_entry(lambda argv: {"argv": argv}, seen.append, ["a=1"]) == 0
    assert seen == [{"argv": ["a=1"]}]


@pytest.mark.parametrize("error, code", [
    (ValueError("data.seed=x: expects an integer"), 2),
    (RunFailure("9 of 10 rewards failed"), 1),
    (WorkerFailure("train worker 0 died"), 1),
    (TimeoutError("Ray did not reserve"), 1),
])
def test_known_failures_are_their_message_and_an_exit_code(capsys, error, code):
    assert run_raising(error) == code
    assert capsys.readouterr().err == f"error: {error}\n"


@pytest.mark.parametrize("error", [RuntimeError("shape"), KeyError("x"), AssertionError(), KeyboardInterrupt()])
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        run_raising(error)


def test_a_value_error_within_the_steps_is_a_bug():

    def run(config):
        with inputs_are_checked():
            int("no number")

    with pytest.raises(AssertionError, match="a step raised ValueError: invalid literal") as caught:
        run_entry(lambda argv: argv, run, [])
    assert isinstance(caught.value.__cause__, ValueError)


def test_too_many_failed_rewards_are_a_known_failure():
    row = PromptRow(0, np.arange(2), "prompt", "math", "1", {}, {})
    completion = Completion("1/0/0", np.arange(2), np.zeros(2), "stop", ())
    results = ["ok", "timeout", "crash", "ok"]
    samples = {
        str(i): Sample(row, completion, "text", RewardResult(0.0, 0.0, status, error=f"because of {i}"))
        for i, status in enumerate(results)
    }
    check_failures(samples, 0.5)
    with pytest.raises(RunFailure, match=r"2 of 4 rewards failed, more than reward_model.max_failure_rate=0.4: .*"
                       r"Examples: math \(timeout\): because of 1; math \(crash\): because of 2$"):  # yapf: disable
        check_failures(samples, 0.4)


def test_what_is_due():
    assert [step for step in range(1, 8) if due(step, 3, 7)] == [3, 6, 7]
    assert not any(due(step, -1, 7) or due(step, 0, 7) for step in range(1, 8))


@pytest.mark.parametrize("name", ["default_local_dir", "rollout_data_dir", "validation_data_dir"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, name):
    (tmp_path / "file").touch()
    folders = {"default_local_dir": str(tmp_path / "out")} | {name: str(tmp_path / "file" / "folder")}
    with pytest.raises(ValueError, match=rf"^trainer\.{name}={tmp_path}/file/folder: nothing can be written there"):
        check_outputs(TrainerConfig(**folders))


def test_a_logger_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("verl.trainer.entry.importlib.util.find_spec", lambda name: None)
    config = TrainerConfig(default_local_dir=str(tmp_path), logger=["console", "wandb"])
    with pytest.raises(ValueError, match="trainer.logger has wandb, which is not installed: pip install wandb"):
        check_outputs(config)
    check_outputs(TrainerConfig(default_local_dir=str(tmp_path), logger=["console"]))


def test_main_ppo_says_what_the_device_lacks(tmp_path, monkeypatch, caplog):
    """One line per key, before any input is read."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "rows.parquet").touch()
    config = load_ppo_config([
        f"data.train_files={tmp_path}/rows.parquet", f"actor_rollout_ref.model.path={tmp_path}/model",
        "actor_rollout_ref.actor.use_dynamic_bsz=True", "actor_rollout_ref.rollout.name=hf", "trainer.device=cpu",
        "actor_rollout_ref.rollout.gpu_memory_utilization=0.8", "actor_rollout_ref.rollout.free_cache_engine=False"
    ])
    monkeypatch.setattr("verl.trainer.ppo.inputs.RunInputs.__init__", lambda self, config: sys.exit("far enough"))
    with caplog.at_level(logging.WARNING), pytest.raises(SystemExit, match="far enough"):
        main_ppo.train(config)
    assert [r.getMessage() for r in caplog.records if r.name == "verl.trainer.main_ppo"] == [
        "actor_rollout_ref.rollout.gpu_memory_utilization=0.8 means nothing on cpu: replicas take the memory they need",
        "actor_rollout_ref.rollout.free_cache_engine=False means nothing on cpu: replicas keep their memory",
    ]
