"""One small instance of what the acceptance runs measure at length: they run, and their checks hold."""

import pytest

from bench import accept_engine, accept_rewards, engine_failures, preprocess, rewards_code, rewards_math
from bench.accept_datasets import puzzles


def test_worst_answers(monkeypatch):
    kept = ("tower of powers", "fork bomb", "10 GB", "1 GB of output", "reply of 10 MB, code")
    monkeypatch.setattr(accept_rewards, "WORST", {name: accept_rewards.WORST[name] for name in kept})
    assert [name for name, case in accept_rewards.worst_answers().items() if not case["passed"]] == []


def test_endurance():
    assert accept_rewards.endurance(kills=5, tasks=300)["passed"]


def test_rewards_agree_with_the_plain_loops():
    assert rewards_math.compare(64, 0.0, rounds=1)["agree"] == 1.0
    assert rewards_code.compare(8)["no_hostile_input"]["times_faster"] > 0


@pytest.mark.gpu
def test_a_killed_replica_comes_back_beside_the_trainer_on_its_gpu(tmp_path):
    """It takes the weights from a file, and the next ones over CUDA IPC again."""
    result = engine_failures.replica_killed("vllm", tmp_path / "run", "actor_rollout_ref.rollout.transport=ipc")
    assert (result["exit_code"], result["restarts"], result["steps"], result["processes_left"]) == (0, 1, 3, 0), result


def test_puzzles():
    assert set(puzzles(20)) == {"zebra", "ordering", "graph"}


def test_preprocessing_keeps_what_a_plain_map_keeps(monkeypatch):
    monkeypatch.setattr(preprocess, "ROUNDS", 1)
    result = preprocess.compare(1500)
    assert 0 < result["kept"] < 1500


@pytest.mark.long
def test_a_run_goes_on_after_kill_9():
    """PPO: critic, adaptive KL, warm-up of the critic, several epochs."""
    report = accept_engine.kills(count=1)
    assert report["passed"], report
