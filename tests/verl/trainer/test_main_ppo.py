"""The main job as users run it: real processes, real engines."""
import importlib.util
import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.support.spelling import learned, make_inputs, ppo_command, read_metrics, run, start
from verl.trainer.checkpoint import LATEST

EXACT = 1e-4  # nats; the engine's log-probs against the trainer's, in float32


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def wait_for(condition, what: str, timeout: float = 120.0):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s for {what}"
        time.sleep(0.1)
    return value


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed (scripts/install.sh cpu)")
def test_vllm_and_trainer_agree_after_every_sync(inputs: Path, tmp_path: Path):
    overrides = ("actor_rollout_ref.rollout.name=vllm", "trainer.total_training_steps=5",
                 "trainer.val_before_train=False")
    output = run(ppo_command(inputs, tmp_path / "run", *overrides), tmp_path / "log")
    metrics = read_metrics(tmp_path / "run")
    assert len(metrics) == 5
    assert all(line["training/rollout_log_probs_diff_max"] < EXACT for line in metrics)
    assert any(line["actor/grad_norm"] > 0 for line in metrics)
    assert "weight sync probe" in output


def test_nothing_moves_at_learning_rate_zero(inputs: Path, tmp_path: Path):
    overrides = ("actor_rollout_ref.actor.optim.lr=0", "trainer.total_training_steps=3",
                 "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=100",
                 "actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu=300")  # yapf: disable
    run(ppo_command(inputs, tmp_path / "run", *overrides), tmp_path / "log")
    for line in read_metrics(tmp_path / "run"):
        assert line["actor/pg_clipfrac"] == 0
        assert abs(line["actor/ppo_kl"]) < 1e-6
        assert line["training/rollout_log_probs_diff_max"] < EXACT


def test_two_workers_on_policy_with_a_reference_model(inputs: Path, tmp_path: Path):
    overrides = ("trainer.n_gpus_per_node=2", "actor_rollout_ref.actor.ppo_mini_batch_size=8",
                 "actor_rollout_ref.actor.use_kl_loss=True", "trainer.total_training_steps=2",
                 f"data.val_files={inputs}/held_out.parquet", "data.val_max_samples=16", "data.val_batch_size=10",
                 "trainer.test_freq=2", "trainer.logger=[console,tensorboard]")  # yapf: disable
    output = run(ppo_command(inputs, tmp_path / "run", *overrides), tmp_path / "log")
    first, second = read_metrics(tmp_path / "run")
    assert first["actor/ppo_kl"] == 0 and first["actor/pg_clipfrac"] == 0, "one update a batch: old is the same forward"
    assert abs(first["actor/kl_loss"]) < 1e-9, "before the first update actor and reference are the same"
    assert second["actor/kl_loss"] > 0
    assert 1 <= first["global_seqlen/cost_imbalance"] < 1.2
    assert "val-core/reasoning_gym/acc/mean@1" in second
    assert "step 2/2" in output and "validation at step 0" in output
    run_dir = tmp_path / "run"
    assert (run_dir / "config.yaml").is_file() and any((run_dir / "tensorboard").iterdir())
    assert sorted(p.name for p in (run_dir / "rollouts").iterdir()) == ["step_1.parquet", "step_2.parquet"]
    assert sorted(p.name for p in (run_dir / "validation").iterdir()) == ["step_0.parquet", "step_2.parquet"]


def test_a_killed_training_worker_ends_the_job_by_name(inputs: Path, tmp_path: Path):
    log = tmp_path / "log"
    job = start(ppo_command(inputs, tmp_path / "run", "trainer.n_gpus_per_node=2", "trainer.val_before_train=False"),
                log)
    try:
        wait_for(lambda: "step 2/" in log.read_text() or job.poll() is not None, "the second step")
        workers = [
            p for p in psutil.Process(job.pid).children(recursive=True) if "TrainWorker" in " ".join(p.cmdline())
        ]
        assert len(workers) == 2, log.read_text()
        victim = workers[1]
        victim.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        assert job.wait(30) == 1
        assert time.monotonic() - killed < 30
    finally:
        job.kill()
    assert re.search(rf"error: train worker [01] \(node [\d.]+, pid {victim.pid}\) died",
                     log.read_text()), log.read_text()


