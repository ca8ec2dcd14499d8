"""What a run that has no memory left tells its user."""
import re
from types import SimpleNamespace

import pytest

from tests.support.spelling import make_inputs, ppo_command, start
from verl.config import PPOConfig, SFTConfig
from verl.config.fields import from_dict, schema
from verl.single_controller import WorkerFailure
from verl.trainer.memory import KEYS, advice, memory_keys_are_named, memory_metrics
from verl.utils.errors import OutOfMemory, RunFailure

CUDA, HOST = "CUDA out of memory. Tried to allocate 2 GiB", "the node running low on memory"
RAY = "train worker 1 (node 10.0.0.2, pid 7) died in update_actor:\n1 worker(s) were killed due to " + HOST


def config(**changes) -> PPOConfig:
    roles = {"actor": {"use_dynamic_bsz": True, "use_kl_loss": True}, "rollout": {"name": "vllm"}, "model": {}}
    roles = {role: values | changes.pop(role, {}) for role, values in roles.items()}
    return from_dict(PPOConfig, {"actor_rollout_ref": roles, **changes})


def test_every_key_is_there():
    names = {name for keys in KEYS.values() for key in keys for name in key.partition("=")[0].split("|")}
    assert names <= set(schema(PPOConfig)) | set(schema(SFTConfig))


def test_on_a_gpu_sizes_come_first_then_what_is_not_yet_offloaded():
    text = advice(config(actor={"fsdp_config": {"optimizer_offload": True}}), "cuda", "update_actor", CUDA)
    lower, settings = text.split("; or ")
    assert lower == ("Lower actor_rollout_ref.actor.ppo_max_token_len_per_gpu (now 16384), "
                     "actor_rollout_ref.rollout.gpu_memory_utilization (now 0.5)")
    assert settings.split(", ")[:2] == [
        "set actor_rollout_ref.model.enable_activation_offload=True",
        "actor_rollout_ref.actor.fsdp_config.param_offload=True"
    ]
    assert "optimizer_offload" not in settings and "gradient_checkpointing" not in settings and "critic" not in text


def test_on_a_cpu_only_what_means_something_there():
    limited = config(trainer={"worker_memory_limit_gb": 2.5}, model={"enable_gradient_checkpointing": False})
    assert advice(limited, "cpu", "update_actor", "MemoryError") == (
        "Lower actor_rollout_ref.actor.ppo_max_token_len_per_gpu (now 16384); or set "
        "actor_rollout_ref.model.enable_gradient_checkpointing=True; or raise trainer.worker_memory_limit_gb (now 2.5)")


@pytest.mark.parametrize("phase, changes, said", [
    ("old_log_prob", {}, "actor.ppo_max_token_len_per_gpu (now 16384)"),
    ("old_log_prob", {"rollout": {"log_prob_max_token_len_per_gpu": 99}},
     "rollout.log_prob_max_token_len_per_gpu (now 99)"),
    ("update_actor", {"actor": {"use_dynamic_bsz": False, "ppo_micro_batch_size_per_gpu": 3}},
     "Lower actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu (now 3)"),
    ("gen", {"rollout": {"name": "hf", "batch_size": 5}}, "actor_rollout_ref.rollout.batch_size (now 5)"),
    ("gen", {}, "actor_rollout_ref.rollout.max_num_seqs (now"),
    ("update_critic", {"algorithm": {"adv_estimator": "gae"}}, "set critic.model.enable_activation_offload=True"),
    ("load", {}, "use more devices or a smaller model"),
])  # yapf: disable
def test_keys_that_the_run_reads(phase, changes, said):
    text = advice(config(**changes), "cuda", phase, CUDA)
    assert said in text
    assert ("batch_size" in text) == ("batch_size" in said) and ("critic" in text) == ("critic" in said)


def test_host_memory_of_a_gpu_node_is_taken_by_what_was_offloaded():
    text = advice(config(actor={"fsdp_config": {"param_offload": True}}), "cuda", "gen", HOST)
    assert "set actor_rollout_ref.actor.fsdp_config.param_offload=False" in text and "gpu_memory" not in text


