import dataclasses
import logging

import pytest

from verl.config import ConfigError, PPOConfig, SFTConfig, check_ppo, check_sft, from_dict, load_ppo_config, to_dict
from verl.config.checks import advice_ppo
from verl.config.load import load_sft_config


@pytest.fixture
def problems(ppo_argv):
    """Of a config that is fine except for the given overrides."""

    def check(*overrides):
        with pytest.raises(ConfigError) as error:
            load_ppo_config([*ppo_argv, *overrides])
        return error.value.problems

    return check


def test_a_fine_config_has_no_problems(ppo_argv, sft_argv):
    assert check_ppo(load_ppo_config(ppo_argv)) == []
    assert check_sft(load_sft_config(sft_argv)) == []


@pytest.mark.parametrize("overrides, causes", [
    (["data.train_batch_size=6", "actor_rollout_ref.actor.ppo_mini_batch_size=8"], ["above data.train_batch_size=6"]),
    (["data.train_batch_size=12", "actor_rollout_ref.actor.ppo_mini_batch_size=8"], ["does not divide by"]),
    (["trainer.n_gpus_per_node=3", "data.train_batch_size=6", "actor_rollout_ref.actor.ppo_mini_batch_size=2"],
     ["ppo_mini_batch_size=2 × actor_rollout_ref.rollout.n=4 does not divide by the 3 devices"]),
    (["trainer.nnodes=3", "data.train_batch_size=4", "actor_rollout_ref.actor.ppo_mini_batch_size=4"],
     ["data.train_batch_size=4 × actor_rollout_ref.rollout.n=4 does not divide by the 3 devices",
      "ppo_mini_batch_size=4 × actor_rollout_ref.rollout.n=4 does not divide by the 3 devices"]),
    (["actor_rollout_ref.rollout.max_model_len=1000"], ["max_model_len=1000 is below"]),
    (["actor_rollout_ref.rollout.min_new_tokens=513"], ["is above data.max_response_length=512"]),
    (["actor_rollout_ref.actor.ppo_max_token_len_per_gpu=1023"], ["ppo_max_token_len_per_gpu=1023 cannot hold"]),
    (["actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu=1000"], ["rollout.log_prob_max_token_len_per_gpu"]),
    (["actor_rollout_ref.ref.log_prob_max_token_len_per_gpu=1000", "actor_rollout_ref.actor.use_kl_loss=True"],
     ["ref.log_prob_max_token_len_per_gpu=1000"]),
    (["actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=4"], ["use_dynamic_bsz=True contradict; drop one"]),
    (["actor_rollout_ref.rollout.log_prob_use_dynamic_bsz=True",
      "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=4"], ["contradict; drop one"]),
    (["actor_rollout_ref.actor.use_dynamic_bsz=False"], ["micro-batches have no size"]),
    (["actor_rollout_ref.rollout.log_prob_use_dynamic_bsz=False"], ["log-probs have no micro-batch size"]),
    (["actor_rollout_ref.actor.use_dynamic_bsz=False", "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=4",
      "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=100",
      "actor_rollout_ref.rollout.log_prob_use_dynamic_bsz=True"],
     ["rollout.log_prob_max_token_len_per_gpu=100 cannot hold"]),
    (["actor_rollout_ref.rollout.tensor_model_parallel_size=2"], ["does not divide the 1 devices"]),
    (["actor_rollout_ref.model.enable_activation_offload=True",
      "actor_rollout_ref.model.enable_gradient_checkpointing=False"],
     ["set actor_rollout_ref.model.enable_gradient_checkpointing=True too"]),
    (["trainer.device=cuda", "actor_rollout_ref.rollout.num_replicas=2"], ["num_replicas=2"]),
    (["actor_rollout_ref.actor.fsdp_config.fsdp_size=2"], ["fsdp_size=2 does not divide 1"]),
    (["algorithm.adv_estimator=gae", "critic.enable=False"], ["gae needs a critic"]),
    (["trainer.critic_warmup=2"], ["grpo trains no critic; set it to 0"]),
    (["algorithm.adv_estimator=gae", "critic.ppo_mini_batch_size=3"], ["does not divide by critic.ppo_mini"]),
    (["algorithm.adv_estimator=gae", "critic.use_dynamic_bsz=False"], ["the critic's micro-batches have no size"]),
    (["algorithm.adv_estimator=gae", "critic.use_dynamic_bsz=True", "critic.ppo_micro_batch_size_per_gpu=2"],
     ["critic.use_dynamic_bsz=True contradict"]),
    (["algorithm.adv_estimator=gae", "critic.forward_max_token_len_per_gpu=9"],
     ["critic.forward_max_token_len_per_gpu=9 cannot hold"]),
    (["actor_rollout_ref.actor.use_dynamic_bsz=False", "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=4",
      "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=4",
      "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=100", "algorithm.adv_estimator=gae",
      "critic.use_dynamic_bsz=True"], ["critic.ppo_max_token_len_per_gpu=100 cannot hold"]),
    (["algorithm.adv_estimator=gae", "critic.model.path=/no/such"], ["critic.model.path=/no/such: there is no such"]),
    (["critic.model.fsdp_config.fsdp_size=2"], ["critic.model.fsdp_config.fsdp_size=2 does not divide 1"]),
    (["algorithm.use_kl_in_reward=True", "actor_rollout_ref.ref.log_prob_max_token_len_per_gpu=1000"],
     ["ref.log_prob_max_token_len_per_gpu=1000"]),
    (["actor_rollout_ref.rollout.temperature=0"], ["temperature=0: training needs"]),
    (["actor_rollout_ref.rollout.temperature=-1"], ["must be at least 0"]),
    (["actor_rollout_ref.rollout.top_p=0"], ["must be above 0"]),
    (["actor_rollout_ref.rollout.top_p=1.01"], ["must be at most 1"]),
    (["reward_model.overlong_buffer.enable=True"], ["overlong_buffer_cfg.len=0: set it between 1 and the longest"]),
    (["reward_model.overlong_buffer.enable=True", "reward_model.overlong_buffer.len=100",
      "+reward_model.reward_kwargs.max_resp_len=50"], ["len=100: set it between 1 and the longest response, 50"]),
    (["+reward_model.reward_kwargs.scale=2"], ["unknown key reward_model.reward_kwargs.scale"]),
    (["data.max_prompt_length=-5"], ["must be at least 1"]),
    (["data.train_batch_size=0"], ["must be at least 1"]),
    (["actor_rollout_ref.rollout.n=0"], ["must be at least 1"]),
    (["trainer.nnodes=0"], ["must be at least 1"]),
    (["actor_rollout_ref.actor.optim.lr=-1"], ["must be at least 0"]),
    (["actor_rollout_ref.actor.optim.betas=[0.9,1.5]"], ["betas=1.5: must be at most 1"]),
    (["actor_rollout_ref.actor.loss_agg_mode=mean"], ["choose from token-mean, seq-mean-token-sum"]),
    (["actor_rollout_ref.actor.kl_loss_type=k4"], ["choose from kl, k1"]),
    (["actor_rollout_ref.actor.policy_loss.loss_mode=gspo"], ["choose from vanilla"]),
    (["algorithm.adv_estimator=rloo"], ["choose from grpo"]),
    (["data.truncation=up"], ["choose from error, left, right, middle"]),
    (["trainer.logger=[console,swanlab]"], ["trainer.logger=swanlab: choose from console, tensorboard, wandb"]),
    (["trainer.resume_mode=maybe"], ["choose from auto, disable, resume_path"]),
    (["trainer.resume_mode=resume_path"], ["needs trainer.resume_from_path"]),
    (["trainer.resume_mode=resume_path", "trainer.resume_from_path=/ckpt/12"], ["…/global_step_N"]),
    (["trainer.resume_mode=resume_path", "trainer.resume_from_path=/ckpt/global_step_12"], ["there is no such folder"]),
    (["trainer.resume_from_path=/ckpt/global_step_12"], ["read with trainer.resume_mode=resume_path only"]),
    (["trainer.test_freq=5"], ["trainer.test_freq=5: there is nothing to validate on; set data.val_files"]),
    (["trainer.val_only=True"], ["trainer.val_only=True: there is nothing to validate on"]),
    (["data.val_files=[gone.parquet]"], ["data.val_files: there is no file gone.parquet"]),
    (["actor_rollout_ref.model.path=/no/such/model"], ["model.path=/no/such/model: there is no such folder"]),
    (["actor_rollout_ref.model.path=a/b/c"], ["there is no such folder"]),
    (["actor_rollout_ref.model.path='~/no-such-model'"], ["there is no such folder"]),
    (["actor_rollout_ref.model.tokenizer_path=./tok"], ["tokenizer_path=./tok: there is no such folder"]),
    (["custom_reward_function.path=gone.py"], ["custom_reward_function.path=gone.py: there is no such file"]),
])  # yapf: disable
def test_each_cause_is_one_line(problems, overrides, causes):
    found = problems(*overrides)
    assert len(found) == len(causes), found
    assert all(cause in line for cause, line in zip(causes, found, strict=True)), found


