import logging
from pathlib import Path

import pytest

from verl.config import PPOConfig, SFTConfig, load_ppo_config, not_on_device
from verl.config.aliases import GLOBAL_COUNTS, KEYS, VALUES, new_name
from verl.config.fields import ConfigError, from_dict, schema
from verl.config.rules import Rule, State
from verl.config.states import DEVICE_KEYS, RULES, field_of, find_rule, state_of

VERL_KEYS = (Path(__file__).parent / "verl_keys.txt").read_text().split()


def problems_of(argv):
    with pytest.raises(ConfigError) as error:
        load_ppo_config(argv)
    return error.value.problems


def warnings_of(argv, caplog):
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        config = load_ppo_config(argv)
    return config, [record.getMessage() for record in caplog.records]


def test_the_list_of_verl_keys_is_whole():
    assert len(VERL_KEYS) == len(set(VERL_KEYS)) == 219


@pytest.mark.parametrize("name", VERL_KEYS)
def test_every_verl_key_has_a_state(name):
    assert state_of(PPOConfig, name) in State


def test_an_unknown_key_has_none():
    assert state_of(PPOConfig, "data.nope") is None
    assert state_of(PPOConfig, "actor_rollout_ref.actr.use_torch_compile") is None


@pytest.mark.parametrize("name, state", [
    ("data.train_batch_size", State.WORKS),
    ("actor_rollout_ref.rollout.engine_kwargs.vllm.block_size", State.WORKS),
    ("actor_rollout_ref.actor.optim.warmup_style", State.RENAMED),
    ("actor_rollout_ref.model.use_remove_padding", State.ALWAYS),
    ("actor_rollout_ref.rollout.gpu_memory_utilization", State.NOT_ON_DEVICE),
    ("actor_rollout_ref.model.lora_rank", State.REFUSED),
])
def test_one_key_of_each_state(name, state):
    assert state_of(PPOConfig, name) is state


def test_patterns_match_what_they_say():
    rule = Rule("a.{b,c}.*.**", State.ALWAYS, "")
    assert rule.matches("a.c.x.y.z")
    assert not rule.matches("a.c.x")
    assert not rule.matches("a.d.x.y")
    assert not rule.matches("axc.x.y")
    assert not Rule("a.*.z", State.ALWAYS, "").matches("a.b.c.z")


@pytest.mark.parametrize("root", [PPOConfig, SFTConfig])
def test_defaults_are_accepted_by_the_table(root):
    for name, row in schema(root).items():
        rule = find_rule(root, name)
        assert rule is None or row.default in rule.fine, name


@pytest.mark.parametrize("root", [PPOConfig, SFTConfig])
def test_every_rule_gives_a_reason_and_no_rule_hides_another(root):
    assert all(rule.why for rule in RULES[root])
    keys = [rule.key for rule in RULES[root]]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("root", [PPOConfig, SFTConfig])
def test_renamed_keys_lead_to_keys(root):
    for old in (*KEYS[root], *GLOBAL_COUNTS[root]):
        new = new_name(root, old)
        known = field_of(root, new) or find_rule(root, new) or any(name.startswith(new + ".") for name in schema(root))
        assert known or find_rule(root, new + ".x"), old
        assert old not in schema(root)
    for name in VALUES:
        assert name in schema(PPOConfig)


def test_a_renamed_key_works_with_one_warning(ppo_argv, caplog):
    config, warnings = warnings_of([*ppo_argv, "+actor_rollout_ref.actor.optim.warmup_style=cosine"], caplog)
    assert config.actor_rollout_ref.actor.optim.lr_scheduler_type == "cosine"
    assert warnings == [
        "actor_rollout_ref.actor.optim.warmup_style is now called actor_rollout_ref.actor.optim.lr_scheduler_type"
    ]


def test_a_renamed_group_takes_its_keys_along(ppo_argv, files):
    config = load_ppo_config([*ppo_argv, f"reward.custom_reward_function.path={files}/reward.py",
                              "+reward.custom_reward_function.reward_kwargs.scale=2"])  # yapf: disable
    assert config.custom_reward_function.path == f"{files}/reward.py"
    assert config.custom_reward_function.reward_kwargs == {"scale": 2}


