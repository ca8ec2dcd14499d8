import dataclasses
import importlib.util

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from verl.algorithms.advantage import ADV_ESTIMATOR_REGISTRY
from verl.algorithms.policy_loss import POLICY_LOSS_REGISTRY
from verl.config.fields import from_dict
from verl.config.ppo import PPOConfig
from verl.trainer.ppo.plan import make_plan, resolve
from verl.workers.engine.base import MicroBatchBounds

STOP = (1, 7)
CAPPED = {"use_dynamic_bsz": True, "ppo_max_token_len_per_gpu": 99}
COUNTED = {"ppo_micro_batch_size_per_gpu": 3, "ppo_max_token_len_per_gpu": 99}


def config_of(actor=None, rollout=None, ref=None, data=None, **trainer):
    tree = {
        "data": {
            "train_batch_size": 8,
            "max_response_length": 20
        } | (data or {}),
        "actor_rollout_ref": {
            "actor": {
                "ppo_mini_batch_size": 8
            } | (actor or {}),
            "rollout": {
                "name": "hf"
            } | (rollout or {}),
            "ref": ref or {}
        },
        "trainer": {
            "device": "cpu"
        } | trainer
    }
    return from_dict(PPOConfig, tree)


def plan_of(steps_per_epoch=10, **parts):
    return make_plan(config_of(**parts), steps_per_epoch, STOP)


@given(st.integers(1, 20), st.integers(1, 4), st.one_of(st.none(), st.integers(1, 100)))
def test_length_of_the_run(per_epoch, epochs, steps):
    plan = plan_of(per_epoch, total_epochs=epochs, total_training_steps=steps)
    assert plan.total_steps == (steps or per_epoch * epochs)
    assert (plan.total_epochs - 1) * per_epoch < plan.total_steps <= plan.total_epochs * per_epoch


@pytest.mark.parametrize("mini, epochs, mini_batches, on_policy, updates", [
    (8, 1, 1, True, 10),
    (8, 2, 1, False, 20),
    (2, 1, 4, False, 40),
    (4, 3, 2, False, 60),
])
def test_updates_of_a_step(mini, epochs, mini_batches, on_policy, updates):
    plan = plan_of(actor={"ppo_mini_batch_size": mini, "ppo_epochs": epochs})
    assert (plan.mini_batches, plan.on_policy) == (mini_batches, on_policy)
    assert plan.optim.total_training_steps == updates


def test_a_schedule_of_the_users_length_stays():
    plan = plan_of(actor={"optim": {"total_training_steps": 500, "lr": 0.5}})
    assert (plan.optim.total_training_steps, plan.optim.lr) == (500, 0.5)


def test_training_samples_as_the_keys_say():
    plan = plan_of(rollout={"n": 4, "temperature": 0.7, "top_k": 5, "top_p": 0.9, "min_new_tokens": 3})
    s = plan.sampling
    assert (plan.n, s.temperature, s.top_k, s.top_p, s.min_new_tokens) == (4, 0.7, 5, 0.9, 3)
    assert (s.max_new_tokens, s.stop_ids) == (20, STOP)
    assert plan_of(rollout={"ignore_eos": True}).sampling.stop_ids == ()


def test_validation_is_greedy_unless_it_samples():
    kwargs = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "n": 3}
    greedy, sampled = (plan_of(rollout={
        "ignore_eos": True,
        "val_kwargs": kwargs | {
            "do_sample": s
        }
    }) for s in (False, True))
    assert greedy.val_sampling.temperature == 0
    s = sampled.val_sampling
    assert (sampled.val_n, s.temperature, s.top_p, s.top_k, s.max_new_tokens, s.stop_ids) == (3, 0.6, 0.95, 20, 20,
                                                                                              STOP)


def test_the_probe_is_greedy_and_short():
    assert plan_of().probe_sampling.max_new_tokens == 16
    assert plan_of(data={"max_response_length": 4}).probe_sampling.max_new_tokens == 4
    assert plan_of().probe_sampling.temperature == 0