def test_of_supervised_fine_tuning():
    sft = from_dict(SFTConfig, {"data": {"max_token_len_per_gpu": 500}})
    assert advice(sft, "cuda", "update_sft", CUDA).startswith("Lower data.max_token_len_per_gpu (now 500); or set "
                                                              "fsdp_config.optimizer_offload=True")


@pytest.mark.parametrize("error, begin", [
    (OutOfMemory(f"train worker 0: out of memory in ref: {CUDA}"), "train worker 0: out of memory in ref: CUDA"),
    (WorkerFailure(RAY), "out of memory in update_actor: train worker 1 (node 10.0.0.2, pid 7) died"),
])
def test_failures_about_memory_end_with_the_keys(error, begin):
    with pytest.raises(OutOfMemory) as caught, memory_keys_are_named(config(), "cpu",
                                                                     SimpleNamespace(phase="update_actor")):
        raise error
    text = str(caught.value)
    assert text.startswith(begin) and text.count("out of memory in") == 1
    assert text.splitlines()[-1].startswith("Lower actor_rollout_ref.actor.ppo_max_token_len_per_gpu")


@pytest.mark.parametrize("error", [WorkerFailure("train worker 0 died in update_actor: end of file"), RunFailure("x")])
def test_other_failures_stay(error):
    with pytest.raises(type(error)) as caught, memory_keys_are_named(config(), "cpu", SimpleNamespace(phase="ref")):
        raise error
    assert caught.value is error


def test_a_death_under_a_limit_says_that_there_is_one():
    limited = config(trainer={"worker_memory_limit_gb": 2.5})
    with pytest.raises(WorkerFailure) as caught, memory_keys_are_named(limited, "cpu", SimpleNamespace(phase="ref")):
        raise WorkerFailure("train worker 0 died in ref_log_prob: end of file")
    text = str(caught.value)
    assert text.startswith("train worker 0 died in") and "trainer.worker_memory_limit_gb=2.5 is set" in text


def test_a_peak_is_that_of_the_rank_that_took_most():
    ranks = SimpleNamespace(memory_metrics=lambda: [{"a": 1.0, "b": 5.0}, {"a": 2.0, "b": 4.0}])
    assert memory_metrics(ranks) == {"a": 2.0, "b": 5.0}


LOSS = """
import torch
from verl.algorithms.policy_loss import POLICY_LOSS_REGISTRY, register_policy_loss


@register_policy_loss("greedy")
def greedy(*args, **kwargs):
    torch.ones(8 << 30, dtype=torch.uint8)
    return POLICY_LOSS_REGISTRY["vanilla"](*args, **kwargs)
"""


def test_a_worker_beyond_its_limit_ends_the_run_by_name(tmp_path, monkeypatch):
    """A whole run whose loss asks for 8 GiB; the node has them, the worker may not take them."""
    (tmp_path / "greedy_loss.py").write_text(LOSS)
    monkeypatch.setenv("VERL_USE_EXTERNAL_MODULES", "greedy_loss")
    log = tmp_path / "log"
    command = ppo_command(make_inputs(tmp_path), tmp_path / "run", "trainer.val_before_train=False",
                          "trainer.worker_memory_limit_gb=4", "actor_rollout_ref.actor.policy_loss.loss_mode=greedy")
    job = start(command, log, path=tmp_path)
    try:
        assert job.wait(240) == 1, log.read_text()
    finally:
        job.kill()
    assert re.search(
        r"\nerror: train worker 0 \(node [\d.]+, pid \d+\): out of memory in update_actor: .*tried to allocate 8.00 GiB"
        r".*limited to 4.0 GiB.*\nLower actor_rollout_ref.actor.ppo_max_token_len_per_gpu \(now 16384\); or raise "
        r"trainer.worker_memory_limit_gb \(now 4\)", log.read_text()), log.read_text()
