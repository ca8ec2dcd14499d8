"""Starts what generates and scores: the rollout replicas and the reward actor."""
import os

import ray

from reward_score.shaping import OverlongPenalty, Shaping
from verl.config.ppo import PPOConfig
from verl.single_controller import ResourcePool, WorkerGroup
from verl.trainer.cluster import threads_per_process
from verl.workers.reward.reward_worker import RewardWorker
from verl.workers.rollout.replica import ReplicaSet

# Where judges and remote sandboxes are; the driver's environment reaches actors on other nodes only if passed on.
SERVICE_VARIABLES = ("STEM_LLM_JUDGE_", "MATH_LLM_JUDGE_", "REWARD_JUDGE_", "SANDBOX_FUSION_")


def reward_shaping(config: PPOConfig) -> Shaping:
    """What `reward_model` says of the way from scores to rewards."""
    reward = config.reward_model
    buffer = reward.reward_kwargs.overlong_buffer_cfg
    longest = reward.reward_kwargs.max_resp_len or config.data.max_response_length
    penalty = OverlongPenalty(longest, buffer.len, buffer.penalty_factor) if buffer.enable else None
    return Shaping(reward.reward_scaling, reward.reward_bias, reward.check_xml_format, penalty)


def start_replicas(config: PPOConfig, pool: ResourcePool, trainer: WorkerGroup) -> ReplicaSet:
    """The rollout replicas, loading; wait with `start()`."""
    length = config.data.max_prompt_length + config.data.max_response_length
    rollout = config.actor_rollout_ref.rollout
    env = threads_per_process(rollout.num_replicas or 1) if pool.device == "cpu" else {}
    return ReplicaSet(config.actor_rollout_ref.model, rollout, pool, length, trainer.locations, env,
                      config.trainer.worker_memory_limit_gb)


def start_reward(config: PPOConfig, tokenizer_path: str, data_sources: list[str]) -> ray.actor.ActorHandle:
    """The reward actor with its pool of processes, which loads what `data_sources` need at once."""
    reward, custom = config.reward_model, config.custom_reward_function
    pool = {
        "num_workers": reward.num_workers or min(8,
                                                 os.cpu_count() or 1),
        "timeout": reward.timeout,
        "memory_limit_mb": reward.memory_limit_mb,
        "data_sources": data_sources,
        "kwargs": {
            "sandbox_fusion_url": reward.sandbox_fusion.url
        } if reward.sandbox_fusion.url else {},
        "custom": (custom.path, custom.name, custom.reward_kwargs) if custom.path else None,
    }
    services = {name: value for name, value in os.environ.items() if name.startswith(SERVICE_VARIABLES)}
    actor = ray.remote(RewardWorker).options(num_cpus=0, max_concurrency=1000, runtime_env={"env_vars": services})
    return actor.remote(tokenizer_path, config.data.trust_remote_code, pool)
