"""The critic, which PPO trains beside the actor (`critic`)."""
from dataclasses import dataclass

from verl.config.engine import LOSS_AGG_MODES, CheckpointConfig, FSDPConfig, OptimConfig
from verl.config.fields import group, key
from verl.config.model import ModelConfig


@dataclass(frozen=True)
class CriticModelConfig(ModelConfig):
    """The backbone below the value head; a model with a token-classification head keeps it."""
    path: str | None = key(None, "local folder or hub id of the model; null: the actor's")
    fsdp_config: FSDPConfig = group(FSDPConfig)


@dataclass(frozen=True)
class CriticConfig:
    """Keys that are null are as for the actor."""
    enable: bool | None = key(None, "train a critic; null: if algorithm.adv_estimator is gae")
    strategy: str = key("fsdp2", "training backend; both names mean FSDP2", choices=("fsdp2", "fsdp"))
    model: CriticModelConfig = group(CriticModelConfig)
    optim: OptimConfig = group(OptimConfig, lr=1e-5)
    ppo_mini_batch_size: int | None = key(None, "prompts per optimizer step, over all devices", at_least=1)
    ppo_micro_batch_size_per_gpu: int | None = key(None, "sequences per forward-backward on a device", at_least=1)
    use_dynamic_bsz: bool | None = key(None, "fill micro-batches up to a token cap instead of counting sequences")
    ppo_max_token_len_per_gpu: int | None = key(None, "hard cap on the tokens of a micro-batch", at_least=1)
    forward_micro_batch_size_per_gpu: int | None = key(None, "sequences per forward; null: as in training", at_least=1)
    forward_max_token_len_per_gpu: int | None = key(None, "token cap of a forward; null: as in training", at_least=1)
    ppo_epochs: int | None = key(None, "passes over each batch", at_least=1)
    shuffle: bool | None = key(None, "draw mini-batches at random instead of taking the batch in order")
    cliprange_value: float = key(0.5, "how far a value may move before its loss stops falling", above=0)
    loss_agg_mode: str | None = key(None, "how token losses become one number", choices=LOSS_AGG_MODES)
    grad_clip: float = key(1.0, "largest norm of the gradient", above=0)
    checkpoint: CheckpointConfig = group(CheckpointConfig)
