"""The root of main_ppo's config."""
from dataclasses import dataclass

from verl.config.algorithm import AlgoConfig
from verl.config.critic import CriticConfig
from verl.config.data import DataConfig
from verl.config.engine import ActorConfig, RefConfig
from verl.config.fields import group, key
from verl.config.model import ModelConfig
from verl.config.reward import CustomRewardFunctionConfig, RewardModelConfig
from verl.config.rollout import RolloutConfig
from verl.config.trainer import RayKwargsConfig, TrainerConfig


@dataclass(frozen=True)
class ActorRolloutRefConfig:
    """The policy in its three roles."""
    model: ModelConfig = group(ModelConfig)
    actor: ActorConfig = group(ActorConfig)
    ref: RefConfig = group(RefConfig)
    rollout: RolloutConfig = group(RolloutConfig)
    nccl_timeout: int = key(600, "seconds until a collective operation counts as hung", at_least=1)


@dataclass(frozen=True)
class PPOConfig:
    """Reinforcement learning: `python -m verl.trainer.main_ppo`."""
    data: DataConfig = group(DataConfig)
    actor_rollout_ref: ActorRolloutRefConfig = group(ActorRolloutRefConfig)
    critic: CriticConfig = group(CriticConfig)
    algorithm: AlgoConfig = group(AlgoConfig)
    reward_model: RewardModelConfig = group(RewardModelConfig)
    custom_reward_function: CustomRewardFunctionConfig = group(CustomRewardFunctionConfig)
    trainer: TrainerConfig = group(TrainerConfig)
    ray_kwargs: RayKwargsConfig = group(RayKwargsConfig)

    @property
    def uses_critic(self) -> bool:
        """Whether a critic is trained."""
        return self.algorithm.adv_estimator == "gae" if self.critic.enable is None else self.critic.enable

    @property
    def uses_reference(self) -> bool:
        """Whether the KL to the reference counts, in the loss or in the reward."""
        return self.actor_rollout_ref.actor.use_kl_loss or self.algorithm.use_kl_in_reward