def test_a_kill_while_a_checkpoint_is_written_in_the_background(inputs: Path, tmp_path: Path, monkeypatch):
    """The steps go on meanwhile; the checkpoint before is the one that the same command goes on from."""
    overrides = ("trainer.total_training_steps=5", "trainer.save_freq=2", "trainer.val_before_train=False",
                 "trainer.max_actor_ckpt_to_keep=1")  # yapf: disable
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(ppo_command(inputs, whole, *overrides), tmp_path / "log_whole")
    command = ppo_command(inputs, broken, *overrides, "actor_rollout_ref.actor.checkpoint.async_save=True")
    log = tmp_path / "log_broken"
    with monkeypatch.context() as patch:
        patch.setenv("VERL_USE_EXTERNAL_MODULES", "tests.support.slow_storage")
        job = start(command, log)
    try:
        wait_for(lambda: "step 5/5 " in log.read_text() or job.poll() is not None, "the step after the second save")
        assert (broken / LATEST).read_text() == "2" and job.poll() is None, log.read_text()
        assert list((broken / ".global_step_4.tmp" / "actor").iterdir()) and not (broken / "global_step_4").exists()
    finally:
        os.kill(job.pid, signal.SIGKILL)
        job.wait()
    output = run(command, tmp_path / "log_resumed")
    assert "resumed from" in output
    assert learned(read_metrics(broken)) == learned(read_metrics(whole))
    assert sorted(p.name for p in broken.glob("*global_step_*")) == ["global_step_5"]


PPO = ("algorithm.adv_estimator=gae", "algorithm.lam=0.95", "algorithm.use_kl_in_reward=True",
       "algorithm.kl_ctrl.type=adaptive", "algorithm.kl_ctrl.target_kl=1e-4", "algorithm.kl_ctrl.horizon=100",
       "actor_rollout_ref.actor.ppo_epochs=2", "actor_rollout_ref.actor.shuffle=True", "critic.ppo_mini_batch_size=2",
       "critic.optim.lr=1e-3", "trainer.val_before_train=False")  # yapf: disable


def test_ppo_with_a_critic_on_one_worker_and_two(inputs: Path, tmp_path: Path):
    """The same metrics: shuffled mini-batches, whitening and the KL do not depend on who holds which row."""
    lines = []
    for workers in (1, 2):
        folder = tmp_path / f"of_{workers}"
        overrides = (*PPO, f"trainer.n_gpus_per_node={workers}", "trainer.total_training_steps=2")
        run(ppo_command(inputs, folder, *overrides), tmp_path / f"log_{workers}")
        lines.append(read_metrics(folder))
    for alone, shared in zip(*lines, strict=True):
        learnt = {name: value for name, value in alone.items() if name.startswith(("actor/", "critic/"))}
        assert {name: shared[name] for name in learnt} == pytest.approx(learnt, rel=1e-4, abs=1e-6)
    first, second = lines[0]
    assert first["critic/values/max"] == 0 and second["critic/values/max"] != 0
    assert first["critic/grad_norm"] > 0 and first["critic/lr"] == pytest.approx(1e-3)
    assert first["actor/reward_kl_penalty"] == 0 < second["actor/reward_kl_penalty"]
    assert second["actor/reward_kl_penalty_coeff"] == pytest.approx(0.001 * (1 - 0.2 * 32 / 100))
    assert second["critic/rewards/mean"] < second["critic/score/mean"]
    names = {"vf_loss", "vf_clipfrac", "vpred_mean", "vf_explained_var", "returns/mean", "advantages/mean"}
    assert {f"critic/{name}" for name in names} <= second.keys()


def test_kl_in_the_reward_without_a_critic(inputs: Path, tmp_path: Path):
    """Groups are compared by what is left of their rewards."""
    overrides = ("algorithm.use_kl_in_reward=True", "algorithm.kl_ctrl.kl_coef=10", "trainer.total_training_steps=2",
                 "actor_rollout_ref.actor.ppo_mini_batch_size=8", "trainer.val_before_train=False")
    run(ppo_command(inputs, tmp_path / "run", *overrides), tmp_path / "log")
    first, second = read_metrics(tmp_path / "run")
    assert first["critic/rewards/mean"] == first["critic/score/mean"]
    assert second["critic/rewards/mean"] != second["critic/score/mean"]
    assert second["actor/reward_kl_penalty_coeff"] == 10 and "critic/values/mean" not in second
