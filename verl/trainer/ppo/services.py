"""Starts what generates and scores: the rollout replicas and the reward actor."""
import os

import ray

from verl.config.ppo import PPOConfig
from verl.single_controller import ResourcePool, WorkerGroup
from verl.trainer.cluster import threads_per_process
from verl.workers.reward.reward_worker import RewardWorker
from verl.workers.rollout.replica import ReplicaSet


def start_replicas(config: PPOConfig, pool: ResourcePool, trainer: WorkerGroup) -> ReplicaSet:
    """The rollout replicas, loading; wait with `start()`."""
    length = config.data.max_prompt_length + config.data.max_response_length
    rollout = config.actor_rollout_ref.rollout
    env = threads_per_process(rollout.num_replicas or 1) if pool.device == "cpu" else {}
    return ReplicaSet(config.actor_rollout_ref.model, rollout, pool, length, trainer.locations, env)


def start_reward(config: PPOConfig, tokenizer_path: str, data_sources: list[str]) -> ray.actor.ActorHandle:
    """The reward actor with its pool of processes, which loads what `data_sources` need at once."""
    reward, custom = config.reward_model, config.custom_reward_function
    pool = {
        "num_workers": reward.num_workers or min(8,
                                                 os.cpu_count() or 1),
        "timeout": reward.timeout,
        "memory_limit_mb": reward.memory_limit_mb,
        "data_sources": data_sources,
        "custom": (custom.path, custom.name, custom.reward_kwargs) if custom.path else None,
    }
    actor = ray.remote(RewardWorker).options(num_cpus=0, max_concurrency=1000)
    return actor.remote(tokenizer_path, config.data.trust_remote_code, pool)