@pytest.mark.parametrize("rollout, device, tolerance", [
    ({}, "cpu", 1e-3),
    ({}, "cuda", 0.2),
    ({"dtype": "fp32"}, "cuda", 1e-3),
    ({"dtype": "bfloat16"}, "cpu", 0.2),
    ({"sync_probe_tolerance": 0.01}, "cuda", 0.01),
])  # yapf: disable
def test_tolerance_of_the_probe_follows_the_dtype(rollout, device, tolerance):
    assert plan_of(rollout=rollout, device=device).probe_tolerance == tolerance


@pytest.mark.parametrize("actor, role, update, forward", [
    (CAPPED, {}, (99, None), (99, None)),
    (CAPPED, {
        "log_prob_max_token_len_per_gpu": 200
    }, (99, None), (200, None)),
    (CAPPED, {
        "log_prob_use_dynamic_bsz": False,
        "log_prob_micro_batch_size_per_gpu": 2
    }, (99, None), (None, 2)),
    (COUNTED, {}, (None, 3), (None, 3)),
    (COUNTED, {
        "log_prob_micro_batch_size_per_gpu": 5
    }, (None, 3), (None, 5)),
    (COUNTED, {
        "log_prob_use_dynamic_bsz": True
    }, (None, 3), (99, None)),
])
def test_micro_batches_of_log_probs_inherit_from_the_update(actor, role, update, forward):
    plan = plan_of(actor=actor, rollout=role, ref=role)
    assert plan.update_bounds == MicroBatchBounds(*update)
    assert plan.old_log_prob_bounds == plan.ref_bounds == MicroBatchBounds(*forward)


def test_old_and_reference_log_probs_have_keys_of_their_own():
    plan = plan_of(actor={"ppo_micro_batch_size_per_gpu": 3}, rollout={"log_prob_micro_batch_size_per_gpu": 5},
                   ref={"log_prob_micro_batch_size_per_gpu": 7})  # yapf: disable
    assert (plan.update_bounds.size, plan.old_log_prob_bounds.size, plan.ref_bounds.size) == (3, 5, 7)


def test_units_and_capacity_of_a_replica():
    hf = plan_of(rollout={"name": "hf", "batch_size": 6, "max_num_seqs": 50})
    vllm = plan_of(rollout={"name": "vllm", "batch_size": 6, "max_num_seqs": 50})
    assert (hf.unit_size, hf.replica_capacity) == (6, 6)
    assert (vllm.unit_size, vllm.replica_capacity) == (None, 50)


@pytest.fixture
def installed(monkeypatch):
    """Says whether there is vLLM and CUDA."""

    def install(vllm, cuda):
        find_spec = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *args: (object() if vllm else None)
            if name == "vllm" else find_spec(name, *args))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)

    return install


@pytest.mark.parametrize("vllm, cuda, asked, resolved", [
    (True, True, ("auto", "auto"), ("vllm", "cuda")),
    (False, False, ("auto", "auto"), ("hf", "cpu")),
    (True, True, ("hf", "cpu"), ("hf", "cpu")),
    (True, False, ("vllm", "auto"), ("vllm", "cpu")),
])
def test_auto_becomes_what_is_there(installed, vllm, cuda, asked, resolved):
    installed(vllm, cuda)
    config = config_of(rollout={"name": asked[0]}, device=asked[1])
    found = resolve(config)
    assert (found.actor_rollout_ref.rollout.name, found.trainer.device) == resolved
    assert found.data == config.data and found.actor_rollout_ref.actor == config.actor_rollout_ref.actor


def test_what_is_not_there_is_named(installed):
    installed(vllm=False, cuda=False)
    with pytest.raises(ValueError,
                       match="rollout.name=vllm, but vllm is not installed: pip install -e .*or set .*name=hf"):
        resolve(config_of(rollout={"name": "vllm"}))
    with pytest.raises(ValueError,
                       match="trainer.device=cuda, but torch sees no CUDA device here; set trainer.device="):
        resolve(config_of(device="cuda"))


