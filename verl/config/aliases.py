"""Renamed keys and values: what users may still write, and what it is called here. The only such table.

Keys are dotted; a group's name renames everything below it.
"""
from collections.abc import Mapping
from typing import Any

from verl.config.ppo import PPOConfig
from verl.config.sft import SFTConfig

FOLDED = "pipeline, training-tensor and sequence-parallel sizes fold into the FSDP group"

KEYS: dict[type, dict[str, str]] = {
    PPOConfig: {
        "actor_rollout_ref.actor.optim.warmup_style": "actor_rollout_ref.actor.optim.lr_scheduler_type",
        "actor_rollout_ref.actor.optim.clip_grad": "actor_rollout_ref.actor.grad_clip",
        "actor_rollout_ref.actor.checkpoint.contents": "actor_rollout_ref.actor.checkpoint.save_contents",
        "actor_rollout_ref.actor.fsdp_config.dtype": "actor_rollout_ref.actor.fsdp_config.mixed_precision.param_dtype",
        "actor_rollout_ref.ref.fsdp_config.dtype": "actor_rollout_ref.ref.fsdp_config.mixed_precision.param_dtype",
        "actor_rollout_ref.rollout.prompt_length": "data.max_prompt_length",
        "actor_rollout_ref.rollout.response_length": "data.max_response_length",
        "critic.optim.warmup_style": "critic.optim.lr_scheduler_type",
        "critic.optim.clip_grad": "critic.grad_clip",
        "critic.checkpoint.contents": "critic.checkpoint.save_contents",
        "critic.fsdp_config": "critic.model.fsdp_config",
        "critic.fsdp": "critic.model.fsdp_config",
        "critic.model.fsdp_config.dtype": "critic.model.fsdp_config.mixed_precision.param_dtype",
        "data.tokenizer": "actor_rollout_ref.model.tokenizer_path",
        "reward.num_workers": "reward_model.num_workers",
        "reward.reward_manager.name": "reward_model.reward_manager",
        "reward.reward_kwargs": "reward_model.reward_kwargs",
        "reward.reward_model.enable": "reward_model.enable",
        "reward.custom_reward_function": "custom_reward_function",
        "reward.sandbox_fusion": "reward_model.sandbox_fusion",
        "sandbox_fusion": "reward_model.sandbox_fusion",
        "reward_model.overlong_buffer": "reward_model.reward_kwargs.overlong_buffer_cfg",
        "trainer.val_generations_to_log_to_wandb": "trainer.log_val_generations",
        "trainer.max_ckpt_to_keep": "trainer.max_actor_ckpt_to_keep",
        "ray_init": "ray_kwargs.ray_init",
    },
    SFTConfig: {
        "model.partial_pretrain": "model.path",
        "model.fsdp_config": "fsdp_config",
        "engine": "fsdp_config",
        "fsdp_config.dtype": "fsdp_config.mixed_precision.param_dtype",
        "optim.warmup_steps_ratio": "optim.lr_warmup_steps_ratio",
        "optim.lr_scheduler": "optim.lr_scheduler_type",
        "optim.warmup_style": "optim.lr_scheduler_type",
        "optim.clip_grad": "grad_clip",
        "checkpoint.contents": "checkpoint.save_contents",
        "data.multiturn.messages_key": "data.messages_key",
        "trainer.max_ckpt_to_keep": "trainer.max_actor_ckpt_to_keep",
        "trainer.resume_path": "trainer.resume_from_path",
    },
}

# Counts of sequences over all devices, converted to the count per device where the division comes out even.
GLOBAL_COUNTS: dict[type, dict[str, str]] = {
    PPOConfig: {
        name: name + "_per_gpu"
        for name in ("actor_rollout_ref.actor.ppo_micro_batch_size", "actor_rollout_ref.ref.log_prob_micro_batch_size",
                     "actor_rollout_ref.rollout.log_prob_micro_batch_size", "critic.ppo_micro_batch_size",
                     "critic.forward_micro_batch_size")
    },
    SFTConfig: {"data.micro_batch_size": "data.micro_batch_size_per_gpu"},
}  # yapf: disable

# Values that are something else here, and why ("": only the name differs).
VALUES: Mapping[str, Mapping[Any, tuple[Any, str]]] = {
    "actor_rollout_ref.rollout.name": {"sglang": ("vllm", "there is no sglang engine yet, so vllm runs")},
    "actor_rollout_ref.actor.strategy": {"megatron": ("fsdp2", FOLDED)},
    "critic.strategy": {"megatron": ("fsdp2", FOLDED)},
    "reward_model.reward_manager": {"async_dapo": ("dapo", "")},
    "trainer.resume_from_path": {False: (None, "")},
}  # yapf: disable


def new_name(root: type, name: str) -> str | None:
    """Today's name of a renamed key (keys below a renamed group included); None if it was not renamed."""
    for old, new in KEYS[root].items():
        if name == old or name.startswith(old + "."):
            renamed = new + name[len(old):]
            return new_name(root, renamed) or renamed
    return GLOBAL_COUNTS[root].get(name)
