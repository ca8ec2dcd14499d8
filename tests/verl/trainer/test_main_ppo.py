"""The main job as users run it: real processes, real engines."""
import importlib.util
import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.support.spelling import make_inputs, ppo_command, read_metrics, run, start

EXACT = 1e-4  # nats; the engine's log-probs against the trainer's, in float32
TIMES = re.compile(r"timing|perf/|reward/.*/latency")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def learned(metrics: list[dict[str, float]]) -> list[dict[str, float]]:
    """What a step did, without how long it took."""
    return [{name: value for name, value in line.items() if not TIMES.match(name)} for line in metrics]


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


def test_the_same_command_goes_on_after_kill_9(inputs: Path, tmp_path: Path):
    overrides = ("trainer.total_training_steps=5", "trainer.save_freq=2", "trainer.val_before_train=False",
                 "trainer.max_actor_ckpt_to_keep=1")  # yapf: disable
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(ppo_command(inputs, whole, *overrides), tmp_path / "log_whole")
    log = tmp_path / "log_broken"
    job = start(ppo_command(inputs, broken, *overrides), log)
    wait_for(lambda: (broken / "global_step_2").is_dir() or job.poll() is not None, "the first checkpoint")
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    output = run(ppo_command(inputs, broken, *overrides), tmp_path / "log_resumed")
    assert "resumed from" in output
    assert learned(read_metrics(broken)) == learned(read_metrics(whole))
    assert [p.name for p in broken.glob("global_step_*")] == ["global_step_5"]