@pytest.mark.parametrize(
    "overrides",
    [
        ["actor_rollout_ref.model.path=Qwen/Qwen2.5-0.5B"],
        ["actor_rollout_ref.model.path=gpt2"],
        ["trainer.device=cpu", "actor_rollout_ref.rollout.tensor_model_parallel_size=2"],
        ["trainer.device=cpu", "actor_rollout_ref.rollout.num_replicas=2"],
        ["actor_rollout_ref.rollout.temperature=0", "trainer.val_only=True", "data.val_files=${data.train_files}"],
        ["actor_rollout_ref.actor.optim.lr=0"],
        ["actor_rollout_ref.ref.log_prob_max_token_len_per_gpu=10"],  # there is no reference without a KL term
        ["trainer.n_gpus_per_node=4", "data.train_batch_size=6", "actor_rollout_ref.actor.ppo_mini_batch_size=3"],
    ])
def test_what_only_looks_odd_is_fine(ppo_argv, overrides):
    load_ppo_config(ppo_argv + overrides)


def test_an_empty_config_names_all_that_is_missing():
    for check, config in ((check_ppo, PPOConfig()), (check_sft, SFTConfig())):
        text = "\n".join(check(config))
        assert "data.train_files is not set" in text
        assert "model.path is not set" in text