@pytest.mark.parametrize("order", [1, -1])
def test_of_an_old_and_a_new_name_the_last_counts(ppo_argv, order):
    both = ["trainer.log_val_generations=3", "trainer.val_generations_to_log_to_wandb=5"][::order]
    assert load_ppo_config(ppo_argv + both).trainer.log_val_generations == (5 if order == 1 else 3)


def test_a_global_count_is_divided_by_the_devices(ppo_argv):
    argv = [*ppo_argv[:2], "trainer.n_gpus_per_node=4", "trainer.nnodes=2", "actor_rollout_ref.rollout.n=4",
            "actor_rollout_ref.actor.ppo_micro_batch_size=64",
            "actor_rollout_ref.rollout.log_prob_micro_batch_size=128"]  # yapf: disable
    config = load_ppo_config(argv)
    assert config.actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu == 8
    assert config.actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu == 16
    later = load_ppo_config([*argv, "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=5"])
    assert later.actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu == 5
    unset = load_ppo_config([*argv, "actor_rollout_ref.actor.ppo_micro_batch_size=null"])
    assert unset.actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu == 8
    (problem,) = problems_of([*argv, "actor_rollout_ref.actor.ppo_micro_batch_size=60"])
    assert problem.startswith("actor_rollout_ref.actor.ppo_micro_batch_size=60: it counts over all 8 devices")
    assert problem.endswith("set actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu")


@pytest.mark.parametrize("accepted", [
    "actor_rollout_ref.model.use_remove_padding=True", "data.return_raw_chat=True", "data.return_raw_chat=False",
    "actor_rollout_ref.rollout.calculate_log_probs=True", "actor_rollout_ref.hybrid_engine=True",
    "actor_rollout_ref.rollout.mode=sync", "+actor_rollout_ref.rollout.mode=async",
    "trainer.use_legacy_worker_impl=disable", "actor_rollout_ref.actor.use_torch_compile=False",
    "actor_rollout_ref.model.lora_rank=0", "data.image_key=images", "actor_rollout_ref.rollout.multi_turn.enable=False",
    "actor_rollout_ref.actor.ulysses_sequence_parallel_size=1", "algorithm.filter_groups.enable=False",
    "data.custom_cls.path=null", "actor_rollout_ref.rollout.multi_turn.format=hermes", "trainer.critic_warmup=0"
])
def test_what_is_so_anyway_may_be_said(ppo_argv, accepted, caplog):
    assert warnings_of([*ppo_argv, accepted], caplog)[1] == []


@pytest.mark.parametrize("override, reason", [
    ("actor_rollout_ref.actor.use_torch_compile=True", "the model is not compiled"),
    ("actor_rollout_ref.actor.ulysses_sequence_parallel_size=4", "fold into the FSDP group"),
    ("actor_rollout_ref.actor.megatron.pipeline_model_parallel_size=2", "fold into the FSDP group"),
    ("actor_rollout_ref.actor.strategy=megatron", "fold into the FSDP group"),
    ("actor_rollout_ref.rollout.name=sglang", "vllm runs"),
    ("actor_rollout_ref.actor.fsdp_config.offload_policy=True", "param_offload and optimizer_offload say"),
    ("actor_rollout_ref.ref.fsdp_config.optimizer_offload=True", "the reference has no optimizer"),
    ("critic.optim.lr=2e-5", "grpo trains no critic"),
    ("actor_rollout_ref.actor.profiler.enable=True", "there is no profiler"),
    ("critic.profiler.ranks=[0]", "there is no profiler"),
    ("global_profiler.tool=nsys", "there is no profiler"),
    ("actor_rollout_ref.rollout.engine_kwargs.sglang.attention_backend=fa3", "only that engine reads it"),
])
def test_what_does_nothing_is_accepted_with_one_warning(ppo_argv, override, reason, caplog):
    _, warnings = warnings_of([*ppo_argv, override], caplog)
    assert len(warnings) == 1
    assert reason in warnings[0]