def test_names_that_nobody_registered_are_refused(installed, monkeypatch):
    installed(vllm=False, cuda=False)
    other = config_of(actor={"policy_loss": {"loss_mode": "toy"}})
    with pytest.raises(ValueError, match="policy_loss.loss_mode='toy' is unknown; known: .*vanilla"):
        resolve(other)
    monkeypatch.setitem(POLICY_LOSS_REGISTRY, "toy", POLICY_LOSS_REGISTRY["vanilla"])
    assert resolve(other).actor_rollout_ref.actor.policy_loss.loss_mode == "toy"
    estimator = from_dict(PPOConfig, {"algorithm": {"adv_estimator": "toy"}})
    with pytest.raises(ValueError, match="algorithm.adv_estimator='toy' is unknown; known: gae, grpo"):
        resolve(estimator)
    values = from_dict(PPOConfig, {"algorithm": {"adv_estimator": "toy"}, "critic": {"enable": True}})
    monkeypatch.setitem(ADV_ESTIMATOR_REGISTRY, "toy", lambda values, **_: None)
    assert resolve(values).uses_critic
    with pytest.raises(ValueError, match="adv_estimator=toy takes the values of a critic; set critic.enable=True"):
        resolve(estimator)
    monkeypatch.setitem(ADV_ESTIMATOR_REGISTRY, "toy", lambda index, **_: None)
    with pytest.raises(ValueError, match="adv_estimator=toy takes no values; set critic.enable=False"):
        resolve(values)


def critic_plan(critic=None, actor=None, **trainer):
    config = from_dict(PPOConfig, {
        "data": {"train_batch_size": 8},
        "algorithm": {"adv_estimator": "gae"},
        "critic": critic or {},
        "actor_rollout_ref": {"model": {"path": "ours", "trust_remote_code": True},
                              "actor": {"ppo_mini_batch_size": 4, "ppo_epochs": 3} | (actor or {}),
                              "rollout": {"name": "hf"}},
        "trainer": {"device": "cpu"} | trainer,
    })  # yapf: disable
    config = resolve(config)
    return config.critic, make_plan(config, 10, STOP)


def test_the_critic_does_as_the_actor_where_it_says_nothing():
    critic, plan = critic_plan(actor=CAPPED | {"shuffle": True, "loss_agg_mode": "seq-mean-token-sum"})
    assert (critic.model.path, critic.model.trust_remote_code) == ("ours", True)
    assert (critic.ppo_mini_batch_size, critic.ppo_epochs, critic.shuffle) == (4, 3, True)
    assert critic.loss_agg_mode == "seq-mean-token-sum"
    assert plan.critic.mini_batches == 2 and plan.critic.optim.total_training_steps == 10 * 2 * 3
    assert plan.critic.update_bounds == plan.critic.value_bounds == MicroBatchBounds(99, None)
    counted = critic_plan(actor=COUNTED)[1].critic
    assert counted.update_bounds == counted.value_bounds == MicroBatchBounds(None, 3)


def test_the_critic_does_as_it_says():
    own = {"model": {"path": "its"}, "ppo_mini_batch_size": 2, "ppo_epochs": 1, "shuffle": False,
           "ppo_micro_batch_size_per_gpu": 5, "forward_micro_batch_size_per_gpu": 7}  # yapf: disable
    critic, plan = critic_plan(own, CAPPED | {"shuffle": True})
    assert (critic.model.path, critic.model.trust_remote_code) == ("its", False)
    assert (critic.ppo_epochs, critic.shuffle, plan.critic.mini_batches) == (1, False, 4)
    assert plan.critic.update_bounds == MicroBatchBounds(None, 5)
    assert plan.critic.value_bounds == MicroBatchBounds(None, 7)
    capped = {"use_dynamic_bsz": True, "ppo_max_token_len_per_gpu": 50, "forward_max_token_len_per_gpu": 70}
    plan = critic_plan(capped, COUNTED)[1]
    assert plan.critic.update_bounds == MicroBatchBounds(50, None)
    assert plan.critic.value_bounds == MicroBatchBounds(70, None)


def test_warm_up_shortens_the_actors_schedule():
    _, plan = critic_plan(actor=CAPPED, critic_warmup=4)
    assert (plan.optim.total_training_steps, plan.critic.optim.total_training_steps) == (6 * 6, 10 * 6)
    assert plan_of().critic is None


def test_kl_in_the_reward_needs_old_log_probs_of_their_own():
    config = config_of(actor=CAPPED)
    assert make_plan(config, 10, STOP).on_policy
    charged = dataclasses.replace(config, algorithm=dataclasses.replace(config.algorithm, use_kl_in_reward=True))
    assert not make_plan(charged, 10, STOP).on_policy
