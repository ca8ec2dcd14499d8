"""Typed configs of the entry points: Hydra YAML and overrides in, checked frozen dataclasses out. Imports no torch."""
from verl.config.algorithm import AlgoConfig, KLControlConfig
from verl.config.checks import check_ppo, check_sft
from verl.config.data import DataConfig
from verl.config.engine import (
    ActorConfig,
    CheckpointConfig,
    FSDPConfig,
    MixedPrecisionConfig,
    OptimConfig,
    PolicyLossConfig,
    RefConfig,
)
from verl.config.fields import ConfigError, from_dict, to_dict
from verl.config.load import load_ppo_config, load_sft_config
from verl.config.model import ModelConfig
from verl.config.ppo import ActorRolloutRefConfig, PPOConfig
from verl.config.reward import CustomRewardFunctionConfig, RewardModelConfig
from verl.config.rollout import RolloutConfig, ValKwargsConfig
from verl.config.sft import SFTConfig, SFTDataConfig
from verl.config.show import dump, show_args
from verl.config.states import not_on_device
from verl.config.trainer import RayInitConfig, RayKwargsConfig, TrainerConfig

__all__ = [
    "ActorConfig", "ActorRolloutRefConfig", "AlgoConfig", "CheckpointConfig", "ConfigError",
    "CustomRewardFunctionConfig", "DataConfig", "FSDPConfig", "KLControlConfig", "MixedPrecisionConfig", "ModelConfig",
    "OptimConfig", "PPOConfig", "PolicyLossConfig", "RayInitConfig", "RayKwargsConfig", "RefConfig",
    "RewardModelConfig", "RolloutConfig", "SFTConfig", "SFTDataConfig", "TrainerConfig", "ValKwargsConfig", "check_ppo",
    "check_sft", "dump", "from_dict", "load_ppo_config", "load_sft_config", "not_on_device", "show_args", "to_dict"
]