def test_many_idle_keys_of_one_reason_make_one_warning(ppo_argv, caplog):
    keys = ["critic.optim.lr=1e-5", "critic.model.path=m", "critic.ppo_micro_batch_size_per_gpu=4"]
    (warning,) = warnings_of(ppo_argv + keys, caplog)[1]
    assert warning == "critic.**: algorithm.adv_estimator=grpo trains no critic: these keys do nothing"


def test_keys_of_the_critic_under_their_other_names(ppo_argv, caplog):
    config, warnings = warnings_of(
        [*ppo_argv, "algorithm.adv_estimator=gae", "critic.fsdp_config.fsdp_size=1", "critic.ppo_micro_batch_size=4",
         "critic.model.fsdp_config.optimizer_offload=False", "critic.model.use_remove_padding=True",
         "critic.strategy=megatron", "trainer.max_critic_ckpt_to_keep=2"], caplog)  # yapf: disable
    assert config.critic.model.fsdp_config.fsdp_size == 1 and config.critic.ppo_micro_batch_size_per_gpu == 4
    assert config.critic.strategy == "fsdp2" and config.uses_critic
    assert len(warnings) == 3 and all("now called" in line for line in warnings[:2]) and "fold" in warnings[2]


def test_sglang_and_megatron_run_on_what_there_is(ppo_argv):
    config = load_ppo_config([*ppo_argv, "actor_rollout_ref.rollout.name=sglang",
                              "actor_rollout_ref.actor.strategy=megatron"])  # yapf: disable
    assert config.actor_rollout_ref.rollout.name == "vllm"
    assert config.actor_rollout_ref.actor.strategy == "fsdp2"
    assert "sglang" not in config.actor_rollout_ref.rollout.engine_kwargs


@pytest.mark.parametrize("override, said", [
    ("critic.enable=True", "grpo uses no critic"),
    ("critic.model.lora_rank=8", "LoRA"),
    ("algorithm.kl_ctrl.type=sometimes", "fixed, adaptive"),
    ("reward_model.enable=True", "custom_reward_function.path"),
    ("actor_rollout_ref.model.lora_rank=32", "LoRA"),
    ("data.image_key=picture", "text only"),
    ("actor_rollout_ref.rollout.multi_turn.enable=True", "one turn"),
    ("data.custom_cls.path=my.py", "data_preprocess"),
    ("data.sampler.class_name=Mine", "data.shuffle"),
    ("actor_rollout_ref.model.use_remove_padding=False", "packed"),
    ("actor_rollout_ref.hybrid_engine=False", "share the devices"),
    ("algorithm.filter_groups.enable=True", "not there yet"),
    ("actor_rollout_ref.rollout.transport=nccl", "auto"),
    ("trainer.critic_warmup=5", "trains no critic"),
])
def test_what_is_not_there_is_refused_with_the_reason(ppo_argv, override, said):
    problems = problems_of([*ppo_argv, override])
    assert len(problems) == 1
    assert said in problems[0]
    assert override.partition("=")[2] in problems[0]


def test_not_on_device_lists_what_was_asked_for():
    config = from_dict(PPOConfig, {"actor_rollout_ref": {"rollout": {"tensor_model_parallel_size": 2,
                                                                     "gpu_memory_utilization": 0.6}}})  # yapf: disable
    lines = not_on_device(config, "cpu")
    assert [line.split("=")[0] for line in lines] == list(DEVICE_KEYS)[:2]
    assert not_on_device(config, "cuda") == []
    assert not_on_device(PPOConfig(), "cpu") == []
    (line,) = not_on_device(from_dict(SFTConfig, {"fsdp_config": {"optimizer_offload": True}}), "cpu")
    assert line == "fsdp_config.optimizer_offload=True means nothing on cpu: its memory is the host's"
    assert set(DEVICE_KEYS) <= set(schema(PPOConfig)) | set(schema(SFTConfig))