def test_values_set_in_code_are_checked_too(ppo_argv):
    config = load_ppo_config(ppo_argv)
    wrong = dataclasses.replace(config, algorithm=dataclasses.replace(config.algorithm, gamma=2.0))
    (problem,) = check_ppo(wrong)
    assert problem == "algorithm.gamma=2.0: must be at most 1"


def test_a_model_folder_needs_a_config(problems, files):
    (files / "empty").mkdir()
    assert problems(f"actor_rollout_ref.model.path={files}/empty") == [
        f"actor_rollout_ref.model.path={files}/empty: there is no config.json in that folder"
    ]


def test_names_registered_by_a_users_module_are_let_through(problems, ppo_argv, monkeypatch):
    override = "actor_rollout_ref.actor.policy_loss.loss_mode=mine"
    assert len(problems(override)) == 1
    monkeypatch.setenv("VERL_USE_EXTERNAL_MODULES", "my_losses")
    assert load_ppo_config([*ppo_argv, override]).actor_rollout_ref.actor.policy_loss.loss_mode == "mine"
    assert len(problems("actor_rollout_ref.actor.loss_agg_mode=mine")) == 1


def test_unrelated_contradictions_come_together(problems):
    found = problems("data.train_batch_size=6", "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=10",
                     "trainer.test_freq=5", "custom_reward_function.path=gone.py", "data.truncation=up",
                     "actor_rollout_ref.rollout.max_model_len=8")
    assert len(found) == 6


@pytest.mark.parametrize("override, said", [
    ("actor_rollout_ref.rollout.n=1", "grpo compares the answers"),
    ("actor_rollout_ref.rollout.val_kwargs.n=8", "greedy answers are all the same"),
    ("actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8", "is not used"),
])
def test_what_runs_but_is_hardly_meant_is_a_warning(ppo_argv, override, said, caplog):
    with caplog.at_level(logging.WARNING):
        config = load_ppo_config([*ppo_argv, override])
    (line,) = advice_ppo(config)
    assert said in line
    assert line in [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("override, cause", [
    ("data.max_token_len_per_gpu=1023", "cannot hold a row of data.max_length=1024"),
    ("data.use_dynamic_bsz=False", "micro-batches have no size"),
    ("trainer.n_gpus_per_node=3", "does not divide by the 3 devices"),
    ("trainer.save_freq=-2", "must be at least -1"),
    ("trainer.test_freq=1", "set data.val_files"),
    ("optim.lr_scheduler_type=linear", "choose from constant, cosine"),
    ("model.use_remove_padding=False", "packed"),
])
def test_sft_causes(sft_argv, override, cause):
    with pytest.raises(ConfigError) as error:
        load_sft_config([*sft_argv, override])
    (problem,) = error.value.problems
    assert cause in problem


def test_checks_do_not_change_the_config(ppo_argv):
    config = load_ppo_config(ppo_argv)
    before = to_dict(config)
    check_ppo(config)
    assert to_dict(config) == before == to_dict(from_dict(PPOConfig, before))
